#include "shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

/* Not codes of OpenCL's: succeed, but give NULL; flip a bit; a number to put into the answer. */
#define ACT_NULL    1
#define ACT_CORRUPT 2
#define ACT_RUNNING 3
#define ACT_STATUS  1000 /* ACT_STATUS - code */
#define ACT_VALUE   1000000
#define ACT_TAKES   2000000

#define FUNCTIONS_MAX 64

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static char rules[4096];
static struct {
    const char *name;
    long calls;
} counters[FUNCTIONS_MAX];
static long live;

static void die(const char *what, const char *arg)
{
    (void)fprintf(stderr, "opencl shim: %s: %s\n", what, arg);
    abort();
}

typedef void any_fn(void);

static any_fn *real(const char *name)
{
    static void *lib;
    (void)pthread_mutex_lock(&mu);
    if (!lib) lib = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    (void)pthread_mutex_unlock(&mu);
    if (!lib) die("no real loader", dlerror());
    void *p = dlsym(lib, name);
    if (!p) die("the real loader lacks", name);
    any_fn *f;
    memcpy(&f, &p, sizeof f);
    return f;
}

/* mu held */
static long *counter(const char *name)
{
    for (size_t i = 0; i < FUNCTIONS_MAX; i++) {
        if (!counters[i].name) counters[i].name = name;
        if (strcmp(counters[i].name, name) == 0) return &counters[i].calls;
    }
    die("too many functions", name);
    return NULL;
}

static int parse_action(const char *s)
{
    if (strncmp(s, "null", 4) == 0) return ACT_NULL;
    if (strncmp(s, "corrupt", 7) == 0) return ACT_CORRUPT;
    if (strncmp(s, "running", 7) == 0) return ACT_RUNNING;
    if (strncmp(s, "takes", 5) == 0) return ACT_TAKES + atoi(s + 5);
    if (strncmp(s, "value", 5) == 0) return ACT_VALUE + atoi(s + 5);
    if (strncmp(s, "status", 6) == 0) return ACT_STATUS - atoi(s + 6);
    return atoi(s);
}

/* The action due for this call, 0 for none. */
static int due(const char *name)
{
    const char *now = getenv("SM_SHIM_RULES");
    if (!now) now = "";
    int action = 0;
    (void)pthread_mutex_lock(&mu);
    if (strcmp(now, rules) != 0) {
        (void)snprintf(rules, sizeof rules, "%s", now);
        for (size_t i = 0; i < FUNCTIONS_MAX; i++) counters[i].calls = 0;
    }
    const long k = ++*counter(name);
    const size_t n = strlen(name);
    for (const char *p = rules; *p && !action; p += strcspn(p, ";"), p += *p == ';') {
        if (strncmp(p, name, n) != 0 || p[n] != ':') continue;
        char *end;
        const long first = strtol(p + n + 1, &end, 10);
        long last = first;
        if (*end == '+') {
            last = 1L << 40;
            end++;
        } else if (*end == '-') {
            last = strtol(end + 1, &end, 10);
        }
        if (*end != '=') die("bad rule", p);
        if (k >= first && k <= last) action = parse_action(end + 1);
    }
    (void)pthread_mutex_unlock(&mu);
    return action;
}

static void count_live(long by)
{
    (void)pthread_mutex_lock(&mu);
    live += by;
    (void)pthread_mutex_unlock(&mu);
}

__attribute__((visibility("default"))) sm_shim_live_fn sm_shim_live;
long sm_shim_live(void)
{
    (void)pthread_mutex_lock(&mu);
    const long n = live;
    (void)pthread_mutex_unlock(&mu);
    return n;
}

__attribute__((visibility("default"))) sm_shim_calls_fn sm_shim_calls;
long sm_shim_calls(const char *function)
{
    (void)pthread_mutex_lock(&mu);
    long n = 0;
    for (size_t i = 0; i < FUNCTIONS_MAX && counters[i].name; i++)
        if (strcmp(counters[i].name, function) == 0) n = counters[i].calls;
    (void)pthread_mutex_unlock(&mu);
    return n;
}

