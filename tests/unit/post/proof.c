/* Index compression and the proof's JSON. Values: post.md §5.9, vectors/post_proofs.json. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "post/proof.h"
#include "support/vectors.h"
#include "util/text.h"

Test(indices, bits_and_bytes_match_the_spec)
{
    static const struct {
        uint64_t labels;
        unsigned bits;
    } rows[] = {
        {0, 0},
        {1, 1},
        {2, 2},
        {3, 2},
        {4, 3},
        {2048, 12},
        {UINT64_C(1) << 19, 20},
        {UINT64_C(1) << 34, 35},
        {(UINT64_C(1) << 63) - 1, 63},
        {UINT64_C(1) << 63, 64},
        {UINT64_MAX, 64},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(sm_index_bits(rows[i].labels), rows[i].bits, "%lu", rows[i].labels);
    cr_assert_eq(sm_indices_bytes(UINT64_C(4) << 32, 37), 162);
    cr_assert_eq(sm_indices_bytes(UINT64_C(10) << 32, 37), 167);
    cr_assert_eq(sm_indices_bytes(UINT64_C(100) << 32, 37), 181);
    cr_assert_eq(sm_indices_bytes(0, 37), 0);
    cr_assert_eq(sm_indices_bytes(UINT64_MAX, UINT32_MAX), UINT64_C(8) * UINT32_MAX);
}

Test(indices, pack_matches_the_spec)
{
    static const uint64_t in[4] = {0, 0xfff5, 0, 0xff0f};
    uint8_t out[8];
    sm_indices_pack(in, 4, 3, out);
    cr_assert_arr_eq(out, ((uint8_t[]){0x28, 0x0e}), 2);
    sm_indices_pack(in, 4, 16, out);
    cr_assert_arr_eq(out, ((uint8_t[]){0x00, 0x00, 0xf5, 0xff, 0x00, 0x00, 0x0f, 0xff}), 8);
}

Test(indices, vectors_pack_and_unpack)
{
    json_t *file = vec_load("post_proofs.json");
    size_t i, k;
    json_t *p, *v;
    json_array_foreach(file, i, p)
    {
        const json_t *list = vec_get(p, "indices"), *proof = vec_get(p, "proof");
        const size_t n = json_array_size(list);
        const unsigned bits = sm_index_bits(vec_u64(p, "num_labels"));
        uint64_t want[SM_K2_MAX], got[SM_K2_MAX];
        uint8_t packed[SM_PROOF_INDICES_MAX];
        size_t bytes_n;
        uint8_t *bytes = vec_hex_var(proof, "indices_hex", &bytes_n);
        json_array_foreach(list, k, v) want[k] = (uint64_t)json_integer_value(v);
        cr_assert_eq(bits, vec_u64(p, "bits_per_index"));
        cr_assert_eq(bytes_n, sm_indices_bytes(vec_u64(p, "num_labels"), (uint32_t)n));
        sm_indices_pack(want, n, bits, packed);
        cr_assert_arr_eq(packed, bytes, bytes_n);
        cr_assert_eq(sm_indices_unpack(bytes, bytes_n, bits, n, got, NULL), SM_OK);
        cr_assert_arr_eq(got, want, n * sizeof *got);
        cr_assert_eq(sm_indices_unpack(bytes, bytes_n - 1, bits, n, got, NULL), SM_E_FORMAT);
        free(bytes);
    }
    json_decref(file);
}

Test(indices, round_trip_at_every_width)
{
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (unsigned bits = 0; bits <= 64; bits++) {
        const size_t n = 1 + (size_t)rand() % 40, bytes = (bits * n + 7) / 8;
        const uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        uint64_t in[40], out[40];
        uint8_t *packed = malloc(bytes + 1); /* exact, so that ASan sees any excess */
        for (size_t i = 0; i < n; i++) in[i] = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
        packed[bytes] = 0xa5;
        sm_indices_pack(in, n, bits, packed);
        cr_assert_eq(packed[bytes], 0xa5);
        cr_assert_eq(sm_indices_unpack(packed, bytes, bits, n, out, NULL), SM_OK);
        for (size_t i = 0; i < n; i++) cr_assert_eq(out[i], in[i] & mask, "seed %u bits %u index %zu", seed, bits, i);
        if (bytes) cr_assert_eq(sm_indices_unpack(packed, bytes - 1, bits, n, out, NULL), SM_E_FORMAT);
        free(packed);
    }
    uint64_t out[1];
    cr_assert_eq(sm_indices_unpack((const uint8_t *)"", 0, 64, SIZE_MAX, out, NULL), SM_E_FORMAT, "no overflow");
    cr_assert_eq(sm_indices_unpack((const uint8_t *)"", 0, 65, 1, out, NULL), SM_E_ARG);
}

