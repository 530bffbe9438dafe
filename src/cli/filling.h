/* cli/filling.h: what init and grow have in common: deciding the parameters, running, reporting. */
#ifndef SM_CLI_FILLING_H
#define SM_CLI_FILLING_H

#include "cli/also.h"
#include "cli/subject.h"
#include "post/init.h"

struct sm_filling_args {
    const char *dir;
    struct sm_net_args net;
    struct sm_engine_args engine;
    uint32_t num_units, scrypt_n, recheck, max_temp;
    struct sm_text_list throttle, also;
    uint64_t batch, checkpoint;
    bool no_direct_io, dry_run, same_disk;
    uint64_t others_done, others_total; /* no options: labels of the other jobs of a queue, for the progress */
};
#define SM_FILLING_OPTIONS(T, m)                                                                                   \
    SM_DIR_OPTION(T, m.dir), SM_NET_OPTIONS(T, m.net), SM_SCRYPT_N_OPTION(T, m.scrypt_n),                          \
        SM_OPT_LIST(T, m.also, "also", NULL, "DIR[=SIZE]",                                                         \
                    "put data files into this directory too, on a disk of its own, up to SIZE of them; may be "    \
                    "repeated; naming --dir here limits that one"),                                                \
        SM_OPT_FLAG(T, m.same_disk, "same-disk", "several directories on one file system are meant"),              \
        SM_ENGINE_OPTIONS(T, m.engine),                                                                            \
        SM_OPT_U64(T, m.batch, "batch", NULL, 1, UINT32_MAX, "LABELS", "labels that an engine computes at a time", \
                   .default_note = "about half a second of work"),                                                 \
        SM_OPT_LIST(T, m.throttle, "throttle", NULL, "[ID=]PERCENT",                                               \
                    "let the devices, or the one with this id, work only so much of the time; may be repeated",    \
                    .default_note = "100"),                                                                        \
        SM_OPT_U32(T, m.max_temp, "max-temp", NULL, 30, 120, "CELSIUS",                                            \
                   "let a device rest from this temperature on until it is 5 degrees below it",                    \
                   .default_note = "no limit"),                                                                    \
        SM_OPT_SIZE(T, m.checkpoint, "checkpoint", "256MiB", 4096, UINT64_MAX,                                     \
                    "flush to disk after every so many bytes"),                                                    \
        SM_OPT_U32(T, m.recheck, "recheck", "16", 1, 1048576, "LABELS",                                            \
                   "labels at the end of the data that are computed again before it is continued"),                \
        SM_OPT_FLAG(T, m.no_direct_io, "no-direct-io", "write through the page cache"),                            \
        SM_OPT_FLAG(T, m.dry_run, "dry-run",                                                                       \
                    "show layout, disk need and estimated time, and write nothing; exits with 4 when it does not fit")

/* What can be refused without engines and before anything is written: contradicting metadata (more units are fine with
 * cfg->grow), sizes, file range. Free space is not looked at. For --dry-run, and before a key is made. */
SM_MUST_CHECK sm_err sm_filling_check(const struct sm_init_cfg *cfg, struct sm_errinfo *ei);

/* What is there already. */
struct sm_filling_state {
    uint64_t labels, present;     /* of the subset */
    bool complete;                /* nothing is left to do */
    struct sm_spread_rooms rooms; /* what is to be written where; free(rooms.v) */
    sm_err fits;                  /* SM_OK or SM_E_NOSPACE */
    struct sm_errinfo why;        /* it does not fit */
};
/* As sm_filling_check, and what it found. */
SM_MUST_CHECK sm_err sm_filling_look(const struct sm_init_cfg *cfg, struct sm_filling_state *out,
                                     struct sm_errinfo *ei);

/* The further directories into `cfg`; `also` is to be released after the run. */
SM_MUST_CHECK sm_err sm_filling_take_also(const struct sm_filling_args *args, struct sm_also *also,
                                          struct sm_init_cfg *cfg, struct sm_errinfo *ei);

/* Takes `cfg` with ids, sizes and N decided; fills in engines, progress and I/O choices from `args`, runs (or only
 * explains, with --dry-run), and reports. */
SM_MUST_CHECK sm_exit sm_filling_run(struct sm_cli *cli, const struct sm_filling_args *args, struct sm_init_cfg *cfg);

#endif
