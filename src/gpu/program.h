/* gpu/program.h: compiled kernels, from the cache directory when possible.
 *
 * A cached binary is keyed by the hash of source, options, device name, platform and driver version, and carries a hash
 * of itself: a damaged or refused file means "compile again", never a failure. */
#ifndef SM_GPU_PROGRAM_H
#define SM_GPU_PROGRAM_H

#include "gpu/cl.h"
#include "gpu/device.h"

/* Compiles `source` with `options` for one device; *out is released by the caller. SM_E_DEVICE with the start of the
 * compiler's log. Blocks for seconds the first time; compilations are serialised inside. Any thread. */
SM_MUST_CHECK sm_err sm_gpu_program_build(const struct sm_cl *cl, cl_context context, const struct sm_gpu_found *dev,
                                          const char *source, const char *options, cl_program *out,
                                          struct sm_errinfo *ei);

#endif
