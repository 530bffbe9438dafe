/* A driver that refuses, lies, gives NULL or loses the device, at every call we make: an error that says what happened,
 * no crash, and every object released. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <time.h>

#include "support/opencl/shim.h"
#include "support/tmpdir.h"
#include "unit/gpu/device.h"
#include "util/clock.h"

#define N 16u

static sm_shim_live_fn *shim_live;
static sm_shim_calls_fn *shim_calls;
static char id[64];
static const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = N, .wg_items = 4, .width = 8};
static const uint8_t commitment[32] = {1, 2, 3};

static void *symbol(const char *name)
{
    void *lib = dlopen(SM_TEST_OPENCL_SHIM, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(lib, "%s", dlerror());
    void *p = dlsym(lib, name);
    cr_assert_not_null(p);
    return p;
}

static void shim(void)
{
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    gpu_first_device(id);
    void *p = symbol("sm_shim_live");
    memcpy(&shim_live, &p, sizeof p);
    p = symbol("sm_shim_calls");
    memcpy(&shim_calls, &p, sizeof p);
}

static void rules(const char *text)
{
    setenv("SM_SHIM_RULES", text, 1);
}

static void rule(const char *function, long k, const char *action)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s:%ld=%s", function, k, action);
    rules(text);
}

static sm_err open_with(const struct sm_gpu_labeler_cfg *c, struct sm_gpu_labeler **g, struct sm_errinfo *ei)
{
    *g = NULL;
    *ei = (struct sm_errinfo){0};
    const sm_err err = sm_gpu_labeler_new(id, c, g, ei);
    cr_assert_eq(err == SM_OK, *g != NULL);
    return err;
}

static struct sm_gpu_labeler *open_good(void)
{
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    rules("");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_OK, "%s", ei.text);
    return g;
}

/* How many calls of `function` a whole life takes. */
static long calls_in_a_life(const char *function)
{
    rules("unknown:1=0"); /* another text: counts start anew */
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    uint8_t out[20 * 32];
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(gpu_run_full(g, commitment, 0, 20, NULL, out, &ei), SM_OK);
    sm_gpu_labeler_free(g);
    const long n = shim_calls(function);
    rules("");
    return n;
}

/* Fails the k-th call for each k (all of them up to 30, then a sample), through a whole life. */
static void fail_every_call(const char *function, const char *action)
{
    const long n = calls_in_a_life(function);
    cr_assert_gt(n, 0, "%s is never called", function);
    uint8_t out[20 * 32], want[32];
    for (long k = 1; k <= n; k += k < 30 ? 1 : 7) {
        struct sm_gpu_labeler *g;
        struct sm_errinfo ei;
        rule(function, k, action);
        sm_err err = open_with(&cfg, &g, &ei);
        if (!err) err = gpu_run_full(g, commitment, 0, 20, NULL, out, &ei);
        /* How often an event is asked depends on how long it takes; and the last buffer, which would be pinned, may be
         * ordinary memory. */
        if (!err && (shim_calls(function) < k || (k == n && strcmp(function, "clCreateBuffer") == 0))) {
            sm_gpu_labeler_free(g);
            cr_assert_eq(shim_live(), 0, "%s call %ld: %ld objects leaked", function, k, shim_live());
            continue;
        }
        cr_assert_eq(err, SM_E_DEVICE, "%s call %ld of %ld: %s", function, k, n, sm_err_name(err));
        cr_assert_gt(strlen(ei.text), 10);
        if (g) {
            cr_assert_eq(gpu_run_full(g, commitment, 0, 1, NULL, out, &ei), SM_E_DEVICE, "used again");
            cr_assert_not_null(strstr(ei.text, "no longer used"), "%s", ei.text);
        }
        sm_gpu_labeler_free(g);
        cr_assert_eq(shim_live(), 0, "%s call %ld: %ld objects leaked", function, k, shim_live());
    }
    rules("");
    struct sm_gpu_labeler *g = open_good();
    struct sm_errinfo ei = {0};
    cr_assert_eq(gpu_run_full(g, commitment, 7, 1, NULL, out, &ei), SM_OK);
    cr_assert_eq(sm_scrypt_one(N, commitment, 7, want, &ei), SM_OK);
    cr_assert_arr_eq(out, want, 32);
    sm_gpu_labeler_free(g);
}

