#include "config/network.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"
#include "config/yaml.h"
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

sm_err sm_network_set(struct sm_post_params *p, const char *key, const char *value, const char *where,
                      struct sm_errinfo *ei)
{
    if (strncmp(key, "post.", 5) == 0) key += 5;
    struct sm_nearest near = {.word = key};
    const struct field *f = find_field(key, &near);
    if (!f) return sm_yaml_unknown(where, key, &near, ei);
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
    struct sm_post_params *out;
    uint64_t seen; /* bit = row of fields[] */
};

static sm_err read_field(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                         struct sm_errinfo *ei)
{
    const struct reader *r = ctx;
    const char *text = NULL;
    sm_err err = sm_yaml_value(y, value, fields[row].key, &text, ei);
    return err ? err : set_field(r->out, &fields[row], text, what, ei);
}

static sm_err read_post(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *map, const char *what,
                        struct sm_errinfo *ei)
{
    (void)row, (void)what;
    struct reader *r = ctx;
    struct sm_yaml_key keys[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) keys[i] = (struct sm_yaml_key){fields[i].key, read_field};
    return sm_yaml_map(y, map, keys, FIELDS, r, &r->seen, ei);
}

static sm_err read_name(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                        struct sm_errinfo *ei)
{
    (void)row, (void)what;
    const struct reader *r = ctx;
    const char *text = sm_yaml_text(value);
    if (!text || !*text || strlen(text) >= sizeof r->out->name)
        return sm_yaml_fail(y, value, ei, "name must be a text of 1 to 31 characters");
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            return sm_yaml_fail(y, value, ei, "name may hold letters, digits, '-', '_' and '.' only: %s", text);
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

/* The preset fills `out` before anything of the file does, wherever the key stands. */
static sm_err apply_preset(struct sm_yaml *y, struct sm_post_params *out, struct sm_errinfo *ei)
{
    const yaml_node_t *top = sm_yaml_root(y);
    for (yaml_node_pair_t *i = top->data.mapping.pairs.start; i < top->data.mapping.pairs.top; i++) {
        const char *name = sm_yaml_text(sm_yaml_node(y, i->key));
        if (!name || strcmp(name, "preset") != 0) continue;
        const yaml_node_t *value = sm_yaml_node(y, i->value);
        const char *text = sm_yaml_text(value);
        if (!text) return sm_yaml_fail(y, value, ei, "preset must be a name");
        struct sm_errinfo inner = {0};
        sm_err err = load_preset(text, out, &inner);
        return err ? sm_yaml_fail(y, value, ei, "%s", inner.text) : SM_OK;
    }
    return SM_OK;
}

static sm_err preset_was_read(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                              struct sm_errinfo *ei)
{
    (void)ctx, (void)y, (void)row, (void)value, (void)what, (void)ei;
    return SM_OK;
}

static const struct sm_yaml_key top_keys[] = {{"name", read_name}, {"preset", preset_was_read}, {"post", read_post}};
#define TOP_KEYS   (sizeof top_keys / sizeof top_keys[0])
#define HAS_NAME   1u /* bits, in the order of top_keys */
#define HAS_PRESET 2u

static sm_err check_complete(const char *where, uint64_t top_seen, uint64_t fields_seen, struct sm_errinfo *ei)
{
    if (!(top_seen & (HAS_NAME | HAS_PRESET))) return sm_fail(ei, SM_E_FORMAT, "%s: key name is missing", where);
    if (top_seen & HAS_PRESET) return SM_OK;
    char missing[SM_ERRINFO_TEXT] = "";
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields_seen & (UINT64_C(1) << i)) continue;
        const size_t n = strlen(missing);
        (void)snprintf(missing + n, sizeof missing - n, "%spost.%s", n ? ", " : "", fields[i].key);
    }
    if (!missing[0]) return SM_OK;
    return sm_fail(ei, SM_E_FORMAT, "%s: missing: %.300s (or name a preset to take them from)", where, missing);
}

sm_err sm_network_parse(const char *yaml, size_t n, const char *where, struct sm_post_params *out,
                        struct sm_errinfo *ei)
{
    struct sm_post_params params = {0};
    struct reader r = {.out = &params};
    struct sm_yaml y;
    uint64_t seen = 0;
    sm_err err = sm_yaml_parse(&y, yaml, n, where, ei);
    if (err) return err;
    err = apply_preset(&y, &params, ei);
    if (!err) err = sm_yaml_map(&y, sm_yaml_root(&y), top_keys, TOP_KEYS, &r, &seen, ei);
    if (!err) err = check_complete(where, seen, r.seen, ei);
    sm_yaml_fini(&y);
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
