/* config/yaml.h: strict reading of YAML files: one document, maps with known keys only, each at most once.
 *
 *   static const struct sm_yaml_key keys[] = {{"name", read_name}, {"post", read_post}};
 *   struct sm_yaml y;
 *   err = sm_yaml_parse(&y, text, n, path, ei);
 *   if (!err) err = sm_yaml_map(&y, sm_yaml_root(&y), keys, 2, ctx, &seen, ei);
 *   sm_yaml_fini(&y);
 *
 * Every failure is SM_E_FORMAT and begins with "FILE:LINE: "; an unknown key comes with the nearest known one. */
#ifndef SM_CONFIG_YAML_H
#define SM_CONFIG_YAML_H

#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "util/err.h"

struct sm_yaml {
    yaml_document_t doc;
    const char *where; /* names the text in errors; borrowed */
};

/* One document whose top is a map. On failure there is nothing to free. SM_E_NOMEM too. */
SM_MUST_CHECK sm_err sm_yaml_parse(struct sm_yaml *y, const char *text, size_t n, const char *where,
                                   struct sm_errinfo *ei);
void sm_yaml_fini(struct sm_yaml *y);
const yaml_node_t *sm_yaml_root(struct sm_yaml *y);
const yaml_node_t *sm_yaml_node(struct sm_yaml *y, int index); /* of a pair or an item */

/* The text of a scalar; NULL for a map, a list, or text with a NUL in it. Lent from the document. */
const char *sm_yaml_text(const yaml_node_t *node);
/* The text; a node that is none fails with "a single value is expected for WHAT". */
SM_MUST_CHECK sm_err sm_yaml_value(struct sm_yaml *y, const yaml_node_t *node, const char *what, const char **out,
                                   struct sm_errinfo *ei);

/* SM_E_FORMAT with "FILE:LINE: " and the sentence. */
sm_err sm_yaml_fail(const struct sm_yaml *y, const yaml_node_t *node, struct sm_errinfo *ei, const char *fmt, ...)
    SM_PRINTF(4, 5);

struct sm_yaml_key {
    const char *name;
    /* `what` is "FILE:LINE: NAME", for the errors of value parsers; `row` is the position in the table. */
    sm_err (*read)(void *ctx, struct sm_yaml *y, size_t row, const yaml_node_t *value, const char *what,
                   struct sm_errinfo *ei);
};
/* Reads a map. keys_n <= 64; bit `row` of *seen is set for each key that was there. */
SM_MUST_CHECK sm_err sm_yaml_map(struct sm_yaml *y, const yaml_node_t *map, const struct sm_yaml_key *keys,
                                 size_t keys_n, void *ctx, uint64_t *seen, struct sm_errinfo *ei);

/* "WHERE: unknown key KEY (did you mean …?)" */
struct sm_nearest;
sm_err sm_yaml_unknown(const char *where, const char *key, const struct sm_nearest *near, struct sm_errinfo *ei);

#endif
