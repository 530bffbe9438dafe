/* Messages of the Register stream against the published bytes, cut, changed and out of order.
 * Values: vectors/postsvc-messages.json, post-service.md §11.1. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "postsvc/message.h"
#include "support/vectors.h"

#define PREFIX 5u

struct row {
    const json_t *json;
    uint8_t *grpc;
    size_t grpc_n;
    struct sm_slice body; /* without the prefix */
};

static void each_row(const char *type, void (*fn)(const struct row *r))
{
    json_t *file = vec_load("postsvc-messages.json");
    size_t i, seen = 0;
    const json_t *j;
    json_array_foreach(vec_get(file, "messages"), i, j)
    {
        if (strcmp(vec_str(j, "type"), type) != 0) continue;
        struct row r = {.json = j};
        r.grpc = vec_hex_var(j, "grpc_hex", &r.grpc_n);
        r.body = (struct sm_slice){r.grpc + PREFIX, r.grpc_n - PREFIX};
        cr_assert_eq(r.grpc[0], 0);
        cr_assert_eq(sm_be32_load(r.grpc + 1), r.body.n, "%s", vec_str(j, "name"));
        fn(&r);
        free(r.grpc);
        seen++;
    }
    cr_assert(seen > 0);
    json_decref(file);
}

static sm_post_kind kind_of(const json_t *j)
{
    const char *k = vec_str(j, "kind");
    return strcmp(k, "metadata") == 0 ? SM_POST_KIND_METADATA
           : strcmp(k, "none") == 0   ? SM_POST_KIND_NONE
                                      : SM_POST_KIND_GEN_PROOF;
}

static struct sm_post_info info_of(const json_t *meta)
{
    struct sm_post_info m = {.num_units = (uint32_t)vec_u64(meta, "num_units"),
                             .labels_per_unit = vec_u64(meta, "labels_per_unit")};
    vec_hex(meta, "node_id_hex", m.node_id.b, 32);
    vec_hex(meta, "commitment_atx_id_hex", m.commitment_atx_id.b, 32);
    m.has_nonce = !json_is_null(vec_get(meta, "nonce"));
    if (m.has_nonce) m.nonce = vec_u64(meta, "nonce");
    return m;
}

static void same_info(const struct sm_post_info *a, const struct sm_post_info *b)
{
    cr_assert_arr_eq(a->node_id.b, b->node_id.b, 32);
    cr_assert_arr_eq(a->commitment_atx_id.b, b->commitment_atx_id.b, 32);
    cr_assert_eq(a->has_nonce, b->has_nonce);
    cr_assert_eq(a->nonce, b->nonce);
    cr_assert_eq(a->num_units, b->num_units);
    cr_assert_eq(a->labels_per_unit, b->labels_per_unit);
}

/* ---- vectors ---- */

