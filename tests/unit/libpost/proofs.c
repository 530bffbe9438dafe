/* Proofs through the published interface: found, and judged. Values: vectors/post_proofs.json, post.md §6. */
#include "unit/post/prove_cases.h"

#include <pthread.h>

#include "libpost/post.h"

static ProofConfig config_of(const struct prove_case *c)
{
    ProofConfig out = {.k1 = c->k1, .k2 = c->k2};
    memcpy(out.pow_difficulty, c->pow_difficulty, 32);
    return out;
}

static InitConfig init_of(const struct prove_case *c)
{
    return (InitConfig){
        .min_num_units = 1, .max_num_units = 100, .labels_per_unit = c->labels_per_unit, .scrypt = {c->scrypt_n, 1, 1}};
}

static ProofMetadata meta_of(const struct prove_case *c)
{
    ProofMetadata m = {.num_units = c->num_units};
    memcpy(m.node_id, c->node_id.b, 32);
    memcpy(m.commitment_atx_id, c->commitment_atx_id.b, 32);
    memcpy(m.challenge, c->challenge.b, 32);
    return m;
}

/* Borrows the case's bytes. */
static Proof proof_of(struct prove_case *c)
{
    return (Proof){.nonce = c->proof.nonce,
                   .pow = c->proof.pow,
                   .indices = {c->proof.indices, c->proof.indices_n, c->proof.indices_n}};
}

static Verifier *verifier(void)
{
    Verifier *v = NULL;
    cr_assert_eq(new_verifier(recommended_pow_flags(), &v), NewVerifierResult_Ok);
    cr_assert_not_null(v);
    return v;
}

/* ---- verifying ---- */

Test(libpost_proofs, vectors_are_valid)
{
    struct prove_case all[8];
    const size_t n = load_cases(all, 8);
    json_t *file = vec_load("post_proofs.json"), *s;
    Verifier *v = verifier();
    cr_assert_eq(n, 5);
    for (size_t i = 0; i < n; i++) {
        struct prove_case *c = &all[i];
        const Proof p = proof_of(c);
        const ProofMetadata m = meta_of(c);
        cr_assert_eq(verify_proof(v, p, &m, config_of(c), init_of(c)).tag, VerifyResult_Ok, "%s", c->name);
        for (uint32_t k = 0; k <= c->k2; k += 5)
            cr_assert_eq(verify_proof_index(v, p, &m, config_of(c), init_of(c), k).tag, VerifyResult_Ok);
        cr_assert_eq(verify_proof_index(v, p, &m, config_of(c), init_of(c), UINTPTR_MAX).tag, VerifyResult_Ok,
                     "beyond k2 nothing is checked");
        size_t k;
        json_array_foreach(vec_get(json_array_get(file, i), "subset"), k, s)
        {
            size_t seed_n;
            uint8_t *seed = vec_hex_var(s, "seed_hex", &seed_n);
            cr_assert_eq(verify_proof_subset(v, p, &m, config_of(c), init_of(c), vec_u64(s, "k3"), seed, seed_n).tag,
                         VerifyResult_Ok);
            free(seed);
        }
        cr_assert_eq(verify_proof_subset(v, p, &m, config_of(c), init_of(c), UINTPTR_MAX, NULL, 0).tag,
                     VerifyResult_Ok);
    }
    json_decref(file);
    free_verifier(v);
}

static void check_tampered(Verifier *v, struct prove_case *c, const json_t *t)
{
    const uint32_t at = (uint32_t)vec_u64(t, "position");
    size_t n;
    uint8_t *bytes = vec_hex_var(t, "indices_hex", &n);
    Proof p = proof_of(c);
    p.indices = (ArrayU8){bytes, n, n};
    const ProofMetadata m = meta_of(c);
    const ProofConfig cfg = config_of(c);
    VerifyResult r = verify_proof(v, p, &m, cfg, init_of(c));
    cr_assert_eq(r.tag, VerifyResult_InvalidIndex, "%s", c->name);
    cr_assert_eq(r.invalid_index.index_id, at);
    r = verify_proof_index(v, p, &m, cfg, init_of(c), at);
    cr_assert(r.tag == VerifyResult_InvalidIndex && r.invalid_index.index_id == at);
    cr_assert_eq(verify_proof_index(v, p, &m, cfg, init_of(c), at + 1).tag, VerifyResult_Ok);
    r = verify_proof_subset(v, p, &m, cfg, init_of(c), c->k2, (const uint8_t *)"x", 1);
    cr_assert(r.tag == VerifyResult_InvalidIndex && r.invalid_index.index_id == at);
    cr_assert_eq(verify_proof_subset(v, p, &m, cfg, init_of(c), 0, NULL, 0).tag, VerifyResult_Ok, "none is checked");
    free(bytes);
}

