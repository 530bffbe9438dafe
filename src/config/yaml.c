#include "config/yaml.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/value.h"

sm_err sm_yaml_fail(const struct sm_yaml *y, const yaml_node_t *node, struct sm_errinfo *ei, const char *fmt, ...)
{
    char text[SM_ERRINFO_TEXT];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return sm_fail(ei, SM_E_FORMAT, "%s:%zu: %s", y->where, node->start_mark.line + 1, text);
}

static sm_err not_yaml(const yaml_parser_t *parser, const char *where, struct sm_errinfo *ei)
{
    return sm_fail(ei, SM_E_FORMAT, "%s:%zu: not YAML: %s", where, parser->problem_mark.line + 1,
                   parser->problem ? parser->problem : "unreadable");
}

static sm_err refuse_second(yaml_parser_t *parser, const char *where, struct sm_errinfo *ei)
{
    yaml_document_t doc;
    sm_err err = SM_OK;
    if (!yaml_parser_load(parser, &doc)) return not_yaml(parser, where, ei);
    if (yaml_document_get_root_node(&doc))
        err = sm_fail(ei, SM_E_FORMAT, "%s:%zu: a second document begins; one document is expected", where,
                      doc.start_mark.line + 1);
    yaml_document_delete(&doc);
    return err;
}

static sm_err check_top(struct sm_yaml *y, struct sm_errinfo *ei)
{
    const yaml_node_t *top = sm_yaml_root(y);
    if (!top) return sm_fail(ei, SM_E_FORMAT, "%s is empty", y->where);
    if (top->type != YAML_MAPPING_NODE) return sm_yaml_fail(y, top, ei, "keys and values are expected");
    return SM_OK;
}

sm_err sm_yaml_parse(struct sm_yaml *y, const char *text, size_t n, const char *where, struct sm_errinfo *ei)
{
    yaml_parser_t parser;
    sm_err err;
    y->where = where;
    if (!yaml_parser_initialize(&parser)) return sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", where);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, &y->doc)) {
        err = not_yaml(&parser, where, ei);
    } else {
        err = check_top(y, ei);
        if (!err) err = refuse_second(&parser, where, ei);
        if (err) yaml_document_delete(&y->doc);
    }
    yaml_parser_delete(&parser);
    return err;
}

void sm_yaml_fini(struct sm_yaml *y)
{
    yaml_document_delete(&y->doc);
}

const yaml_node_t *sm_yaml_root(struct sm_yaml *y)
{
    return yaml_document_get_root_node(&y->doc);
}

const yaml_node_t *sm_yaml_node(struct sm_yaml *y, int index)
{
    return yaml_document_get_node(&y->doc, index);
}

const char *sm_yaml_text(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

sm_err sm_yaml_value(struct sm_yaml *y, const yaml_node_t *node, const char *what, const char **out,
                     struct sm_errinfo *ei)
{
    *out = sm_yaml_text(node);
    return *out ? SM_OK : sm_yaml_fail(y, node, ei, "a single value is expected for %s", what);
}

sm_err sm_yaml_unknown(const char *where, const char *key, const struct sm_nearest *near, struct sm_errinfo *ei)
{
    sm_err err = sm_fail(ei, SM_E_FORMAT, "%s: unknown key %s", where, key);
    return near->best ? sm_fail_add(ei, err, " (did you mean %s?)", near->best) : err;
}

static sm_err read_pair(struct sm_yaml *y, const yaml_node_t *key, const yaml_node_t *value,
                        const struct sm_yaml_key *keys, size_t keys_n, void *ctx, uint64_t *seen, struct sm_errinfo *ei)
{
    const char *name = sm_yaml_text(key);
    if (!name) return sm_yaml_fail(y, key, ei, "a key is not plain text");
    struct sm_nearest near = {.word = name};
    char where[320];
    const int n = snprintf(where, sizeof where, "%.200s:%zu", y->where, key->start_mark.line + 1);
    for (size_t row = 0; row < keys_n; row++) {
        sm_nearest_offer(&near, keys[row].name);
        if (strcmp(name, keys[row].name) != 0) continue;
        const uint64_t bit = UINT64_C(1) << row;
        if (*seen & bit) return sm_yaml_fail(y, key, ei, "repeated key %s", name);
        *seen |= bit;
        (void)snprintf(where + n, sizeof where - (size_t)n, ": %s", name);
        return keys[row].read(ctx, y, row, value, where, ei);
    }
    return sm_yaml_unknown(where, name, &near, ei);
}

sm_err sm_yaml_map(struct sm_yaml *y, const yaml_node_t *map, const struct sm_yaml_key *keys, size_t keys_n, void *ctx,
                   uint64_t *seen, struct sm_errinfo *ei)
{
    assert(keys_n <= 64);
    *seen = 0;
    if (map->type != YAML_MAPPING_NODE) return sm_yaml_fail(y, map, ei, "keys and values are expected");
    for (yaml_node_pair_t *i = map->data.mapping.pairs.start; i < map->data.mapping.pairs.top; i++) {
        sm_err err = read_pair(y, sm_yaml_node(y, i->key), sm_yaml_node(y, i->value), keys, keys_n, ctx, seen, ei);
        if (err) return err;
    }
    return SM_OK;
}
