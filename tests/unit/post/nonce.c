/* Searching existing files for the VRF nonce. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "post/datadir.h"
#include "post/metadata.h"
#include "post/nonce.h"
#include "support/dataset.h"
#include "support/faultio.h"
#include "support/tmpdir.h"
#include "support/vectors.h"

static sm_err search(const char *dir, uint64_t from, uint64_t to, struct sm_nonce_result *r, struct sm_errinfo *ei)
{
    const struct sm_nonce_cfg cfg = {.dir = dir, .from_file = from, .to_file = to};
    return sm_nonce_search(&cfg, NULL, r, ei);
}

static struct sm_nonce_result search_all(const char *dir)
{
    struct sm_nonce_result r = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(search(dir, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &r, &ei), SM_OK, "%s", ei.text);
    return r;
}

static struct sm_metadata load(const char *dir)
{
    struct sm_metadata m;
    bool from_backup;
    cr_assert_eq(sm_metadata_load(dir, &m, &from_backup, NULL), SM_OK);
    return m;
}

static void save_nonce(const char *dir, bool has, uint64_t nonce, const uint8_t *value)
{
    struct sm_metadata m = load(dir);
    m.has_nonce = has;
    m.nonce = nonce;
    m.has_nonce_value = value != NULL;
    if (value) memcpy(m.nonce_value, value, 16);
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
}

/* The published data sets with N = 2 or 4: their smallest label. */
Test(nonce, matches_the_vectors)
{
    json_t *cases = vec_load("post_proofs.json");
    int tried = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        uint8_t node[32], atx[32], label[32];
        char dir[256];
        vec_hex(c, "node_id_hex", node, 32);
        vec_hex(c, "commitment_atx_id_hex", atx, 32);
        vec_hex(vec_get(c, "smallest_label"), "label32_hex", label, 32);
        const struct dataset d = {
            .node_id = node[0],
            .atx_id = atx[0],
            .scrypt_n = (uint32_t)vec_u64(vec_get(c, "scrypt"), "n"),
            .labels_per_unit = vec_u64(c, "labels_per_unit"),
            .num_units = (uint32_t)vec_u64(c, "num_units"),
            .max_file_size = vec_u64(c, "max_file_size"),
            .from = SM_LAYOUT_ALL,
            .to = SM_LAYOUT_ALL,
            .no_nonce = true,
        };
        if (d.scrypt_n > 4 || node[1] != node[0]) continue; /* the builder repeats one byte; and large N takes long */
        tried++;
        dataset_put(tmpdir_make(dir), &d);
        const struct sm_nonce_result r = search_all(dir);
        cr_assert(r.found && r.changed && !r.previous_invalid);
        cr_assert_eq(r.nonce, vec_u64(c, "vrf_nonce"), "%s: %" PRIu64, vec_str(c, "name"), r.nonce);
        cr_assert_arr_eq(r.label, label, 32);
        cr_assert_eq(r.labels_scanned, vec_u64(c, "num_labels"));
        cr_assert_eq(r.labels_corrupt + r.files_missing, 0);
        const struct sm_metadata m = load(dir);
        cr_assert(m.has_nonce && m.has_nonce_value && m.nonce == r.nonce);
        cr_assert_arr_eq(m.nonce_value, label, 16);
        tmpdir_remove(dir);
    }
    json_decref(cases);
    cr_assert_eq(tried, 4);
}

Test(nonce, smaller_existing_one_stays)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    const struct sm_metadata before = load(dir);
    cr_assert_eq(before.nonce, 246, "post.md §3.2"); /* in file 3 */
    struct sm_nonce_result r;
    cr_assert_eq(search(dir, 0, 1, &r, NULL), SM_OK);
    cr_assert(r.found && !r.changed && r.nonce == 246);
    cr_assert_eq(r.labels_scanned, 128);
    r = search_all(dir);
    cr_assert(r.found && !r.changed && r.nonce == 246, "and is not replaced by itself");
}

