/* Key files, plain and sealed: no input crashes the readers; what the plain one takes is a key whose halves match. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_errinfo ei = {0};
    struct sm_secret *s = NULL;
    struct sm_node_id id;
    if (sm_keyfile_decode((struct sm_slice){data, size}, "fuzz", &s, &ei) == SM_OK) {
        const uint8_t *bytes = sm_secret_lend(s);
        if (!bytes || memcmp(bytes + 32, s->node_id.b, 32) != 0) abort();
        sm_secret_return(s);
        sm_secret_free(s);
    } else if (ei.text[0] == '\0') {
        abort();
    }
    if (sm_sealed_peek((struct sm_slice){data, size}, "fuzz", &id, &ei) == SM_OK && size != SM_SEALED_BYTES) abort();
    return 0;
}
