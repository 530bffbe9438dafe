/* A proof made on an OpenCL device is the processor's, bit for bit; also when the device fails or lies on the way. */
#include "unit/post/prove_cases.h"

#include <dlfcn.h>

#include "post/scan_devices.h"
#include "support/opencl/shim.h"
#include "unit/gpu/device.h"

/* The self-test's launches: one per lane. */
#define TEST_LAUNCHES 3

static long launches(void)
{
    void *lib = dlopen(SM_TEST_OPENCL_SHIM, RTLD_NOW | RTLD_LOCAL);
    sm_shim_calls_fn *calls;
    void *p = dlsym(lib, "sm_shim_calls");
    memcpy(&calls, &p, sizeof p);
    return calls("clEnqueueNDRangeKernel");
}

/* The shim lists the same device `n` times, under different ids. */
static void device_ids(size_t n, char ids[][64])
{
    struct sm_gpu_device *v = NULL;
    size_t listed = 0;
    struct sm_gpu_report report;
    struct sm_errinfo ei = {0};
    char text[16];
    (void)snprintf(text, sizeof text, "%zu", n);
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    setenv("SM_SHIM_DEVICES", text, 1);
    gpu_first_device(ids[0]);
    cr_assert_eq(sm_gpu_list(&v, &listed, &report, &ei), SM_OK, "%s", ei.text);
    cr_assert_geq(listed, n);
    for (size_t i = 0; i < n; i++) (void)snprintf(ids[i], 64, "%s", v[i].id);
    free(v);
}

#define DEVICES_MAX 3

static void check(const char *name, size_t devices_n, const char *rules, long launches_min, unsigned threads, bool only)
{
    char dir[256], id[DEVICES_MAX][64];
    const char *const ids[DEVICES_MAX] = {id[0], id[1], id[2]};
    struct sm_errinfo ei = {0};
    device_ids(devices_n, id);
    const struct prove_case c = load_case(name);
    put_data(&c, tmpdir_make(dir));
    put_k2pow(&c, dir);
    setenv("SM_SHIM_RULES", rules, 1);
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    cfg.devices = ids;
    cfg.devices_n = devices_n;
    cfg.device_only = only;
    cfg.threads = threads;
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s, %s: %s", name, rules, ei.text);
    assert_proof(&c, &r, rules);
    cr_assert_geq(launches(), launches_min, "%s, %s: %ld launches", name, rules, launches());
    tmpdir_remove(dir);
}

Test(prove_device, makes_the_proof_of_the_processor)
{
    check("msb-nonzero", 1, "unknown:1=0", TEST_LAUNCHES + 1, 1, true);
    check("testnet-like", 1, "unknown:2=0", TEST_LAUNCHES + 1, 1, true);
    check("testnet-like", 1, "unknown:3=0", TEST_LAUNCHES, 2, false);
}

Test(prove_device, the_processor_goes_on_when_it_fails)
{
    check("testnet-like", 1, "clEnqueueNDRangeKernel:4+=-5", TEST_LAUNCHES + 1, 1, true);
    check("msb-nonzero", 1, "clEnqueueReadBuffer:7+=corrupt", TEST_LAUNCHES + 1, 1, true);
    check("msb-nonzero", 1, "clCreateKernel:1=-6", 0, 1, true);
}

Test(prove_device, several_make_it_together)
{
    check("testnet-like", 3, "unknown:1=0", 3 * TEST_LAUNCHES + 1, 1, true);
    check("testnet-like", 2, "clEnqueueNDRangeKernel:7=-5", 2 * TEST_LAUNCHES + 1, 1, true);
    check("msb-nonzero", 2, "clEnqueueMapBuffer:1=-4", 2 * TEST_LAUNCHES, 2, false);
}

Test(prove_device, names_and_lists_of_them)
{
    char id[DEVICES_MAX][64];
    struct sm_scan_devices d = {0};
    struct sm_errinfo ei = {0};
    device_ids(2, id);
    char both[160];
    (void)snprintf(both, sizeof both, "cpu,%s,%s", id[0], id[1]);
    const char *const texts[] = {"cpu", both, "pci-none"};
    cr_assert_eq(sm_scan_devices_find(texts, 3, &d, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(d.n, 3);
    cr_assert(strcmp(d.ids[0], id[0]) == 0 && strcmp(d.ids[1], id[1]) == 0 && strcmp(d.ids[2], "pci-none") == 0);
    sm_scan_devices_free(&d);
    cr_assert_eq(sm_scan_devices_find(texts, 1, &d, &ei), SM_OK);
    cr_assert_eq(d.n, 0);
    const char *const twice[] = {id[0], both};
    cr_assert_eq(sm_scan_devices_find(twice, 2, &d, &ei), SM_E_ARG);
    const char *const all[] = {"all"};
    cr_assert_eq(sm_scan_devices_find(all, 1, &d, &ei), SM_E_NOTFOUND, "PoCL's processor is no GPU");
    setenv("SM_SHIM_INFO", "1000=u64:4", 1); /* CL_DEVICE_TYPE is CL_DEVICE_TYPE_GPU */
    cr_assert_eq(sm_scan_devices_find(all, 1, &d, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(d.n, 2);
    sm_scan_devices_free(&d);
}

Test(prove_device, a_device_that_does_not_exist_is_refused)
{
    const struct prove_case c = load_case("msb-nonzero");
    char dir[256];
    struct sm_errinfo ei = {0};
    gpu_use_test_cache();
    put_data(&c, tmpdir_make(dir));
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    const char *const ids[] = {"no such device"};
    cfg.devices = ids;
    cfg.devices_n = 1;
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_E_NOTFOUND, "%s", ei.text);

    put_k2pow(&c, dir); /* or left out, when it may be missing */
    cfg.devices_may_miss = true;
    cfg.device_only = true;
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    assert_proof(&c, &r, "without its device");
    tmpdir_remove(dir);
}