Test(nonce, larger_or_invalid_existing_one_is_replaced)
{
    char dir[256];
    uint8_t label[32], difficulty[32] = {0x08};
    uint64_t valid = 0, invalid = 0;
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    for (uint64_t i = 300; !valid || !invalid; i++) { /* beyond the data */
        dataset_label(&dataset_tiny, i, label);
        if (memcmp(label, difficulty, 32) < 0)
            valid = i;
        else
            invalid = i;
    }
    dataset_label(&dataset_tiny, valid, label);
    save_nonce(dir, true, valid, label);
    struct sm_nonce_result r = search_all(dir);
    cr_assert(r.changed && r.nonce == 246 && !r.previous_invalid);

    save_nonce(dir, true, valid, NULL);
    cr_assert_eq(search(dir, 0, 0, &r, NULL), SM_OK);
    struct sm_metadata m = load(dir);
    cr_assert(r.changed && m.has_nonce_value, "the missing value is filled in");

    static const uint8_t boast[16] = {0}; /* an invalid nonce with an invincible value */
    save_nonce(dir, true, invalid, boast);
    r = search_all(dir);
    cr_assert(r.previous_invalid && r.changed && r.nonce == 246);
    m = load(dir);
    cr_assert_eq(m.nonce_value[1], 0x05);
}

Test(nonce, dry_run_changes_nothing)
{
    char dir[256];
    struct dataset d = dataset_tiny;
    d.no_nonce = true;
    dataset_put(tmpdir_make(dir), &d);
    const struct sm_nonce_cfg cfg = {.dir = dir, .from_file = SM_LAYOUT_ALL, .to_file = SM_LAYOUT_ALL, .dry_run = true};
    struct sm_nonce_result r;
    cr_assert_eq(sm_nonce_search(&cfg, NULL, &r, NULL), SM_OK);
    cr_assert(r.found && r.changed && r.nonce == 246);
    cr_assert_not(load(dir).has_nonce);
}

Test(nonce, subset_searches_its_files)
{
    char dir[256];
    struct dataset d = dataset_tiny;
    d.from = d.to = 3;
    d.no_nonce = true;
    dataset_put(tmpdir_make(dir), &d);
    const struct sm_nonce_result r = search_all(dir);
    cr_assert(r.found && r.nonce == 246 && r.labels_scanned == 64 && r.files_missing == 0);
    struct sm_nonce_result none;
    struct sm_errinfo ei = {0};
    cr_assert_eq(search(dir, 0, 1, &none, &ei), SM_E_NOTFOUND, "%s", ei.text);
    cr_assert_eq(search(dir, 2, 4, &none, &ei), SM_E_ARG, "%s", ei.text);
    cr_assert_eq(search(dir, 2, 3, &none, &ei), SM_OK);
    cr_assert_eq(none.files_missing, 1);
}

