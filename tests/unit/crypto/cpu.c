/* The processor probe: consistent with itself and with what the compiler's own probe sees. */
#include <criterion/criterion.h>
#include <string.h>

#include "crypto/cpu.h"

Test(cpu, is_probed_once_and_named)
{
    const struct sm_cpu *cpu = sm_cpu();
    cr_assert_eq(cpu, sm_cpu());
    cr_assert(cpu->name[0] && cpu->name[0] != ' ');
    cr_assert_neq(cpu->name[strlen(cpu->name) - 1], ' ');
}

Test(cpu, features_imply_what_they_build_on)
{
    const struct sm_cpu *cpu = sm_cpu();
    cr_assert(!cpu->avx512 || cpu->avx2);
    cr_assert(!cpu->avx2 || cpu->ssse3);
    cr_assert(!cpu->vaes || (cpu->aesni && cpu->avx2));
    cr_assert(!cpu->armaes || cpu->neon);
    cr_assert(!cpu->shani || (cpu->ssse3 && cpu->sse41));
    cr_assert(!cpu->armsha || cpu->neon);
}

#if defined(__x86_64__)
Test(cpu, agrees_with_the_compiler_runtime)
{
    /* libgcc's probe also tests XGETBV. */
    __builtin_cpu_init();
    const struct sm_cpu *cpu = sm_cpu();
    cr_assert_eq(cpu->ssse3, __builtin_cpu_supports("ssse3") != 0);
    cr_assert_eq(cpu->sse41, __builtin_cpu_supports("sse4.1") != 0);
    cr_assert_eq(cpu->avx2, __builtin_cpu_supports("avx2") != 0);
    cr_assert_eq(cpu->avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"));
}
#endif

Test(cpu, describe_lists_features_and_respects_room)
{
    const struct sm_cpu cpu = {.ssse3 = true, .avx2 = true, .vaes = true};
    char text[64];
    cr_assert_str_eq(sm_cpu_describe(&cpu, text, sizeof text), "ssse3 avx2 vaes");
    char small[9];
    memset(small, 'x', sizeof small);
    (void)sm_cpu_describe(&cpu, small, 8);
    cr_assert_lt(strlen(small), 8);
    cr_assert_eq(small[8], 'x');
    const struct sm_cpu none = {.ssse3 = false};
    cr_assert_str_eq(sm_cpu_describe(&none, text, sizeof text), "");
}
