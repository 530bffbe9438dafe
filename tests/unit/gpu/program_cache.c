/* The cache of compiled kernels: used when whole, replaced when damaged or refused, done without when it cannot be
 * written. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>

#include "support/opencl/shim.h"
#include "support/tmpdir.h"
#include "unit/gpu/device.h"

static sm_shim_calls_fn *shim_calls;
static char id[64], dir[256];

static void setup(void)
{
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    gpu_first_device(id);
    void *lib = dlopen(SM_TEST_OPENCL_SHIM, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(lib);
    void *p = dlsym(lib, "sm_shim_calls");
    memcpy(&shim_calls, &p, sizeof p);
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
}

/* Opens once and tells how many of a labeler's two programs, in this order that of the kernel and that of the ends, were
 * compiled from source, and how many loads of a binary were tried. */
static void open_once(const char *rules, uint32_t gap, long *out_source, long *out_binary)
{
    struct sm_gpu_labeler *g = NULL;
    struct sm_errinfo ei = {0};
    static int generation;
    char text[256];
    (void)snprintf(text, sizeof text, "%s;none%d:1=0", rules, generation++);
    setenv("SM_SHIM_RULES", text, 1);
    const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 2, .wg_items = 4, .width = 8, .lookup_gap = gap};
    cr_assert_eq(sm_gpu_labeler_new(id, &cfg, &g, &ei), SM_OK, "%s", ei.text);
    *out_source = shim_calls("clCreateProgramWithSource");
    *out_binary = shim_calls("clCreateProgramWithBinary");
    sm_gpu_labeler_free(g);
}

static void expect(const char *rules, uint32_t gap, long source, long binary)
{
    long s, b;
    open_once(rules, gap, &s, &b);
    cr_assert_eq(s, source, "\"%s\": compiled %ld times, expected %ld", rules, s, source);
    cr_assert_eq(b, binary, "\"%s\": loaded %ld times, expected %ld", rules, b, binary);
}

/* One of the two files in the cache, both of which are for the owner alone. */
static const char *cache_file(void)
{
    static char path[1024];
    char sub[512];
    (void)snprintf(sub, sizeof sub, "%s/opencl", dir);
    DIR *d = opendir(sub);
    cr_assert_not_null(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            struct stat st;
            (void)snprintf(path, sizeof path, "%s/%s", sub, e->d_name);
            cr_assert_eq(stat(path, &st), 0);
            cr_assert_eq(st.st_mode & 0777, 0600);
            n++;
        }
    closedir(d);
    cr_assert_eq(n, 2, "%d files", n);
    return path;
}

Test(program_cache, second_start_loads_the_binaries)
{
    setup();
    expect("", 1, 2, 0);
    (void)cache_file();
    expect("", 1, 0, 2);
    expect("", 2, 1, 1); /* other options, another key; the ends are the same */
    expect("", 1, 0, 2);
    setenv("SM_SHIM_INFO", "0x102D=s:another driver version", 1);
    expect("", 1, 2, 0);
    tmpdir_remove(dir);
}

Test(program_cache, damage_means_compiling_again)
{
    setup();
    expect("", 1, 2, 0);
    const char *path = cache_file();
    size_t n;
    uint8_t *good = file_get(path, &n);
    cr_assert_gt(n, 40);

    const size_t cut[] = {0, 1, 8, 39, 40, 41, n - 1};
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        file_put(path, good, cut[i]);
        expect("", 1, 1, 1);
        expect("", 1, 0, 2); /* and the file is whole again */
    }
    const size_t flip[] = {0, 8, 40, n / 2, n - 1};
    for (size_t i = 0; i < sizeof flip / sizeof flip[0]; i++) {
        good[flip[i]] ^= 1;
        file_put(path, good, n);
        good[flip[i]] ^= 1;
        expect("", 1, 1, 1);
    }
    free(good);
    tmpdir_remove(dir);
}

Test(program_cache, refused_binaries_mean_compiling_again)
{
    setup();
    expect("", 1, 2, 0);
    expect("clCreateProgramWithBinary:1=-42", 1, 1, 2);
    expect("clCreateProgramWithBinary:1-2=null", 1, 2, 2);
    expect("clBuildProgram:1=-11", 1, 1, 2);
    expect("", 1, 0, 2);
    tmpdir_remove(dir);
}

Test(program_cache, works_without_a_cache)
{
    setup();
    expect("clGetProgramInfo:1+=-30", 1, 2, 0); /* the driver gives no binaries */
    expect("clGetProgramInfo:2=-30", 1, 2, 0);  /* that of the kernel */
    expect("", 1, 1, 1);
    char path[512];
    (void)snprintf(path, sizeof path, "%s/opencl/x/y", "/dev/null");
    setenv("SM_CACHE_DIR", path, 1);
    expect("", 1, 2, 0);
    expect("", 1, 2, 0);
    unsetenv("SM_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    expect("", 1, 2, 0);
    tmpdir_remove(dir);
}
