#include "config/network.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/value.h"
#include "util/io.h"
#include "util/text.h"

#define FILE_MAX_BYTES 65536u
#define ENV_PREFIX     "SM_POST_"

typedef enum field_kind { FIELD_U32, FIELD_U64, FIELD_SIZE, FIELD_HEX32, FIELD_MODE } field_kind;

static const struct field {
    const char *key;
    field_kind kind;
    size_t offset;
    uint64_t min, max;
    const char *help;
} fields[] = {
    {"min_num_units", FIELD_U32, offsetof(struct sm_post_params, min_num_units), 1, UINT32_MAX,
     "smallest number of units the network accepts"},
    {"max_num_units", FIELD_U32, offsetof(struct sm_post_params, max_num_units), 1, UINT32_MAX,
     "largest number of units the network accepts"},
    {"labels_per_unit", FIELD_U64, offsetof(struct sm_post_params, labels_per_unit), 1, UINT64_MAX,
     "labels of 16 bytes in a unit"},
    {"k1", FIELD_U32, offsetof(struct sm_post_params, k1), 1, UINT32_MAX,
     "good labels expected per nonce over all the data"},
    {"k2", FIELD_U32, offsetof(struct sm_post_params, k2), 1, UINT32_MAX, "indices in a proof"},
    {"k3", FIELD_U32, offsetof(struct sm_post_params, k3), 0, UINT32_MAX, "indices checked by subset verification"},
    {"pow_difficulty", FIELD_HEX32, offsetof(struct sm_post_params, pow_difficulty), 0, 0,
     "k2pow threshold for one unit"},
    {"scrypt_n", FIELD_U32, offsetof(struct sm_post_params, scrypt_n), 2, UINT32_MAX,
     "scrypt N of a label, a power of two"},
    {"nonces", FIELD_U32, offsetof(struct sm_post_params, nonces), 16, 4096, "proof nonces tried in one pass"},
    {"randomx_mode", FIELD_MODE, offsetof(struct sm_post_params, randomx_fast), 0, 0, "light or fast, for proving"},
    {"num_units", FIELD_U32, offsetof(struct sm_post_params, num_units), 1, UINT32_MAX, "default size of a data set"},
    {"max_file_size", FIELD_SIZE, offsetof(struct sm_post_params, max_file_size), 1024, UINT64_MAX,
     "bytes in a data file"},
};
#define FIELDS (sizeof fields / sizeof fields[0])

static sm_err set_field(struct sm_post_params *p, const struct field *f, const char *value, const char *what,
                        struct sm_errinfo *ei)
{
    void *at = (char *)p + f->offset;
    uint64_t v = 0;
    sm_err err = SM_OK;
    switch (f->kind) {
    case FIELD_U32:
        err = sm_value_u64(value, what, f->min, f->max, &v, ei);
        if (!err) *(uint32_t *)at = (uint32_t)v;
        return err;
    case FIELD_U64:
        return sm_value_u64(value, what, f->min, f->max, at, ei);
    case FIELD_SIZE:
        return sm_value_size(value, what, f->min, f->max, at, ei);
    case FIELD_HEX32:
        return sm_hex_decode(value, what, at, 32, ei);
    case FIELD_MODE:
        if (strcmp(value, "fast") != 0 && strcmp(value, "light") != 0)
            return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is neither light nor fast", what, value);
        *(bool *)at = value[0] == 'f';
        return SM_OK;
    }
    return SM_E_STATE;
}

static const struct field *find_field(const char *key, struct sm_nearest *near)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].key, key) == 0) return &fields[i];
        sm_nearest_offer(near, fields[i].key);
    }
    return NULL;
}

static sm_err unknown_key(const char *where, const char *key, const struct sm_nearest *near, struct sm_errinfo *ei)
{
    sm_err err = sm_fail(ei, SM_E_FORMAT, "%s: unknown key %s", where, key);
    return near->best ? sm_fail_add(ei, err, " (did you mean %s?)", near->best) : err;
}

