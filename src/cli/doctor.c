#include "cli/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include "bench/stage.h"
#include "crypto/aes.h"
#include "crypto/cpu.h"
#include "crypto/randomx.h"
#include "crypto/scrypt.h"
#include "gpu/labeler.h"
#include "post/datadir.h"
#include "post/k2pow.h"
#include "post/sidecar.h"
#include "util/io.h"
#include "util/text.h"
#include "util/thread.h"

#define MIB                   (UINT64_C(1) << 20)
#define SLOW_DISK_BYTES_PER_S 100e6 /* 64 GiB in 11 minutes: below this a usual window gets tight */

static struct sm_finding *add(struct sm_findings *f, sm_finding_level level, const char *topic, const char *fmt, ...)
    SM_PRINTF(4, 5);

static struct sm_finding *add(struct sm_findings *f, sm_finding_level level, const char *topic, const char *fmt, ...)
{
    static struct sm_finding spill; /* more findings than anybody reads: the rest is dropped */
    struct sm_finding *x = f->n < SM_FINDINGS_MAX ? &f->list[f->n++] : &spill;
    *x = (struct sm_finding){.level = level};
    (void)snprintf(x->topic, sizeof x->topic, "%s", topic);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(x->text, sizeof x->text, fmt, ap);
    va_end(ap);
    return x;
}

static void advise(struct sm_finding *x, const char *text)
{
    (void)snprintf(x->advice, sizeof x->advice, "%s", text);
}

void sm_doctor_cpu(struct sm_findings *f)
{
    const struct sm_cpu *cpu = sm_cpu();
    char features[256];
    add(f, SM_FINDING_OK, "cpu", "%s, %u processors for this process; features: %s", cpu->name, sm_cpu_count(),
        sm_cpu_describe(cpu, features, sizeof features));
    const struct sm_scrypt_variant *labels = NULL;
    const struct sm_scan_variant *scan = NULL;
    struct sm_errinfo ei = {0};
    if (sm_scrypt_pick(cpu, NULL, &labels, &ei) || sm_scan_pick(cpu, NULL, &scan, &ei)) {
        advise(add(f, SM_FINDING_BAD, "cpu", "%s", ei.text),
               "unset SM_CPU_ISA and SM_AES_ISA, or name a variant listed above");
        return;
    }
    const bool plain = strcmp(labels->name, "ref") == 0 || strcmp(scan->name, "ref") == 0;
    struct sm_finding *x = add(f, plain ? SM_FINDING_WARN : SM_FINDING_OK, "cpu",
                               "labels are computed with variant %s, proofs scanned with %s", labels->name, scan->name);
    if (plain)
        advise(x, "this processor lacks SIMD or AES instructions, or a virtual machine hides them: ask for the host's "
                  "CPU model");
}

void sm_doctor_self_test(struct sm_findings *f)
{
    /* commitment 32 x 00, index 0, N 8192; FIPS-197 appendix C.1 */
    static const char want_label[] = "8c7b34d495266b23799ddaddc2a1836babdd6719c20aca272b42e9d9675ad2b7";
    static const char want_aes[] = "69c4e0d86a7b0430d8cdb78070b4c55a";
    static const uint8_t zero[32];
    uint8_t label[32], block[16], key[16], want[32];
    struct sm_errinfo ei = {0};
    const struct sm_scrypt_variant *v = NULL;
    struct sm_scrypt_worker *w = NULL;
    sm_err err = sm_scrypt_pick(sm_cpu(), NULL, &v, &ei);
    if (!err) err = sm_scrypt_worker_new(v, NULL, 8192, &w, &ei);
    if (!err) err = sm_scrypt_range(w, zero, 0, 1, NULL, label);
    sm_scrypt_worker_free(w);
    if (!err) err = sm_hex_decode(want_label, "label", want, 32, &ei);
    if (err) {
        add(f, SM_FINDING_BAD, "self-test", "labels cannot be computed: %s", ei.text);
        return;
    }
    const bool labels_ok = memcmp(label, want, 32) == 0;
    for (uint8_t i = 0; i < 16; i++) {
        key[i] = i;
        block[i] = (uint8_t)(i * 0x11);
    }
    struct sm_aes128 aes;
    sm_aes128_init(&aes, key);
    sm_aes128_encrypt(&aes, block, block);
    const bool aes_ok = !sm_hex_decode(want_aes, "AES", want, 16, &ei) && memcmp(block, want, 16) == 0;
    if (labels_ok && aes_ok)
        add(f, SM_FINDING_OK, "self-test", "labels (%s) and AES give the known answers", v->name);
    else
        advise(
            add(f, SM_FINDING_BAD, "self-test", "this machine computes wrong %s", labels_ok ? "AES blocks" : "labels"),
            "check memory and overclocking; do not create or prove data here");
}

