/* Enumeration: what is listed, under which id, what is hidden, and what is said when there is nothing. */
#include <criterion/criterion.h>
#include <glob.h>

#include "unit/gpu/device.h"

struct listing {
    struct sm_gpu_device *v;
    size_t n;
    struct sm_gpu_report report;
};

static struct listing list(void)
{
    struct listing l = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_list(&l.v, &l.n, &l.report, &ei), SM_OK, "%s", ei.text);
    cr_assert_not_null(l.v, "freed by the caller even when empty");
    for (size_t i = 0; i < l.n; i++) {
        cr_assert_neq(*l.v[i].id, '\0');
        for (size_t k = 0; k < i; k++) cr_assert_str_neq(l.v[i].id, l.v[k].id);
    }
    return l;
}

static size_t count(void)
{
    struct listing l = list();
    free(l.v);
    return l.n;
}

static void expect_nothing(const char *why)
{
    struct listing l = list();
    cr_assert_eq(l.n, 0);
    cr_assert_not_null(strstr(l.report.problem, why), "said \"%s\"", l.report.problem);
    free(l.v);
}

static void need_device(void)
{
    char id[64];
    gpu_first_device(id);
}

Test(listing, describes_the_device)
{
    need_device();
    struct listing l = list(), again = list();
    cr_assert_eq(l.n, again.n);
    cr_assert(l.report.loader_found);
    cr_assert_geq(l.report.platforms, 1);
    for (size_t i = 0; i < l.n; i++) {
        cr_assert_str_eq(l.v[i].id, again.v[i].id);
        cr_assert_neq(*l.v[i].name, '\0');
        cr_assert_neq(*l.v[i].platform, '\0');
        if (*l.v[i].problem) continue;
        cr_assert_gt(l.v[i].memory_bytes, 1 << 20);
        cr_assert_gt(l.v[i].max_alloc_bytes, 1 << 20);
        cr_assert_geq(l.v[i].compute_units, 1);
    }
    free(l.v);
    free(again.v);
}

Test(listing, blacklists_hide)
{
    need_device();
    const size_t all = count();
    struct listing l = list();
    char platform[64], device[64];
    (void)snprintf(platform, sizeof platform, "%.5s", l.v[0].platform + 1); /* unanchored */
    (void)snprintf(device, sizeof device, "%.4s", l.v[0].name + 1);
    free(l.v);

    setenv("POST_OCL_PLATFORMS_BLACKLIST", platform, 1);
    cr_assert_lt(count(), all);
    setenv("POST_OCL_PLATFORMS_BLACKLIST", ".", 1);
    cr_assert_eq(count(), 0);
    setenv("POST_OCL_PLATFORMS_BLACKLIST", "no such thing|nor (this|that)$", 1);
    cr_assert_eq(count(), all);
    setenv("POST_OCL_PLATFORMS_BLACKLIST", "(", 1);
    cr_assert_eq(count(), all, "an invalid expression is ignored");
    setenv("POST_OCL_PLATFORMS_BLACKLIST", "", 1);
    cr_assert_eq(count(), all, "an empty expression hides nothing");

    setenv("POST_OCL_DEVICES_BLACKLIST", device, 1);
    cr_assert_lt(count(), all);
    setenv("POST_OCL_DEVICES_BLACKLIST", "[", 1);
    cr_assert_eq(count(), all);
}

Test(listing, a_hidden_device_cannot_be_opened)
{
    char id[64];
    gpu_first_device(id);
    setenv("POST_OCL_DEVICES_BLACKLIST", ".", 1);
    struct sm_gpu_labeler *g = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_labeler_new(id, &(struct sm_gpu_labeler_cfg){.scrypt_n = 2}, &g, &ei), SM_E_NOTFOUND);
    cr_assert_not_null(strstr(ei.text, id));
}

Test(listing, no_loader_is_a_normal_machine)
{
    setenv("SM_OPENCL_LIBRARY", "/nonexistent/libOpenCL.so", 1);
    struct listing l = list();
    cr_assert_not(l.report.loader_found);
    cr_assert_eq(l.n, 0);
    cr_assert_eq(l.report.platforms, 0);
    cr_assert_not_null(strstr(l.report.problem, "/nonexistent/libOpenCL.so"), "%s", l.report.problem);
    free(l.v);

    struct sm_gpu_labeler *g = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_labeler_new("x#0", &(struct sm_gpu_labeler_cfg){.scrypt_n = 2}, &g, &ei), SM_E_NOTFOUND);
    cr_assert_not_null(strstr(ei.text, "/nonexistent"), "%s", ei.text);
}