static void check_request(const struct row *r)
{
    struct sm_post_request got, want = {.kind = kind_of(r->json)};
    uint8_t bytes[SM_POST_REQUEST_ROOM];
    struct sm_errinfo ei = {0};
    if (want.kind == SM_POST_KIND_GEN_PROOF) {
        vec_hex(r->json, "challenge_hex", want.challenge.b, 32);
        want.challenge_n = 32;
    }
    cr_assert_eq(sm_post_request_decode(r->body, &got, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(got.kind, want.kind);
    cr_assert_eq(got.challenge_n, want.challenge_n);
    cr_assert_arr_eq(got.challenge.b, want.challenge.b, 32);
    cr_assert_eq(sm_post_request_encode(&want, bytes), r->body.n, "%s", vec_str(r->json, "name"));
    cr_assert_arr_eq(bytes, r->body.p, r->body.n, "%s", vec_str(r->json, "name"));
}

Test(post_message, requests_match_the_published_bytes)
{
    each_row("request", check_request);
}

static struct sm_post_response response_of(const json_t *j)
{
    struct sm_post_response w = {.kind = kind_of(j)};
    const json_t *proof = json_object_get(j, "proof"), *meta = json_object_get(j, "meta");
    if (w.kind == SM_POST_KIND_GEN_PROOF) w.status = (int)vec_u64(j, "status");
    if (meta) {
        w.has_info = true;
        w.info = info_of(meta);
    }
    if (proof) {
        size_t n;
        uint8_t *indices = vec_hex_var(proof, "indices_hex", &n);
        w.has_proof = w.has_challenge = true;
        w.proof.nonce = (uint32_t)vec_u64(proof, "nonce");
        w.proof.pow = vec_u64(proof, "pow");
        w.proof.indices_n = (uint32_t)n;
        memcpy(w.proof.indices, indices, n);
        vec_hex(j, "challenge_hex", w.challenge.b, 32);
        free(indices);
    }
    return w;
}

static void check_response(const struct row *r)
{
    const struct sm_post_response want = response_of(r->json);
    struct sm_post_response got;
    uint8_t bytes[SM_POST_RESPONSE_ROOM];
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_post_response_decode(r->body, &got, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(got.kind, want.kind);
    cr_assert_eq(got.status, want.status);
    cr_assert_eq(got.has_info, want.has_info);
    cr_assert_eq(got.has_proof, want.has_proof);
    cr_assert_eq(got.has_challenge, want.has_challenge);
    same_info(&got.info, &want.info);
    cr_assert_arr_eq(got.challenge.b, want.challenge.b, 32);
    cr_assert_eq(got.proof.nonce, want.proof.nonce);
    cr_assert_eq(got.proof.pow, want.proof.pow);
    cr_assert_eq(got.proof.indices_n, want.proof.indices_n);
    cr_assert_arr_eq(got.proof.indices, want.proof.indices, sizeof want.proof.indices);
    cr_assert_eq(sm_post_response_encode(&want, bytes), r->body.n, "%s", vec_str(r->json, "name"));
    cr_assert_arr_eq(bytes, r->body.p, r->body.n, "%s", vec_str(r->json, "name"));
}

Test(post_message, responses_match_the_published_bytes)
{
    each_row("response", check_response);
}

static void check_states(const struct row *r)
{
    struct sm_post_state_row rows[4];
    size_t n = 0, i, bytes_n = 0;
    uint8_t *bytes = NULL;
    const json_t *s;
    struct sm_errinfo ei = {0};
    json_array_foreach(vec_get(r->json, "states"), i, s)
    {
        rows[n].name = vec_str(s, "name");
        rows[n].state = (sm_post_state)vec_u64(s, "state");
        vec_hex(s, "id_hex", rows[n++].id.b, 32);
    }
    cr_assert_eq(sm_post_states_encode(rows, n, &bytes, &bytes_n, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(bytes_n, r->body.n);
    cr_assert_arr_eq(bytes, r->body.p, bytes_n);
    free(bytes);
}

Test(post_message, states_match_the_published_bytes)
{
    each_row("states", check_states);
}

Test(post_message, no_states_are_an_empty_message)
{
    uint8_t *bytes = NULL;
    size_t n = 99;
    cr_assert_eq(sm_post_states_encode(NULL, 0, &bytes, &n, NULL), SM_OK);
    cr_assert_eq(n, 0);
    cr_assert_not_null(bytes);
    free(bytes);
}

/* ---- what is not as expected ---- */

/* Every proper prefix is refused, or is a shorter message: nothing of the part that is missing appears. */
static void check_cut(const struct row *r)
{
    for (size_t n = 0; n < r->body.n; n++) {
        struct sm_post_response got;
        uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees a read behind the end */
        memcpy(exact, r->body.p, n);
        struct sm_errinfo ei = {0};
        if (sm_post_response_decode((struct sm_slice){exact, n}, &got, &ei) == SM_OK)
            cr_assert_eq(n, 0, "%s cut at %zu", vec_str(r->json, "name"), n);
        else
            cr_assert_neq(ei.text[0], '\0');
        free(exact);
    }
}

Test(post_message, a_response_that_is_cut_is_refused)
{
    each_row("response", check_cut);
}

static sm_err decode_hex(const char *hex, struct sm_post_response *out, struct sm_errinfo *ei)
{
    uint8_t bytes[512];
    const size_t n = strlen(hex) / 2;
    hex_to(hex, bytes, n);
    return sm_post_response_decode((struct sm_slice){bytes, n}, out, ei);
}

#define X32(b) b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b

Test(post_message, fields_come_in_any_order_and_new_ones_are_skipped)
{
    struct sm_post_response r;
    struct sm_errinfo ei = {0};
    /* labels_per_unit, units, nonce, a field 15 of bytes, commitment, node ID; a varint field 9 in the envelope */
    cr_assert_eq(decode_hex("4805"
                            "0a530a51"
                            "2880022004180c7a046d6f72651220" X32("cc") "0a20" X32("bb"),
                            &r, &ei),
                 SM_OK, "%s", ei.text);
    cr_assert_eq(r.kind, SM_POST_KIND_METADATA);
    cr_assert(r.has_info && r.info.has_nonce);
    cr_assert_eq(r.info.nonce, 12);
    cr_assert_eq(r.info.num_units, 4);
    cr_assert_eq(r.info.labels_per_unit, 256);
    cr_assert_eq(r.info.node_id.b[31], 0xbb);
    cr_assert_eq(r.info.commitment_atx_id.b[0], 0xcc);
}

Test(post_message, the_last_of_two_kinds_counts)
{
    struct sm_post_response r;
    cr_assert_eq(decode_hex("12020802"
                            "0a00",
                            &r, NULL),
                 SM_OK);
    cr_assert_eq(r.kind, SM_POST_KIND_METADATA);
    cr_assert_not(r.has_info);
    cr_assert_eq(decode_hex("0a00"
                            "12020802",
                            &r, NULL),
                 SM_OK);
    cr_assert_eq(r.kind, SM_POST_KIND_GEN_PROOF);
    cr_assert_eq(r.status, SM_POST_STATUS_ERROR);
}

Test(post_message, a_kind_that_we_do_not_know_is_none)
{
    struct sm_post_response r;
    struct sm_post_request q;
    cr_assert_eq(decode_hex("1a00", &r, NULL), SM_OK); /* the unmerged "interrupt" */
    cr_assert_eq(r.kind, SM_POST_KIND_NONE);
    cr_assert_eq(sm_post_request_decode((struct sm_slice){(const uint8_t *)"\x1a\x00", 2}, &q, NULL), SM_OK);
    cr_assert_eq(q.kind, SM_POST_KIND_NONE);
}

Test(post_message, a_status_that_we_do_not_know_is_kept_as_it_is)
{
    struct sm_post_response r;
    cr_assert_eq(decode_hex("12020877", &r, NULL), SM_OK);
    cr_assert_eq(r.status, 0x77);
}

Test(post_message, ids_of_another_length_are_refused_by_name)
{
    struct sm_post_response r;
    struct sm_errinfo ei = {0};
    cr_assert_eq(decode_hex("0a080a06"
                            "0a04bbbbbbbb",
                            &r, &ei),
                 SM_E_FORMAT);
    cr_assert(strstr(ei.text, "node_id") && strstr(ei.text, "4 bytes"), "%s", ei.text);
    cr_assert_eq(decode_hex("0a240a22"
                            "0a20" X32("bb"),
                            &r, &ei),
                 SM_E_FORMAT);
    cr_assert(strstr(ei.text, "commitment_atx_id"), "%s", ei.text);
    cr_assert_eq(decode_hex("120708011a030a01ca", &r, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "challenge"), "%s", ei.text);
    cr_assert_eq(decode_hex("1204"
                            "08011a00",
                            &r, &ei),
                 SM_E_FORMAT, "an empty challenge");
}

Test(post_message, a_challenge_of_another_length_reaches_the_caller_as_such)
{
    struct sm_post_request q;
    static const uint8_t five[] = {0x12, 7, 0x0a, 5, 1, 2, 3, 4, 5};
    static const struct sm_challenge zero;
    cr_assert_eq(sm_post_request_decode((struct sm_slice){five, sizeof five}, &q, NULL), SM_OK);
    cr_assert_eq(q.kind, SM_POST_KIND_GEN_PROOF);
    cr_assert_eq(q.challenge_n, 5);
    cr_assert_arr_eq(q.challenge.b, zero.b, 32);
    cr_assert_eq(sm_post_request_decode((struct sm_slice){five, 2}, &q, NULL), SM_E_FORMAT);
}

Test(post_message, the_longest_proof_fits_and_one_byte_more_does_not)
{
    struct sm_post_response w = {.kind = SM_POST_KIND_GEN_PROOF,
                                 .status = SM_POST_STATUS_OK,
                                 .has_proof = true,
                                 .has_challenge = true,
                                 .has_info = true},
                            r;
    uint8_t bytes[SM_POST_RESPONSE_ROOM], longer[900] = {0x12, 0, 0, 0x12, 0, 0, 0x12};
    w.proof = (struct sm_proof){.nonce = UINT32_MAX, .pow = UINT64_MAX, .indices_n = SM_PROOF_INDICES_MAX};
    memset(w.proof.indices, 0xee, sizeof w.proof.indices);
    w.info = (struct sm_post_info){
        .has_nonce = true, .nonce = UINT64_MAX, .num_units = UINT32_MAX, .labels_per_unit = UINT64_MAX};
    const size_t n = sm_post_response_encode(&w, bytes);
    cr_assert_eq(sm_post_response_decode((struct sm_slice){bytes, n}, &r, NULL), SM_OK);
    cr_assert_eq(r.proof.indices_n, SM_PROOF_INDICES_MAX);
    cr_assert_eq(r.proof.pow, UINT64_MAX);
    cr_assert_eq(r.info.nonce, UINT64_MAX);
    /* gen_proof { proof { indices: 801 bytes } } */
    const uint32_t indices = SM_PROOF_INDICES_MAX + 1, inner = indices + 3, outer = inner + 3;
    const uint8_t head[] = {0x12, 0x80 | (outer & 127),   (uint8_t)(outer >> 7),
                            0x12, 0x80 | (inner & 127),   (uint8_t)(inner >> 7),
                            0x12, 0x80 | (indices & 127), (uint8_t)(indices >> 7)};
    memcpy(longer, head, sizeof head);
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_post_response_decode((struct sm_slice){longer, sizeof head + indices}, &r, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "801"), "%s", ei.text);
}

Test(post_message, a_message_beyond_the_limit_is_refused_unread)
{
    uint8_t *big = calloc(1, SM_POST_MESSAGE_MAX + 1);
    struct sm_post_request q;
    struct sm_post_response r;
    /* field 15, bytes, filling all of it: valid but for its size */
    big[0] = 0x7a;
    big[1] = 0x80 | ((SM_POST_MESSAGE_MAX - 3) & 127);
    big[2] = 0x80 | ((SM_POST_MESSAGE_MAX - 3) >> 7 & 127);
    big[3] = (uint8_t)((SM_POST_MESSAGE_MAX - 3) >> 14);
    cr_assert_eq(sm_post_request_decode((struct sm_slice){big, SM_POST_MESSAGE_MAX + 1}, &q, NULL), SM_E_FORMAT);
    cr_assert_eq(sm_post_response_decode((struct sm_slice){big, SM_POST_MESSAGE_MAX + 1}, &r, NULL), SM_E_FORMAT);
    big[1] = 0x80 | ((SM_POST_MESSAGE_MAX - 4) & 127);
    big[2] = 0x80 | ((SM_POST_MESSAGE_MAX - 4) >> 7 & 127);
    big[3] = (uint8_t)((SM_POST_MESSAGE_MAX - 4) >> 14);
    cr_assert_eq(sm_post_request_decode((struct sm_slice){big, SM_POST_MESSAGE_MAX}, &q, NULL), SM_OK);
    free(big);
}

/* Whatever is accepted after random changes encodes and decodes to the same value again. */
static unsigned seed;

static void check_changed(const struct row *r)
{
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[512], first[SM_POST_RESPONSE_ROOM], again[SM_POST_RESPONSE_ROOM];
        struct sm_post_response a, b;
        memcpy(bytes, r->body.p, r->body.n);
        for (int k = rand_r(&seed) % 3; r->body.n && k >= 0; k--)
            bytes[(size_t)rand_r(&seed) % r->body.n] = (uint8_t)rand_r(&seed);
        if (sm_post_response_decode((struct sm_slice){bytes, r->body.n}, &a, NULL) != SM_OK) continue;
        const size_t n = sm_post_response_encode(&a, first);
        cr_assert_eq(sm_post_response_decode((struct sm_slice){first, n}, &b, NULL), SM_OK);
        cr_assert_eq(sm_post_response_encode(&b, again), n);
        cr_assert_arr_eq(first, again, n);
    }
}

Test(post_message, changed_responses_are_refused_or_stay_what_they_are)
{
    seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    each_row("response", check_changed);
}
