#include "status/parse.h"

#include <jansson.h>
#include <string.h>

#include "status/fields.h"
#include "status/format.h"
#include "util/text.h"

#define SPEED_MAX 1e18 /* ours: larger numbers are no speeds, seconds or times */

static bool read_speed(const json_t *v, double *out)
{
    if (!json_is_number(v)) return false;
    const double d = json_number_value(v);
    if (!(d >= 0 && d <= SPEED_MAX)) return false;
    *out = d;
    return true;
}

static bool read_integer(const json_t *v, json_int_t max, json_int_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max) return false;
    *out = json_integer_value(v);
    return true;
}

static bool read_hex(const json_t *v, uint8_t *out)
{
    return json_is_string(v) && sm_hex_decode(json_string_value(v), "", out, 32, NULL) == SM_OK;
}

static bool read_rate(const json_t *v, struct sm_status_rate *out)
{
    double *const into[3] = {&out->s10, &out->s60, &out->s900};
    for (size_t i = 0; i < 3; i++) {
        if (!read_speed(json_object_get(v, sm_fields_rate[i]), into[i])) return false;
    }
    return true;
}

static bool read_names(const json_t *v, char *out, size_t room, size_t *n)
{
    if (!json_is_array(v) || json_array_size(v) > SM_STATUS_DISKS_MAX) return false;
    for (*n = 0; *n < json_array_size(v); ++*n) {
        const json_t *name = json_array_get(v, *n);
        if (!json_is_string(name)) return false;
        sm_status_text(out + *n * room, room, json_string_value(name));
    }
    return true;
}

/* Kinds that are texts or null. */
static bool read_text(const struct sm_field *f, const json_t *v, void *at, void *flag)
{
    if (f->kind == SM_FIELD_MAYBE) {
        *(bool *)flag = !json_is_null(v);
        return json_is_null(v) || read_hex(v, at);
    }
    if (!json_is_string(v)) return false;
    const char *text = json_string_value(v);
    if (f->kind == SM_FIELD_PHASE) return sm_status_phase_of(text, at);
    if (f->kind == SM_FIELD_LINK) return sm_status_link_of(text, at);
    if (f->kind == SM_FIELD_HEX32) return read_hex(v, at);
    sm_status_text(at, f->room, text);
    return true;
}

/* False: not what the field takes. */
static bool read_value(const struct sm_field *f, const json_t *v, char *row)
{
    void *at = row + f->offset, *flag = row + f->flag;
    json_int_t i = 0;
    switch (f->kind) {
    case SM_FIELD_BOOL:
        *(bool *)at = json_is_true(v);
        return json_is_boolean(v);
    case SM_FIELD_U32:
        if (!read_integer(v, UINT32_MAX, &i)) return false;
        *(uint32_t *)at = (uint32_t)i;
        return true;
    case SM_FIELD_U64:
        if (!read_integer(v, INT64_MAX, &i)) return false;
        *(uint64_t *)at = (uint64_t)i;
        return true;
    case SM_FIELD_TIME:
        if (!json_is_null(v) && !read_integer(v, (json_int_t)SPEED_MAX, &i)) return false;
        *(int64_t *)at = i;
        return true;
    case SM_FIELD_SPEED:
        return read_speed(v, at);
    case SM_FIELD_KNOWN:
        *(double *)at = -1;
        return json_is_null(v) || read_speed(v, at);
    case SM_FIELD_RATE:
        return read_rate(v, at);
    case SM_FIELD_NAMES:
        return read_names(v, at, f->room, flag);
    case SM_FIELD_TEXT:
    case SM_FIELD_HEX32:
    case SM_FIELD_MAYBE:
    case SM_FIELD_PHASE:
    case SM_FIELD_LINK:
        return read_text(f, v, at, flag);
    }
    return false;
}

