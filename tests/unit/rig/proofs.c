/* The store of finished proofs: what goes in comes out, whatever the disk does in between. */
#include "rig/proofs.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/faultio.h"
#include "support/tmpdir.h"
#include "util/log.h"

#define NOW  INT64_C(1700000000)
#define KEEP (42 * UINT64_C(86400))

static struct sm_stored_proof proof_of(uint8_t challenge)
{
    struct sm_stored_proof p = {.made_unix_s = NOW, .has_vrf_nonce = true, .vrf_nonce = UINT64_C(0xfedcba9876543210)};
    memset(p.meta.node_id.b, 0xbb, 32);
    memset(p.meta.commitment_atx_id.b, 0xcc, 32);
    memset(p.meta.challenge.b, challenge, 32);
    p.meta.num_units = 4;
    p.meta.labels_per_unit = 256;
    p.proof = (struct sm_proof){.nonce = challenge, .pow = (UINT64_C(1) << 56) - 1, .indices_n = 46};
    memset(p.proof.indices, 0xaa, 46);
    return p;
}

static struct sm_proof_store *open_store(const char *dir)
{
    struct sm_proof_store *s = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_proof_store_open(dir, &s, &ei), SM_OK, "%s", ei.text);
    return s;
}

static void put(struct sm_proof_store *s, const struct sm_stored_proof *p)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_proof_store_put(s, p, &ei), SM_OK, "%s", ei.text);
}

static sm_err get(struct sm_proof_store *s, const struct sm_stored_proof *like, struct sm_stored_proof *out)
{
    return sm_proof_store_get(s, &like->meta, out, NULL);
}

static void assert_same(const struct sm_stored_proof *a, const struct sm_stored_proof *b)
{
    cr_assert_eq(a->proof.nonce, b->proof.nonce);
    cr_assert_eq(a->proof.pow, b->proof.pow);
    cr_assert_eq(a->proof.indices_n, b->proof.indices_n);
    cr_assert_arr_eq(a->proof.indices, b->proof.indices, a->proof.indices_n);
    cr_assert(sm_proof_meta_equal(&a->meta, &b->meta));
    cr_assert_eq(a->has_vrf_nonce, b->has_vrf_nonce);
    cr_assert_eq(a->vrf_nonce, b->vrf_nonce);
    cr_assert_eq(a->made_unix_s, b->made_unix_s);
    cr_assert_eq(a->fetched, b->fetched);
}

/* The only file in the directory that ends so. */
static char *only_file(const char *dir, const char *tail, char out[512])
{
    DIR *d = opendir(dir);
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        const size_t len = strlen(e->d_name), t = strlen(tail);
        if (len < t || strcmp(e->d_name + len - t, tail) != 0 || e->d_name[0] == '.') continue;
        (void)snprintf(out, 512, "%s/%s", dir, e->d_name);
        n++;
    }
    (void)closedir(d);
    cr_assert_eq(n, 1, "%u files end in %s", n, tail);
    return out;
}

Test(proofs, come_back_after_a_restart)
{
    char dir[256];
    struct sm_stored_proof a = proof_of(1), b = proof_of(2), zero = proof_of(0), got;
    struct sm_proof_store *s = open_store(tmpdir_path(tmpdir_make(dir), "proofs"));
    zero.has_vrf_nonce = false;
    zero.vrf_nonce = 0;
    put(s, &a);
    put(s, &b);
    put(s, &zero);
    sm_proof_store_close(s);
    s = open_store(tmpdir_path(dir, "proofs"));
    cr_assert_eq(get(s, &a, &got), SM_OK);
    assert_same(&a, &got);
    cr_assert_eq(get(s, &b, &got), SM_OK);
    assert_same(&b, &got);
    cr_assert_eq(get(s, &zero, &got), SM_OK);
    assert_same(&zero, &got);
    a.fetched = true;
    put(s, &a);
    cr_assert_eq(get(s, &a, &got), SM_OK);
    cr_assert(got.fetched);
    sm_proof_store_close(s);
    tmpdir_remove(dir);
}

Test(proofs, are_found_by_everything_they_are_about)
{
    char dir[256];
    const struct sm_stored_proof a = proof_of(1);
    struct sm_stored_proof got;
    struct sm_proof_store *s = open_store(tmpdir_make(dir));
    put(s, &a);
    for (int k = 0; k < 5; k++) {
        struct sm_stored_proof other = a;
        if (k == 0) other.meta.node_id.b[31] ^= 1;
        if (k == 1) other.meta.commitment_atx_id.b[0] ^= 1;
        if (k == 2) other.meta.challenge.b[16] ^= 1;
        if (k == 3) other.meta.num_units++;
        if (k == 4) other.meta.labels_per_unit++;
        cr_assert_eq(get(s, &other, &got), SM_E_NOTFOUND, "member %d does not count", k);
    }
    sm_proof_store_close(s);
    tmpdir_remove(dir);
}

static void drop_line(void *ctx, sm_log_level level, const char *line)
{
    (void)ctx, (void)level;
    cr_assert(strstr(line, "damaged"), "%s", line);
}

