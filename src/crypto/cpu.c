#include "crypto/cpu.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sm_cpu probed;

/* Copies `text` without leading, trailing and repeated blanks, as brand strings are padded with them. */
static void set_name(struct sm_cpu *cpu, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < sizeof cpu->name; text++) {
        const bool blank = *text == ' ' || *text == '\t' || *text == '\n';
        if (blank && (n == 0 || cpu->name[n - 1] == ' ')) continue;
        cpu->name[n++] = blank ? ' ' : *text;
    }
    while (n && cpu->name[n - 1] == ' ') n--;
    cpu->name[n] = '\0';
    if (!n) (void)snprintf(cpu->name, sizeof cpu->name, "unknown");
}

#if defined(__x86_64__)

#include <cpuid.h>

/* XCR0 bits (Intel SDM vol. 1, 13.3): SSE and AVX state; opmask, ZMM 0-15 high halves, ZMM 16-31. */
#define XCR0_YMM 0x06u
#define XCR0_ZMM 0xe6u

static uint64_t xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static void probe_name(struct sm_cpu *cpu)
{
    uint32_t brand[12 + 1] = {0};
    if ((uint32_t)__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u)
        for (uint32_t i = 0; i < 3; i++)
            (void)__get_cpuid(0x80000002u + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2], &brand[4 * i + 3]);
    char text[sizeof brand];
    memcpy(text, brand, sizeof text);
    set_name(cpu, text);
}

static void probe_features(struct sm_cpu *cpu)
{
    probe_name(cpu);
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    cpu->ssse3 = c & bit_SSSE3;
    cpu->sse41 = c & bit_SSE4_1;
    cpu->aesni = c & bit_AES;
    const uint64_t saved = c & bit_OSXSAVE ? xcr0() : 0;
    const bool ymm = (saved & XCR0_YMM) == XCR0_YMM && (c & bit_AVX);
    const bool zmm = ymm && (saved & XCR0_ZMM) == XCR0_ZMM;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    cpu->shani = cpu->ssse3 && cpu->sse41 && (b & bit_SHA);
    cpu->avx2 = ymm && (b & bit_AVX2);
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    cpu->avx512 = zmm && cpu->avx2 && (b & avx512) == avx512;
    cpu->vaes = cpu->avx2 && cpu->aesni && (c & bit_VAES);
}

#elif defined(__aarch64__)

#include <asm/hwcap.h>
#include <sys/auxv.h>

static void probe_name(struct sm_cpu *cpu)
{
    /* Device-tree boards name themselves; servers only give an implementer and part number. */
    char text[64] = "";
    FILE *f = fopen("/proc/device-tree/model", "r");
    if (f) {
        (void)!fgets(text, sizeof text, f);
        (void)fclose(f);
    }
    set_name(cpu, text);
    if (*text) return;
    f = fopen("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "r");
    if (!f) return;
    if (fgets(text, sizeof text, f)) {
        char name[sizeof cpu->name];
        (void)snprintf(name, sizeof name, "AArch64 midr %.40s", text);
        set_name(cpu, name);
    }
    (void)fclose(f);
}

static void probe_features(struct sm_cpu *cpu)
{
    probe_name(cpu);
    const unsigned long hwcap = getauxval(AT_HWCAP);
    cpu->neon = hwcap & HWCAP_ASIMD;
    cpu->armaes = cpu->neon && (hwcap & HWCAP_AES);
    cpu->armsha = cpu->neon && (hwcap & HWCAP_SHA2);
}

#else

static void probe_features(struct sm_cpu *cpu)
{
    set_name(cpu, "");
}

#endif

/* "32K" of one cache description, in bytes; 0 when absent. */
static size_t sysfs_size(unsigned index)
{
    char path[96], text[32] = "";
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%u/size", index);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    (void)!fgets(text, sizeof text, f);
    (void)fclose(f);
    char *unit;
    const unsigned long v = strtoul(text, &unit, 10);
    return v << (*unit == 'K' ? 10 : *unit == 'M' ? 20 : 0);
}

static size_t cache_bytes(int sysconf_name, unsigned sysfs_index)
{
    const long v = sysconf(sysconf_name);
    return v > 0 ? (size_t)v : sysfs_size(sysfs_index);
}

static void probe(void)
{
    probe_features(&probed);
    /* Linux numbers L1 data, L1 instruction, L2, L3 as index 0 … 3 on all machines we know. */
    probed.l1d_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 0);
    probed.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 2);
    probed.l3_bytes = cache_bytes(_SC_LEVEL3_CACHE_SIZE, 3);
}

const struct sm_cpu *sm_cpu(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, probe);
    return &probed;
}

char *sm_cpu_describe(const struct sm_cpu *cpu, char *out, size_t room)
{
    const struct {
        bool has;
        const char *name;
    } features[] = {
        {cpu->ssse3, "ssse3"}, {cpu->sse41, "sse4.1"},  {cpu->avx2, "avx2"}, {cpu->avx512, "avx512"},
        {cpu->aesni, "aesni"}, {cpu->vaes, "vaes"},     {cpu->neon, "neon"}, {cpu->armaes, "armaes"},
        {cpu->shani, "shani"}, {cpu->armsha, "armsha"},
    };
    size_t n = 0;
    if (room) out[0] = '\0';
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (!features[i].has) continue;
        const int k = snprintf(out + n, room - n, "%s%s", n ? " " : "", features[i].name);
        if (k < 0 || (size_t)k >= room - n) break;
        n += (size_t)k;
    }
    return out;
}