void sm_doctor_randomx(struct sm_findings *f, const struct sm_cancel *cancel)
{
    struct sm_bench_row row;
    struct sm_errinfo ei = {0};
    const struct sm_randomx_cfg cfg = {.mode = SM_RANDOMX_LIGHT};
    sm_err err = sm_bench_k2pow(&cfg, 0, 0.4, cancel, &row, &ei); /* checks a known hash first */
    if (err)
        advise(add(f, SM_FINDING_BAD, "randomx", "%s", ei.text),
               "RandomX needs 256 MiB and, for speed, executable memory (JIT)");
    else
        add(f, SM_FINDING_OK, "randomx", "gives the known hash; light mode %.0f hashes/s (%s)", row.rate.median,
            row.note);
}

/* Value in KiB of a /proc/meminfo line; 0 when missing. */
static uint64_t meminfo_kib(const char *name)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[256];
    uint64_t value = 0;
    const size_t n = strlen(name);
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, n) == 0 && line[n] == ':') value = strtoull(line + n + 1, NULL, 10);
    if (file) (void)fclose(file);
    return value;
}

void sm_doctor_memory(struct sm_findings *f)
{
    const uint64_t total = meminfo_kib("MemTotal") >> 10, avail = meminfo_kib("MemAvailable") >> 10;
    const uint64_t fast = (SM_RANDOMX_DATASET_BYTES + SM_RANDOMX_CACHE_BYTES) / MIB + 256;
    if (avail >= fast)
        add(f, SM_FINDING_OK, "memory",
            "%" PRIu64 " MiB, %" PRIu64 " available: enough for RandomX fast mode (%" PRIu64 " MiB)", total, avail,
            fast);
    else
        advise(add(f, SM_FINDING_WARN, "memory",
                   "%" PRIu64 " MiB, %" PRIu64 " available: RandomX fast mode needs %" PRIu64
                   " MiB, so k2pow falls back to light mode, about ten times slower",
                   total, avail, fast),
               "free memory, or let another machine do the k2pow");
}

static bool read_line(const char *path, char *out, size_t room)
{
    FILE *file = fopen(path, "re");
    const bool ok = file && fgets(out, (int)room, file);
    if (file) (void)fclose(file);
    if (ok) out[strcspn(out, "\n")] = '\0';
    return ok;
}

void sm_doctor_huge_pages(struct sm_findings *f)
{
    char thp[128];
    if (!read_line("/sys/kernel/mm/transparent_hugepage/enabled", thp, sizeof thp))
        add(f, SM_FINDING_NOTE, "huge pages",
            "this kernel has no transparent huge pages: labels and RandomX run slower");
    else if (strstr(thp, "[never]"))
        advise(add(f, SM_FINDING_WARN, "huge pages", "transparent huge pages are off (%s)", thp),
               "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled: RandomX gains about half, labels too");
    else
        add(f, SM_FINDING_OK, "huge pages", "transparent huge pages: %s", thp);
    const uint64_t explicit_pages = meminfo_kib("HugePages_Total");
    if (explicit_pages)
        add(f, SM_FINDING_NOTE, "huge pages",
            "%" PRIu64 " explicit huge pages reserved, %" PRIu64 " free (used with --large-pages)", explicit_pages,
            meminfo_kib("HugePages_Free"));
}

void sm_doctor_opencl(struct sm_findings *f)
{
    struct sm_gpu_device *list = NULL;
    struct sm_gpu_report report = {0};
    size_t n = 0, usable = 0;
    struct sm_errinfo ei = {0};
    if (sm_gpu_list(&list, &n, &report, &ei)) {
        add(f, SM_FINDING_BAD, "opencl", "%s", ei.text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i].problem[0]) {
            advise(add(f, SM_FINDING_WARN, "opencl", "%s (%s, %s) cannot be used: %s", list[i].id, list[i].name,
                       list[i].platform, list[i].problem),
                   "update the driver of this device");
            continue;
        }
        usable++;
        add(f, SM_FINDING_OK, "opencl", "%s: %s, %s, driver %s, %" PRIu64 " MiB", list[i].id, list[i].name,
            list[i].platform, list[i].driver, list[i].memory_bytes / MIB);
    }
    if (report.problem[0]) add(f, SM_FINDING_NOTE, "opencl", "%s", report.problem);
    if (!usable)
        advise(add(f, SM_FINDING_NOTE, "opencl", "no usable device: labels are computed on the CPU"),
               report.loader_found
                   ? "install the OpenCL driver (ICD) of your GPU if there is one"
                   : "apt install ocl-icd-libopencl1 and the OpenCL driver of your GPU if there is one");
    free(list);
}

