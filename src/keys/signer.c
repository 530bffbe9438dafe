#include "keys/signer.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ecvrf.h"
#include "keys/signer_impl.h"
#include "util/text.h"

struct local {
    struct sm_signer base;
    struct sm_keyring ring;
    struct sm_journal *journal;
    struct sm_claims claims;
};

static sm_err find_key(struct local *l, const struct sm_node_id *id, struct sm_secret **out, struct sm_errinfo *ei)
{
    char hex[SM_HEX_ROOM(32)];
    const struct sm_keyfile *f = sm_keyring_find(&l->ring, id);
    if (!f) return sm_fail(ei, SM_E_NOTFOUND, "there is no key of identity %s here", sm_hex_encode(id->b, 32, hex));
    *out = f->secret;
    return SM_OK;
}

static const uint8_t *lend(struct sm_secret *s, sm_err *err, struct sm_errinfo *ei)
{
    const uint8_t *bytes = sm_secret_lend(s);
    if (!bytes) *err = sm_fail(ei, SM_E_NOMEM, "the memory of the key cannot be made readable");
    return bytes;
}

static sm_err local_sign(struct sm_signer *s, const struct sm_sign_request *r, struct sm_signature *out,
                         struct sm_errinfo *ei)
{
    struct local *l = (struct local *)s;
    struct sm_secret *key = NULL;
    struct sm_sign_plan plan = {0};
    sm_err err = find_key(l, &r->identity, &key, ei);
    if (!err) err = sm_sign_plan_make(&s->genesis, r, &plan, ei);
    if (!err) err = sm_journal_record(l->journal, plan.entries, plan.entries_n, ei);
    const uint8_t *bytes = err ? NULL : lend(key, &err, ei);
    if (bytes) {
        (void)crypto_sign_detached(out->b, NULL, plan.bytes.p, plan.bytes.n, bytes);
        sm_secret_return(key);
    }
    sm_sign_plan_fini(&plan);
    return err;
}

static sm_err local_vrf(struct sm_signer *s, const struct sm_vrf_request *r, struct sm_vrf_proof *out,
                        struct sm_errinfo *ei)
{
    struct local *l = (struct local *)s;
    struct sm_secret *key = NULL;
    struct sm_scale_writer w = {0};
    sm_err err = find_key(l, &r->identity, &key, ei);
    if (!err) err = sm_vrf_message(r, &w, ei);
    const uint8_t *bytes = err ? NULL : lend(key, &err, ei);
    if (bytes) {
        err = sm_ecvrf_prove(bytes, (struct sm_slice){w.p, w.n}, out, ei);
        sm_secret_return(key);
    }
    sm_scale_writer_fini(&w);
    return err;
}

static void local_close(struct sm_signer *s)
{
    struct local *l = (struct local *)s;
    sm_keyring_fini(&l->ring);
    sm_journal_close(l->journal);
    sm_claims_fini(&l->claims);
    free(l->base.identities);
    free(l);
}

static const struct sm_signer_ops local_ops = {.sign = local_sign, .vrf = local_vrf, .close = local_close};

/* The identities are those of the journal, and ours alone. */
static sm_err match(struct local *l, const struct sm_signer_cfg *cfg, struct sm_errinfo *ei)
{
    const size_t n = l->ring.n;
    struct sm_node_id *ids = calloc(n ? n : 1, sizeof *ids);
    l->base.identities = calloc(n ? n : 1, sizeof *l->base.identities);
    l->base.identities_n = n;
    sm_err err = ids && l->base.identities ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for %zu identities", n);
    for (size_t i = 0; !err && i < n; i++) {
        struct sm_signer_identity *to = &l->base.identities[i];
        ids[i] = to->node_id = l->ring.v[i].node_id;
        memcpy(to->name, l->ring.v[i].name, sizeof to->name);
    }
    if (!err) err = sm_journal_match(l->journal, ids, n, cfg->allow_missing_keys, ei);
    if (!err && cfg->claims_dir) err = sm_claims_take(cfg->claims_dir, ids, n, &l->claims, ei);
    free(ids);
    return err;
}

sm_err sm_signer_open(const struct sm_signer_cfg *cfg, struct sm_signer **out, struct sm_errinfo *ei)
{
    struct local *l = calloc(1, sizeof *l);
    if (!l) return sm_fail(ei, SM_E_NOMEM, "out of memory for a signer");
    l->base.ops = &local_ops;
    l->base.genesis = cfg->genesis;
    sm_err err = sm_journal_open(cfg->journal_path, &cfg->genesis, &l->journal, ei);
    if (!err) err = sm_keyring_load(cfg->keys_dir, SM_KEYRING_OPEN, cfg->pass, &l->ring, ei);
    if (!err) err = match(l, cfg, ei); /* first: keys that the journal knows are missing, not to be made */
    if (!err && l->ring.n == 0)
        err = sm_fail(ei, SM_E_NOTFOUND, "%s holds no keys: make one by smesher keys new", cfg->keys_dir);
    if (err)
        local_close(&l->base);
    else
        *out = &l->base;
    return err;
}

/* ---- both kinds ---- */

void sm_signer_close(struct sm_signer *s)
{
    if (s) s->ops->close(s);
}

const struct sm_genesis_id *sm_signer_genesis(const struct sm_signer *s)
{
    return &s->genesis;
}

const struct sm_signer_identity *sm_signer_identities(const struct sm_signer *s, size_t *out_n)
{
    *out_n = s->identities_n;
    return s->identities;
}

sm_err sm_signer_sign(struct sm_signer *s, const struct sm_sign_request *r, struct sm_signature *out,
                      struct sm_errinfo *ei)
{
    if (!sm_sign_body_type(r->kind) || !r->body.any)
        return sm_fail(ei, SM_E_ARG, "unknown kind of signing request: %d", (int)r->kind);
    return s->ops->sign(s, r, out, ei);
}

sm_err sm_signer_vrf(struct sm_signer *s, const struct sm_vrf_request *r, struct sm_vrf_proof *out,
                     struct sm_errinfo *ei)
{
    if (!sm_vrf_body_type(r->kind)) return sm_fail(ei, SM_E_ARG, "unknown kind of VRF request: %d", (int)r->kind);
    return s->ops->vrf(s, r, out, ei);
}
