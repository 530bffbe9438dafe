/* PoetProofMessage: no input crashes decoder or verifier, and what decodes survives being written and read again. The
 * first byte chooses the parameters, small so that a run is fast. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/poet.h"
#include "poet/posw.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    const struct sm_posw_params params = {.proven_leaves = 1 + data[0] % 16, .depth = 1 + data[0] / 128};
    struct sm_arena arena = {0};
    struct sm_errinfo ei = {0};
    struct sm_poet_proof_message m, again;
    struct sm_scale_writer w = {0};
    struct sm_posw_verdict v;
    if (sm_scale_decode(&sm_poet_proof_message_type, (struct sm_slice){data + 1, size - 1}, &arena, &m, &ei) == SM_OK) {
        const struct sm_slice statement = {m.statement.b, sizeof m.statement.b};
        check(sm_posw_verify(&params, statement, &m.proof, NULL, &v, &ei) == SM_OK);
        check(sm_posw_check_text(v.failed) != NULL);
        check(sm_scale_encode(&sm_poet_proof_message_type, &m, &w, &ei) == SM_OK);
        check(sm_scale_decode(&sm_poet_proof_message_type, (struct sm_slice){w.p, w.n}, &arena, &again, &ei) == SM_OK);
        check(sm_scale_equal(&sm_poet_proof_message_type, &m, &again));
    } else {
        check(ei.text[0] != '\0');
    }
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
    return 0;
}