Test(nonce, wrong_n_is_refused)
{
    char dir[256];
    struct dataset d = dataset_tiny;
    struct sm_errinfo ei = {0};
    struct sm_nonce_result r;
    dataset_put(tmpdir_make(dir), &d);
    struct sm_nonce_cfg cfg = {.dir = dir, .scrypt_n = 4, .from_file = SM_LAYOUT_ALL, .to_file = SM_LAYOUT_ALL};
    cr_assert_eq(sm_nonce_search(&cfg, NULL, &r, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "4") && strstr(ei.text, "says 2"), "%s", ei.text);
    (void)unlink(tmpdir_path(dir, "smesher.json"));
    cr_assert_eq(sm_nonce_search(&cfg, NULL, &r, &ei), SM_E_MISMATCH, "the labels say so too");
    cr_assert(strstr(ei.text, "N = 4"), "%s", ei.text);
    cfg.scrypt_n = 0;
    cr_assert_eq(sm_nonce_search(&cfg, NULL, &r, &ei), SM_E_ARG);
    cfg.scrypt_n = 2;
    cr_assert_eq(sm_nonce_search(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
}

Test(nonce, corrupt_candidates_never_win)
{
    char dir[256];
    size_t n;
    struct dataset d = dataset_tiny;
    d.no_nonce = true;
    dataset_put(tmpdir_make(dir), &d);
    uint8_t *p = file_get(tmpdir_path(dir, "postdata_1.bin"), &n);
    memset(p + 16 * 20, 0, 32); /* two labels of zeros */
    file_put(tmpdir_path(dir, "postdata_1.bin"), p, n);
    const struct sm_nonce_result r = search_all(dir);
    cr_assert(r.nonce == 246 && r.labels_corrupt == 2 && r.corrupt_file == 1 && r.corrupt_offset == 320);

    memset(p, 0, n);
    file_put(tmpdir_path(dir, "postdata_1.bin"), p, n);
    memset(p + 16 * 32, 0, 16 * 8);
    file_put(tmpdir_path(dir, "postdata_2.bin"), p, n);
    struct sm_nonce_result none;
    struct sm_errinfo ei = {0};
    cr_assert_eq(search(dir, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &none, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "postdata_1.bin at byte 0"), "%s", ei.text);
    free(p);
}

Test(nonce, odd_and_long_files)
{
    char dir[256];
    size_t n;
    struct dataset d = dataset_tiny;
    d.no_nonce = true;
    dataset_put(tmpdir_make(dir), &d);
    uint8_t *p = file_get(tmpdir_path(dir, "postdata_0.bin"), &n), more[1024 + 32];
    memcpy(more, p, n);
    memset(more + n, 0, 32); /* beyond the layout: not labels */
    file_put(tmpdir_path(dir, "postdata_0.bin"), more, sizeof more);
    file_put(tmpdir_path(dir, "postdata_2.bin"), p, 0);
    free(p);
    p = file_get(tmpdir_path(dir, "postdata_3.bin"), &n);
    file_put(tmpdir_path(dir, "postdata_3.bin"), p, n - 5);
    free(p);
    const struct sm_nonce_result r = search_all(dir);
    cr_assert_eq(r.labels_scanned, 64 + 64 + 63);
    cr_assert(r.nonce == 246 && r.labels_corrupt == 0 && r.files_missing == 2);
}

Test(nonce, interrupted_and_short_reads_do_not_matter)
{
    char dir[256];
    struct dataset d = dataset_tiny;
    d.no_nonce = true;
    dataset_put(tmpdir_make(dir), &d);
    fault_set(&(struct fault_plan){.eintr = true, .short_max = 13});
    const struct sm_nonce_result r = search_all(dir);
    fault_clear();
    cr_assert_eq(r.nonce, 246);
    cr_assert_gt(fault_calls(), 300);
}

Test(nonce, what_was_found_before_a_failure_is_kept)
{
    char dir[256];
    struct dataset d = dataset_tiny;
    struct sm_errinfo ei = {0};
    struct sm_nonce_result r;
    d.no_nonce = true;
    dataset_put(tmpdir_make(dir), &d);
    cr_assert_eq(search(dir, 0, 1, &r, NULL), SM_OK);
    const struct sm_nonce_result first = r;
    save_nonce(dir, false, 0, NULL);
    fault_set(&(struct fault_plan){.kinds = FAULT_READ, .path_has = "postdata_2.bin", .fail_at = 1});
    cr_assert_eq(search(dir, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &r, &ei), SM_E_IO);
    fault_clear();
    cr_assert(strstr(ei.text, "postdata_2.bin at offset 0"), "%s", ei.text);
    cr_assert_eq(load(dir).has_nonce, first.found);
    if (first.found) cr_assert_eq(load(dir).nonce, first.nonce);
}

static void stop_after_two_files(void *ctx, uint64_t done, uint64_t total)
{
    cr_assert_eq(total, 256);
    if (done >= 128) sm_cancel_request(ctx);
}

Test(nonce, cancel)
{
    char dir[256];
    struct sm_cancel cancel = {false};
    struct sm_nonce_result r;
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    const struct sm_nonce_cfg cfg = {
        .dir = dir,
        .from_file = SM_LAYOUT_ALL,
        .to_file = SM_LAYOUT_ALL,
        .progress = stop_after_two_files,
        .progress_ctx = &cancel,
    };
    cr_assert_eq(sm_nonce_search(&cfg, &cancel, &r, NULL), SM_E_CANCELLED);
    struct sm_dirlock l;
    cr_assert_eq(sm_dirlock_take(dir, true, &l, NULL), SM_OK, "the lock is free again");
    cr_assert_eq(sm_nonce_search(&cfg, NULL, &r, NULL), SM_E_BUSY);
    sm_dirlock_release(&l);
}