static sm_err read_row(const json_t *object, const struct sm_field *fields, const char *what, size_t index, void *row,
                       struct sm_errinfo *ei)
{
    for (const struct sm_field *f = fields; f->key; f++) {
        const json_t *in = f->group ? json_object_get(object, f->group) : object;
        const json_t *v = json_object_get(in, f->key);
        if (v && read_value(f, v, row)) continue;
        return sm_fail(ei, SM_E_FORMAT, "status document: %s %zu: member %s%s%s is %s", what, index,
                       f->group ? f->group : "", f->group ? "." : "", f->key, v ? "not what it should be" : "missing");
    }
    return SM_OK;
}

static void *add_identity(struct sm_status_snapshot *s)
{
    return sm_status_add_identity(s);
}

static void *add_device(struct sm_status_snapshot *s)
{
    return sm_status_add_device(s);
}

static void *add_disk(struct sm_status_snapshot *s)
{
    return sm_status_add_disk(s);
}

static void *add_skipped(struct sm_status_snapshot *s)
{
    return sm_status_add_skipped(s);
}

static void *add_error(struct sm_status_snapshot *s)
{
    return &s->errors[s->errors_n++];
}

static const struct section {
    const char *key;
    const struct sm_field *fields;
    size_t max;
    void *(*add)(struct sm_status_snapshot *s); /* NULL: memory */
} sections[] = {
    {"identities", sm_fields_identity, SM_STATUS_ROWS_MAX, add_identity},
    {"devices", sm_fields_device, SM_STATUS_ROWS_MAX, add_device},
    {"disks", sm_fields_disk, SM_STATUS_ROWS_MAX, add_disk},
    {"skipped", sm_fields_skipped, SM_STATUS_ROWS_MAX, add_skipped},
    {"errors", sm_fields_error, SM_STATUS_ERRORS_MAX, add_error},
};

static sm_err read_section(const json_t *document, const struct section *c, struct sm_status_snapshot *s,
                           struct sm_errinfo *ei)
{
    const json_t *array = json_object_get(document, c->key);
    if (!json_is_array(array) || json_array_size(array) > c->max)
        return sm_fail(ei, SM_E_FORMAT, "status document: %s is no list of at most %zu rows", c->key, c->max);
    for (size_t i = 0; i < json_array_size(array); i++) {
        void *row = c->add(s);
        if (!row) return sm_fail(ei, SM_E_NOMEM, "not enough memory for the %s of a status document", c->key);
        const sm_err err = read_row(json_array_get(array, i), c->fields, c->key, i, row, ei);
        if (err) return err;
    }
    return SM_OK;
}

static sm_err read_document(const json_t *document, struct sm_status_snapshot *s, struct sm_errinfo *ei)
{
    const json_t *schema = json_object_get(document, "schema");
    if (!json_is_integer(schema)) return sm_fail(ei, SM_E_FORMAT, "status document: no schema number; not of a rig");
    if (json_integer_value(schema) != SM_STATUS_SCHEMA)
        return sm_fail(ei, SM_E_MISMATCH,
                       "status document of schema %" JSON_INTEGER_FORMAT
                       ", this program reads %u: use the same version on both sides",
                       json_integer_value(schema), SM_STATUS_SCHEMA);
    sm_err err = read_row(document, sm_fields_rig, "rig", 0, s, ei);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0] && !err; i++)
        err = read_section(document, &sections[i], s, ei);
    return err;
}

sm_err sm_status_parse(const char *text, size_t n, struct sm_status_snapshot *out, struct sm_errinfo *ei)
{
    if (n > SM_STATUS_DOCUMENT_MAX)
        return sm_fail(ei, SM_E_FORMAT, "status document of %zu bytes, more than %u", n, SM_STATUS_DOCUMENT_MAX);
    struct sm_status_snapshot s = {0};
    json_error_t je;
    json_t *document = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!document) return sm_fail(ei, SM_E_FORMAT, "status document, line %d: %s", je.line, je.text);
    const sm_err err = read_document(document, &s, ei);
    json_decref(document);
    if (err)
        sm_status_snapshot_fini(&s);
    else
        *out = s;
    return err;
}