Test(listing, another_library_is_no_loader)
{
    setenv("SM_OPENCL_LIBRARY", "libm.so.6", 1);
    expect_nothing("no OpenCL 1.2 loader");
}

/* ---- with the shim between us and the driver ---- */

static void shim(void)
{
    gpu_use_test_cache();
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    struct listing l = list();
    cr_assert(l.report.loader_found, "%s", l.report.problem);
    const size_t n = l.n;
    free(l.v);
    if (n == 0) cr_skip_test("no OpenCL device");
}

Test(listing, platforms_that_fail)
{
    shim();
    setenv("SM_SHIM_RULES", "clGetPlatformIDs:1+=-1001", 1);
    expect_nothing("knows no driver");
    setenv("SM_SHIM_RULES", "clGetPlatformIDs:1+=-6", 1);
    expect_nothing("CL_OUT_OF_HOST_MEMORY (-6)");
    setenv("SM_SHIM_RULES", "clGetPlatformIDs:1+=-987654", 1);
    expect_nothing("unknown error (-987654)");
    setenv("SM_SHIM_RULES", "clGetPlatformIDs:1+=null", 1);
    struct listing l = list();
    cr_assert_not_null(strstr(l.report.problem, "platform 0 has no readable name"), "%s", l.report.problem);
    free(l.v);
    setenv("SM_SHIM_RULES", "clGetPlatformInfo:1+=-32", 1);
    expect_nothing("platform 0 has no readable name");
    setenv("SM_SHIM_RULES", "clGetDeviceIDs:1+=-1", 1);
    expect_nothing("no device");
    setenv("SM_SHIM_RULES", "clGetDeviceIDs:1+=-30", 1);
    expect_nothing("CL_INVALID_VALUE (-30)");
    setenv("SM_SHIM_RULES", "", 1);
    cr_assert_gt(count(), 0, "a failure is not remembered");
}

Test(listing, devices_that_fail)
{
    shim();
    const size_t all = count();
    setenv("SM_SHIM_RULES", "clGetDeviceIDs:1+=null", 1);
    cr_assert_lt(count(), all);
    for (int k = 1; k < 40; k++) {
        char rule[64];
        (void)snprintf(rule, sizeof rule, "clGetDeviceInfo:%d=-5", k);
        setenv("SM_SHIM_RULES", rule, 1);
        (void)count();
        (void)snprintf(rule, sizeof rule, "clGetDeviceInfo:%d+=-33", k);
        setenv("SM_SHIM_RULES", rule, 1);
        (void)count();
    }
    setenv("SM_SHIM_RULES", "", 1);
    setenv("SM_SHIM_INFO", "0x102B=err:-5", 1); /* CL_DEVICE_NAME */
    expect_nothing("no readable name");
    setenv("SM_SHIM_INFO", "0x1000=u64:16", 1); /* CL_DEVICE_TYPE_CUSTOM */
    struct listing l = list();
    cr_assert_eq(l.n, 0);
    free(l.v);
}

static void expect_problem(const char *info, const char *why)
{
    setenv("SM_SHIM_INFO", info, 1);
    struct listing l = list();
    cr_assert_geq(l.n, 1);
    cr_assert_not_null(strstr(l.v[0].problem, why), "%s: said \"%s\"", info, l.v[0].problem);
    struct sm_gpu_labeler *g = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_labeler_new(l.v[0].id, &(struct sm_gpu_labeler_cfg){.scrypt_n = 2}, &g, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, why), "%s", ei.text);
    free(l.v);
}

Test(listing, unfit_devices_say_why)
{
    shim();
    expect_problem("0x102F=s:OpenCL 1.1 FULL", "OpenCL 1.2 is needed, the device has \"OpenCL 1.1 FULL\"");
    expect_problem("0x102F=s:what?", "OpenCL 1.2 is needed");
    expect_problem("0x102F=err:-30", "OpenCL 1.2 is needed");
    expect_problem("0x1027=u32:0", "not available");
    expect_problem("0x1028=u32:0", "no compiler");
    expect_problem("0x1026=u32:0", "big-endian");
    expect_problem("0x101F=u64:0", "0 bytes of memory");
    expect_problem("0x1010=err:-30", "bytes of memory"); /* no maximal allocation */
}

