/* Criterion under the thread sanitizer; linked into every test of such a build.
 *
 * Criterion keeps its results in memory that it maps at an address of its choice: 0x200000000000 + 16 MiB * (rand_r() &
 * 0x3fffff) (BoxFort, src/arena.c). The sanitizer allows only few ranges, and of those only 0x550000000000 ...
 * 0x567fffffffff can be reached that way: this rand_r, which nothing else here calls, leads there. */
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int rand_r(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return (int)(0x350000u + (*seed >> 8) % 0x18000u);
}

/* A reported race ends the test; the sanitizer would only note it in the exit status, which Criterion ignores. */
EXPORT const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "halt_on_error=1:abort_on_error=1";
}
