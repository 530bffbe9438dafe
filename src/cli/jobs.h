/* cli/jobs.h: a file of initializations for `smesher queue`: YAML whose keys are the options of init, with '_' for '-'.
 *
 *   defaults: {device: all, node_id: 11…}      for every job that does not say otherwise
 *   jobs:
 *     - {name: alpha, dir: /mnt/a/post, also: [/mnt/b/post, /mnt/c/post=8TiB], num_units: 64, commitment_atx_id: 22…}
 *
 * Relative directories are relative to the file. A list in a job replaces the one of the defaults. */
#ifndef SM_CLI_JOBS_H
#define SM_CLI_JOBS_H

#include <stddef.h>

#include "cli/option.h"
#include "config/yaml.h"

#define SM_JOBS_MAX 1024u

struct sm_job {
    const char *name; /* its directory when the file gives none */
    const char *dir;
    unsigned long line;       /* in the file */
    struct sm_option_set set; /* options of init, complete; target is owned */
};

struct sm_jobs {
    struct sm_job *v; /* owned; texts are the document's or in `texts` */
    size_t n;
    char **texts;
    size_t texts_n;
    struct sm_yaml yaml;
    char *where; /* the path */
};

/* SM_E_FORMAT with "FILE:LINE: " and a sentence: not YAML, unknown key (with the nearest known one), value out of range, a job
 * without a directory, two jobs for one directory. SM_E_NOTFOUND, SM_E_IO. */
SM_MUST_CHECK sm_err sm_jobs_load(const char *path, struct sm_jobs *out, struct sm_errinfo *ei);
void sm_jobs_fini(struct sm_jobs *j);

#endif
