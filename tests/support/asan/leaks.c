/* Leaks that are not ours, for builds with the address sanitizer: linked into every test of such a build.
 *
 * PoCL and the LLVM inside it keep what they allocated until the process ends. OpenCL objects of ours that were not
 * released would hide behind this; tests/unit/gpu/faults.c counts those itself. */
#define EXPORT __attribute__((visibility("default")))

EXPORT const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpocl\n"
           "leak:libLLVM\n"
           "leak:libclang-cpp\n"
           "leak:libstdc++\n"; /* under clang the stack ends there, and we have no C++ */
}