Test(libpost_proofs, tampered_vectors_name_the_index)
{
    struct prove_case all[8];
    const size_t n = load_cases(all, 8);
    json_t *file = vec_load("post_proofs.json");
    Verifier *v = verifier();
    for (size_t i = 0; i < n; i++) {
        const json_t *j = json_array_get(file, i);
        check_tampered(v, &all[i], vec_get(j, "tampered"));
        if (json_object_get(j, "tampered_lsb")) check_tampered(v, &all[i], vec_get(j, "tampered_lsb"));
    }
    json_decref(file);
    free_verifier(v);
}

Test(libpost_proofs, everything_else_is_invalid)
{
    struct prove_case c = load_case("fastnet-like");
    Verifier *v = verifier();
    const ProofMetadata m = meta_of(&c);
    const ProofConfig cfg = config_of(&c);
    const InitConfig init = init_of(&c);
    Proof p = proof_of(&c);
#define EXPECT(want, ...) cr_assert_eq(verify_proof(v, __VA_ARGS__).tag, want)
    InitConfig other = init;
    other.min_num_units = 3;
    EXPECT(VerifyResult_Invalid, p, &m, cfg, other);
    other = init;
    other.max_num_units = 1;
    EXPECT(VerifyResult_Invalid, p, &m, cfg, other);
    p.nonce = 16 * 256;
    EXPECT(VerifyResult_Invalid, p, &m, cfg, init);
    p = proof_of(&c);
    p.indices.len--;
    EXPECT(VerifyResult_Invalid, p, &m, cfg, init);
    p.indices.len = 100000; /* not read: no proof is so long */
    EXPECT(VerifyResult_Invalid, p, &m, cfg, init);
    p.indices = (ArrayU8){NULL, 0, 0};
    EXPECT(VerifyResult_Invalid, p, &m, cfg, init);
    p = proof_of(&c);
    ProofConfig k = cfg;
    memset(k.pow_difficulty, 0, 32);
    EXPECT(VerifyResult_Invalid, p, &m, k, init);
    k = cfg;
    k.k1 = 256;
    EXPECT(VerifyResult_Invalid, p, &m, k, init);
    ProofMetadata none = m;
    none.num_units = 0;
    other = init;
    other.min_num_units = 0;
    EXPECT(VerifyResult_Invalid, p, &none, cfg, other);
    EXPECT(VerifyResult_Ok, p, &m, cfg, other);
    other = init;
    other.scrypt.n = 3; /* lowered to 2 */
    EXPECT(VerifyResult_Ok, p, &m, cfg, other);
    free_verifier(v);
}