void sm_doctor_clock(struct sm_findings *f)
{
    struct timex t = {0};
    const int state = adjtimex(&t);
    if (state < 0)
        add(f, SM_FINDING_NOTE, "clock", "cannot ask the kernel about time synchronisation: %s", strerror(errno));
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        advise(add(f, SM_FINDING_WARN, "clock", "the clock is not synchronised"),
               "run an NTP client (systemd-timesyncd, chrony): epochs and layers are times of day; a container may not "
               "see its host's");
    else
        add(f, SM_FINDING_OK, "clock", "synchronised, estimated error %ld us", t.esterror);
}

void sm_doctor_disk(struct sm_findings *f, const char *dir, uint64_t bytes, const struct sm_cancel *cancel)
{
    struct sm_errinfo ei = {0};
    uint64_t room = 0;
    if (sm_io_free_bytes(dir, &room, &ei)) {
        advise(add(f, SM_FINDING_BAD, "disk", "%s", ei.text), "give an existing directory with --dir");
        return;
    }
    add(f, SM_FINDING_OK, "disk", "%s: %" PRIu64 " MiB free", dir, room / MIB);
    if (!bytes) return;
    struct sm_bench_row row[2];
    if (sm_bench_disk(dir, bytes, cancel, row, &ei)) {
        add(f, SM_FINDING_WARN, "disk", "speed not measured: %s", ei.text);
        return;
    }
    const bool slow = row[1].rate.median < SLOW_DISK_BYTES_PER_S;
    struct sm_finding *x = add(f, slow ? SM_FINDING_WARN : SM_FINDING_OK, "disk", "%s: %s %.0f MB/s, %s %.0f MB/s%s%s",
                               dir, row[0].variant, row[0].rate.median / 1e6, row[1].variant, row[1].rate.median / 1e6,
                               row[1].note[0] ? "; " : "", row[1].note);
    if (slow)
        advise(x, "reading a unit of 64 GiB takes over ten minutes at this speed: see `smesher bench` for what fits a "
                  "window");
}

static void doctor_key(struct sm_findings *f, const char *dir, const struct sm_datadir_info *info)
{
    struct sm_node_id key;
    struct sm_errinfo ei = {0};
    char name[32];
    const sm_err err = sm_datadir_key(dir, &key, name, &ei);
    if (err == SM_E_NOTFOUND) {
        add(f, SM_FINDING_NOTE, "key", "no identity key beside the data (not needed for proving)");
    } else if (err) {
        advise(add(f, SM_FINDING_BAD, "key", "%s", ei.text), "restore the key file from your backup");
    } else if (info->has_meta && memcmp(key.b, info->meta.node_id.b, sizeof key.b) != 0) {
        advise(add(f, SM_FINDING_BAD, "key", "%s belongs to another identity than the metadata", name),
               "put the right key beside the data; do not smesh with this one");
    } else {
        add(f, SM_FINDING_OK, "key", "%s matches the metadata", name);
    }
}

void sm_doctor_data(struct sm_findings *f, const char *dir)
{
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    sm_err err = sm_datadir_inspect(dir, &info, &ei);
    if (err) {
        add(f, err == SM_E_NOTFOUND ? SM_FINDING_NOTE : SM_FINDING_BAD, "data", "%s", ei.text);
        return;
    }
    for (size_t i = 0; i < info.problems_n; i++) add(f, SM_FINDING_BAD, "data", "%s", info.problems[i]);
    if (info.meta_from_backup)
        advise(add(f, SM_FINDING_BAD, "data", "the metadata file is broken; its backup is intact"),
               "any writing command (`smesher nonce`, `smesher init`) restores it");
    if (info.has_meta) {
        add(f, SM_FINDING_OK, "data",
            "%" PRIu32 " units of %" PRIu64 " labels, %" PRIu64 " of %" PRIu64 " labels on disk", info.meta.num_units,
            info.meta.labels_per_unit, info.labels, info.layout.num_labels);
        if (!info.meta.has_nonce)
            advise(add(f, SM_FINDING_WARN, "data", "no VRF nonce is known"),
                   "`smesher nonce --dir ...` finds it; proving needs it");
    }
    struct sm_sidecar side;
    err = sm_sidecar_load(dir, &side, &ei);
    if (!err && side.scrypt_n)
        add(f, SM_FINDING_OK, "data", "labels were made with scrypt N = %" PRIu32, side.scrypt_n);
    else if (err && err != SM_E_NOTFOUND)
        add(f, SM_FINDING_WARN, "data", "%s", ei.text);
    doctor_key(f, dir, &info);
    sm_datadir_info_fini(&info);
}
