/* Metadata reader: no input crashes it, and what it takes survives being written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "post/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_errinfo ei = {0};
    struct sm_metadata first = {0}, second = {0};
    char *text = NULL;
    if (sm_metadata_decode((const char *)data, size, "fuzz", &first, &ei)) {
        check(ei.text[0] != '\0');
        return 0;
    }
    if (sm_metadata_encode(&first, &text, &ei) == SM_OK) {
        check(sm_metadata_decode(text, strlen(text), "fuzz", &second, &ei) == SM_OK);
        check(memcmp(&first.node_id, &second.node_id, sizeof first.node_id) == 0);
        check(memcmp(&first.commitment_atx_id, &second.commitment_atx_id, sizeof first.commitment_atx_id) == 0);
        check(first.labels_per_unit == second.labels_per_unit && first.num_units == second.num_units);
        check(first.max_file_size == second.max_file_size);
        check(first.has_nonce == second.has_nonce && (!first.has_nonce || first.nonce == second.nonce));
        check(first.has_nonce_value == second.has_nonce_value);
        check(memcmp(first.nonce_value, second.nonce_value, sizeof first.nonce_value) == 0);
        check(same_text(first.extra, second.extra));
    }
    free(text);
    sm_metadata_fini(&first);
    sm_metadata_fini(&second);
    return 0;
}