Test(faults, creators_that_refuse)
{
    shim();
    static const char *const functions[] = {"clCreateContext", "clCreateCommandQueue", "clCreateKernel"};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        fail_every_call(functions[i], "-6");
        fail_every_call(functions[i], "null");
    }
}

Test(faults, device_not_available)
{
    shim();
    fail_every_call("clEnqueueNDRangeKernel", "-2");
    fail_every_call("clEnqueueWriteBuffer", "-2");
    fail_every_call("clEnqueueReadBuffer", "-2");
    fail_every_call("clEnqueueFillBuffer", "-2");
    fail_every_call("clCreateBuffer", "-2");
    fail_every_call("clSetKernelArg", "-51");
    fail_every_call("clFlush", "-36");
    fail_every_call("clWaitForEvents", "-14");
}

Test(faults, enqueues_without_event)
{
    shim();
    fail_every_call("clEnqueueNDRangeKernel", "null");
    fail_every_call("clEnqueueWriteBuffer", "null");
    fail_every_call("clEnqueueReadBuffer", "null");
}

/* The wait succeeds, the event tells of the failure. */
Test(faults, commands_that_end_badly)
{
    shim();
    fail_every_call("clGetEventInfo", "status-5");
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    rule("clGetEventInfo", 3, "status-9999");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, "(-9999)"), "%s", ei.text);
}

/* Questions whose answer is not needed: the labels are right all the same. */
Test(faults, unanswered_questions_do_no_harm)
{
    shim();
    static const char *const functions[] = {"clGetEventInfo", "clGetKernelWorkGroupInfo"};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s:1+=-30", functions[i]);
        rules(text);
        struct sm_gpu_labeler *g;
        struct sm_errinfo ei;
        cr_assert_eq(open_with(&cfg, &g, &ei), SM_OK, "%s", ei.text);
        gpu_check_range(g, N, 5, 21);
        sm_gpu_labeler_free(g);
        cr_assert_eq(shim_live(), 0);
    }
}

Test(faults, allocation_shrinks_until_it_succeeds)
{
    shim();
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    const struct sm_gpu_labeler_cfg wide = {.scrypt_n = N, .wg_items = 4, .width = 400};
    static const char *const fail[] = {
        "clCreateBuffer:1-5=-4",    "clCreateBuffer:2=-61;clCreateBuffer:4=-5",
        "clEnqueueFillBuffer:3=-4", /* the driver allocates lazily and finds out at the first touch */
        "clFinish:1-3=-5",          /* or even later */
        "clCreateBuffer:1-2=null",
    };
    for (size_t i = 0; i < sizeof fail / sizeof fail[0]; i++) {
        rules(fail[i]);
        cr_assert_eq(open_with(&wide, &g, &ei), SM_OK, "%s: %s", fail[i], ei.text);
        cr_assert_lt(sm_gpu_labeler_width(g), 400);
        cr_assert_eq(sm_gpu_labeler_width(g) % 4, 0);
        gpu_check_range(g, N, 0, sm_gpu_labeler_width(g) + 1);
        sm_gpu_labeler_free(g);
        cr_assert_eq(shim_live(), 0);
    }
    rules("clCreateBuffer:1+=-4");
    cr_assert_eq(open_with(&wide, &g, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, "CL_MEM_OBJECT_ALLOCATION_FAILURE"), "%s", ei.text);
    cr_assert_eq(shim_live(), 0);
}

Test(faults, a_driver_without_pinned_memory_does_as_well)
{
    shim();
    static const char *const refuse[] = {"clEnqueueMapBuffer:1=-12", "clEnqueueMapBuffer:1=null",
                                         "clCreateBuffer:8=-4"};
    for (size_t i = 0; i < sizeof refuse / sizeof refuse[0]; i++) {
        struct sm_gpu_labeler *g;
        struct sm_errinfo ei;
        rules(refuse[i]);
        cr_assert_eq(open_with(&cfg, &g, &ei), SM_OK, "%s: %s", refuse[i], ei.text);
        cr_assert_geq(shim_calls(i < 2 ? "clEnqueueMapBuffer" : "clCreateBuffer"), i < 2 ? 1 : 8);
        gpu_check_range(g, N, 5, 21);
        sm_gpu_labeler_free(g);
        cr_assert_eq(shim_live(), 0, "%s: %ld objects leaked", refuse[i], shim_live());
    }
}

