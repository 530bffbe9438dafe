/* RandomX: vectors, sharing, huge pages, memory limits, the dataset file. Hashes: vectors/k2pow.json, post.md §4.6. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fenv.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/randomx.h"
#include "crypto/randomx_dataset.h"
#include "crypto/randomx_memory.h"
#include "crypto/randomx_pages.h"
#include "support/faultio.h"
#include "support/tmpdir.h"
#include "support/vectors.h"
#include "util/io.h"
#include "util/log.h"
#include "util/thread.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define KEY "spacemesh-randomx-cache-key"

static struct sm_randomx_cfg light(const char *key)
{
    return (struct sm_randomx_cfg){.key = key, .key_n = strlen(key), .mode = SM_RANDOMX_LIGHT};
}

static struct sm_randomx *open_or_die(struct sm_randomx_cfg cfg)
{
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = NULL;
    cr_assert_eq(sm_randomx_open(&cfg, NULL, &rx, &ei), SM_OK, "%s", ei.text);
    return rx;
}

static struct sm_randomx_vm *vm_or_die(struct sm_randomx *rx)
{
    struct sm_errinfo ei = {0};
    struct sm_randomx_vm *vm = NULL;
    cr_assert_eq(sm_randomx_vm_new(rx, &vm, &ei), SM_OK, "%s", ei.text);
    return vm;
}

/* Every hash of the file, one by one and as one pipelined sequence. */
static void check_vectors(struct sm_randomx *rx)
{
    json_t *file = vec_load("k2pow.json");
    cr_assert_str_eq(vec_str(file, "cache_key"), KEY);
    const json_t *entries = vec_get(file, "entries");
    const size_t n = json_array_size(entries);
    struct sm_randomx_vm *vm = vm_or_die(rx);
    uint8_t in[64][48], want[64][32], got[32];
    cr_assert(n > 0 && n <= 64);
    for (size_t i = 0; i < n; i++) {
        vec_hex(json_array_get(entries, i), "input_hex", in[i], 48);
        vec_hex(json_array_get(entries, i), "hash_hex", want[i], 32);
        sm_randomx_hash(vm, in[i], 48, got);
        cr_assert_arr_eq(got, want[i], 32, "entry %zu", i);
    }
    sm_randomx_hash_first(vm, in[0], 48);
    for (size_t i = 1; i < n; i++) {
        sm_randomx_hash_next(vm, in[i], 48, got);
        cr_assert_arr_eq(got, want[i - 1], 32, "pipelined entry %zu", i - 1);
    }
    sm_randomx_hash_last(vm, got);
    cr_assert_arr_eq(got, want[n - 1], 32, "last pipelined entry");
    sm_randomx_vm_free(vm);
    json_decref(file);
}

Test(randomx, light_mode_matches_vectors)
{
    struct sm_randomx *rx = open_or_die(light(KEY));
    cr_assert_eq(sm_randomx_mode_of(rx), SM_RANDOMX_LIGHT);
    check_vectors(rx);
    sm_randomx_close(rx);
}

Test(randomx, library_self_check)
{
    struct sm_randomx *rx = open_or_die(light("test key 000"));
    struct sm_randomx_vm *vm = vm_or_die(rx);
    uint8_t want[32], got[32];
    hex_to("639183aae1bf4c9a35884cb46b09cad9175f04efd7684e7262a0ac1c2f0b4e3f", want, 32);
    sm_randomx_hash(vm, "This is a test", 14, got);
    cr_assert_arr_eq(got, want, 32);
    sm_randomx_vm_free(vm);
    sm_randomx_close(rx);
}

Test(randomx, instances_are_shared_by_key)
{
    struct sm_randomx *a = open_or_die(light(KEY)), *b = open_or_die(light(KEY)), *c = open_or_die(light("other"));
    cr_assert_eq(a, b);
    cr_assert_neq(a, c);
    struct sm_randomx_cfg plain = light(KEY);
    plain.no_huge_pages = true;
    struct sm_randomx *d = open_or_die(plain);
    cr_assert_neq(a, d, "the benchmark's baseline is an instance of its own");
    sm_randomx_close(a);
    sm_randomx_close(c);
    sm_randomx_close(d);
    struct sm_randomx_vm *vm = vm_or_die(b);
    sm_randomx_close(b); /* the machine keeps it alive */
    uint8_t got[32], want[32];
    const uint8_t in[48] = {0};
    hex_to("42f1af4705a986a364efcdf9d0c98cde07d5d650fc717b5fc6d38dfbdf2c20ef", want, 32);
    sm_randomx_hash(vm, in, sizeof in, got);
    cr_assert_arr_eq(got, want, 32);
    sm_randomx_vm_free(vm);
    sm_randomx_close(NULL);
}

