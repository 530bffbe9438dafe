#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libpost/impl.h"
#include "libpost/utf8.h"
#include "post/metadata.h"
#include "post/prove.h"
#include "post/sidecar.h"

#define UNKNOWN_N 8192u /* stands in the parameters when nothing is verified with it */

/* What the call does not say, the data does: its own sizes, and N where it is recorded. */
static sm_err describe_data(const char *dir, struct sm_prove_cfg *cfg, struct sm_errinfo *ei)
{
    struct sm_metadata m = {0};
    struct sm_sidecar side = {0};
    struct sm_errinfo ignored = {0};
    bool from_backup = false;
    sm_err err = sm_metadata_load(dir, &m, &from_backup, ei);
    if (err) return err;
    if (sm_sidecar_load(dir, &side, &ignored)) side.scrypt_n = 0;
    const uint64_t n = side.scrypt_n ? side.scrypt_n : m.has_scrypt ? m.scrypt_n : 0;
    cfg->params.labels_per_unit = m.labels_per_unit;
    cfg->params.scrypt_n = n && n <= UINT32_MAX ? (uint32_t)n : UNKNOWN_N;
    cfg->verify = n != 0;
    cfg->reference_tail = m.max_file_size % 128 != 0; /* as the established prover: post.md §5.5 */
    sm_metadata_fini(&m);
    return SM_OK;
}

static sm_err configure(struct sm_prove_cfg *cfg, const char *dir, const unsigned char *challenge, ProofConfig c,
                        uintptr_t nonces, uintptr_t threads, struct sm_errinfo *ei)
{
    if (!dir || !challenge || !sm_utf8_valid(dir, strlen(dir)))
        return sm_fail(ei, SM_E_ARG, "the path or the challenge is missing, or the path is no UTF-8");
    if (nonces > SM_NONCES_MAX || threads > UINT16_MAX)
        return sm_fail(ei, SM_E_ARG, "%" PRIuPTR " nonces, %" PRIuPTR " threads: too many", nonces, threads);
    cfg->dir = dir;
    memcpy(cfg->challenge.b, challenge, sizeof cfg->challenge.b);
    cfg->params = (struct sm_post_params){
        .name = "libpost", .min_num_units = 1, .max_num_units = UINT32_MAX, .k1 = c.k1, .k2 = c.k2, .k3 = 1};
    memcpy(cfg->params.pow_difficulty, c.pow_difficulty, sizeof c.pow_difficulty);
    cfg->nonces = (uint32_t)nonces;
    cfg->threads = (unsigned)threads;
    cfg->direct_io = true;
    cfg->without_vrf_nonce = true;
    return describe_data(dir, cfg, ei);
}

static Proof *proof_new(const struct sm_proof *p)
{
    Proof *out = calloc(1, sizeof *out);
    uint8_t *indices = malloc(p->indices_n + (size_t)1);
    if (!out || !indices) {
        free(out);
        free(indices);
        return NULL;
    }
    memcpy(indices, p->indices, p->indices_n);
    *out = (Proof){.nonce = p->nonce, .pow = p->pow, .indices = {indices, p->indices_n, p->indices_n + (uintptr_t)1}};
    return out;
}

Proof *generate_proof(const char *datadir, const unsigned char *challenge, ProofConfig c, uintptr_t nonces,
                      uintptr_t threads, RandomXFlag pow_flags)
{
    struct sm_prove_cfg cfg = {.randomx = sm_libpost_randomx(pow_flags)};
    struct sm_errinfo ei = {0};
    struct sm_prove_result *result = calloc(1, sizeof *result); /* 50 KiB: not on the stack of a foreign thread */
    Proof *out = NULL;
    sm_err err = result ? SM_OK : sm_fail(&ei, SM_E_NOMEM, "out of memory");
    if (!err) err = configure(&cfg, datadir, challenge, c, nonces, threads, &ei);
    if (!err) err = sm_prove_run(&cfg, NULL, result, &ei);
    if (!err) {
        out = proof_new(&result->proof);
        if (!out) (void)sm_fail(&ei, SM_E_NOMEM, "out of memory");
    }
    free(result);
    if (!out) sm_libpost_failed("generate_proof", &ei);
    return out;
}

void free_proof(Proof *proof)
{
    if (!proof) return;
    free(proof->indices.ptr);
    free(proof);
}
