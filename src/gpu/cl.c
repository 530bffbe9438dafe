#include "gpu/cl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Debian: ocl-icd-libopencl1; drivers ship their own, some without the version link. */
static const char *const loaders[] = {"libOpenCL.so.1", "libOpenCL.so"};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct sm_cl table; /* under mu until loaded, constant afterwards */
static bool loaded;        /* under mu */

static sm_err load(struct sm_cl *t, struct sm_errinfo *ei)
{
    const char *path = getenv("SM_OPENCL_LIBRARY");
    void *lib = NULL;
    if (path && *path) {
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!lib) return sm_fail(ei, SM_E_NOTFOUND, "no OpenCL loader (%s); check SM_OPENCL_LIBRARY", dlerror());
    }
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0] && !lib; i++) {
        path = loaders[i];
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    if (!lib)
        return sm_fail(ei, SM_E_NOTFOUND, "no OpenCL loader (%s): install ocl-icd-libopencl1 and a driver", loaders[0]);
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
    if (!missing) return SM_OK;
    (void)dlclose(lib);
    return sm_fail(ei, SM_E_NOTFOUND, "%s is no OpenCL 1.2 loader: it has no %s", path, missing);
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
