/* post/prove.h: finding a proof over a data directory. Source: post.md §5. */
#ifndef SM_POST_PROVE_H
#define SM_POST_PROVE_H

#include <stdbool.h>
#include <stdint.h>

#include "post/k2pow.h"
#include "post/params.h"
#include "post/proof.h"
#include "util/cancel.h"
#include "util/err.h"

typedef enum sm_prove_phase {
    SM_PROVE_RANDOMX,
    SM_PROVE_K2POW,
    SM_PROVE_SCAN,
    SM_PROVE_VERIFY,
    SM_PROVE_DONE
} sm_prove_phase;

struct sm_prove_progress {
    sm_prove_phase phase;
    uint32_t pass; /* from 0 */
    uint32_t nonce_first, nonce_end;
    uint32_t groups_done, groups_total; /* k2pow of this pass */
    uint32_t groups_remote;             /* of groups_done: made by cfg.k2pow, not here */
    uint64_t hashes;                    /* of the current group */
    double expected_hashes;             /* per group */
    uint64_t bytes_done, bytes_total;   /* of this pass, scanned */
    uint32_t best_count;                /* longest list of good labels so far; k2 is the goal */
    uint32_t bad_labels;                /* found wrong on disk so far, and left out; each was logged with its place */
};

/* Somebody else who makes proofs of work: other machines, or one RandomX that several provers share. */
struct sm_k2pow_source {
    /* Solves jobs[0 … n), n >= 1, which are different groups of one pass. Each result goes to found(found_ctx, i, pow) at
     * once, in any order, from any thread, one call at a time and none after the return. found checks it with one light
     * hash, keeps it over restarts, and says in *out_valid whether it holds; an error of found is that of solve.
     * Blocks. SM_OK with jobs left unsolved: they are searched here. SM_E_CANCELLED within 100 ms of the request. */
    sm_err (*solve)(void *ctx, const struct sm_k2pow_job *jobs, size_t n,
                    sm_err (*found)(void *found_ctx, size_t i, uint64_t pow, bool *out_valid, struct sm_errinfo *ei),
                    void *found_ctx, const struct sm_cancel *cancel, struct sm_errinfo *ei);
    void *ctx;
};

struct sm_prove_result;

struct sm_prove_cfg {
    const char *dir;
    struct sm_challenge challenge;
    struct sm_post_params params; /* k1, k2, pow_difficulty, scrypt_n, unit limits */
    uint32_t nonces;              /* per pass; multiple of 16, 16 … 4096 */
    unsigned threads;             /* scan and k2pow; 0 = all */
    const unsigned *cores;        /* pinning, `threads` entries; NULL = none */
    unsigned readers;             /* reader threads of each disk; 0 = default */
    bool direct_io;               /* O_DIRECT, falls back; default on in the command */
    bool reference_tail;    /* drop the last (labels mod 8) of every file and 1 MiB batch tail as the reference does */
    bool without_vrf_nonce; /* prove data whose metadata has none; else SM_E_NOTFOUND */
    const char *isa;        /* AES variant, NULL = best */
    const char *const *devices;    /* OpenCL devices that scan beside the processor, by id; they may fail at any time */
    size_t devices_n;              /* 0 = the processor alone */
    bool device_only;              /* the processor scans only what the devices fail to */
    bool devices_may_miss;         /* a device that does not exist is left out, as one that does not work */
    const char *state_dir;         /* checkpoint and k2pow cache; NULL = the data directory; "" = keep nothing */
    uint64_t checkpoint_bytes;     /* a checkpoint after every so many bytes scanned; 0 = default 4 GiB */
    struct sm_randomx_cfg randomx; /* mode and so on; key is ignored */
    const struct sm_k2pow_source *k2pow; /* borrowed; asked for what no checkpoint or cache holds. NULL: search here */
    bool verify; /* verify the finished proof strictly before returning it; labels found wrong on disk are left out */
    /* Looks for a proof about `meta` that an earlier run delivered, so that it is not made again: the run then verifies it
     * strictly and ends. NULL, or *found false: prove. */
    sm_err (*recall)(void *ctx, const struct sm_proof_meta *meta, struct sm_proof *out, bool *found,
                     struct sm_errinfo *ei);
    /* Stores the finished proof where a crash cannot reach it; the checkpoint goes only after that. A failure is that
     * of sm_prove_run, and the next run has the proof at once. NULL: nothing to wait for. */
    sm_err (*deliver)(void *ctx, const struct sm_prove_result *r, struct sm_errinfo *ei);
    void *deliver_ctx; /* of recall too */
    /* Where several proofs share a machine: called before the work of a phase begins, and blocks until it may. K2POW
     * needs the processors and the memory of RandomX, SCAN the disk, VERIFY neither for long; what the phase before
     * used is free by the time of the call. SCAN comes again after VERIFY when bad labels were found. A failure ends the run like one of the phase itself: SM_E_CANCELLED keeps
     * the checkpoint. NULL: no waiting. */
    sm_err (*gate)(void *ctx, sm_prove_phase phase, struct sm_errinfo *ei);
    void *gate_ctx;
    void (*progress)(void *ctx, const struct sm_prove_progress *p);
    void *progress_ctx;
};

/* Ours: a disk that needs more is to be repaired first, or replaced. */
#define SM_PROVE_BAD_MAX 1024u

/* Wrong labels side by side: in postdata_<file>.bin from byte `offset`. */
struct sm_prove_bad_range {
    uint64_t file, offset, labels;
};

struct sm_prove_result {
    struct sm_proof proof;
    struct sm_proof_meta meta;
    uint64_t indices[SM_K2_MAX]; /* ascending */
    uint32_t indices_n;
    uint32_t passes;     /* 0: recalled */
    uint64_t bytes_read; /* in this process */
    double k2pow_s, scan_s;
    bool resumed;
    uint32_t bad_labels; /* wrong on disk, left out of the proof; there may be more that no nonce had met */
    uint32_t bad_n;      /* ranges of them, ascending */
    struct sm_prove_bad_range bad[SM_PROVE_BAD_MAX];
};

/* Blocks for minutes to hours. Refusals: SM_E_NOTFOUND (a data file is missing: named; no metadata; no VRF nonce),
 * SM_E_FORMAT (a short or odd file: named), SM_E_MISMATCH (unit limits, N; a recalled proof does not verify), SM_E_ARG (nonces, k1, k2), SM_E_BUSY.
 * SM_E_CANCELLED within 100 ms of the request, checkpointed. SM_E_NOTFOUND "all 4096 nonces tried".
 * With `verify`: labels of the finished proof that turn out wrong on disk are logged with file and offset, left out from
 * then on, and the search goes on where it was (OUR-11). SM_E_MISMATCH when there are more than SM_PROVE_BAD_MAX, when
 * nothing on disk looks right, or when the proof does not verify for another reason.
 * The checkpoint holds, per pass: k2pow results, position, and the good labels found so far; and the bad labels. It is
 * removed on success, or when the run ends because the proof found does not verify, and ignored (with a log line) when it belongs to another challenge,
 * parameter set or data set. */
SM_MUST_CHECK sm_err sm_prove_run(const struct sm_prove_cfg *cfg, const struct sm_cancel *cancel,
                                  struct sm_prove_result *out, struct sm_errinfo *ei);

#endif
