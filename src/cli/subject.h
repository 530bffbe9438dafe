/* cli/subject.h: the data directory a command works on, and which parameters belong to it.
 *
 * Facts come from four places: an option, a --network that the user chose, what the directory says (metadata, side
 * file), and the default network. The first that speaks wins; an option or chosen network that contradicts the
 * directory is refused with both values. */
#ifndef SM_CLI_SUBJECT_H
#define SM_CLI_SUBJECT_H

#include "cli/groups.h"
#include "post/layout.h"
#include "post/metadata.h"

struct sm_subject {
    const char *dir;
    struct sm_post_params params; /* of the network, with overrides */
    bool network_chosen;          /* --network, SM_NETWORK or --param was given */
    bool has_meta;
    struct sm_metadata meta;
    uint32_t scrypt_n; /* as the directory says; 0 unknown */
};

/* Loads all of it. A missing directory or metadata is no error here (has_meta). Release with sm_subject_fini. */
SM_MUST_CHECK sm_err sm_subject_load(const struct sm_cli *cli, const char *dir, const struct sm_net_args *net,
                                     struct sm_subject *out, struct sm_errinfo *ei);
void sm_subject_fini(struct sm_subject *s);

/* SM_E_NOTFOUND with a sentence when there is no metadata. */
SM_MUST_CHECK sm_err sm_subject_need_meta(const struct sm_subject *s, struct sm_errinfo *ei);

/* Scrypt N for this directory; `flag` is the value of --scrypt-n, 0 when not given. Sets s->params.scrypt_n too. */
SM_MUST_CHECK sm_err sm_subject_scrypt_n(struct sm_subject *s, uint32_t flag, uint32_t *out, struct sm_errinfo *ei);

/* Metadata against the network that will judge proofs over it: labels per unit and the unit limits. */
SM_MUST_CHECK sm_err sm_subject_fits_network(const struct sm_subject *s, struct sm_errinfo *ei);

#define SM_DIR_OPTION(T, m) SM_OPT_TEXT(T, m, "dir", NULL, "DIR", "data directory", .required = true, .env = "SM_DIR")
#define SM_SCRYPT_N_OPTION(T, m)                                                                            \
    SM_OPT_U32(T, m, "scrypt-n", NULL, 2, UINT32_C(1) << 20, "N", "scrypt N of the labels, a power of two", \
               .default_note = "the directory's, else the network's")
#define SM_FILE_RANGE_OPTIONS(T, from, to)                                                       \
    SM_OPT_U64(T, from, "from-file", NULL, 0, UINT64_MAX - 1, "N", "first data file, inclusive", \
               .default_note = "the first"),                                                     \
        SM_OPT_U64(T, to, "to-file", NULL, 0, UINT64_MAX - 1, "N", "last data file, inclusive",  \
                   .default_note = "the last")

/* SM_LAYOUT_ALL where the option was not given. */
uint64_t sm_cli_file_bound(const struct sm_cli *cli, const char *option, uint64_t value);

#endif