Test(libpost_proofs, arguments_that_are_none)
{
    struct prove_case c = load_case("fastnet-like");
    Verifier *v = verifier();
    const ProofMetadata m = meta_of(&c);
    const ProofConfig cfg = config_of(&c);
    InitConfig init = init_of(&c);
    Proof p = proof_of(&c);
    cr_assert_eq(verify_proof(NULL, p, &m, cfg, init).tag, VerifyResult_InvalidArgument);
    EXPECT(VerifyResult_InvalidArgument, p, NULL, cfg, init);
    cr_assert_eq(verify_proof_index(NULL, p, &m, cfg, init, 0).tag, VerifyResult_InvalidArgument);
    cr_assert_eq(verify_proof_subset(v, p, &m, cfg, init, 1, NULL, 4).tag, VerifyResult_InvalidArgument);
    p.indices.ptr = NULL;
    EXPECT(VerifyResult_InvalidArgument, p, &m, cfg, init);
    p = proof_of(&c);
    static const ScryptParams bad[] = {{0, 1, 1}, {1, 1, 1}, {2, 2, 1}, {2, 1, 0}, {UINTPTR_MAX, 1, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        init.scrypt = bad[i];
        EXPECT(VerifyResult_InvalidArgument, p, &m, cfg, init);
    }
    ProofConfig k = cfg;
    k.k2 = UINT32_MAX;
    EXPECT(VerifyResult_InvalidArgument, p, &m, k, init_of(&c));
    cr_assert_eq(new_verifier(0, NULL), NewVerifierResult_InvalidArgument);
    free_verifier(v);
    free_verifier(NULL);
    free_proof(NULL);
}

struct judge {
    const Verifier *v;
    struct prove_case *cases;
    size_t n, first;
    unsigned wrong;
};

static void *judge_main(void *arg)
{
    struct judge *j = arg;
    for (size_t k = 0; k < 4 * j->n; k++) {
        struct prove_case *c = &j->cases[(j->first + k) % j->n];
        const ProofMetadata m = meta_of(c);
        InitConfig init = init_of(c);
        init.max_num_units += (uint32_t)(k / j->n); /* more networks than are kept */
        if (verify_proof(j->v, proof_of(c), &m, config_of(c), init).tag != VerifyResult_Ok) j->wrong++;
        Proof p = proof_of(c);
        p.pow ^= (uint64_t)1 << 60; /* counts for the keys, not for the proof of work */
        if (verify_proof(j->v, p, &m, config_of(c), init).tag == VerifyResult_Ok) j->wrong++;
    }
    return NULL;
}

Test(libpost_proofs, one_verifier_many_threads)
{
    enum { THREADS = 6 };
    struct prove_case all[8], small[8];
    size_t n = 0;
    const size_t loaded = load_cases(all, 8);
    for (size_t i = 0; i < loaded; i++)
        if (all[i].scrypt_n < 100) small[n++] = all[i];
    Verifier *v = verifier();
    struct judge j[THREADS];
    pthread_t t[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        j[i] = (struct judge){.v = v, .cases = small, .n = n, .first = i};
        cr_assert_eq(pthread_create(&t[i], NULL, judge_main, &j[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(t[i], NULL), 0);
        cr_assert_eq(j[i].wrong, 0, "thread %u", i);
    }
    free_verifier(v);
}

/* ---- proving ---- */

static Proof *prove(const struct prove_case *c, const char *dir)
{
    return generate_proof(dir, c->challenge.b, config_of(c), c->nonces, 1, recommended_pow_flags());
}

/* With one thread the proof is the vector's, to the byte. */
Test(libpost_proofs, generates_the_vectors)
{
    struct prove_case all[8];
    const size_t n = load_cases(all, 8);
    Verifier *v = verifier(); /* keeps RandomX between the proofs */
    for (size_t i = 0; i < n; i++) {
        struct prove_case *c = &all[i];
        char dir[256];
        put_data(c, tmpdir_make(dir));
        Proof *p = prove(c, dir);
        cr_assert_not_null(p, "%s", c->name);
        cr_assert_eq(p->nonce, c->proof.nonce, "%s", c->name);
        cr_assert_eq(p->pow, c->proof.pow, "%s", c->name);
        cr_assert_eq(p->indices.len, c->proof.indices_n);
        cr_assert_geq(p->indices.cap, p->indices.len);
        cr_assert_arr_eq(p->indices.ptr, c->proof.indices, c->proof.indices_n, "%s", c->name);
        const ProofMetadata m = meta_of(c);
        cr_assert_eq(verify_proof(v, *p, &m, config_of(c), init_of(c)).tag, VerifyResult_Ok);
        free_proof(p);
        tmpdir_remove(dir);
    }
    free_verifier(v);
}

/* The network's nonce is the caller's business here: data without one can be proven. */
Test(libpost_proofs, data_without_a_vrf_nonce)
{
    const struct prove_case c = load_case("fastnet-like");
    char dir[256];
    put_data(&c, tmpdir_make(dir));
    const struct sm_metadata m = {.node_id = c.node_id,
                                  .commitment_atx_id = c.commitment_atx_id,
                                  .labels_per_unit = c.labels_per_unit,
                                  .num_units = c.num_units,
                                  .max_file_size = c.max_file_size};
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    Proof *p = prove(&c, dir);
    cr_assert_not_null(p);
    cr_assert_eq(p->nonce, c.proof.nonce);
    free_proof(p);
    tmpdir_remove(dir);
}

Test(libpost_proofs, proofs_that_cannot_be_made)
{
    const struct prove_case c = load_case("fastnet-like");
    const ProofConfig cfg = config_of(&c);
    const unsigned char *challenge = c.challenge.b;
    char dir[256];
    put_data(&c, tmpdir_make(dir));
    cr_assert_null(generate_proof(NULL, challenge, cfg, 16, 1, 0));
    cr_assert_null(generate_proof(dir, NULL, cfg, 16, 1, 0));
    cr_assert_null(generate_proof("\xff\xfe", challenge, cfg, 16, 1, 0), "no UTF-8");
    cr_assert_null(generate_proof("/nonexistent/data", challenge, cfg, 16, 1, 0));
    static const uintptr_t nonces[] = {0, 1, 15, 17, 4112, UINTPTR_MAX};
    for (size_t i = 0; i < sizeof nonces / sizeof nonces[0]; i++)
        cr_assert_null(generate_proof(dir, challenge, cfg, nonces[i], 1, 0), "%" PRIuPTR " nonces", nonces[i]);
    cr_assert_null(generate_proof(dir, challenge, cfg, 16, UINTPTR_MAX, 0));
    ProofConfig none = cfg;
    none.k2 = 0;
    cr_assert_null(generate_proof(dir, challenge, none, 16, 1, 0));
    none = cfg;
    none.k1 = UINT32_MAX;
    cr_assert_null(generate_proof(dir, challenge, none, 16, 1, 0), "more than there are labels");
    file_put(tmpdir_path(dir, "postdata_0.bin"), "short", 5);
    cr_assert_null(generate_proof(dir, challenge, cfg, 16, 1, 0));
    tmpdir_remove(dir);
}
