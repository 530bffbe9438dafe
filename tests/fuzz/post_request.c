/* Requests of a node: no input crashes the decoder, and what it takes encodes to an equal value. */
#include <stdlib.h>
#include <string.h>

#include "postsvc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_post_request r, again;
    struct sm_errinfo ei = {0};
    uint8_t bytes[SM_POST_REQUEST_ROOM];
    if (sm_post_request_decode((struct sm_slice){data, size}, &r, &ei)) {
        if (!ei.text[0]) abort();
        return 0;
    }
    if (r.challenge_n != 32) { /* never acted upon */
        static const struct sm_challenge zero;
        if (memcmp(r.challenge.b, zero.b, 32) != 0) abort();
        r.challenge_n = 0;
    }
    const size_t n = sm_post_request_encode(&r, bytes);
    if (sm_post_request_decode((struct sm_slice){bytes, n}, &again, &ei)) abort();
    if (r.kind != again.kind || r.challenge_n != again.challenge_n || memcmp(&r.challenge, &again.challenge, 32) != 0)
        abort();
    return 0;
}
