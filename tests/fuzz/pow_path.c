/* The address of a k2pow job: no text crashes it, and an accepted one says the same in our spelling. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "powsvc/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_errinfo ei = {0};
    struct sm_k2pow_job job, again;
    char path[SM_POW_PATH_ROOM], *text = malloc(size + 1);
    check(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (sm_pow_path_parse(text, &job, &ei)) {
        check(ei.text[0] != '\0');
    } else {
        check(sm_pow_path_is_job(text));
        check(sm_pow_path_parse(sm_pow_path_make(&job, path), &again, &ei) == SM_OK);
        check(memcmp(&job, &again, sizeof job) == 0);
    }
    free(text);
    return 0;
}