static struct sm_proof_meta some_meta(void)
{
    struct sm_proof_meta m = {.num_units = 4, .labels_per_unit = UINT64_MAX};
    for (unsigned i = 0; i < 32; i++) {
        m.node_id.b[i] = (uint8_t)(251 * i);
        m.commitment_atx_id.b[i] = (uint8_t)(i + 100);
        m.challenge.b[i] = (uint8_t)~i;
    }
    return m;
}

Test(json, round_trip_of_extremes)
{
    struct sm_proof p = {.nonce = UINT32_MAX, .pow = UINT64_MAX, .indices_n = SM_PROOF_INDICES_MAX}, q;
    for (unsigned i = 0; i < p.indices_n; i++) p.indices[i] = (uint8_t)(i * 7);
    const struct sm_proof_meta m = some_meta();
    struct sm_proof_meta got = {0};
    struct sm_errinfo ei = {0};
    bool has = false;
    char *text = NULL;
    cr_assert_eq(sm_proof_encode_json(&p, &m, &text, &ei), SM_OK);
    cr_assert_eq(sm_proof_decode_json(text, strlen(text), "x", &q, &got, &has, &ei), SM_OK, "%s", ei.text);
    cr_assert(has);
    cr_assert_eq(memcmp(&p, &q, sizeof p), 0);
    cr_assert_eq(memcmp(&m, &got, sizeof m), 0);
    free(text);

    p.indices_n = 0, p.pow = 0, p.nonce = 0;
    cr_assert_eq(sm_proof_encode_json(&p, NULL, &text, &ei), SM_OK);
    cr_assert_str_eq(text, "{\"nonce\":0,\"indices\":\"\",\"pow\":0}");
    cr_assert_eq(sm_proof_decode_json(text, strlen(text), "x", &q, &got, &has, &ei), SM_OK, "%s", ei.text);
    cr_assert_not(has);
    cr_assert_eq(q.indices_n, 0);
    free(text);
    p.indices_n = SM_PROOF_INDICES_MAX + 1;
    cr_assert_eq(sm_proof_encode_json(&p, NULL, &text, &ei), SM_E_ARG);
}

Test(json, vectors_decode)
{
    json_t *file = vec_load("post_proofs.json");
    size_t i;
    json_t *p;
    json_array_foreach(file, i, p)
    {
        const json_t *proof = vec_get(p, "proof");
        char text[4096];
        size_t bytes_n;
        uint8_t *bytes = vec_hex_var(proof, "indices_hex", &bytes_n);
        (void)snprintf(text, sizeof text, "{\"pow\": %lu, \"indices\": \"%s\",\n\"nonce\": %lu, \"more\": [1, {}]}",
                       vec_u64(proof, "pow"), vec_str(proof, "indices_base64"), vec_u64(proof, "nonce"));
        struct sm_proof got;
        bool has;
        cr_assert_eq(sm_proof_decode_json(text, strlen(text), "x", &got, NULL, &has, NULL), SM_OK);
        cr_assert_eq(got.nonce, vec_u64(proof, "nonce"));
        cr_assert_eq(got.pow, vec_u64(proof, "pow"));
        cr_assert_eq(got.indices_n, bytes_n);
        cr_assert_arr_eq(got.indices, bytes, bytes_n);
        free(bytes);
    }
    json_decref(file);
}