/* Found at its self-test, and in the middle of work; what the caller gave is the caller's again. */
Test(faults, a_device_that_hangs_is_given_up)
{
#ifdef __SANITIZE_THREAD__
    cr_skip_test("PoCL's threads race its own destructors at the end of a process that keeps a context");
#endif
    shim();
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    struct sm_gpu_labeler_cfg c = cfg;
    c.answer_ms = 50;
    rules("clGetEventInfo:1+=running");
    cr_assert_eq(open_with(&c, &g, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, "hangs"), "%s", ei.text);

    static const char *const when[] = {"clGetEventInfo:1+=running", "clGetEventInfo:12+=running"};
    for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
        uint8_t *out = malloc(20 * 32);
        rules("unknown:1=0");
        c.answer_ms = 3000; /* the first launches of PoCL compile */
        cr_assert_eq(open_with(&c, &g, &ei), SM_OK, "%s", ei.text);
        rules(when[i]);
        cr_assert_eq(gpu_run_full(g, commitment, 0, 20, NULL, out, &ei), SM_E_DEVICE);
        cr_assert_not_null(strstr(ei.text, "hangs"), "%s", ei.text);
        rules("");
        cr_assert_eq(gpu_run_full(g, commitment, 0, 1, NULL, out, &ei), SM_E_DEVICE, "used again");
        sm_gpu_labeler_free(g);
        free(out);
    }
}

/* The self-test reads labels and hits, twice: of one label, then of a full width. */
Test(faults, a_device_that_lies_is_not_trusted)
{
    shim();
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    rules("clEnqueueReadBuffer:3=corrupt");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, "wrong labels"), "%s", ei.text);
    cr_assert_not_null(strstr(ei.text, id), "%s", ei.text);
    cr_assert_not_null(strstr(ei.text, "index 4294967300 expected "), "%s", ei.text); /* 2^32 - 3 + 7, the last */
    cr_assert_not_null(strstr(ei.text, ", got "), "%s", ei.text);
    cr_assert_eq(shim_live(), 0);
}

Test(faults, compiler_log_reaches_the_operator)
{
    shim();
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    rules("clBuildProgram:1=-11");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, "CL_BUILD_PROGRAM_FAILURE (-11)"), "%s", ei.text);
    rules("clCreateProgramWithSource:1=-6");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_DEVICE);
    rules("clCreateProgramWithSource:1=null");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_DEVICE);
    rules("clBuildProgram:1=-11;clGetProgramBuildInfo:1+=-30");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_DEVICE);
    cr_assert_eq(shim_live(), 0);
    tmpdir_remove(dir);
}

