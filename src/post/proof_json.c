#include "post/proof.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* jansson has no unsigned 64-bit integers, and the pow of somebody else's proof may use all 64 bits (post.md §6.2). An
 * integer that could be too long for it is handed over as a string that starts with this mark. */
#define MARK_TEXT   "\\u0001"
#define MARK_CHAR   '\001'
#define MARK_DIGITS 19u /* of INT64_MAX */

/* ---- encoding ---- */

static void encode_proof(const struct sm_proof *p, char *out, size_t room)
{
    char indices[SM_BASE64_ROOM(SM_PROOF_INDICES_MAX)];
    (void)snprintf(out, room, "{\"nonce\":%" PRIu32 ",\"indices\":\"%s\",\"pow\":%" PRIu64 "}", p->nonce,
                   sm_base64_encode(p->indices, p->indices_n, indices), p->pow);
}

static void encode_meta(const struct sm_proof_meta *m, char *out, size_t room)
{
    char node_id[SM_BASE64_ROOM(32)], atx_id[SM_BASE64_ROOM(32)], challenge[SM_BASE64_ROOM(32)], labels[64] = "";
    if (m->labels_per_unit) (void)snprintf(labels, sizeof labels, ",\"labels_per_unit\":%" PRIu64, m->labels_per_unit);
    (void)snprintf(out, room,
                   "{\"node_id\":\"%s\",\"commitment_atx_id\":\"%s\",\"challenge\":\"%s\",\"num_units\":%" PRIu32 "%s}",
                   sm_base64_encode(m->node_id.b, 32, node_id), sm_base64_encode(m->commitment_atx_id.b, 32, atx_id),
                   sm_base64_encode(m->challenge.b, 32, challenge), m->num_units, labels);
}

sm_err sm_proof_encode_json(const struct sm_proof *p, const struct sm_proof_meta *meta, char **out,
                            struct sm_errinfo *ei)
{
    char proof[SM_BASE64_ROOM(SM_PROOF_INDICES_MAX) + 128], metadata[512];
    if (p->indices_n > SM_PROOF_INDICES_MAX)
        return sm_fail(ei, SM_E_ARG, "proof with %" PRIu32 " bytes of indices, at most %u", p->indices_n,
                       SM_PROOF_INDICES_MAX);
    encode_proof(p, proof, sizeof proof);
    char *text = NULL;
    int n;
    if (meta) {
        encode_meta(meta, metadata, sizeof metadata);
        n = asprintf(&text, "{\"proof\":%s,\"metadata\":%s}", proof, metadata);
    } else {
        n = asprintf(&text, "%s", proof);
    }
    if (n < 0) return sm_fail(ei, SM_E_NOMEM, "out of memory writing a proof");
    *out = text;
    return SM_OK;
}

/* ---- decoding ---- */

struct reader {
    const char *where;
    struct sm_errinfo *ei;
    bool marked; /* strings with the mark are integers; false when the text itself spells the mark */
};

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static bool before_colon(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p < end && *p == ':';
}

/* Length of the number token at `p`; *out_long when it is an integer that may exceed 2^63 - 1. A number in the place of a
 * member's name is none: marking would make it good JSON. */
static size_t number_token(const char *p, const char *end, bool *out_long)
{
    size_t n = 0;
    bool digits = true;
    for (; p + n < end && is_number_char(p[n]); n++) digits = digits && p[n] >= '0' && p[n] <= '9';
    *out_long = digits && n >= MARK_DIGITS && p[0] != '0' && !before_colon(p + n, end);
    return n;
}

/* A copy with long integers marked. */
static char *mark_long_integers(const char *text, size_t n, size_t *out_n)
{
    char *copy = malloc(n + (n / MARK_DIGITS + 1) * (sizeof MARK_TEXT + 2) + 1);
    if (!copy) return NULL;
    char *to = copy;
    bool in_string = false;
    for (const char *p = text, *end = text + n; p < end;) {
        bool is_long = false;
        const size_t token = in_string ? 0 : number_token(p, end, &is_long);
        if (is_long) {
            to = mempcpy(to, "\"" MARK_TEXT, sizeof MARK_TEXT);
            to = mempcpy(to, p, token);
            *to++ = '"';
            p += token;
        } else if (token) {
            to = mempcpy(to, p, token);
            p += token;
        } else {
            if (*p == '"') in_string = !in_string;
            if (*p == '\\' && in_string && p + 1 < end) *to++ = *p++;
            *to++ = *p++;
        }
    }
    *out_n = (size_t)(to - copy);
    return copy;
}

static sm_err get_member(const struct reader *r, const json_t *obj, const char *key, const json_t **out)
{
    *out = json_object_get(obj, key);
    return *out ? SM_OK : sm_fail(r->ei, SM_E_FORMAT, "%s: member \"%s\" is missing", r->where, key);
}

static bool parse_marked(const struct reader *r, const json_t *v, uint64_t *out)
{
    const char *s = r->marked ? json_string_value(v) : NULL;
    if (!s || *s != MARK_CHAR) return false;
    uint64_t sum = 0;
    for (s++; *s; s++)
        if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, (uint64_t)(*s - '0'), &sum))
            return false;
    *out = sum;
    return true;
}