sm_err sm_network_set(struct sm_post_params *p, const char *key, const char *value, const char *where,
                      struct sm_errinfo *ei)
{
    if (strncmp(key, "post.", 5) == 0) key += 5;
    struct sm_nearest near = {.word = key};
    const struct field *f = find_field(key, &near);
    if (!f) return unknown_key(where, key, &near, ei);
    char what[160];
    (void)snprintf(what, sizeof what, "%s: %s", where, f->key);
    return set_field(p, f, value, what, ei);
}

sm_err sm_network_apply_env(struct sm_post_params *p, const char *const *env, struct sm_errinfo *ei)
{
    const size_t prefix = strlen(ENV_PREFIX);
    for (; *env; env++) {
        if (strncmp(*env, ENV_PREFIX, prefix) != 0) continue;
        char key[64], where[96];
        size_t n = 0;
        for (const char *c = *env + prefix; *c && *c != '=' && n + 1 < sizeof key; c++)
            key[n++] = (char)tolower((unsigned char)*c);
        key[n] = '\0';
        const char *value = strchr(*env, '=');
        (void)snprintf(where, sizeof where, "environment variable %.*s", (int)(value ? value - *env : 64), *env);
        sm_err err = sm_network_set(p, key, value ? value + 1 : "", where, ei);
        if (err) return err;
    }
    return SM_OK;
}

/* ---- YAML ---- */

struct reader {
    yaml_document_t doc;
    const char *where;
    struct sm_post_params *out;
    bool has_name, has_post, has_preset;
    uint32_t seen; /* bit = row of fields[] */
};

static sm_err fail_at(const struct reader *r, const yaml_node_t *node, struct sm_errinfo *ei, const char *text,
                      const char *what)
{
    return sm_fail(ei, SM_E_FORMAT, "%s:%zu: %s%s", r->where, node->start_mark.line + 1, text, what);
}

/* The text of a scalar; NULL for a map, a list, or text with a NUL in it. */
static const char *scalar(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

static sm_err read_post_pair(struct reader *r, const yaml_node_t *key, const yaml_node_t *value, struct sm_errinfo *ei)
{
    const char *name = scalar(key), *text = scalar(value);
    if (!name) return fail_at(r, key, ei, "a key is not plain text", "");
    char what[256];
    (void)snprintf(what, sizeof what, "%.200s:%zu", r->where, key->start_mark.line + 1);
    struct sm_nearest near = {.word = name};
    const struct field *f = find_field(name, &near);
    if (!f) return unknown_key(what, name, &near, ei);
    const uint32_t bit = UINT32_C(1) << (f - fields);
    if (r->seen & bit) return fail_at(r, key, ei, "repeated key ", name);
    r->seen |= bit;
    if (!text) return fail_at(r, value, ei, "a single value is expected for ", name);
    const size_t n = strlen(what);
    (void)snprintf(what + n, sizeof what - n, ": %s", f->key);
    return set_field(r->out, f, text, what, ei);
}

static sm_err read_post(struct reader *r, const yaml_node_t *map, struct sm_errinfo *ei)
{
    if (map->type != YAML_MAPPING_NODE) return fail_at(r, map, ei, "post must hold keys and values", "");
    for (yaml_node_pair_t *i = map->data.mapping.pairs.start; i < map->data.mapping.pairs.top; i++) {
        sm_err err =
            read_post_pair(r, yaml_document_get_node(&r->doc, i->key), yaml_document_get_node(&r->doc, i->value), ei);
        if (err) return err;
    }
    return SM_OK;
}

static sm_err read_name(struct reader *r, const yaml_node_t *value, struct sm_errinfo *ei)
{
    const char *text = scalar(value);
    if (!text || !*text || strlen(text) >= sizeof r->out->name)
        return fail_at(r, value, ei, "name must be a text of 1 to 31 characters", "");
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            return fail_at(r, value, ei, "name may hold letters, digits, '-', '_' and '.' only: ", text);
    (void)snprintf(r->out->name, sizeof r->out->name, "%s", text);
    return SM_OK;
}

static const struct sm_network_preset *find_preset(const char *name, struct sm_nearest *near)
{
    for (const struct sm_network_preset *p = sm_network_presets; p->name; p++) {
        if (strcmp(p->name, name) == 0) return p;
        sm_nearest_offer(near, p->name);
    }
    return NULL;
}

static sm_err unknown_preset(const char *name, const struct sm_nearest *near, struct sm_errinfo *ei)
{
    sm_err err =
        sm_fail(ei, SM_E_FORMAT, "no network preset is called '%s' (a file needs a '/' or '.' in its path)", name);
    return near->best ? sm_fail_add(ei, err, " (did you mean %s?)", near->best) : err;
}

static sm_err load_preset(const char *name, struct sm_post_params *out, struct sm_errinfo *ei)
{
    struct sm_nearest near = {.word = name};
    const struct sm_network_preset *preset = find_preset(name, &near);
    if (!preset) return unknown_preset(name, &near, ei);
    const char *yaml = (const char *)preset->yaml;
    return sm_network_parse(yaml, strlen(yaml), preset->name, out, ei);
}

static sm_err read_top_pair(struct reader *r, const yaml_node_t *key, const yaml_node_t *value, struct sm_errinfo *ei)
{
    const char *name = scalar(key);
    if (!name) return fail_at(r, key, ei, "a key is not plain text", "");
    static const char *const known[] = {"name", "preset", "post"};
    bool *const seen[] = {&r->has_name, &r->has_preset, &r->has_post};
    struct sm_nearest near = {.word = name};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        sm_nearest_offer(&near, known[i]);
        if (strcmp(name, known[i]) != 0) continue;
        if (*seen[i]) return fail_at(r, key, ei, "repeated key ", name);
        *seen[i] = true;
        if (i == 0) return read_name(r, value, ei);
        return i == 2 ? read_post(r, value, ei) : SM_OK; /* the preset was read first, below */
    }
    char where[256];
    (void)snprintf(where, sizeof where, "%.200s:%zu", r->where, key->start_mark.line + 1);
    return unknown_key(where, name, &near, ei);
}

