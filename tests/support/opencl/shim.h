/* A stand-in for libOpenCL.so.1 that forwards to the real one and fails, lies or hides on request, and counts what is
 * alive. The program under test loads it through SM_OPENCL_LIBRARY.
 *
 * SM_SHIM_RULES: "function:first-last=action", separated by ';'. Calls are counted per function from 1, anew whenever
 * the text changes; "3" is "3-3", "3+" has no end. Actions:
 *   -5        the call returns this code (creators: NULL and this code)
 *   null      the call succeeds and gives NULL: a creator no object, an enqueue no event, an enumeration no item
 *   corrupt   clEnqueueReadBuffer: one bit is flipped, 16 bytes before the end: in the last label
 *   running   clGetEventInfo: the command is not done, whatever it is
 *   takes50   clGetEventInfo: the command is not done until 50 ms after this was first asked of it; one thread at a time
 *   status-5  clGetEventInfo: the command is reported to have ended with -5
 *   value3    clGetKernelWorkGroupInfo: the answer is 3
 * SM_SHIM_INFO: what clGetDeviceInfo answers, "param=kind:value" separated by ';': s:text, u32:, u64:, size: numbers,
 *   hex:bytes, err:code. "param" in hex, 0x….
 * SM_SHIM_DEVICES: how many times each platform's first device is listed. */
#ifndef SM_TESTS_OPENCL_SHIM_H
#define SM_TESTS_OPENCL_SHIM_H

/* Exported by the shim: objects created minus objects released; calls of a function since the rules changed. */
typedef long sm_shim_live_fn(void);
typedef long sm_shim_calls_fn(const char *function);

#endif
