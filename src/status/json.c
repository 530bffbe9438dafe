#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status/fields.h"
#include "status/format.h"
#include "status/utf8.h"
#include "util/text.h"

/* ---- the reference's /status ---- */

char *sm_status_reference(const struct sm_status_identity *id, char out[SM_STATUS_REFERENCE_ROOM])
{
    const char *fixed = NULL;
    switch (id->phase) {
    case SM_STATUS_IDLE:
        fixed = "\"Idle\"";
        break;
    case SM_STATUS_DONE:
        fixed = id->last_fetched ? "\"Idle\"" : "\"DoneProving\"";
        break;
    case SM_STATUS_FAILED:
        fixed = "\"DoneProving\"";
        break;
    default:
        break;
    }
    if (fixed) {
        (void)snprintf(out, SM_STATUS_REFERENCE_ROOM, "%s", fixed);
        return out;
    }
    const bool reads = id->phase == SM_STATUS_READING || id->phase == SM_STATUS_VERIFYING;
    (void)snprintf(out, SM_STATUS_REFERENCE_ROOM,
                   "{\"Proving\":{\"nonces\":{\"start\":%" PRIu32 ",\"end\":%" PRIu32 "},\"position\":%" PRIu64 "}}",
                   id->nonce_first, id->nonce_end, reads ? id->bytes_done : UINT64_C(0));
    return out;
}

static sm_err no_memory(struct sm_errinfo *ei)
{
    return sm_fail(ei, SM_E_NOMEM, "not enough memory for the status document");
}

sm_err sm_status_format_reference(const struct sm_status_snapshot *s, char **out, size_t *out_n, struct sm_errinfo *ei)
{
    char body[SM_STATUS_REFERENCE_ROOM], hex[SM_HEX_ROOM(sizeof(struct sm_node_id))];
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return no_memory(ei);
    if (s->identities_n == 1) {
        (void)fputs(sm_status_reference(&s->identities[0], body), f);
    } else {
        (void)fputc('{', f);
        for (size_t i = 0; i < s->identities_n; i++) {
            const struct sm_status_identity *id = &s->identities[i];
            (void)fprintf(f, "%s\"%s\":%s", i ? "," : "", sm_hex_encode(id->node_id.b, sizeof id->node_id.b, hex),
                          sm_status_reference(id, body));
        }
        (void)fputc('}', f);
    }
    const bool bad = ferror(f) != 0;
    if (fclose(f) || bad) {
        free(text);
        return no_memory(ei);
    }
    *out = text;
    *out_n = n;
    return SM_OK;
}

/* ---- /v1/status ---- */

static json_t *text_json(const char *text)
{
    char clean[SM_UTF8_ROOM(SM_STATUS_PATH_ROOM)];
    return json_string(sm_utf8_clean(text, clean, sizeof clean));
}

static json_t *real_json(double v)
{
    return json_real(isfinite(v) ? v : 0);
}

