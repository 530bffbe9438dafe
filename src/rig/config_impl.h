/* rig/config_impl.h: what the configuration's files share; nobody else includes it.
 *
 *   config.c       keys, values, checks of the whole
 *   config_yaml.c  the file */
#ifndef SM_RIG_CONFIG_IMPL_H
#define SM_RIG_CONFIG_IMPL_H

#include "rig/config.h"

#define SM_RIG_KEYS   36u
#define SM_RIG_WEEK_S 604800u

typedef enum rig_kind {
    KIND_TEXT,
    KIND_PATH,
    KIND_NAME_OR_PATH,
    KIND_U64,
    KIND_SIZE,
    KIND_TIME,
    KIND_FLAG,
    KIND_CORES
} rig_kind;

/* A single-valued key. */
struct rig_key {
    const char *section; /* NULL: top */
    const char *name;
    rig_kind kind;
    size_t offset;
    const char *preset; /* default; NULL: stays empty */
    uint64_t min, max;
    const char *help;
};
extern const struct rig_key sm_rig_keys[SM_RIG_KEYS];

/* Empty text: NULL. */
SM_MUST_CHECK sm_err sm_rig_cfg_set_text(char **at, const char *text, struct sm_errinfo *ei);
/* A relative path is one from `dir`, unless that is "". */
SM_MUST_CHECK sm_err sm_rig_cfg_set_path(char **at, const char *text, const char *dir, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_rig_cfg_set_flag(bool *at, const char *text, const char *what, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_rig_cfg_set_key(struct sm_rig_cfg *c, const struct rig_key *k, const char *text,
                                        const char *what, const char *dir, struct sm_errinfo *ei);
/* NULL: out of memory, said in `ei`. */
struct sm_rig_set *sm_rig_cfg_new_set(struct sm_rig_cfg *c, struct sm_errinfo *ei);
void sm_rig_cfg_clear_sets(struct sm_rig_cfg *c);

#endif
