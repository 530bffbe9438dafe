/* tests/support/initkit.h: small initializations and comparing what they leave. Header only: it needs post, which the
 * support library does not link. */
#ifndef SM_TESTS_INITKIT_H
#define SM_TESTS_INITKIT_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/scrypt.h"
#include "post/datadir.h"
#include "post/difficulty.h"
#include "post/init.h"
#include "post/metadata.h"
#include "post/sidecar.h"
#include "support/faultio.h"
#include "support/tmpdir.h"

/* None of the 192 labels of these identities (number in the first four bytes of the node ID, commitment ATX zero,
 * N = 2) is below the VRF difficulty of 192 labels. */
static const uint32_t without_nonce[] = {2044, 3230, 4107};

struct kit {
    char dir[300];
    uint32_t identity;
    uint32_t units;
    uint64_t labels_per_unit, file_bytes;
    uint64_t from, to;
    uint32_t n;
    unsigned engines;
    uint64_t chunk;
    uint64_t checkpoint_bytes;
    bool direct, grow;
    const struct sm_spread_want *also; /* more directories; in tests all are on one file system */
    size_t also_n;
    sm_init_progress_fn progress;
    void *progress_ctx;
};

/* 192 labels in three files of 64. */
static inline struct kit kit_in(const char *dir)
{
    struct kit k = {.identity = 1,
                    .units = 3,
                    .labels_per_unit = 64,
                    .file_bytes = 1024,
                    .from = SM_LAYOUT_ALL,
                    .to = SM_LAYOUT_ALL,
                    .n = 2,
                    .engines = 1,
                    .chunk = 16,
                    .checkpoint_bytes = 512};
    (void)snprintf(k.dir, sizeof k.dir, "%s", dir);
    return k;
}

static inline struct sm_node_id kit_node(const struct kit *k)
{
    struct sm_node_id id = {{0}};
    memcpy(id.b, &k->identity, sizeof k->identity);
    return id;
}

static inline struct sm_commitment kit_commitment(const struct kit *k)
{
    const struct sm_node_id id = kit_node(k);
    const struct sm_atx_id atx = {{0}};
    return sm_commitment_of(&id, &atx);
}

static inline sm_err kit_run(const struct kit *k, const struct sm_cancel *cancel, struct sm_init_result *res,
                             struct sm_errinfo *ei)
{
    struct sm_label_engine e[8] = {0};
    for (unsigned i = 0; i < k->engines; i++) {
        cr_assert_eq(sm_label_engine_cpu(NULL, k->n, 0, &e[i], ei), SM_OK, "%s", ei->text);
        if (k->chunk) e[i].chunk = k->chunk;
        e[i].width = 0;
    }
    const struct sm_init_cfg cfg = {
        .dir = k->dir,
        .node_id = kit_node(k),
        .labels_per_unit = k->labels_per_unit,
        .num_units = k->units,
        .max_file_size = k->file_bytes,
        .scrypt_n = k->n,
        .from_file = k->from,
        .to_file = k->to,
        .engines = e,
        .engines_n = k->engines,
        .checkpoint_bytes = k->checkpoint_bytes,
        .direct_io = k->direct,
        .grow = k->grow,
        .also = k->also,
        .also_n = k->also_n,
        .same_disk = true,
        .progress = k->progress,
        .progress_ctx = k->progress_ctx,
    };
    return sm_init_run(&cfg, cancel, res, ei);
}

static inline struct sm_init_result kit_must(const struct kit *k)
{
    struct sm_init_result res;
    struct sm_errinfo ei = {0};
    const sm_err err = kit_run(k, NULL, &res, &ei);
    cr_assert_eq(err, SM_OK, "%s %s", sm_err_name(err), ei.text);
    cr_assert(res.complete);
    return res;
}

/* Expects this failure and a text containing `part`. */
static inline void kit_refused(const struct kit *k, sm_err want, const char *part)
{
    struct sm_init_result res;
    struct sm_errinfo ei = {0};
    const sm_err err = kit_run(k, NULL, &res, &ei);
    cr_assert_eq(err, want, "%s instead of %s: %s", sm_err_name(err), sm_err_name(want), ei.text);
    cr_assert(strstr(ei.text, part), "'%s' not in: %s", part, ei.text);
}

