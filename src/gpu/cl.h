/* gpu/cl.h: the OpenCL entry points, found at run time, and the translation of their failures.
 *
 * The ICD loader is opened on first use and never closed: drivers leave threads behind. Environment SM_OPENCL_LIBRARY
 * names another loader, or a driver, by path: a driver is asked for its table of functions (cl_khr_icd), so that a machine
 * with nothing but a driver needs no loader. Without a loader the drivers of NVIDIA and AMD are looked for. */
#ifndef SM_GPU_CL_H
#define SM_GPU_CL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <CL/cl_ext.h>

#include "util/err.h"

#define SM_CL_FUNCTIONS(X)     \
    X(BuildProgram)            \
    X(CreateBuffer)            \
    X(CreateCommandQueue)      \
    X(CreateContext)           \
    X(CreateKernel)            \
    X(CreateProgramWithBinary) \
    X(CreateProgramWithSource) \
    X(EnqueueFillBuffer)       \
    X(EnqueueMapBuffer)        \
    X(EnqueueNDRangeKernel)    \
    X(EnqueueReadBuffer)       \
    X(EnqueueUnmapMemObject)   \
    X(EnqueueWriteBuffer)      \
    X(Finish)                  \
    X(Flush)                   \
    X(GetDeviceIDs)            \
    X(GetDeviceInfo)           \
    X(GetEventInfo)            \
    X(GetKernelWorkGroupInfo)  \
    X(GetPlatformIDs)          \
    X(GetPlatformInfo)         \
    X(GetProgramBuildInfo)     \
    X(GetProgramInfo)          \
    X(ReleaseCommandQueue)     \
    X(ReleaseContext)          \
    X(ReleaseEvent)            \
    X(ReleaseKernel)           \
    X(ReleaseMemObject)        \
    X(ReleaseProgram)          \
    X(SetKernelArg)            \
    X(WaitForEvents)

/* cl->CreateBuffer is clCreateBuffer, and so on. */
struct sm_cl {
#define SM_CL_MEMBER(name) __typeof__(cl##name) *name;
    SM_CL_FUNCTIONS(SM_CL_MEMBER)
#undef SM_CL_MEMBER
};

/* Lends the table for the life of the process. SM_E_NOTFOUND: no loader, or one that lacks a function; the text says
 * what to install. Any thread; a failure is not remembered. */
SM_MUST_CHECK sm_err sm_cl_get(const struct sm_cl **out, struct sm_errinfo *ei);

/* "CL_OUT_OF_RESOURCES" and so on; static string. */
const char *sm_cl_error_name(cl_int rc);

/* Every failed OpenCL call ends here: "<what>: CL_OUT_OF_RESOURCES (-5)", and always SM_E_DEVICE: whatever the reason,
 * the remedy is another device. */
sm_err sm_cl_fail(struct sm_errinfo *ei, cl_int rc, const char *fmt, ...) SM_PRINTF(3, 4);

#endif