static json_t *u64_json(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *hex_json(const uint8_t *p)
{
    char hex[SM_HEX_ROOM(32)];
    return json_string(sm_hex_encode(p, 32, hex));
}

static json_t *rate_json(const struct sm_status_rate *r)
{
    return json_pack("{s:o, s:o, s:o}", sm_fields_rate[0], real_json(r->s10), sm_fields_rate[1], real_json(r->s60),
                     sm_fields_rate[2], real_json(r->s900));
}

static json_t *names_json(const char *names, size_t n, size_t room)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n && i < SM_STATUS_DISKS_MAX; i++) {
        if (json_array_append_new(a, text_json(names + i * room))) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *value_json(const struct sm_field *f, const char *row)
{
    const void *at = row + f->offset, *flag = row + f->flag;
    switch (f->kind) {
    case SM_FIELD_TEXT:
        return text_json(at);
    case SM_FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case SM_FIELD_U32:
        return json_integer(*(const uint32_t *)at);
    case SM_FIELD_U64:
        return u64_json(*(const uint64_t *)at);
    case SM_FIELD_TIME:
        return *(const int64_t *)at ? json_integer(*(const int64_t *)at) : json_null();
    case SM_FIELD_SPEED:
        return real_json(*(const double *)at);
    case SM_FIELD_KNOWN:
        return *(const double *)at >= 0 ? real_json(*(const double *)at) : json_null();
    case SM_FIELD_RATE:
        return rate_json(at);
    case SM_FIELD_HEX32:
        return hex_json(at);
    case SM_FIELD_MAYBE:
        return *(const bool *)flag ? hex_json(at) : json_null();
    case SM_FIELD_PHASE:
        return json_string(sm_status_phase_name(*(const sm_status_phase *)at));
    case SM_FIELD_LINK:
        return json_string(sm_status_link_name(*(const sm_status_link *)at));
    case SM_FIELD_NAMES:
        return names_json(at, *(const size_t *)flag, f->room);
    }
    return NULL;
}

/* False: memory. */
static bool put_row(json_t *object, const struct sm_field *fields, const void *row)
{
    for (const struct sm_field *f = fields; f->key; f++) {
        json_t *in = f->group ? json_object_get(object, f->group) : object;
        if (!in) {
            in = json_object();
            if (json_object_set_new(object, f->group, in)) return false;
        }
        if (json_object_set_new(in, f->key, value_json(f, row))) return false;
    }
    return true;
}

/* What follows from the other members, for those who do not want to compute. */
static bool put_derived(json_t *object, const struct sm_status_identity *id, int64_t now_unix_s)
{
    const double percent = sm_status_percent(id), end = (double)now_unix_s + id->eta_s;
    const bool has_end = id->eta_s >= 0 && end < 9e15;
    return json_object_set_new(object, "percent", percent >= 0 ? real_json(percent) : json_null()) == 0 &&
           json_object_set_new(object, "estimated_end_unix_s", has_end ? json_integer((json_int_t)end) : json_null()) ==
               0;
}

struct rows {
    const char *key;
    const struct sm_field *fields;
    const void *first;
    size_t n, size;
};

static bool put_rows(json_t *document, const struct rows *r, int64_t now_unix_s)
{
    json_t *array = json_array();
    if (json_object_set_new(document, r->key, array)) return false;
    for (size_t i = 0; i < r->n; i++) {
        const void *row = (const char *)r->first + i * r->size;
        json_t *object = json_object();
        if (json_array_append_new(array, object) || !put_row(object, r->fields, row)) return false;
        if (r->fields == sm_fields_identity && !put_derived(object, row, now_unix_s)) return false;
    }
    return true;
}

static bool put_document(json_t *document, const struct sm_status_snapshot *s)
{
    const struct rows all[] = {
        {"identities", sm_fields_identity, s->identities, s->identities_n, sizeof *s->identities},
        {"devices", sm_fields_device, s->devices, s->devices_n, sizeof *s->devices},
        {"disks", sm_fields_disk, s->disks, s->disks_n, sizeof *s->disks},
        {"skipped", sm_fields_skipped, s->skipped, s->skipped_n, sizeof *s->skipped},
        {"errors", sm_fields_error, s->errors, s->errors_n, sizeof *s->errors},
    };
    if (json_object_set_new(document, "schema", json_integer(SM_STATUS_SCHEMA))) return false;
    if (!put_row(document, sm_fields_rig, s)) return false;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!put_rows(document, &all[i], s->now_unix_s)) return false;
    }
    return true;
}

sm_err sm_status_format_json(const struct sm_status_snapshot *s, char **out, size_t *out_n, struct sm_errinfo *ei)
{
    json_t *document = json_object();
    char *text = NULL;
    if (document && put_document(document, s)) text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (!text) return no_memory(ei);
    *out = text;
    *out_n = strlen(text);
    return SM_OK;
}