/* The preset fills `out` before anything of the file does, wherever the key stands. */
static sm_err apply_preset(struct reader *r, const yaml_node_t *top, struct sm_errinfo *ei)
{
    for (yaml_node_pair_t *i = top->data.mapping.pairs.start; i < top->data.mapping.pairs.top; i++) {
        const char *name = scalar(yaml_document_get_node(&r->doc, i->key));
        if (!name || strcmp(name, "preset") != 0) continue;
        const yaml_node_t *value = yaml_document_get_node(&r->doc, i->value);
        const char *text = scalar(value);
        if (!text) return fail_at(r, value, ei, "preset must be a name", "");
        struct sm_errinfo inner = {0};
        sm_err err = load_preset(text, r->out, &inner);
        return err ? fail_at(r, value, ei, inner.text, "") : SM_OK;
    }
    return SM_OK;
}

static sm_err check_complete(const struct reader *r, struct sm_errinfo *ei)
{
    if (!r->has_name && !r->has_preset) return sm_fail(ei, SM_E_FORMAT, "%s: key name is missing", r->where);
    if (r->has_preset) return SM_OK;
    char missing[SM_ERRINFO_TEXT] = "";
    for (size_t i = 0; i < FIELDS; i++) {
        if (r->seen & (UINT32_C(1) << i)) continue;
        const size_t n = strlen(missing);
        (void)snprintf(missing + n, sizeof missing - n, "%spost.%s", n ? ", " : "", fields[i].key);
    }
    if (!missing[0]) return SM_OK;
    return sm_fail(ei, SM_E_FORMAT, "%s: missing: %.300s (or name a preset to take them from)", r->where, missing);
}

static sm_err read_document(struct reader *r, struct sm_errinfo *ei)
{
    const yaml_node_t *top = yaml_document_get_root_node(&r->doc);
    if (!top) return sm_fail(ei, SM_E_FORMAT, "%s is empty", r->where);
    if (top->type != YAML_MAPPING_NODE) return fail_at(r, top, ei, "keys and values are expected", "");
    sm_err err = apply_preset(r, top, ei);
    for (yaml_node_pair_t *i = top->data.mapping.pairs.start; !err && i < top->data.mapping.pairs.top; i++)
        err = read_top_pair(r, yaml_document_get_node(&r->doc, i->key), yaml_document_get_node(&r->doc, i->value), ei);
    return err ? err : check_complete(r, ei);
}