static void open_and_hash(void *ctx, unsigned index)
{
    struct sm_randomx **out = ctx;
    uint8_t got[32], want[32];
    const uint8_t in[48] = {0};
    hex_to("42f1af4705a986a364efcdf9d0c98cde07d5d650fc717b5fc6d38dfbdf2c20ef", want, 32);
    out[index] = open_or_die(light(KEY));
    struct sm_randomx_vm *vm = vm_or_die(out[index]);
    sm_randomx_hash(vm, in, sizeof in, got);
    cr_assert_arr_eq(got, want, 32);
    sm_randomx_vm_free(vm);
}

Test(randomx, concurrent_opens_make_one_instance)
{
    struct sm_randomx *rx[4];
    sm_threads_run(4, open_and_hash, rx);
    for (int i = 1; i < 4; i++) cr_assert_eq(rx[i], rx[0]);
    for (int i = 0; i < 4; i++) sm_randomx_close(rx[i]);
}

Test(randomx, rounding_mode_survives)
{
    struct sm_randomx *rx = open_or_die(light(KEY));
    struct sm_randomx_vm *vm = vm_or_die(rx);
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    uint8_t in[48] = {0}, first[32], got[32];
    sm_randomx_hash(vm, in, sizeof in, first);
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        sm_randomx_hash(vm, in, sizeof in, got);
        cr_assert_eq(fegetround(), modes[i]);
        cr_assert_arr_eq(got, first, 32);
        sm_randomx_hash_first(vm, in, sizeof in);
        cr_assert_eq(fegetround(), modes[i]);
        sm_randomx_hash_next(vm, in, sizeof in, got);
        cr_assert_eq(fegetround(), modes[i]);
        cr_assert_arr_eq(got, first, 32);
        sm_randomx_hash_last(vm, got);
        cr_assert_eq(fegetround(), modes[i]);
        cr_assert_arr_eq(got, first, 32);
    }
    fesetround(FE_TONEAREST);
    sm_randomx_vm_free(vm);
    sm_randomx_close(rx);
}

static bool thp_possible(void)
{
    char text[128] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (!f) return false;
    (void)!fgets(text, sizeof text, f);
    (void)fclose(f);
    return strstr(text, "[madvise]") || strstr(text, "[always]");
}

Test(randomx, cache_gets_transparent_huge_pages)
{
    struct sm_randomx_cfg cfg = light(KEY);
    cfg.no_huge_pages = true;
    struct sm_randomx *rx = open_or_die(cfg);
    cr_assert_str_eq(sm_randomx_pages(rx), "normal");
    sm_randomx_close(rx);
    if (!thp_possible()) cr_skip_test("transparent huge pages are switched off on this machine");
    cfg.no_huge_pages = false;
    rx = open_or_die(cfg);
    cr_assert_str_eq(sm_randomx_pages(rx), "transparent");
    sm_randomx_close(rx);
    cfg.large_pages = true; /* falls back where no explicit huge pages are configured */
    rx = open_or_die(cfg);
    cr_assert_str_neq(sm_randomx_pages(rx), "normal");
    check_vectors(rx);
    sm_randomx_close(rx);
}

/* ---- finding new mappings ---- */

Test(maps, largest_new_range)
{
    static const struct {
        struct sm_map_range before[3], after[3];
        size_t before_n, after_n;
        struct sm_map_range want;
    } rows[] = {
        {{{0}}, {{10, 20}}, 0, 1, {10, 20}},
        {{{10, 20}}, {{10, 20}}, 1, 1, {0, 0}},
        {{{10, 20}}, {{10, 50}}, 1, 1, {20, 50}},           /* merged with its neighbour below */
        {{{40, 50}}, {{10, 50}}, 1, 1, {10, 40}},           /* above */
        {{{10, 20}, {40, 50}}, {{10, 50}}, 2, 1, {20, 40}}, /* both */
        {{{10, 20}, {22, 30}}, {{5, 60}}, 2, 1, {30, 60}},
        {{{10, 20}}, {{1, 3}, {10, 20}, {30, 35}}, 1, 3, {30, 35}},
        {{{10, 100}}, {{20, 30}}, 1, 1, {0, 0}}, /* a part was unmapped */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sm_map_list before = {(struct sm_map_range *)rows[i].before, rows[i].before_n};
        const struct sm_map_list after = {(struct sm_map_range *)rows[i].after, rows[i].after_n};
        const struct sm_map_range got = sm_map_list_largest_new(&before, &after);
        cr_assert_eq(got.hi - got.lo, rows[i].want.hi - rows[i].want.lo, "row %zu", i);
        if (got.hi > got.lo) cr_assert_eq(got.lo, rows[i].want.lo, "row %zu", i);
    }
}