/* 32 zero bytes in base64 */
#define Z                          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define PROOF(nonce, indices, pow) "{\"nonce\":" nonce ",\"indices\":" indices ",\"pow\":" pow "}"
#define META(id, units, more) \
    "{\"node_id\":" id ",\"commitment_atx_id\":\"" Z "\",\"challenge\":\"" Z "\",\"num_units\":" units more "}"
#define DOC(proof, meta) "{\"proof\":" proof ",\"metadata\":" meta "}"
#define GOOD             PROOF("1", "\"AA==\"", "2")

Test(json, bad_texts_are_refused_by_name)
{
    static const struct {
        const char *text, *names;
    } rows[] = {
        {"", ""},
        {"null", ""},
        {"5", ""},
        {"[]", "nonce"},
        {"{}", "nonce"},
        {GOOD "x", ""},
        {"\xef\xbb\xbf" GOOD, ""},
        {PROOF("-1", "\"AA==\"", "2"), "nonce"},
        {PROOF("1.0", "\"AA==\"", "2"), "nonce"},
        {PROOF("\"1\"", "\"AA==\"", "2"), "nonce"},
        {PROOF("true", "\"AA==\"", "2"), "nonce"},
        {PROOF("4294967296", "\"AA==\"", "2"), "nonce"},
        {PROOF("18446744073709551615", "\"AA==\"", "2"), "nonce"},
        {PROOF("1", "\"AA==\"", "18446744073709551616"), "pow"},
        {PROOF("1", "\"AA==\"", "99999999999999999999999999999999999999999"), "pow"},
        {PROOF("1", "\"AA==\"", "-9223372036854775809"), ""},
        {PROOF("1", "\"AA==\"", "00000000000000000001"), ""},
        {PROOF("1", "\"AA==\"", "1e3"), "pow"},
        {PROOF("1", "\"AA==\"", "\"\\u00012\""), "pow"},
        {PROOF("1", "\"AA==\"", "null"), "pow"},
        {"{\"nonce\":1,\"indices\":\"AA==\",\"pow\":2,18446744073709551615 :3}", ""},
        {"18446744073709551615", ""},
        {PROOF("1", "7", "2"), "indices"},
        {PROOF("1", "null", "2"), "indices"},
        {PROOF("1", "[0, 1]", "2"), "indices"},
        {PROOF("1", "12345678901234567890", "2"), "indices"},
        {PROOF("1", "\"AA=\"", "2"), "indices"},
        {PROOF("1", "\"AA\"", "2"), "indices"},
        {PROOF("1", "\"A-==\"", "2"), "indices"},
        {PROOF("1", "\"AA==\\u0000\"", "2"), ""},
        {PROOF("1", "\"AA==\\n\"", "2"), "indices"},
        {"{\"nonce\":1,\"nonce\":1,\"indices\":\"AA==\",\"pow\":2}", "uplicate"},
        {"{\"proof\":7}", "nonce"},
        {DOC(GOOD, "7"), "node_id"},
        {DOC(GOOD, "{}"), "node_id"},
        {DOC(GOOD, META("\"" Z "\"", "4294967296", "")), "num_units"},
        {DOC(GOOD, META("\"" Z "\"", "-1", "")), "num_units"},
        {DOC(GOOD, META("\"AA==\"", "4", "")), "node_id"},
        {DOC(GOOD, META("\"" Z Z "\"", "4", "")), "node_id"},
        {DOC(GOOD, META("\"" Z "\"", "4", ",\"labels_per_unit\":null")), "labels_per_unit"},
        {DOC(GOOD, META("\"" Z "\"", "4", ",\"labels_per_unit\":18446744073709551616")), "labels_per_unit"},
        {DOC("{\"nonce\":1}", META("\"" Z "\"", "4", "")), "pow"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sm_errinfo ei = {0};
        struct sm_proof p = {.nonce = 77};
        struct sm_proof_meta m = {.num_units = 77};
        bool has = true;
        cr_assert_eq(sm_proof_decode_json(rows[i].text, strlen(rows[i].text), "file.json", &p, &m, &has, &ei),
                     SM_E_FORMAT, "%s", rows[i].text);
        cr_assert(strstr(ei.text, "file.json") == ei.text, "%s", ei.text);
        cr_assert(strstr(ei.text, rows[i].names), "%s: %s", rows[i].text, ei.text);
        cr_assert_eq(p.nonce, 77, "nothing is written on failure");
        cr_assert_eq(m.num_units, 77);
    }
}

Test(json, odd_but_good_texts_are_taken)
{
    static const struct {
        const char *text;
        uint64_t pow;
    } rows[] = {
        {PROOF("1", "\"AA==\"", "9223372036854775807"), INT64_MAX},
        {PROOF("1", "\"AA==\"", "9223372036854775808"), UINT64_C(1) << 63},
        {PROOF("1", "\"AA==\"", "18446744073709551615"), UINT64_MAX},
        {"{\"a\\\\\\\"18446744073709551615\":[1234567890123456789012,1e5,-2.5],\"nonce\":1,\"indices\":\"A\\u0041==\","
         "\"pow\":3}",
         3},
        {" \n\t" PROOF(" 1 ", " \"\\/\\/8=\" ", " 4 ") "\n", 4},
        {DOC(GOOD, META("\"" Z "\"", "0", ",\"labels_per_unit\":0")), 2},
        {DOC(GOOD, META("\"" Z "\"", "4294967295", ",\"labels_per_unit\":18446744073709551615,\"x\":null")), 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sm_errinfo ei = {0};
        struct sm_proof p;
        struct sm_proof_meta m;
        bool has;
        cr_assert_eq(sm_proof_decode_json(rows[i].text, strlen(rows[i].text), "x", &p, &m, &has, &ei), SM_OK, "%s: %s",
                     rows[i].text, ei.text);
        cr_assert_eq(p.pow, rows[i].pow);
    }
}

Test(json, sizes_are_bounded)
{
    struct sm_errinfo ei = {0};
    struct sm_proof p;
    bool has;
    char *big = malloc(SM_PROOF_JSON_MAX + 1);
    memset(big, ' ', SM_PROOF_JSON_MAX + 1);
    cr_assert_eq(sm_proof_decode_json(big, SM_PROOF_JSON_MAX + 1, "x", &p, NULL, &has, &ei), SM_E_FORMAT);
    memset(big, '[', SM_PROOF_JSON_MAX);
    cr_assert_eq(sm_proof_decode_json(big, SM_PROOF_JSON_MAX, "x", &p, NULL, &has, &ei), SM_E_FORMAT);
    memset(big, '9', SM_PROOF_JSON_MAX);
    cr_assert_eq(sm_proof_decode_json(big, SM_PROOF_JSON_MAX, "x", &p, NULL, &has, &ei), SM_E_FORMAT);

    /* 801 bytes of indices are one too many, 800 are not */
    uint8_t raw[SM_PROOF_INDICES_MAX + 1] = {0};
    char b64[SM_BASE64_ROOM(sizeof raw)];
    for (unsigned n = 0; n < 2; n++) {
        const int len = snprintf(big, SM_PROOF_JSON_MAX, PROOF("1", "\"%s\"", "2"),
                                 sm_base64_encode(raw, SM_PROOF_INDICES_MAX + n, b64));
        cr_assert_eq(sm_proof_decode_json(big, (size_t)len, "x", &p, NULL, &has, &ei), n ? SM_E_FORMAT : SM_OK);
    }
    free(big);
}
