#include "gpu/cl.h"

#include <CL/cl_icd.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Debian: ocl-icd-libopencl1; drivers ship their own, some without the version link. Then drivers themselves. */
static const char *const libraries[] = {"libOpenCL.so.1", "libOpenCL.so", "libnvidia-opencl.so.1", "libamdocl64.so"};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct sm_cl table; /* under mu until loaded, constant afterwards */
static bool loaded;        /* under mu */

/* ---- a driver without a loader ---- */

typedef void *(CL_API_CALL *address_fn)(const char *name);
typedef cl_int(CL_API_CALL *platforms_fn)(cl_uint n, cl_platform_id *out, cl_uint *out_n);

static platforms_fn driver_platforms; /* as table */

static cl_int CL_API_CALL get_platforms(cl_uint n, cl_platform_id *out, cl_uint *out_n)
{
    return driver_platforms(n, out, out_n);
}

/* Every object of a driver starts with the address of its functions. */
static const struct _cl_icd_dispatch *dispatch_of(cl_platform_id platform)
{
    const struct _cl_icd_dispatch *d;
    memcpy(&d, platform, sizeof d);
    return d;
}

/* Names what is missing, or NULL. */
static const char *from_driver(void *lib, struct sm_cl *t)
{
    void *p = dlsym(lib, "clGetExtensionFunctionAddress");
    address_fn address;
    cl_platform_id platform = NULL;
    cl_uint n = 0;
    memcpy(&address, &p, sizeof p);
    if (!p || !(p = address("clIcdGetPlatformIDsKHR"))) return "clGetPlatformIDs";
    memcpy(&driver_platforms, &p, sizeof p);
    if (driver_platforms(1, &platform, &n) != CL_SUCCESS || n == 0 || !platform) return "platform";
    const struct _cl_icd_dispatch *d = dispatch_of(platform);
    const char *missing = NULL;
#define TAKE(name) t->name = d->cl##name;
    SM_CL_FUNCTIONS(TAKE)
#undef TAKE
    t->GetPlatformIDs = get_platforms;
#define CHECK(name) \
    if (!t->name) missing = "cl" #name;
    SM_CL_FUNCTIONS(CHECK)
#undef CHECK
    return missing;
}

/* ---- a loader ---- */

static const char *from_loader(void *lib, struct sm_cl *t)
{
    const char *missing = NULL;
#define LOOK_UP(name)                       \
    if (!missing) {                         \
        void *p = dlsym(lib, "cl" #name);   \
        if (p)                              \
            memcpy(&t->name, &p, sizeof p); \
        else                                \
            missing = "cl" #name;           \
    }
    SM_CL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
    return missing;
}

static sm_err load(struct sm_cl *t, struct sm_errinfo *ei)
{
    const char *path = getenv("SM_OPENCL_LIBRARY");
    void *lib = NULL;
    if (path && *path) {
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!lib) return sm_fail(ei, SM_E_NOTFOUND, "no OpenCL loader (%s); check SM_OPENCL_LIBRARY", dlerror());
    }
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0] && !lib; i++) {
        path = libraries[i];
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    if (!lib)
        return sm_fail(ei, SM_E_NOTFOUND, "no OpenCL loader (%s): install ocl-icd-libopencl1 and a driver",
                       libraries[0]);
    const char *missing = dlsym(lib, "clGetPlatformIDs") ? from_loader(lib, t) : from_driver(lib, t);
    if (!missing) return SM_OK;
    (void)dlclose(lib);
    return sm_fail(ei, SM_E_NOTFOUND, "%s is no OpenCL 1.2 loader or driver: it has no %s", path, missing);
}

sm_err sm_cl_get(const struct sm_cl **out, struct sm_errinfo *ei)
{
    (void)pthread_mutex_lock(&mu);
    sm_err err = loaded ? SM_OK : load(&table, ei);
    if (!err) {
        loaded = true;
        *out = &table;
    }
    (void)pthread_mutex_unlock(&mu);
    return err;
}

const char *sm_cl_error_name(cl_int rc)
{
#define NAME(code) \
    case code:     \
        return #code
    switch (rc) {
        NAME(CL_SUCCESS);
        NAME(CL_DEVICE_NOT_FOUND);
        NAME(CL_DEVICE_NOT_AVAILABLE);
        NAME(CL_COMPILER_NOT_AVAILABLE);
        NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE);
        NAME(CL_OUT_OF_RESOURCES);
        NAME(CL_OUT_OF_HOST_MEMORY);
        NAME(CL_PROFILING_INFO_NOT_AVAILABLE);
        NAME(CL_MEM_COPY_OVERLAP);
        NAME(CL_BUILD_PROGRAM_FAILURE);
        NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET);
        NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
        NAME(CL_COMPILE_PROGRAM_FAILURE);
        NAME(CL_LINKER_NOT_AVAILABLE);
        NAME(CL_LINK_PROGRAM_FAILURE);
        NAME(CL_KERNEL_ARG_INFO_NOT_AVAILABLE);
        NAME(CL_INVALID_VALUE);
        NAME(CL_INVALID_DEVICE_TYPE);
        NAME(CL_INVALID_PLATFORM);
        NAME(CL_INVALID_DEVICE);
        NAME(CL_INVALID_CONTEXT);
        NAME(CL_INVALID_QUEUE_PROPERTIES);
        NAME(CL_INVALID_COMMAND_QUEUE);
        NAME(CL_INVALID_HOST_PTR);
        NAME(CL_INVALID_MEM_OBJECT);
        NAME(CL_INVALID_BINARY);
        NAME(CL_INVALID_BUILD_OPTIONS);
        NAME(CL_INVALID_PROGRAM);
        NAME(CL_INVALID_PROGRAM_EXECUTABLE);
        NAME(CL_INVALID_KERNEL_NAME);
        NAME(CL_INVALID_KERNEL_DEFINITION);
        NAME(CL_INVALID_KERNEL);
        NAME(CL_INVALID_ARG_INDEX);
        NAME(CL_INVALID_ARG_VALUE);
        NAME(CL_INVALID_ARG_SIZE);
        NAME(CL_INVALID_KERNEL_ARGS);
        NAME(CL_INVALID_WORK_DIMENSION);
        NAME(CL_INVALID_WORK_GROUP_SIZE);
        NAME(CL_INVALID_WORK_ITEM_SIZE);
        NAME(CL_INVALID_GLOBAL_OFFSET);
        NAME(CL_INVALID_EVENT_WAIT_LIST);
        NAME(CL_INVALID_EVENT);
        NAME(CL_INVALID_OPERATION);
        NAME(CL_INVALID_BUFFER_SIZE);
        NAME(CL_INVALID_GLOBAL_WORK_SIZE);
        NAME(CL_INVALID_PROPERTY);
        NAME(CL_PLATFORM_NOT_FOUND_KHR);
    default:
        return "unknown error";
    }
#undef NAME
}

sm_err sm_cl_fail(struct sm_errinfo *ei, cl_int rc, const char *fmt, ...)
{
    char what[SM_ERRINFO_TEXT];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return sm_fail(ei, SM_E_DEVICE, "%s: %s (%d)", what, sm_cl_error_name(rc), (int)rc);
}