/* In a child under a fault plan. Returns its exit status: FAULT_CRASH_STATUS, or the sm_err + 100. */
static inline int kit_child(const struct kit *k, const struct fault_plan *plan)
{
#ifdef __SANITIZE_THREAD__ /* gcc's; clang's dies with a message of its own */
    cr_skip_test("the thread sanitizer cannot follow a forked child that starts threads");
#endif
    (void)fflush(NULL);
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        struct sm_init_result res;
        struct sm_errinfo ei = {0};
        fault_set(plan);
        _exit(100 + (int)kit_run(k, NULL, &res, &ei));
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "child killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* ---- comparing directories ---- */

static inline int kit_name_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline size_t kit_names(const char *dir, char *names[64])
{
    size_t n = 0;
    DIR *d = opendir(dir);
    cr_assert_not_null(d, "%s", dir);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && n < 64) names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof *names, kit_name_order);
    return n;
}

/* Every file, metadata, backup, side file and lock included, to the byte. */
static inline void kit_same(const char *a, const char *b, const char *what)
{
    char *x[64], *y[64];
    const size_t n = kit_names(a, x), m = kit_names(b, y);
    for (size_t i = 0; i < n && i < m; i++) cr_assert_str_eq(x[i], y[i], "%s: files differ", what);
    cr_assert_eq(n, m, "%s: %zu files and %zu", what, n, m);
    for (size_t i = 0; i < n; i++) {
        size_t p_n = 0, q_n = 0;
        uint8_t *p = file_get(tmpdir_path(a, x[i]), &p_n), *q = file_get(tmpdir_path(b, y[i]), &q_n);
        const bool text = strstr(x[i], ".json") != NULL;
        cr_assert(p_n == q_n && memcmp(p, q, p_n) == 0, "%s: %s differs: %zu and %zu bytes\n%s\n%s", what, x[i], p_n,
                  q_n, text ? (char *)p : "", text ? (char *)q : "");
        free(p), free(q), free(x[i]), free(y[i]);
    }
}

static inline void kit_copy(const char *from, const char *to)
{
    char *names[64];
    const size_t n = kit_names(from, names);
    for (size_t i = 0; i < n; i++) {
        size_t size = 0;
        uint8_t *p = file_get(tmpdir_path(from, names[i]), &size);
        file_put(tmpdir_path(to, names[i]), p, size);
        free(p), free(names[i]);
    }
}

static inline uint64_t kit_stored_labels(const char *dir)
{
    struct sm_datadir_info info = {0};
    struct sm_errinfo ei = {0};
    if (sm_datadir_inspect(dir, &info, &ei)) return 0;
    const uint64_t labels = info.labels;
    sm_datadir_info_fini(&info);
    return labels;
}

static inline struct sm_metadata kit_meta(const char *dir)
{
    struct sm_metadata m = {0};
    struct sm_errinfo ei = {0};
    bool backup = false;
    cr_assert_eq(sm_metadata_load(dir, &m, &backup, &ei), SM_OK, "%s", ei.text);
    cr_assert(!backup);
    return m;
}

static inline void kit_put_meta(const char *dir, const struct sm_metadata *m)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_metadata_save(dir, m, &ei), SM_OK, "%s", ei.text);
}

/* The smallest of the data set's labels below its difficulty, by brute force. */
static inline struct sm_vrf_best kit_best(const struct kit *k)
{
    struct sm_vrf_best best = {0};
    uint8_t difficulty[32], label[32];
    const uint64_t labels = k->units * k->labels_per_unit;
    const struct sm_commitment c = kit_commitment(k);
    cr_assert_eq(sm_vrf_difficulty(labels, difficulty, NULL), SM_OK);
    for (uint64_t i = 0; i < labels; i++) {
        cr_assert_eq(sm_scrypt_one(k->n, c.b, i, label, NULL), SM_OK);
        sm_vrf_best_offer(&best, difficulty, i, label);
    }
    return best;
}

/* Every label of the data set's files, recomputed, and the nonce. */
static inline void kit_verify(const struct kit *k)
{
    const struct sm_commitment c = kit_commitment(k);
    struct sm_layout l;
    cr_assert_eq(sm_layout_make(k->units * k->labels_per_unit, k->file_bytes, k->from, k->to, &l, NULL), SM_OK);
    for (uint64_t f = l.from; f <= l.to; f++) {
        char name[64];
        size_t n = 0;
        uint8_t *p = file_get(tmpdir_path(k->dir, sm_layout_file_name(f, name)), &n);
        cr_assert_eq(n, sm_layout_file_labels(&l, f) * 16, "%s", name);
        for (uint64_t i = 0; i < n / 16; i++) {
            uint8_t want[32];
            cr_assert_eq(sm_scrypt_one(k->n, c.b, sm_layout_file_first(&l, f) + i, want, NULL), SM_OK);
            cr_assert_arr_eq(p + 16 * i, want, 16, "%s label %llu", name, (unsigned long long)i);
        }
        free(p);
    }
}

#endif