static bool as_uint(const struct reader *r, const json_t *v, uint64_t *out)
{
    if (!json_is_integer(v)) return parse_marked(r, v, out);
    if (json_integer_value(v) < 0) return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static sm_err get_uint(const struct reader *r, const json_t *obj, const char *key, uint64_t max, uint64_t *out)
{
    const json_t *v;
    sm_err err = get_member(r, obj, key, &v);
    if (err) return err;
    uint64_t n;
    if (!as_uint(r, v, &n) || n > max)
        return sm_fail(r->ei, SM_E_FORMAT, "%s: member \"%s\" is not an integer from 0 to %" PRIu64, r->where, key,
                       max);
    *out = n;
    return SM_OK;
}

static sm_err get_text(const struct reader *r, const json_t *obj, const char *key, const char **out)
{
    const json_t *v;
    sm_err err = get_member(r, obj, key, &v);
    if (err) return err;
    if (!json_is_string(v) || (r->marked && json_string_value(v)[0] == MARK_CHAR))
        return sm_fail(r->ei, SM_E_FORMAT, "%s: member \"%s\" is not a string", r->where, key);
    *out = json_string_value(v);
    return SM_OK;
}

static sm_err get_id(const struct reader *r, const json_t *obj, const char *key, uint8_t out[32])
{
    const char *text;
    char what[256];
    sm_err err = get_text(r, obj, key, &text);
    if (err) return err;
    (void)snprintf(what, sizeof what, "%s: member \"%s\"", r->where, key);
    return sm_base64_decode(text, what, out, 32, r->ei);
}

static sm_err decode_proof(const struct reader *r, const json_t *obj, struct sm_proof *out)
{
    const char *indices;
    char what[256];
    uint64_t nonce;
    size_t n;
    sm_err err = get_uint(r, obj, "nonce", UINT32_MAX, &nonce);
    if (!err) err = get_uint(r, obj, "pow", UINT64_MAX, &out->pow);
    if (!err) err = get_text(r, obj, "indices", &indices);
    if (err) return err;
    (void)snprintf(what, sizeof what, "%s: member \"indices\"", r->where);
    err = sm_base64_decode_var(indices, what, out->indices, sizeof out->indices, &n, r->ei);
    if (err) return err;
    out->nonce = (uint32_t)nonce;
    out->indices_n = (uint32_t)n;
    return SM_OK;
}

static sm_err decode_meta(const struct reader *r, const json_t *obj, struct sm_proof_meta *out)
{
    uint64_t units;
    sm_err err = get_id(r, obj, "node_id", out->node_id.b);
    if (!err) err = get_id(r, obj, "commitment_atx_id", out->commitment_atx_id.b);
    if (!err) err = get_id(r, obj, "challenge", out->challenge.b);
    if (!err) err = get_uint(r, obj, "num_units", UINT32_MAX, &units);
    if (!err && json_object_get(obj, "labels_per_unit"))
        err = get_uint(r, obj, "labels_per_unit", UINT64_MAX, &out->labels_per_unit);
    if (err) return err;
    out->num_units = (uint32_t)units;
    return SM_OK;
}

static sm_err parse(struct reader *r, const char *text, size_t n, json_t **out)
{
    if (n > SM_PROOF_JSON_MAX)
        return sm_fail(r->ei, SM_E_FORMAT, "%s: %zu bytes, a proof has at most %u", r->where, n, SM_PROOF_JSON_MAX);
    char *copy = NULL;
    r->marked = memmem(text, n, MARK_TEXT, sizeof MARK_TEXT - 1) == NULL;
    if (r->marked) {
        copy = mark_long_integers(text, n, &n);
        if (!copy) return sm_fail(r->ei, SM_E_NOMEM, "%s: out of memory", r->where);
    }
    json_error_t e;
    *out = json_loadb(copy ? copy : text, n, JSON_REJECT_DUPLICATES, &e);
    free(copy);
    if (!*out) return sm_fail(r->ei, SM_E_FORMAT, "%s: line %d: %s", r->where, e.line, e.text);
    return SM_OK;
}

sm_err sm_proof_decode_json(const char *text, size_t n, const char *where, struct sm_proof *out,
                            struct sm_proof_meta *out_meta, bool *out_has_meta, struct sm_errinfo *ei)
{
    struct reader r = {.where = where, .ei = ei};
    struct sm_proof proof = {0};
    struct sm_proof_meta meta = {0};
    json_t *root = NULL;
    sm_err err = parse(&r, text, n, &root);
    if (err) return err;
    const json_t *document = json_object_get(root, "proof");
    const json_t *metadata = document ? json_object_get(root, "metadata") : NULL;
    err = decode_proof(&r, document ? document : root, &proof);
    if (!err && metadata) err = decode_meta(&r, metadata, &meta);
    json_decref(root);
    if (err) return err;
    *out = proof;
    if (metadata) *out_meta = meta;
    *out_has_meta = metadata != NULL;
    return SM_OK;
}