Test(maps, finds_a_real_mapping)
{
    const size_t n = (size_t)64 << 20;
    struct sm_map_list before = sm_map_list_take();
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sm_map_list after = sm_map_list_take();
    const struct sm_map_range got = sm_map_list_largest_new(&before, &after);
    cr_assert_leq(got.lo, (uintptr_t)p);
    cr_assert_geq(got.hi, (uintptr_t)p + n);
    cr_assert_eq(sm_pages_huge_bytes(p, n), 0, "nothing is touched yet");
    sm_pages_advise(p, n, true);
    memset(p, 1, n);
    if (thp_possible()) cr_assert_geq(sm_pages_huge_bytes(p, n), n / 2);
    munmap(p, n);
    sm_map_list_fini(&before);
    sm_map_list_fini(&after);
}

/* ---- memory limits ---- */

static void put(const char *dir, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        (void)mkdir(path, 0700);
        *p = '/';
    }
    file_put(path, text, strlen(text));
}

#define MIB(n) ((uint64_t)(n) << 20)

Test(memory, limits_of_groups_are_seen)
{
    char dir[256];
    tmpdir_make(dir);
    cr_assert_eq(sm_randomx_memory_available(dir), UINT64_MAX, "nothing is known");
    put(dir, "proc/meminfo", "MemTotal:  99999999 kB\nMemAvailable:    8388608 kB\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(8192));

    put(dir, "proc/self/cgroup", "0::/a/b\n"); /* version 2 */
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(8192), "no such group: a container");
    put(dir, "sys/fs/cgroup/memory.max", "4294967296\n");
    put(dir, "sys/fs/cgroup/memory.current", "1073741824\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(3072));
    put(dir, "sys/fs/cgroup/memory.stat", "anon 5\ninactive_file_x 7\ninactive_file 536870912\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(3584), "page cache is given back");
    put(dir, "sys/fs/cgroup/a/memory.max", "max\n");
    put(dir, "sys/fs/cgroup/a/memory.current", "7\n");
    put(dir, "sys/fs/cgroup/a/b/memory.max", "2147483648\n");
    put(dir, "sys/fs/cgroup/a/b/memory.current", "1073741824\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(1024), "the tightest counts");
    put(dir, "sys/fs/cgroup/a/memory.max", "5\n");
    cr_assert_eq(sm_randomx_memory_available(dir), 0, "over its limit");

    put(dir, "proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/m\n0::/\n"); /* version 1 */
    put(dir, "sys/fs/cgroup/memory.max", "max\n");
    put(dir, "sys/fs/cgroup/memory/m/memory.limit_in_bytes", "1073741824\n");
    put(dir, "sys/fs/cgroup/memory/m/memory.usage_in_bytes", "536870912\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(512));
    put(dir, "sys/fs/cgroup/memory/m/memory.stat", "inactive_file 1\ntotal_inactive_file 268435456\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(768));
    put(dir, "sys/fs/cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(8192), "version 1 spells no limit as a huge one");
    put(dir, "proc/self/cgroup", "garbage\n\n:\n1:memory\n");
    cr_assert_eq(sm_randomx_memory_available(dir), MIB(8192));
    tmpdir_remove(dir);
}

static char last_warning[512];

static void keep_warning(void *ctx, sm_log_level level, const char *line)
{
    (void)ctx;
    if (level == SM_LOG_WARN) (void)snprintf(last_warning, sizeof last_warning, "%s", line);
}

static uint64_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    cr_assert(f && fscanf(f, "%lu", &pages) == 1);
    (void)fclose(f);
    return (uint64_t)pages * 4096;
}

Test(randomx, fast_mode_falls_back_when_memory_is_short)
{
#ifdef SANITIZED
    cr_skip_test("an address space limit does not go with a sanitizer");
#endif
    sm_log_set_sink(keep_warning, NULL);
    const rlim_t room = address_space() + MIB(1024);
    cr_assert_eq(setrlimit(RLIMIT_AS, &(struct rlimit){room, room}), 0);
    struct sm_randomx_cfg cfg = light(KEY);
    cfg.mode = SM_RANDOMX_FAST;
    struct sm_randomx *rx = open_or_die(cfg);
    cr_assert_eq(sm_randomx_mode_of(rx), SM_RANDOMX_LIGHT);
    cr_assert(strstr(last_warning, "light mode"), "%s", last_warning);
    check_vectors(rx);
    sm_randomx_close(rx);
    /* and light mode itself is refused politely */
    const rlim_t less = address_space() + MIB(64);
    cr_assert_eq(setrlimit(RLIMIT_AS, &(struct rlimit){less, room}), 0);
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_randomx_open(&cfg, NULL, &rx, &ei), SM_E_NOMEM);
    cr_assert(strstr(ei.text, "RandomX"), "%s", ei.text);
}

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* As under systemd's MemoryDenyWriteExecute=: the library's JIT would end the process with a C++ exception. */
Test(randomx, works_without_generated_code)
{
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0L, 0L, 0L) != 0) cr_skip_test("needs Linux 6.3");
    sm_log_set_sink(keep_warning, NULL);
    struct sm_randomx *rx = open_or_die(light(KEY));
    cr_assert(strstr(last_warning, "many times slower"), "%s", last_warning);
    struct sm_randomx_vm *vm = vm_or_die(rx);
    uint8_t got[32], want[32];
    const uint8_t in[48] = {0};
    hex_to("42f1af4705a986a364efcdf9d0c98cde07d5d650fc717b5fc6d38dfbdf2c20ef", want, 32);
    sm_randomx_hash(vm, in, sizeof in, got);
    cr_assert_arr_eq(got, want, 32);
    sm_randomx_vm_free(vm);
    sm_randomx_close(rx);
}

/* ---- fast mode: one dataset for all, half a minute on two cores ---- */

static void skip_unless_fast_is_possible(void)
{
    const char *wish = getenv("SM_TEST_FAST");
    if (wish && strcmp(wish, "0") == 0) cr_skip_test("SM_TEST_FAST=0");
    if (sm_randomx_memory_available("") < MIB(3072)) cr_skip_test("fast mode needs 3 GiB of available memory");
}

Test(randomx, cancelled_dataset_build_leaves_nothing)
{
    skip_unless_fast_is_possible();
    struct sm_cancel cancel = {0};
    sm_cancel_request(&cancel);
    struct sm_randomx_cfg cfg = light(KEY);
    cfg.mode = SM_RANDOMX_FAST;
    struct sm_randomx *rx = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_randomx_open(&cfg, &cancel, &rx, &ei), SM_E_CANCELLED);
    cr_assert_null(rx);
    cr_assert(strstr(ei.text, "cancelled"), "%s", ei.text);
    rx = open_or_die(light(KEY));
    cr_assert_eq(sm_randomx_mode_of(rx), SM_RANDOMX_LIGHT, "no half-built dataset is lent");
    sm_randomx_close(rx);
}

static void flip_byte(const char *path, off_t off)
{
    uint8_t b;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert(fd >= 0 && pread(fd, &b, 1, off) == 1);
    b ^= 0x10;
    cr_assert_eq(pwrite(fd, &b, 1, off), 1);
    close(fd);
}

static void refuse_file(const struct sm_dataset_fill *f, const char *path, sm_err want, const char *says)
{
    struct sm_errinfo ei = {0};
    const sm_err got = sm_dataset_load(f, path, &ei);
    cr_assert_eq(got, want, "%s instead of %s: %s", sm_err_name(got), sm_err_name(want), ei.text);
    cr_assert(strstr(ei.text, says), "\"%s\" does not say \"%s\"", ei.text, says);
}

/* Everything that can be wrong with a dataset file is noticed. */
static void refuse_damaged_files(const char *path)
{
    struct sm_dataset_fill f = {.dataset = randomx_alloc_dataset(RANDOMX_FLAG_DEFAULT),
                                .cache = randomx_alloc_cache(randomx_get_flags()),
                                .key = KEY,
                                .key_n = strlen(KEY),
                                .threads = sm_cpu_count()};
    struct sm_errinfo ei = {0};
    cr_assert(f.dataset && f.cache);
    randomx_init_cache(f.cache, KEY, strlen(KEY));
    cr_assert_eq(sm_dataset_load(&f, path, &ei), SM_OK, "%s", ei.text);
    fault_set(&(struct fault_plan){.kinds = FAULT_READ, .fail_at = 9, .fail_errno = EIO});
    refuse_file(&f, path, SM_E_IO, path);
    fault_clear();
    const off_t in_an_item = 4096 + 64 * (off_t)12345678 + 17;
    flip_byte(path, in_an_item);
    refuse_file(&f, path, SM_E_MISMATCH, "fingerprint");
    flip_byte(path, in_an_item);
    for (off_t off = 0; off < 112; off += 7) {
        flip_byte(path, off);
        refuse_file(&f, path, SM_E_MISMATCH, "not a RandomX dataset");
        flip_byte(path, off);
    }
    f.key = "another key";
    f.key_n = strlen("another key");
    refuse_file(&f, path, SM_E_MISMATCH, "key");
    /* Good bytes, but of another cache: only the recomputed items can tell. */
    f.key = KEY;
    f.key_n = strlen(KEY);
    randomx_init_cache(f.cache, "another key", strlen("another key"));
    refuse_file(&f, path, SM_E_MISMATCH, "recomputation");
    cr_assert_eq(truncate(path, (off_t)file_size(path) - 1), 0);
    refuse_file(&f, path, SM_E_FORMAT, "expected");
    cr_assert_eq(truncate(path, 100), 0);
    refuse_file(&f, path, SM_E_FORMAT, "expected");
    cr_assert_eq(unlink(path), 0);
    refuse_file(&f, path, SM_E_NOTFOUND, "cannot open");
    randomx_release_dataset(f.dataset);
    randomx_release_cache(f.cache);
}

Test(randomx, a_full_disk_leaves_no_dataset_file)
{
    skip_unless_fast_is_possible();
    char dir[256], path[300];
    tmpdir_make(dir);
    (void)snprintf(path, sizeof path, "%s/dataset", dir);
    const struct sm_dataset_fill f = {
        .dataset = randomx_alloc_dataset(RANDOMX_FLAG_DEFAULT), .key = KEY, .key_n = strlen(KEY), .threads = 2};
    cr_assert(f.dataset);
    struct sm_errinfo ei = {0};
    uint64_t room = 0;
    cr_assert_eq(sm_io_free_bytes(dir, &room, &ei), SM_OK);
    fault_set(&(struct fault_plan){.has_space = true, .space_bytes = MIB(8)});
    cr_assert_eq(sm_dataset_save(&f, path, &ei), SM_E_NOSPACE);
    if (room > MIB(2300)) {
        cr_assert_geq(fault_written(), MIB(8));
        cr_assert(strstr(ei.text, path), "%s", ei.text);
    }
    fault_clear();
    cr_assert_eq(rmdir(dir), 0, "nothing is left, not even a temporary file");
    randomx_release_dataset(f.dataset);
}

Test(randomx, fast_mode_and_its_dataset_file, .timeout = 600)
{
    skip_unless_fast_is_possible();
    char dir[256], path[300];
    uint64_t room = 0;
    tmpdir_make(dir);
    (void)snprintf(path, sizeof path, "%s/dataset", dir);
    cr_assert_eq(sm_io_free_bytes(dir, &room, NULL), SM_OK);
    const bool with_file = room > MIB(2300);
    sm_log_set_sink(keep_warning, NULL);
    struct sm_randomx_cfg cfg = light(KEY);
    cfg.mode = SM_RANDOMX_FAST;
    cfg.dataset_file = path;
    struct sm_randomx *rx = open_or_die(cfg);
    cr_assert_eq(sm_randomx_mode_of(rx), SM_RANDOMX_FAST);
    if (thp_possible()) cr_assert_str_eq(sm_randomx_pages(rx), "transparent");
    check_vectors(rx);
    struct sm_randomx *shared = open_or_die(light(KEY));
    cr_assert_eq(shared, rx, "the stronger instance is lent");
    sm_randomx_close(shared);
    sm_randomx_close(rx);
    if (!with_file) {
        cr_assert(strstr(last_warning, "not written"), "%s", last_warning);
        tmpdir_remove(dir);
        cr_skip_test("fast mode checked, its dataset file not: less than 2.3 GiB free in the temporary directory");
    }
    cr_assert_eq(file_size(path), 4096 + 64 * (int64_t)randomx_dataset_item_count());
    rx = open_or_die(cfg); /* from the file */
    check_vectors(rx);
    sm_randomx_close(rx);
    cr_assert_str_eq(last_warning, "", "the file was used");
    refuse_damaged_files(path);
    tmpdir_remove(dir);
}