/* A driver that says it is NVIDIA's and does not know its instructions. */
Test(faults, a_shuffle_that_does_not_compile_is_done_without)
{
    shim();
    char dir[256];
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    setenv("SM_SHIM_INFO", "0x1030=s:cl_nv_device_attribute_query", 1); /* CL_DEVICE_EXTENSIONS */
    rules("clBuildProgram:1=-11");
    const struct sm_gpu_labeler_cfg quad = {.scrypt_n = N, .kernel = SM_GPU_KERNEL_QUAD, .wg_items = 32, .width = 8};
    cr_assert_eq(open_with(&quad, &g, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(shim_calls("clBuildProgram"), 3); /* with a shuffle; without; and the ends */
    gpu_check_range(g, N, 0, 21);
    sm_gpu_labeler_free(g);
    rules("clBuildProgram:1+=-11");
    cr_assert_eq(open_with(&quad, &g, &ei), SM_E_DEVICE);
    cr_assert_eq(shim_live(), 0);
    tmpdir_remove(dir);
}

/* What the driver says about group sizes is obeyed. */
Test(faults, small_groups_only)
{
    shim();
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    setenv("SM_SHIM_INFO", "0x1004=size:1", 1); /* CL_DEVICE_MAX_WORK_GROUP_SIZE */
    cr_assert_eq(open_with(&(struct sm_gpu_labeler_cfg){.scrypt_n = N, .width = 5}, &g, &ei), SM_OK, "%s", ei.text);
    cr_assert_not_null(strstr(sm_gpu_labeler_describe(g), "wg=1 "), "%s", sm_gpu_labeler_describe(g));
    cr_assert_eq(sm_gpu_labeler_width(g), 5);
    gpu_check_range(g, N, 0, 11);
    sm_gpu_labeler_free(g);
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_ARG);
    cr_assert_not_null(strstr(ei.text, "at most 1 work items, 4 were asked for"), "%s", ei.text);
    setenv("SM_SHIM_INFO", "0x1004=err:-30;0x1005=err:-30", 1); /* says nothing: the default is tried */
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_OK, "%s", ei.text);
    sm_gpu_labeler_free(g);
    /* the device allows more than this kernel's registers do: compiled again with a smaller group */
    setenv("SM_SHIM_INFO", "0x1000=u64:4", 1); /* CL_DEVICE_TYPE_GPU: groups of 64 by default */
    rules("clGetKernelWorkGroupInfo:3=value3");
    cr_assert_eq(open_with(&(struct sm_gpu_labeler_cfg){.scrypt_n = N, .width = 12}, &g, &ei), SM_OK, "%s", ei.text);
    cr_assert_not_null(strstr(sm_gpu_labeler_describe(g), "wg=3 layout=rows interleave=1 unroll=4 parts=1 width=12"),
                       "%s", sm_gpu_labeler_describe(g));
    gpu_check_range(g, N, 0, 14);
    sm_gpu_labeler_free(g);
    rules("clGetKernelWorkGroupInfo:3=value3;x:1=0");
    cr_assert_eq(open_with(&cfg, &g, &ei), SM_E_ARG);
    cr_assert_not_null(strstr(ei.text, "at most 3 work items per group, 4 were asked for"), "%s", ei.text);
    cr_assert_eq(shim_live(), 0);
}

/* Kernel launches that a full width takes once the pace has settled. */
static long launches_per_batch(uint32_t launch_ms)
{
    struct sm_gpu_labeler *g;
    struct sm_errinfo ei;
    uint8_t out[8 * 32];
    long calls = 0;
    rules("");
    const struct sm_gpu_labeler_cfg c = {
        .scrypt_n = 8192, .wg_items = 4, .width = 8, .lookup_gap = 2, .launch_ms = launch_ms};
    cr_assert_eq(open_with(&c, &g, &ei), SM_OK, "%s", ei.text);
    for (int i = 0; i < 8; i++) {
        const long before = shim_calls("clEnqueueNDRangeKernel");
        cr_assert_eq(gpu_run_full(g, commitment, 0, 8, NULL, out, &ei), SM_OK, "%s", ei.text);
        calls = shim_calls("clEnqueueNDRangeKernel") - before;
    }
    sm_gpu_labeler_free(g);
    return calls;
}

static double thread_seconds(void)
{
    struct timespec t;
    cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Two batches on a device whose every command takes a tenth of a second. Ours alone is counted, and not what the driver's
 * threads compute: a thread that asks all the time would be at 100 %. */
Test(faults, waiting_takes_a_small_part_of_a_processor)
{
    shim();
    struct sm_gpu_labeler *g = open_good();
    uint8_t out[20 * 16];
    struct sm_errinfo ei = {0};
    const struct sm_gpu_label_job job = {.commitment = commitment, .count = 20};
    rules("clGetEventInfo:1+=takes100");
    const double spent = thread_seconds();
    const uint64_t start = sm_clock_ns();
    cr_assert_eq(sm_gpu_labeler_run(g, &job, NULL, out, &ei), SM_OK, "%s", ei.text);
    const double share = (thread_seconds() - spent) / sm_clock_seconds_since(start);
    cr_assert_gt(sm_clock_seconds_since(start), 1, "at least ten commands");
    cr_assert_lt(share, 0.05, "%.1f %% of a processor", 100 * share);
    rules("");
    sm_gpu_labeler_free(g);
}

Test(faults, launches_fill_the_time_allowed)
{
    shim();
    cr_assert_eq(launches_per_batch(600000), 4, "start, fill, mix, finish");
    cr_assert_gt(launches_per_batch(1), 4, "eight labels take more than two milliseconds");
}
