/* cli/progress.h: progress on stderr.
 *
 * On a terminal: one bar at the bottom that is redrawn in place; log lines appear above it; its width follows the
 * window. Otherwise: one log line per --progress-interval and no control characters. Any thread may update. */
#ifndef SM_CLI_PROGRESS_H
#define SM_CLI_PROGRESS_H

#include <stdint.h>

#include "cli/cli.h"

/* What to show. A change of `phase` (by pointer) restarts the rates. */
struct sm_progress_now {
    const char *phase;                           /* static text: "writing", "scanning" */
    const char *unit;                            /* plural of what is counted: "labels", "hashes"; NULL: bytes only */
    double bytes_per_unit;                       /* 0: the units have no bytes */
    uint64_t done, total;                        /* in units; total 0: unknown */
    uint64_t at_start;                           /* part of `done` that was there before this run */
    uint64_t file, file_done, file_total, files; /* position inside file `file` of `files`; files 0: not shown */
    char note[64];                               /* shown last: "nonce 17", "3 bad" */
};

struct sm_progress;
/* `subject` (static) starts every line; NULL when out of memory, which every other call accepts. */
struct sm_progress *sm_progress_new(const struct sm_cli *cli, const char *subject);
/* Cheap: draws at most ten times a second. */
void sm_progress_update(struct sm_progress *p, const struct sm_progress_now *now);
/* Removes the bar; the log goes to stderr directly again. Before any result is printed. */
void sm_progress_free(struct sm_progress *p);

/* The line of text for `width` columns (pure; for tests). at_s: seconds since the phase began. */
struct sm_progress_rates {
    double recent, average; /* units per second; <= 0 unknown */
};
void sm_progress_format(const char *subject, const struct sm_progress_now *now, struct sm_progress_rates rates,
                        unsigned width, bool bar, char *out, size_t room);

#endif