/* Every bit of the file: what it says must never change silently. */
Test(proofs, damage_is_never_served)
{
    char dir[256], path[512], bad[600];
    const struct sm_stored_proof a = proof_of(1);
    struct sm_stored_proof got;
    struct sm_proof_store *s = open_store(tmpdir_make(dir));
    sm_log_set_sink(drop_line, NULL);
    put(s, &a);
    size_t n = 0;
    uint8_t *good = file_get(only_file(dir, ".json", path), &n);
    (void)snprintf(bad, sizeof bad, "%s.bad", path);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        uint8_t *copy = malloc(n);
        memcpy(copy, good, n);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        file_put(path, copy, n);
        free(copy);
        if (get(s, &a, &got) == SM_OK) {
            got.made_unix_s = a.made_unix_s; /* ours, and not part of what is sent */
            got.fetched = a.fetched;
            assert_same(&a, &got);
        } else {
            cr_assert_geq(file_size(bad), 0, "bit %zu: not set aside", bit);
            cr_assert_lt(file_size(path), 0);
            (void)unlink(bad);
        }
    }
    for (size_t cut = 0; cut + 1 < n; cut++) { /* the last byte is a newline */
        file_put(path, good, cut);
        cr_assert_eq(get(s, &a, &got), SM_E_NOTFOUND, "cut at %zu", cut);
    }
    free(good);
    put(s, &a); /* and it can be made again */
    cr_assert_eq(get(s, &a, &got), SM_OK);
    sm_proof_store_close(s);
    tmpdir_remove(dir);
}

Test(proofs, prune_by_age)
{
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_stored_proof p[4], got;
    size_t removed = 9;
    struct sm_proof_store *s = open_store(tmpdir_make(dir));
    for (uint8_t i = 0; i < 4; i++) p[i] = proof_of((uint8_t)(i + 1));
    p[0].made_unix_s = NOW - (int64_t)KEEP - 1;
    p[1].made_unix_s = NOW - (int64_t)KEEP;
    p[2].made_unix_s = NOW;
    p[3].made_unix_s = NOW + 1000; /* the clock was set back */
    for (int i = 0; i < 4; i++) put(s, &p[i]);
    file_put(tmpdir_path(dir, "notes.txt"), "mine", 4);
    cr_assert_eq(sm_proof_store_prune(s, 1000, KEEP, &removed, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(removed, 0, "removed under a clock of 1970");
    cr_assert_eq(sm_proof_store_prune(s, NOW, KEEP, &removed, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(removed, 1);
    cr_assert_eq(get(s, &p[0], &got), SM_E_NOTFOUND);
    for (int i = 1; i < 4; i++) cr_assert_eq(get(s, &p[i], &got), SM_OK, "proof %d", i);
    cr_assert_eq(file_size(tmpdir_path(dir, "notes.txt")), 4);
    sm_proof_store_close(s);
    tmpdir_remove(dir);
}

/* Every call that a put makes fails once, with a full and with a broken disk: an error is an error, and what was there
 * before is served or replaced whole. */
Test(proofs, disks_that_fail)
{
    static const int errnums[] = {ENOSPC, EIO};
    char dir[256];
    struct sm_stored_proof old = proof_of(1), new = proof_of(1), got;
    struct sm_proof_store *s = open_store(tmpdir_make(dir));
    new.proof.nonce = 99;
    for (unsigned e = 0; e < 2; e++) {
        unsigned failures = 0;
        for (uint64_t k = 1;; k++) {
            struct sm_errinfo ei = {0};
            put(s, &old);
            fault_set(&(struct fault_plan){.fail_at = k, .fail_errno = errnums[e]});
            const sm_err err = sm_proof_store_put(s, &new, &ei);
            const bool reached = fault_calls() >= k;
            fault_clear();
            cr_assert_eq(get(s, &old, &got), SM_OK, "call %lu: nothing is served", (unsigned long)k);
            cr_assert(got.proof.nonce == 1 || got.proof.nonce == 99, "a mix");
            if (!err) cr_assert_eq(got.proof.nonce, 99, "call %lu: told written, and is not", (unsigned long)k);
            failures += err != SM_OK;
            cr_assert(err == SM_OK || ei.text[0]);
            if (!reached) break;
        }
        cr_assert_geq(failures, 3);
    }
    sm_proof_store_close(s);
    tmpdir_remove(dir);
}

Test(proofs, short_and_interrupted_transfers)
{
    char dir[256];
    const struct sm_stored_proof a = proof_of(1);
    struct sm_stored_proof got;
    struct sm_proof_store *s = open_store(tmpdir_make(dir));
    fault_set(&(struct fault_plan){.eintr = true, .short_max = 7});
    put(s, &a);
    cr_assert_eq(get(s, &a, &got), SM_OK);
    fault_clear();
    assert_same(&a, &got);
    sm_proof_store_close(s);
    tmpdir_remove(dir);
}

/* Death before every call of a put, half of a write done: the next start finds the old proof or the new one, and
 * nothing lies about. */
Test(proofs, a_crash_at_every_call)
{
    char dir[256];
    struct sm_stored_proof old = proof_of(1), new = proof_of(1), got;
    struct sm_proof_store *s = open_store(tmpdir_make(dir));
    new.proof.nonce = 99;
    unsigned crashes = 0;
    for (uint64_t k = 1;; k++) {
        int status = 0;
        put(s, &old);
        const pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            fault_set(&(struct fault_plan){.crash_at = k, .crash_torn = true});
            _exit(sm_proof_store_put(s, &new, NULL) == SM_OK ? 0 : 1);
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 1);
        sm_proof_store_close(s);
        s = open_store(dir);
        char path[512];
        (void)only_file(dir, "", path); /* no leftovers */
        cr_assert_eq(get(s, &old, &got), SM_OK, "call %lu", (unsigned long)k);
        cr_assert(got.proof.nonce == 1 || got.proof.nonce == 99);
        if (WEXITSTATUS(status) == 0) break;
        cr_assert_eq(WEXITSTATUS(status), FAULT_CRASH_STATUS);
        crashes++;
    }
    cr_assert_geq(crashes, 4);
    sm_proof_store_close(s);
    tmpdir_remove(dir);
}
