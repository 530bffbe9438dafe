/* Proof decoder: no input crashes it, and what it takes survives being written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "post/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_errinfo ei = {0};
    struct sm_proof first = {0}, second = {0};
    struct sm_proof_meta meta = {0}, meta_again = {0};
    bool has_meta = false, has_again = false;
    char *text = NULL;
    if (sm_proof_decode_json((const char *)data, size, "fuzz", &first, &meta, &has_meta, &ei)) {
        check(ei.text[0] != '\0');
        return 0;
    }
    check(sm_proof_encode_json(&first, has_meta ? &meta : NULL, &text, &ei) == SM_OK);
    check(sm_proof_decode_json(text, strlen(text), "fuzz", &second, &meta_again, &has_again, &ei) == SM_OK);
    check(has_meta == has_again);
    check(first.nonce == second.nonce && first.pow == second.pow && first.indices_n == second.indices_n);
    check(memcmp(first.indices, second.indices, first.indices_n) == 0);
    check(memcmp(&meta, &meta_again, sizeof meta) == 0);
    free(text);
    return 0;
}
