/* Decoder of the signer's requests: no input crashes it, what it takes encodes back to itself, and can be planned. */
#include <stdlib.h>
#include <string.h>

#include "keys/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sm_genesis_id genesis = {{0x9e}};
    struct sm_errinfo ei = {0};
    struct sm_arena arena = {.limit = 64u << 20};
    struct sm_wire_request r;
    struct sm_scale_writer w = {0};
    struct sm_wire_answer answer;
    struct sm_signer_identity *ids = NULL;
    struct sm_genesis_id theirs;
    size_t n;
    if (sm_wire_request_decode((struct sm_slice){data, size}, &arena, &r, &ei)) {
        check(ei.text[0] != '\0');
    } else {
        struct sm_sign_plan plan = {0};
        check(sm_wire_request_encode(&r, &w, &ei) == SM_OK);
        check(w.n == size && memcmp(w.p, data, size) == 0);
        if (r.op == SM_WIRE_SIGN && sm_sign_plan_make(&genesis, &r.sign, &plan, &ei) == SM_OK)
            check(plan.bytes.n > 21 && plan.entries_n > 0);
        sm_sign_plan_fini(&plan);
    }
    if (sm_wire_answer_decode((struct sm_slice){data, size}, &answer, &ei) == SM_OK && !answer.status &&
        sm_wire_hello_decode(answer.body, &theirs, &ids, &n, &ei) == SM_OK)
        free(ids);
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
    return 0;
}
