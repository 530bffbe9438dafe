/* Responses of a post service: no input crashes the decoder, and what it takes encodes to an equal value. */
#include <stdlib.h>
#include <string.h>

#include "postsvc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_post_response r, again;
    struct sm_errinfo ei = {0};
    uint8_t bytes[SM_POST_RESPONSE_ROOM];
    memset(&r, 0, sizeof r);
    memset(&again, 0, sizeof again);
    if (sm_post_response_decode((struct sm_slice){data, size}, &r, &ei)) {
        if (!ei.text[0]) abort();
        return 0;
    }
    const size_t n = sm_post_response_encode(&r, bytes);
    if (sm_post_response_decode((struct sm_slice){bytes, n}, &again, &ei)) abort();
    if (sm_post_response_encode(&again, bytes) != n || r.kind != again.kind || r.status != again.status ||
        memcmp(&r.info, &again.info, sizeof r.info) != 0 || memcmp(&r.proof, &again.proof, sizeof r.proof) != 0)
        abort();
    return 0;
}