#define EXPORT     __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))real(#name))

/* Functions that return a code. */
#define STATUS(name, params, args)                     \
    EXPORT CL_API_ENTRY cl_int CL_API_CALL name params \
    {                                                  \
        const int act = due(#name);                    \
        return act ? act : REAL(name) args;            \
    }

/* Functions that return an object and leave a code. */
#define CREATE(type, name, params, args)                      \
    EXPORT CL_API_ENTRY type CL_API_CALL name params          \
    {                                                         \
        const int act = due(#name);                           \
        if (act) {                                            \
            if (rc) *rc = act == ACT_NULL ? CL_SUCCESS : act; \
            return NULL;                                      \
        }                                                     \
        type made = REAL(name) args;                          \
        if (made) count_live(1);                              \
        return made;                                          \
    }

#define RELEASE(type, name)                             \
    EXPORT CL_API_ENTRY cl_int CL_API_CALL name(type x) \
    {                                                   \
        if (!x) die("released NULL", #name);            \
        count_live(-1);                                 \
        return REAL(name)(x);                           \
    }

/* Functions that return a code and leave an event. */
#define ENQUEUE(name, params, args)                      \
    EXPORT CL_API_ENTRY cl_int CL_API_CALL name params   \
    {                                                    \
        const int act = due(#name);                      \
        if (act < 0) return act;                         \
        cl_int rc = REAL(name) args;                     \
        if (rc == CL_SUCCESS && ev && act == ACT_NULL) { \
            (void)REAL(clWaitForEvents)(1, ev);          \
            (void)REAL(clReleaseEvent)(*ev);             \
            *ev = NULL;                                  \
        } else if (rc == CL_SUCCESS && ev)               \
            count_live(1);                               \
        return rc;                                       \
    }

STATUS(clBuildProgram,
       (cl_program p, cl_uint n, const cl_device_id *d, const char *o, void(CL_CALLBACK *f)(cl_program, void *),
        void *u),
       (p, n, d, o, f, u))
STATUS(clFinish, (cl_command_queue q), (q))
STATUS(clFlush, (cl_command_queue q), (q))
STATUS(clGetPlatformInfo, (cl_platform_id p, cl_platform_info i, size_t n, void *v, size_t *r), (p, i, n, v, r))
STATUS(clGetProgramBuildInfo, (cl_program p, cl_device_id d, cl_program_build_info i, size_t n, void *v, size_t *r),
       (p, d, i, n, v, r))
STATUS(clGetProgramInfo, (cl_program p, cl_program_info i, size_t n, void *v, size_t *r), (p, i, n, v, r))
STATUS(clSetKernelArg, (cl_kernel k, cl_uint i, size_t n, const void *v), (k, i, n, v))
STATUS(clWaitForEvents, (cl_uint n, const cl_event *e), (n, e))

CREATE(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags f, size_t n, void *p, cl_int *rc), (c, f, n, p, rc))
CREATE(cl_command_queue, clCreateCommandQueue,
       (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *rc), (c, d, p, rc))
CREATE(cl_context, clCreateContext,
       (const cl_context_properties *p, cl_uint n, const cl_device_id *d,
        void(CL_CALLBACK *f)(const char *, const void *, size_t, void *), void *u, cl_int *rc),
       (p, n, d, f, u, rc))
CREATE(cl_kernel, clCreateKernel, (cl_program p, const char *n, cl_int *rc), (p, n, rc))
CREATE(cl_program, clCreateProgramWithBinary,
       (cl_context c, cl_uint n, const cl_device_id *d, const size_t *l, const unsigned char **b, cl_int *s,
        cl_int *rc),
       (c, n, d, l, b, s, rc))
CREATE(cl_program, clCreateProgramWithSource, (cl_context c, cl_uint n, const char **s, const size_t *l, cl_int *rc),
       (c, n, s, l, rc))

RELEASE(cl_mem, clReleaseMemObject)
RELEASE(cl_command_queue, clReleaseCommandQueue)
RELEASE(cl_context, clReleaseContext)
RELEASE(cl_kernel, clReleaseKernel)
RELEASE(cl_program, clReleaseProgram)
RELEASE(cl_event, clReleaseEvent)

ENQUEUE(clEnqueueFillBuffer,
        (cl_command_queue q, cl_mem m, const void *p, size_t pn, size_t o, size_t n, cl_uint wn, const cl_event *w,
         cl_event *ev),
        (q, m, p, pn, o, n, wn, w, ev))
ENQUEUE(clEnqueueNDRangeKernel,
        (cl_command_queue q, cl_kernel k, cl_uint d, const size_t *o, const size_t *g, const size_t *l, cl_uint wn,
         const cl_event *w, cl_event *ev),
        (q, k, d, o, g, l, wn, w, ev))
ENQUEUE(clEnqueueWriteBuffer,
        (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n, const void *p, cl_uint wn, const cl_event *w,
         cl_event *ev),
        (q, m, b, o, n, p, wn, w, ev))

ENQUEUE(clEnqueueUnmapMemObject, (cl_command_queue q, cl_mem m, void *p, cl_uint wn, const cl_event *w, cl_event *ev),
        (q, m, p, wn, w, ev))

EXPORT CL_API_ENTRY void *CL_API_CALL clEnqueueMapBuffer(cl_command_queue q, cl_mem m, cl_bool b, cl_map_flags f,
                                                         size_t o, size_t n, cl_uint wn, const cl_event *w,
                                                         cl_event *ev, cl_int *rc)
{
    const int act = due("clEnqueueMapBuffer");
    if (!act) return REAL(clEnqueueMapBuffer)(q, m, b, f, o, n, wn, w, ev, rc);
    if (rc) *rc = act == ACT_NULL ? CL_SUCCESS : act;
    return NULL;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clEnqueueReadBuffer(cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n,
                                                           void *p, cl_uint wn, const cl_event *w, cl_event *ev)
{
    const int act = due("clEnqueueReadBuffer");
    if (act < 0) return act;
    if (act == ACT_CORRUPT) b = CL_TRUE;
    const cl_int rc = REAL(clEnqueueReadBuffer)(q, m, b, o, n, p, wn, w, ev);
    if (rc == CL_SUCCESS && ev && act == ACT_NULL) {
        (void)REAL(clWaitForEvents)(1, ev);
        (void)REAL(clReleaseEvent)(*ev);
        *ev = NULL;
    } else if (rc == CL_SUCCESS && ev) {
        count_live(1);
    }
    if (act == ACT_CORRUPT) ((uint8_t *)p)[n - (n < 16 ? n : 16)] ^= 0x10;
    return rc;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetKernelWorkGroupInfo(cl_kernel k, cl_device_id d,
                                                                cl_kernel_work_group_info i, size_t n, void *v,
                                                                size_t *r)
{
    const int act = due("clGetKernelWorkGroupInfo");
    if (act < 0) return act;
    const cl_int rc = REAL(clGetKernelWorkGroupInfo)(k, d, i, n, v, r);
    if (act >= ACT_VALUE && n == sizeof(size_t)) *(size_t *)v = (size_t)(act - ACT_VALUE);
    return rc;
}

/* The command that is being waited for, and since when. */
static cl_event awaited;
static struct timespec awaited_since;

static bool still_takes(cl_event e, int ms)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (e != awaited) {
        awaited = e;
        awaited_since = now;
    }
    const long passed = (now.tv_sec - awaited_since.tv_sec) * 1000 + (now.tv_nsec - awaited_since.tv_nsec) / 1000000;
    if (passed >= ms) awaited = NULL; /* another command may get the same address */
    return passed < ms;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetEventInfo(cl_event e, cl_event_info i, size_t n, void *v, size_t *r)
{
    const int act = due("clGetEventInfo");
    if (act < 0) return act;
    const cl_int rc = REAL(clGetEventInfo)(e, i, n, v, r);
    if (act == ACT_RUNNING && i == CL_EVENT_COMMAND_EXECUTION_STATUS && n == sizeof(cl_int)) *(cl_int *)v = CL_RUNNING;
    if (act >= ACT_TAKES && i == CL_EVENT_COMMAND_EXECUTION_STATUS && n == sizeof(cl_int) &&
        still_takes(e, act - ACT_TAKES))
        *(cl_int *)v = CL_RUNNING;
    else if (act < ACT_VALUE && act >= ACT_STATUS && i == CL_EVENT_COMMAND_EXECUTION_STATUS && n == sizeof(cl_int))
        *(cl_int *)v = ACT_STATUS - act;
    return rc;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetPlatformIDs(cl_uint n, cl_platform_id *v, cl_uint *count)
{
    const int act = due("clGetPlatformIDs");
    if (act < 0) return act;
    const cl_int rc = REAL(clGetPlatformIDs)(n, v, count);
    if (rc == CL_SUCCESS && act == ACT_NULL && v) v[0] = NULL;
    return rc;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetDeviceIDs(cl_platform_id p, cl_device_type t, cl_uint n, cl_device_id *v,
                                                      cl_uint *count)
{
    const int act = due("clGetDeviceIDs");
    if (act < 0) return act;
    const cl_int rc = REAL(clGetDeviceIDs)(p, t, n, v, count);
    if (rc != CL_SUCCESS || !v || n == 0) return rc;
    if (act == ACT_NULL) v[0] = NULL;
    const char *times = getenv("SM_SHIM_DEVICES");
    if (times) {
        const cl_uint want = (cl_uint)atoi(times);
        for (cl_uint i = 1; i < want && i < n; i++) v[i] = v[0];
        if (count) *count = want;
    }
    return rc;
}

/* Value of one SM_SHIM_INFO entry into buf; its length, 0 when malformed. */
static size_t info_value(const char *s, uint8_t buf[256])
{
    const size_t n = strcspn(s, ";");
    if (strncmp(s, "s:", 2) == 0) {
        memcpy(buf, s + 2, n - 2);
        buf[n - 2] = 0;
        return n - 1;
    }
    if (strncmp(s, "u32:", 4) == 0) {
        const uint32_t v = (uint32_t)strtoul(s + 4, NULL, 0);
        memcpy(buf, &v, 4);
        return 4;
    }
    if (strncmp(s, "u64:", 4) == 0 || strncmp(s, "size:", 5) == 0) {
        const uint64_t v = strtoull(strchr(s, ':') + 1, NULL, 0);
        memcpy(buf, &v, 8);
        return 8;
    }
    if (strncmp(s, "hex:", 4) == 0) {
        for (size_t i = 0; i < (n - 4) / 2; i++) {
            const char pair[3] = {s[4 + 2 * i], s[5 + 2 * i], 0};
            buf[i] = (uint8_t)strtoul(pair, NULL, 16);
        }
        return (n - 4) / 2;
    }
    return 0;
}

/* The entry's text behind '=', or NULL. */
static const char *info_rule(cl_device_info what)
{
    const char *p = getenv("SM_SHIM_INFO");
    for (; p && *p; p += strcspn(p, ";"), p += *p == ';') {
        char *end;
        if (strtoul(p, &end, 16) == what && *end == '=') return end + 1;
    }
    return NULL;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetDeviceInfo(cl_device_id d, cl_device_info what, size_t n, void *v,
                                                       size_t *r)
{
    const int act = due("clGetDeviceInfo");
    if (act < 0) return act;
    const char *rule = info_rule(what);
    if (!rule) return REAL(clGetDeviceInfo)(d, what, n, v, r);
    if (strncmp(rule, "err:", 4) == 0) return atoi(rule + 4);
    uint8_t buf[256] = {0};
    const size_t len = info_value(rule, buf);
    if (len == 0) die("bad SM_SHIM_INFO", rule);
    if (v && n < len) return CL_INVALID_VALUE;
    if (v) memcpy(v, buf, len);
    if (r) *r = len;
    return CL_SUCCESS;
}
