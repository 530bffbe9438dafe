/* A proof made on an OpenCL device is the processor's, bit for bit; also when the device fails or lies on the way. */
#include "unit/post/prove_cases.h"

#include <dlfcn.h>

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

static void check(const char *name, const char *rules, long launches_min, unsigned threads, bool only)
{
    char dir[256], id[64] = "";
    struct sm_errinfo ei = {0};
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    gpu_first_device(id);
    const struct prove_case c = load_case(name);
    put_data(&c, tmpdir_make(dir));
    put_k2pow(&c, dir);
    setenv("SM_SHIM_RULES", rules, 1);
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    cfg.device = id;
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
    check("msb-nonzero", "unknown:1=0", TEST_LAUNCHES + 1, 1, true);
    check("testnet-like", "unknown:2=0", TEST_LAUNCHES + 1, 1, true);
    check("testnet-like", "unknown:3=0", TEST_LAUNCHES, 2, false);
}

Test(prove_device, the_processor_goes_on_when_it_fails)
{
    check("testnet-like", "clEnqueueNDRangeKernel:4+=-5", TEST_LAUNCHES + 1, 1, true);
    check("msb-nonzero", "clEnqueueReadBuffer:7+=corrupt", TEST_LAUNCHES + 1, 1, true);
    check("msb-nonzero", "clCreateKernel:1=-6", 0, 1, true);
}

Test(prove_device, a_device_that_does_not_exist_is_refused)
{
    const struct prove_case c = load_case("msb-nonzero");
    char dir[256];
    struct sm_errinfo ei = {0};
    gpu_use_test_cache();
    put_data(&c, tmpdir_make(dir));
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    cfg.device = "no such device";
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_E_NOTFOUND, "%s", ei.text);
    tmpdir_remove(dir);
}
