/* Which variants there are and which one to use. */
#include "crypto/scan_impl.h"

#include <stdio.h>
#include <stdlib.h>

static bool usable_ref(const struct sm_cpu *cpu)
{
    (void)cpu;
    return true;
}

static const struct sm_scan_variant ref = {.name = "ref", .usable = usable_ref, .impl = &sm_scan_ops_ref};

#if defined(__x86_64__)
static bool usable_aesni(const struct sm_cpu *cpu)
{
    return cpu->aesni && cpu->ssse3 && cpu->sse41;
}

static bool usable_vaes256(const struct sm_cpu *cpu)
{
    return cpu->vaes && cpu->avx2;
}

static bool usable_vaes512(const struct sm_cpu *cpu)
{
    return cpu->vaes && cpu->avx512;
}

static const struct sm_scan_variant aesni = {.name = "aesni", .usable = usable_aesni, .impl = &sm_scan_ops_aesni};
static const struct sm_scan_variant vaes256 = {
    .name = "vaes256", .usable = usable_vaes256, .impl = &sm_scan_ops_vaes256};
static const struct sm_scan_variant vaes512 = {
    .name = "vaes512", .usable = usable_vaes512, .impl = &sm_scan_ops_vaes512};
static const struct sm_scan_variant *const all[] = {&ref, &aesni, &vaes256, &vaes512, NULL};
#elif defined(__aarch64__)
static bool usable_armaes(const struct sm_cpu *cpu)
{
    return cpu->armaes && cpu->neon;
}

static const struct sm_scan_variant armaes = {.name = "armaes", .usable = usable_armaes, .impl = &sm_scan_ops_armaes};
static const struct sm_scan_variant *const all[] = {&ref, &armaes, NULL};
#else
static const struct sm_scan_variant *const all[] = {&ref, NULL};
#endif

const struct sm_scan_variant *const *sm_scan_all(void)
{
    return all;
}

static sm_err refuse(const struct sm_cpu *cpu, const char *name, struct sm_errinfo *ei)
{
    (void)sm_fail(ei, SM_E_ARG, "AES variant \"%s\" is unknown or cannot run on this processor; usable here:", name);
    for (const struct sm_scan_variant *const *v = all; *v; v++)
        if ((*v)->usable(cpu)) (void)sm_fail_add(ei, SM_E_ARG, " %s", (*v)->name);
    return SM_E_ARG;
}

sm_err sm_scan_pick(const struct sm_cpu *cpu, const char *force, const struct sm_scan_variant **out,
                    struct sm_errinfo *ei)
{
    if (!force) force = getenv("SM_AES_ISA");
    const struct sm_scan_variant *best = NULL;
    for (const struct sm_scan_variant *const *v = all; *v; v++)
        if ((*v)->usable(cpu) && (!force || strcmp(force, (*v)->name) == 0)) best = *v; /* rows get faster */
    if (!best) return refuse(cpu, force ? force : "", ei);
    *out = best;
    return SM_OK;
}