static void expect_ids(const char *info, const char *devices, const char *first, const char *second)
{
    setenv("SM_SHIM_INFO", info, 1);
    setenv("SM_SHIM_DEVICES", devices, 1);
    struct listing l = list();
    cr_assert_geq(l.n, second ? 2 : 1);
    cr_assert_str_eq(l.v[0].id, first);
    if (second) cr_assert_eq(strncmp(l.v[1].id, second, strlen(second)), 0, "%s", l.v[1].id);
    free(l.v);
}

Test(listing, ids_name_the_bus)
{
    shim();
    /* domain 1, bus 0x41, device 2, function 3 */
    expect_ids("0x1030=s:cl_khr_other cl_khr_pci_bus_info;0x410F=hex:01000000410000000200000003000000", "1",
               "pci-0001:41:02.3", NULL);
    expect_ids("0x1030=s:cl_nv_device_attribute_query;0x4008=u32:65;0x4009=u32:8;0x400A=u32:0", "1", "pci-0000:41:01.0",
               NULL);
    expect_ids("0x1030=s:cl_nv_device_attribute_query;0x4008=u32:65;0x4009=u32:8;0x400A=err:-30", "1",
               "pci-0000:41:01.0", NULL);
    expect_ids("0x1030=s:cl_amd_device_attribute_query x;0x4037=hex:"
               "010000000000000000000000000000000000000000c10001",
               "1", "pci-0000:c1:00.1", NULL);
    /* the same card twice */
    expect_ids("0x1030=s:cl_khr_pci_bus_info;0x410F=hex:00000000410000000200000000000000", "2", "pci-0000:41:02.0",
               "pci-0000:41:02.0/");
}

/* "<platform>/<tail>" cut to 63 characters in front of "#k". */
static char *named(const char *tail, unsigned k)
{
    static char id[64];
    char text[256], suffix[16];
    struct listing l = list();
    (void)snprintf(suffix, sizeof suffix, "#%u", k);
    (void)snprintf(text, sizeof text, "%s/%s", l.v[0].platform, tail);
    (void)snprintf(id, sizeof id, "%.*s%s", (int)(63 - strlen(suffix)), text, suffix);
    free(l.v);
    return id;
}

Test(listing, ids_count_equal_names)
{
    shim();
    /* the extension is not listed, so the bus is not asked for */
    setenv("SM_SHIM_INFO", "0x102B=s:  Card\n  ;0x1030=s:cl_khr_pci_bus_infos", 1);
    struct listing l = list();
    cr_assert_str_eq(l.v[0].id, named("Card", 0));
    free(l.v);

    /* a long name is cut, the count is not */
    const char *name = "A very long name of a card that fills all the room there is for it and more";
    setenv("SM_SHIM_INFO",
           "0x102B=s:A very long name of a card that fills all the room there is for it and more;0x1030=s:x", 1);
    setenv("SM_SHIM_DEVICES", "12", 1);
    l = list();
    cr_assert_geq(l.n, 12);
    for (unsigned k = 0; k < 12; k++) cr_assert_str_eq(l.v[k].id, named(name, k));
    free(l.v);
}

/* The library that the first of the system's drivers is in; false when there is none. */
static bool first_driver(char *out, size_t room)
{
    glob_t found;
    bool have = false;
    if (glob("/etc/OpenCL/vendors/*.icd", 0, NULL, &found)) return false;
    FILE *f = fopen(found.gl_pathv[0], "r");
    if (f && fgets(out, (int)room, f)) {
        out[strcspn(out, "\r\n")] = '\0';
        have = *out;
    }
    if (f) (void)fclose(f);
    globfree(&found);
    return have;
}

/* A machine with a driver and no loader. */
Test(listing, a_driver_needs_no_loader)
{
    char driver[256] = "";
    if (!first_driver(driver, sizeof driver)) cr_skip_test("no driver in /etc/OpenCL/vendors");
    gpu_use_test_cache();
    setenv("SM_OPENCL_LIBRARY", driver, 1);
    struct listing l = list();
    cr_assert(l.report.loader_found, "%s: %s", driver, l.report.problem);
    cr_assert_gt(l.report.platforms, 0);
    cr_assert_gt(l.n, 0, "%s: %s", driver, l.report.problem);
    free(l.v);
}