static sm_err refuse_second(yaml_parser_t *parser, const char *where, struct sm_errinfo *ei)
{
    yaml_document_t doc;
    sm_err err = SM_OK;
    if (!yaml_parser_load(parser, &doc))
        return sm_fail(ei, SM_E_FORMAT, "%s:%zu: not YAML: %s", where, parser->problem_mark.line + 1,
                       parser->problem ? parser->problem : "unreadable");
    if (yaml_document_get_root_node(&doc))
        err = sm_fail(ei, SM_E_FORMAT, "%s:%zu: a second document begins; one document is expected", where,
                      doc.start_mark.line + 1);
    yaml_document_delete(&doc);
    return err;
}

sm_err sm_network_parse(const char *yaml, size_t n, const char *where, struct sm_post_params *out,
                        struct sm_errinfo *ei)
{
    struct sm_post_params params = {0};
    struct reader r = {.where = where, .out = &params};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", where);
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, n);
    sm_err err = SM_OK;
    if (!yaml_parser_load(&parser, &r.doc)) {
        err = sm_fail(ei, SM_E_FORMAT, "%s:%zu: not YAML: %s", where, parser.problem_mark.line + 1,
                      parser.problem ? parser.problem : "unreadable");
    } else {
        err = read_document(&r, ei);
        yaml_document_delete(&r.doc);
        if (!err) err = refuse_second(&parser, where, ei);
    }
    yaml_parser_delete(&parser);
    if (!err) *out = params;
    return err;
}

sm_err sm_network_load(const char *name_or_path, struct sm_post_params *out, struct sm_errinfo *ei)
{
    if (!strpbrk(name_or_path, "/.")) return load_preset(name_or_path, out, ei);
    char *text = NULL;
    size_t n = 0;
    sm_err err = sm_io_read_file(name_or_path, FILE_MAX_BYTES, &text, &n, ei);
    if (!err) err = sm_network_parse(text, n, name_or_path, out, ei);
    free(text);
    return err;
}

/* ---- back to text ---- */

bool sm_network_field(const struct sm_post_params *p, size_t index, struct sm_network_field *out)
{
    if (index >= FIELDS) return false;
    const struct field *f = &fields[index];
    const void *at = (const char *)p + f->offset;
    *out = (struct sm_network_field){.key = f->key, .help = f->help};
    switch (f->kind) {
    case FIELD_U32:
        (void)snprintf(out->value, sizeof out->value, "%" PRIu32, *(const uint32_t *)at);
        break;
    case FIELD_U64:
    case FIELD_SIZE:
        (void)snprintf(out->value, sizeof out->value, "%" PRIu64, *(const uint64_t *)at);
        break;
    case FIELD_HEX32:
        out->is_text = true;
        (void)sm_hex_encode(at, 32, out->value);
        break;
    case FIELD_MODE:
        out->is_text = true;
        (void)snprintf(out->value, sizeof out->value, "%s", *(const bool *)at ? "fast" : "light");
        break;
    }
    return true;
}

sm_err sm_network_dump(const struct sm_post_params *p, char **out, struct sm_errinfo *ei)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return sm_fail(ei, SM_E_NOMEM, "out of memory printing the configuration");
    (void)fprintf(f, "name: %s\npost:\n", p->name);
    struct sm_network_field row;
    for (size_t i = 0; sm_network_field(p, i, &row); i++) {
        const char *quote = row.is_text ? "\"" : "";
        (void)fprintf(f, "  %s: %s%s%s # %s\n", row.key, quote, row.value, quote, row.help);
    }
    if (fclose(f) != 0) {
        free(text);
        return sm_fail(ei, SM_E_NOMEM, "out of memory printing the configuration");
    }
    *out = text;
    return SM_OK;
}
