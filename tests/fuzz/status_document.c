/* /v1/status: no document crashes the reader, and what it takes is written and read again unchanged. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "status/format.h"
#include "status/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_errinfo ei = {0};
    struct sm_status_snapshot s, again;
    char *first, *second, *metrics;
    size_t n, m;
    if (sm_status_parse((const char *)data, size, &s, &ei) != SM_OK) {
        check(ei.text[0] != '\0');
        return 0;
    }
    check(sm_status_format_json(&s, &first, &n, &ei) == SM_OK);
    check(sm_status_parse(first, n, &again, &ei) == SM_OK);
    check(sm_status_format_json(&again, &second, &m, &ei) == SM_OK);
    check(n == m && memcmp(first, second, n) == 0);
    check(sm_status_format_metrics(&s, &metrics, &n, &ei) == SM_OK);
    free(first);
    free(second);
    free(metrics);
    sm_status_snapshot_fini(&s);
    sm_status_snapshot_fini(&again);
    return 0;
}
