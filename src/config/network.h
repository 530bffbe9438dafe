/* config/network.h: network parameters from YAML: presets built into the program, or the user's file.
 *
 *   name: mainnet
 *   preset: testnet      # optional: take what this file leaves out from a preset
 *   post:
 *     min_num_units: 4
 *     …
 *
 * Strict: an unknown, repeated or missing key, a wrong type or a value out of range is SM_E_FORMAT with file and line,
 * an unknown key with the nearest known one. Source of the presets' values: post.md §7 (configs/NAME.yaml). */
#ifndef SM_CONFIG_NETWORK_H
#define SM_CONFIG_NETWORK_H

#include <stddef.h>

#include "post/params.h"
#include "util/err.h"

/* Presets in display order; a NULL name ends. The text is what configs/NAME.yaml held at build time. */
struct sm_network_preset {
    const char *name;
    const unsigned char *yaml; /* NUL-terminated */
};
extern const struct sm_network_preset sm_network_presets[];

/* A preset's name, or the path of a file (recognised by a '/' or a '.' in it). SM_E_FORMAT also for a name that is no
 * preset, SM_E_NOTFOUND for a file that does not exist. Not yet checked by sm_post_params_check: overrides may come. */
SM_MUST_CHECK sm_err sm_network_load(const char *name_or_path, struct sm_post_params *out, struct sm_errinfo *ei);

/* YAML text; `where` names it in errors. */
SM_MUST_CHECK sm_err sm_network_parse(const char *yaml, size_t n, const char *where, struct sm_post_params *out,
                                      struct sm_errinfo *ei);

/* One parameter by key ("k1", "post.k1"); `where` names the source in errors ("--param"). */
SM_MUST_CHECK sm_err sm_network_set(struct sm_post_params *p, const char *key, const char *value, const char *where,
                                    struct sm_errinfo *ei);

/* Every SM_POST_<KEY> variable of `environ`-like `env`; unknown ones are refused. */
SM_MUST_CHECK sm_err sm_network_apply_env(struct sm_post_params *p, const char *const *env, struct sm_errinfo *ei);

/* The parameters as rows of text, in file order; index from 0, false at the end. */
struct sm_network_field {
    const char *key; /* without "post." */
    const char *help;
    char value[72]; /* as the YAML file spells it, without quotes */
    int is_text;    /* quoted in YAML, a string in JSON */
};
_Bool sm_network_field(const struct sm_post_params *p, size_t index, struct sm_network_field *out);

/* YAML that sm_network_parse reads back to the same parameters; malloc'd. */
SM_MUST_CHECK sm_err sm_network_dump(const struct sm_post_params *p, char **out, struct sm_errinfo *ei);

#endif
