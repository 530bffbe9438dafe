/* The initializer: vectors, refusals, resuming after anything, faults. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "support/initkit.h"
#include "support/vectors.h"

/* ---- what it makes ---- */

static struct sm_init_cfg vector_cfg(const json_t *v, const char *dir, struct sm_label_engine *engines, size_t n)
{
    const uint32_t scrypt_n = (uint32_t)vec_u64(vec_get(v, "scrypt"), "n");
    struct sm_init_cfg cfg = {.dir = dir,
                              .labels_per_unit = vec_u64(v, "labels_per_unit"),
                              .num_units = (uint32_t)vec_u64(v, "num_units"),
                              .max_file_size = vec_u64(v, "max_file_size"),
                              .scrypt_n = scrypt_n,
                              .from_file = SM_LAYOUT_ALL,
                              .to_file = SM_LAYOUT_ALL,
                              .engines = engines,
                              .engines_n = n};
    vec_hex(v, "node_id_hex", cfg.node_id.b, 32);
    vec_hex(v, "commitment_atx_id_hex", cfg.commitment_atx_id.b, 32);
    struct sm_errinfo ei = {0};
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(sm_label_engine_cpu(NULL, scrypt_n, 0, &engines[i], &ei), SM_OK, "%s", ei.text);
    return cfg;
}

static void check_hashes(const json_t *v, const char *dir)
{
    const json_t *want = vec_get(v, "postdata_sha256");
    const bool each = strcmp(vec_str(v, "postdata_sha256_of"), "each file in order") == 0;
    crypto_hash_sha256_state all;
    crypto_hash_sha256_init(&all);
    uint8_t got[32], expected[32];
    for (uint64_t i = 0; i < vec_u64(v, "num_files"); i++) {
        char name[64];
        size_t n = 0;
        uint8_t *p = file_get(tmpdir_path(dir, sm_layout_file_name(i, name)), &n);
        crypto_hash_sha256_update(&all, p, n);
        crypto_hash_sha256(got, p, n);
        free(p);
        if (!each) continue;
        hex_to(json_string_value(json_array_get(want, i)), expected, 32);
        cr_assert_arr_eq(got, expected, 32, "%s of %s", name, vec_str(v, "name"));
    }
    if (each) return;
    crypto_hash_sha256_final(&all, got);
    hex_to(json_string_value(json_array_get(want, 0)), expected, 32);
    cr_assert_arr_eq(got, expected, 32, "all files of %s", vec_str(v, "name"));
}

Test(init, data_sets_of_the_vectors, .timeout = 300)
{
    json_t *all = vec_load("post_proofs.json");
    size_t i;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        char dir[256];
        struct sm_label_engine e[2] = {0};
        struct sm_init_result res;
        struct sm_errinfo ei = {0};
        struct sm_init_cfg cfg = vector_cfg(v, tmpdir_make(dir), e, 2);
        if (cfg.max_file_size % 128) { /* not for new data: make it old */
            cr_assert_eq(sm_init_run(&cfg, NULL, &res, &ei), SM_E_ARG, "%s", ei.text);
            cr_assert(strstr(ei.text, "multiple of 128"), "%s", ei.text);
            const struct sm_metadata m = {.node_id = cfg.node_id,
                                          .commitment_atx_id = cfg.commitment_atx_id,
                                          .labels_per_unit = cfg.labels_per_unit,
                                          .num_units = cfg.num_units,
                                          .max_file_size = cfg.max_file_size};
            kit_put_meta(dir, &m);
            cfg = vector_cfg(v, dir, e, 2);
        }
        cr_assert_eq(sm_init_run(&cfg, NULL, &res, &ei), SM_OK, "%s", ei.text);
        cr_assert(res.complete && res.has_nonce);
        cr_assert_eq(res.labels_written, vec_u64(v, "num_labels"));
        cr_assert_eq(res.nonce, vec_u64(v, "vrf_nonce"));
        cr_assert_eq(res.engines_n, 2);
        cr_assert_eq(res.engines[0].labels + res.engines[1].labels, res.labels_written);
        uint8_t label[32];
        vec_hex(vec_get(v, "smallest_label"), "label32_hex", label, 32);
        cr_assert_arr_eq(res.nonce_label, label, 32);
        check_hashes(v, dir);
        const struct sm_metadata m = kit_meta(dir);
        cr_assert(m.has_nonce && m.has_nonce_value && !m.has_last_position);
        cr_assert_eq(m.nonce, vec_u64(v, "vrf_nonce"));
        cr_assert_arr_eq(m.nonce_value, label, 16);
        tmpdir_remove(dir);
    }
    json_decref(all);
}

Test(init, a_new_directory_is_private_and_complete)
{
    char tmp[256];
    struct kit k = kit_in(tmpdir_path(tmpdir_make(tmp), "new"));
    const struct sm_init_result res = kit_must(&k);
    cr_assert_eq(res.labels_written, 192);
    kit_verify(&k);
    struct stat st;
    cr_assert_eq(stat(k.dir, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    char *names[64];
    const size_t n = kit_names(k.dir, names);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(stat(tmpdir_path(k.dir, names[i]), &st), 0);
        cr_assert_eq(st.st_mode & 0777, 0600, "%s", names[i]);
        free(names[i]);
    }
    const struct sm_vrf_best best = kit_best(&k);
    cr_assert(res.has_nonce && res.nonce == best.index);
    struct sm_sidecar side;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_sidecar_load(k.dir, &side, &ei), SM_OK);
    cr_assert(side.scrypt_n == 2 && !side.has_subset && side.grow_to == 0 && side.searched == 192);
}

Test(init, a_finished_set_is_left_alone_and_touches_no_engine)
{
    char a[256], b[256];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    kit_copy(a, tmpdir_make(b));
    const struct sm_init_result res = kit_must(&k);
    cr_assert_eq(res.labels_written, 0);
    cr_assert_eq(res.engines_n, 0, "no farm was made");
    cr_assert(res.has_nonce);
    kit_same(a, b, "second run");
}

Test(init, direct_io_many_engines_and_large_files_give_the_same_bytes)
{
    char dirs[4][256];
    for (int i = 0; i < 4; i++) {
        struct kit k = kit_in(tmpdir_make(dirs[i]));
        k.labels_per_unit = 30000; /* 3 files of 480 kB, ends between blocks */
        k.file_bytes = 480000;
        k.engines = i ? 3 : 1;
        k.chunk = i == 3 ? 1001 : 9000;
        k.direct = i & 1;
        k.checkpoint_bytes = 100000;
        kit_must(&k);
        if (i) kit_same(dirs[0], dirs[i], "direct I/O");
    }
}

static void cancel_at(void *ctx, const struct sm_init_progress *p)
{
    (void)p;
    sm_cancel_request(ctx);
}

Test(init, cancelled_before_the_first_label)
{
    char tmp[256], whole[256];
    struct sm_cancel cancel = {0};
    struct kit k = kit_in(tmpdir_make(tmp)), w = kit_in(tmpdir_make(whole));
    k.progress = cancel_at;
    k.progress_ctx = &cancel;
    struct sm_init_result res;
    struct sm_errinfo ei = {0};
    cr_assert_eq(kit_run(&k, &cancel, &res, &ei), SM_E_CANCELLED);
    k.progress = NULL;
    kit_must(&k);
    kit_must(&w);
    kit_same(tmp, whole, "cancelled at once");
}

struct phases {
    unsigned seen[4], calls;
    struct sm_init_progress last;
};

static void watch(void *ctx, const struct sm_init_progress *p)
{
    struct phases *w = ctx;
    w->seen[p->phase]++;
    w->calls++;
    cr_assert_leq(p->labels_done, p->labels_total);
    cr_assert_geq(p->labels_done, w->last.labels_done);
    w->last = *p;
}

Test(init, progress_ends_with_everything_done)
{
    char tmp[256];
    struct phases w = {0};
    struct kit k = kit_in(tmpdir_make(tmp));
    k.progress = watch;
    k.progress_ctx = &w;
    kit_must(&k);
    cr_assert(w.seen[SM_INIT_CHECKING] && w.seen[SM_INIT_WRITING] && w.seen[SM_INIT_DONE] == 1);
    cr_assert(w.last.labels_done == 192 && w.last.labels_total == 192 && w.last.labels_at_start == 0);
    cr_assert(w.last.has_nonce && w.last.files_total == 3);
}

/* ---- refusals: nothing changes ---- */

static void refuse(struct kit k, const char *untouched, sm_err want, const char *part)
{
    kit_refused(&k, want, part);
    kit_same(k.dir, untouched, part);
}

Test(init, options_that_contradict_the_directory)
{
    char a[256], b[256], hex[65];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    file_put(tmpdir_path(a, "postdata_2.bin"), "0123456789abcdef0123", 20); /* and not complete, with an odd tail */
    kit_copy(a, tmpdir_make(b));
    struct kit other = k;
    other.identity = 2;
    refuse(other, b, SM_E_MISMATCH, "NodeId in the metadata is 0100000000");
    (void)hex;
    other = k;
    other.labels_per_unit = 65;
    refuse(other, b, SM_E_MISMATCH, "LabelsPerUnit in the metadata is 64, in the options 65");
    other = k;
    other.file_bytes = 2048;
    refuse(other, b, SM_E_MISMATCH, "MaxFileSize in the metadata is 1024, in the options 2048");
    other = k;
    other.units = 2;
    refuse(other, b, SM_E_MISMATCH, "the metadata says 3 units, the options 2: to remove labels use `smesher shrink`");
    other.grow = true;
    refuse(other, b, SM_E_MISMATCH, "smesher shrink");
    other = k;
    other.units = 4;
    refuse(other, b, SM_E_MISMATCH, "the metadata says 3 units, the options 4: to add units use `smesher grow`");
    other = k;
    other.n = 4;
    refuse(other, b, SM_E_MISMATCH, "scrypt N = 2 (smesher.json), the options say 4");
    other = k;
    other.to = 1;
    refuse(other, b, SM_E_MISMATCH, "responsible for files 0 to 2 (smesher.json), the options say 0 to 1");
}

Test(init, options_that_make_no_sense)
{
    char tmp[256];
    tmpdir_make(tmp);
    struct kit k = kit_in(tmpdir_path(tmp, "x")), bad = k;
    bad.engines = 0;
    kit_refused(&bad, SM_E_ARG, "no engine");
    bad = k;
    bad.units = 0;
    kit_refused(&bad, SM_E_ARG, "0 units");
    bad = k;
    bad.labels_per_unit = 2;
    kit_refused(&bad, SM_E_ARG, "too small for a VRF nonce");
    bad = k;
    bad.labels_per_unit = UINT64_C(1) << 62;
    kit_refused(&bad, SM_E_ARG, "");
    bad = k;
    bad.labels_per_unit = UINT64_C(1) << 60;
    kit_refused(&bad, SM_E_ARG, "than any disk holds");
    static const uint64_t sizes[] = {0, 16, 896, 1000, 1040, 1025};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bad = k;
        bad.file_bytes = sizes[i];
        kit_refused(&bad, SM_E_ARG, "maximum file size");
    }
    bad = k;
    bad.to = 3;
    kit_refused(&bad, SM_E_ARG, "--to-file");
    bad = k;
    bad.from = 2, bad.to = 1;
    kit_refused(&bad, SM_E_ARG, "--from-file");
    cr_assert_eq(access(k.dir, F_OK), -1, "no directory was made");
    (void)snprintf(bad.dir, sizeof bad.dir, "%s/no/such", tmp);
    bad = kit_in(bad.dir);
    kit_refused(&bad, SM_E_NOTFOUND, "parent");
    bad = k;
    bad.labels_per_unit = UINT64_C(1) << 50; /* 48 PiB */
    bad.file_bytes = UINT64_C(1) << 40;
    kit_refused(&bad, SM_E_NOSPACE, "GiB");
    cr_assert_eq(access(k.dir, F_OK), -1, "no directory was made");
}

Test(init, files_that_do_not_belong)
{
    char a[256], b[256];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    file_put(tmpdir_path(a, "postdata_3.bin"), "0123456789abcdef", 16);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_MISMATCH,
           "postdata_3.bin is beyond the 3 files of 3 units: to remove labels use `smesher shrink`");
    tmpdir_remove(b);
    cr_assert_eq(unlink(tmpdir_path(a, "postdata_3.bin")), 0);
    cr_assert_eq(truncate(tmpdir_path(a, "postdata_1.bin"), 1025), 0);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_MISMATCH, "postdata_1.bin has 1025 bytes, 3 units need 1024 of them");
}

Test(init, labels_without_metadata_and_broken_metadata)
{
    char a[256], b[256];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    cr_assert_eq(unlink(tmpdir_path(a, SM_METADATA_FILE)), 0);
    cr_assert_eq(unlink(tmpdir_path(a, SM_METADATA_BACKUP_FILE)), 0);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_NOTFOUND, "holds labels but no postdata_metadata.json");
    tmpdir_remove(b);
    file_put(tmpdir_path(a, SM_METADATA_FILE), "{\"NodeId\":", 10);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_FORMAT, SM_METADATA_FILE);
}

Test(init, metadata_without_labels_is_respected)
{
    char a[256];
    struct kit k = kit_in(tmpdir_make(a)), other = k;
    const struct sm_metadata m = {
        .node_id = kit_node(&k), .labels_per_unit = 64, .num_units = 3, .max_file_size = 1024};
    kit_put_meta(a, &m);
    other.units = 2;
    kit_refused(&other, SM_E_MISMATCH, "3 units");
    other = k;
    other.identity = 9;
    kit_refused(&other, SM_E_MISMATCH, "NodeId");
    kit_must(&k);
    kit_verify(&k);
}

Test(init, newer_metadata_is_not_touched)
{
    char a[256], b[256];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    size_t n = 0;
    char *text = (char *)file_get(tmpdir_path(a, SM_METADATA_FILE), &n), next[4096];
    (void)snprintf(next, sizeof next, "{\n\t\"Version\": 2,%s", text + 1);
    free(text);
    file_put(tmpdir_path(a, SM_METADATA_FILE), next, strlen(next));
    cr_assert_eq(unlink(tmpdir_path(a, "postdata_2.bin")), 0);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_FORMAT, "Version 2");
}

Test(init, the_scrypt_of_newer_metadata_counts)
{
    char a[256];
    struct kit k = kit_in(tmpdir_make(a));
    struct sm_metadata m = {.version = 1,
                            .node_id = kit_node(&k),
                            .labels_per_unit = 64,
                            .num_units = 3,
                            .max_file_size = 1024,
                            .has_scrypt = true,
                            .scrypt_n = 8192,
                            .scrypt_r = 1,
                            .scrypt_p = 1};
    kit_put_meta(a, &m);
    kit_refused(&k, SM_E_MISMATCH, "Scrypt N in the metadata is 8192, in the options 2");
    m.scrypt_n = 2;
    m.scrypt_r = 8;
    kit_put_meta(a, &m);
    kit_refused(&k, SM_E_MISMATCH, "Scrypt R");
    m.scrypt_r = 1;
    kit_put_meta(a, &m);
    kit_must(&k);
    const struct sm_metadata after = kit_meta(a);
    cr_assert(after.version == 1 && after.has_scrypt && after.scrypt_n == 2, "preserved");
}

Test(init, two_processes)
{
    char a[256];
    struct kit k = kit_in(tmpdir_make(a));
    struct sm_dirlock l;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_dirlock_take(a, true, &l, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(kit_child(&k, &(struct fault_plan){0}), 100 + SM_E_BUSY);
    sm_dirlock_release(&l);
    cr_assert_eq(sm_dirlock_take(a, false, &l, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(kit_child(&k, &(struct fault_plan){0}), 100 + SM_E_BUSY, "a reader keeps writers out, too");
    sm_dirlock_release(&l);
    kit_must(&k);
}

Test(init, a_link_to_a_directory_is_that_directory)
{
    char tmp[256];
    tmpdir_make(tmp);
    struct kit k = kit_in(tmpdir_path(tmp, "real"));
    cr_assert_eq(mkdir(k.dir, 0700), 0);
    struct kit linked = kit_in(tmpdir_path(tmp, "link"));
    cr_assert_eq(symlink("real", linked.dir), 0);
    /* one data file lies elsewhere, as operators do when a disk is full */
    cr_assert_eq(symlink("../elsewhere.bin", tmpdir_path(k.dir, "postdata_1.bin")), 0);
    file_put(tmpdir_path(tmp, "elsewhere.bin"), "", 0);
    kit_must(&linked);
    kit_verify(&k);
    cr_assert_eq(file_size(tmpdir_path(tmp, "elsewhere.bin")), 1024);
}

Test(init, a_directory_one_may_not_write)
{
    char tmp[256];
    struct kit k = kit_in(tmpdir_make(tmp));
    if (geteuid() == 0) { /* permissions do not bind root: a file in the way does */
        struct kit file = kit_in(tmpdir_path(tmp, "file"));
        file_put(file.dir, "x", 1);
        kit_refused(&file, SM_E_IO, "file");
        struct kit below = kit_in(tmpdir_path(tmp, "file/dir"));
        kit_refused(&below, SM_E_IO, "file/dir");
        return;
    }
    cr_assert_eq(chmod(tmp, 0500), 0);
    kit_refused(&k, SM_E_IO, tmp);
    cr_assert_eq(chmod(tmp, 0700), 0);
}

/* ---- N and the labels on disk ---- */

Test(init, labels_of_another_n_are_recognised)
{
    char a[256], b[256];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    cr_assert_eq(unlink(tmpdir_path(a, SM_SIDECAR_FILE)), 0);
    cr_assert_eq(unlink(tmpdir_path(a, "postdata_2.bin")), 0);
    kit_copy(a, tmpdir_make(b));
    k.n = 16;
    refuse(k, b, SM_E_MISMATCH, "was made with scrypt N = 2, the options say N = 16");
    /* without labels the NonceValue gives it away */
    cr_assert_eq(unlink(tmpdir_path(a, "postdata_0.bin")), 0);
    cr_assert_eq(unlink(tmpdir_path(a, "postdata_1.bin")), 0);
    tmpdir_remove(b);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_MISMATCH, "NonceValue in the metadata");
}

static void flip(const char *path, uint64_t at)
{
    size_t n = 0;
    uint8_t *p = file_get(path, &n);
    p[at] ^= 1;
    file_put(path, p, n);
    free(p);
}

Test(init, damaged_labels_are_not_appended_to)
{
    char a[256], b[256];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    cr_assert_eq(truncate(tmpdir_path(a, "postdata_2.bin"), 160), 0);
    flip(tmpdir_path(a, "postdata_2.bin"), 159);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_MISMATCH, "postdata_2.bin (label 137");
    cr_assert_eq(unlink(tmpdir_path(a, SM_SIDECAR_FILE)), 0);
    tmpdir_remove(b);
    kit_copy(a, tmpdir_make(b));
    refuse(k, b, SM_E_MISMATCH, "smesher verify");
}

/* A power cut: labels behind the last checkpoint are garbage or were never written. */
Test(init, labels_behind_the_checkpoint_are_made_again)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    for (int zeros = 0; zeros < 2; zeros++)
        for (int early = 0; early < 2; early++) {
            char a[256];
            struct kit k = kit_in(tmpdir_make(a));
            kit_copy(whole, a);
            struct sm_sidecar side;
            struct sm_errinfo ei = {0};
            cr_assert_eq(sm_sidecar_load(a, &side, &ei), SM_OK);
            side.searched = 70;
            cr_assert_eq(sm_sidecar_save(a, &side, &ei), SM_OK);
            cr_assert_eq(unlink(tmpdir_path(a, "postdata_2.bin")), 0);
            cr_assert_eq(truncate(tmpdir_path(a, "postdata_1.bin"), 900), 0); /* odd, too */
            if (zeros) { /* a hole early behind the checkpoint, good labels after it */
                size_t n = 0;
                uint8_t *p = file_get(tmpdir_path(a, "postdata_1.bin"), &n);
                memset(p + 16 * (early ? 6 : 30), 0, 16 * 5);
                file_put(tmpdir_path(a, "postdata_1.bin"), p, n);
                free(p);
            } else {
                flip(tmpdir_path(a, "postdata_1.bin"), early ? 890 : 800);
            }
            const struct sm_init_result res = kit_must(&k);
            cr_assert_eq(res.bytes_truncated, 4);
            kit_same(a, whole, "power cut");
            tmpdir_remove(a);
        }
}

/* ---- resuming what others made ---- */

/* A directory as another program leaves it: no side file, no backup, no lock. */
static void make_foreign(const char *dir)
{
    (void)unlink(tmpdir_path(dir, SM_SIDECAR_FILE));
    (void)unlink(tmpdir_path(dir, SM_METADATA_BACKUP_FILE));
    (void)unlink(tmpdir_path(dir, SM_LOCK_FILE));
}

Test(init, a_foreign_directory_with_any_part_of_the_nonce)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    for (int what = 0; what < 3; what++)
        for (unsigned stored = 16; stored <= 3072; stored += 16 * 11) {
            char a[256];
            struct kit k = kit_in(tmpdir_make(a));
            kit_copy(whole, a);
            make_foreign(a);
            for (unsigned f = 0; f < 3; f++) {
                char name[64];
                const unsigned first = 1024 * f, have = stored <= first ? 0 : stored - first;
                sm_layout_file_name(f, name);
                if (!have) cr_assert_eq(unlink(tmpdir_path(a, name)), 0);
                if (have && have < 1024) cr_assert_eq(truncate(tmpdir_path(a, name), have), 0);
            }
            struct sm_metadata m = kit_meta(a);
            m.has_nonce = what != 0;
            m.has_nonce_value = what == 2;
            if (m.has_nonce && m.nonce * 16 >= stored) m.has_nonce = m.has_nonce_value = false;
            kit_put_meta(a, &m);
            (void)unlink(tmpdir_path(a, SM_METADATA_BACKUP_FILE));
            const struct sm_init_result res = kit_must(&k);
            cr_assert_eq(res.labels_written, (3072 - stored) / 16);
            kit_same(a, whole, "foreign");
            tmpdir_remove(a);
        }
}

Test(init, metadata_as_the_rust_writer_spells_it)
{
    char whole[256], a[256];
    struct kit w = kit_in(tmpdir_make(whole)), k = kit_in(tmpdir_make(a));
    kit_must(&w);
    kit_copy(whole, a);
    make_foreign(a);
    cr_assert_eq(truncate(tmpdir_path(a, "postdata_1.bin"), 500), 0);
    cr_assert_eq(unlink(tmpdir_path(a, "postdata_2.bin")), 0);
    static const char rust[] =
        "{\n  \"NodeId\": \"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\n"
        "  \"CommitmentAtxId\": \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\n  \"LabelsPerUnit\": 64,\n"
        "  \"NumUnits\": 3,\n  \"MaxFileSize\": 1024,\n  \"Nonce\": null,\n  \"LastPosition\": null\n}";
    file_put(tmpdir_path(a, SM_METADATA_FILE), rust, sizeof rust - 1);
    cr_assert_eq(kit_must(&k).bytes_truncated, 500 % 16);
    kit_same(a, whole, "from Rust");
}

Test(init, a_nonce_that_is_none_is_replaced)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    for (int what = 0; what < 2; what++) {
        char a[256];
        struct kit k = kit_in(tmpdir_make(a));
        kit_copy(whole, a);
        if (what) make_foreign(a);
        struct sm_metadata m = kit_meta(a);
        m.nonce = m.nonce == 5 ? 6 : 5;      /* far from the smallest, surely above the difficulty? */
        if (what) m.has_nonce_value = false; /* else NonceValue is that of another label */
        uint8_t difficulty[32], label[32];
        cr_assert_eq(sm_vrf_difficulty(192, difficulty, NULL), SM_OK);
        cr_assert_eq(sm_scrypt_one(2, kit_commitment(&k).b, m.nonce, label, NULL), SM_OK);
        cr_assert_gt(memcmp(label, difficulty, 32), 0, "choose another identity");
        kit_put_meta(a, &m);
        kit_must(&k);
        kit_same(a, whole, "wrong nonce");
        tmpdir_remove(a);
    }
}

Test(init, an_older_backup_of_the_metadata_does_not_hide_a_smaller_nonce)
{
    char whole[256], a[256];
    struct kit w = kit_in(tmpdir_make(whole)), k = kit_in(tmpdir_make(a));
    kit_must(&w);
    kit_copy(whole, a);
    struct sm_metadata m = kit_meta(a);
    m.has_nonce = m.has_nonce_value = false;
    kit_put_meta(a, &m);
    size_t n = 0;
    uint8_t *p = file_get(tmpdir_path(a, SM_METADATA_FILE), &n);
    file_put(tmpdir_path(a, SM_METADATA_BACKUP_FILE), p, n);
    free(p);
    file_put(tmpdir_path(a, SM_METADATA_FILE), "", 0);
    kit_must(&k);
    kit_same(a, whole, "from the backup");
}

Test(init, odd_tails_and_holes_in_the_file_sequence)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    for (unsigned odd = 0; odd < 16; odd += 5)
        for (unsigned mask = 0; mask < 27; mask++) {
            char a[256], name[64];
            struct kit k = kit_in(tmpdir_make(a));
            kit_copy(whole, a);
            uint64_t stored = 0, tails = 0;
            for (unsigned f = 0, m = mask; f < 3; f++, m /= 3) {
                const char *path = tmpdir_path(a, sm_layout_file_name(f, name));
                if (m % 3 == 0) cr_assert_eq(unlink(path), 0);
                if (m % 3 == 1) cr_assert_eq(truncate(path, 16 * 20 + odd), 0);
                stored += m % 3 == 0 ? 0 : m % 3 == 1 ? 20 : 64;
                tails += m % 3 == 1 ? odd : 0;
            }
            const struct sm_init_result res = kit_must(&k);
            cr_assert_eq(res.labels_written, 192 - stored);
            cr_assert_eq(res.bytes_truncated, tails);
            kit_same(a, whole, "holes");
            tmpdir_remove(a);
        }
}

/* ---- subsets ---- */

Test(init, subsets_put_together_by_hand)
{
    char whole[256], a[256], b[256];
    struct kit w = kit_in(tmpdir_make(whole)), x = kit_in(tmpdir_make(a)), y = kit_in(tmpdir_make(b));
    kit_must(&w);
    x.to = 0;
    y.from = 1;
    cr_assert_eq(kit_must(&x).labels_written, 64);
    cr_assert_eq(kit_must(&y).labels_written, 128);
    kit_verify(&x);
    kit_verify(&y);
    struct sm_sidecar side;
    cr_assert_eq(sm_sidecar_load(b, &side, NULL), SM_OK);
    cr_assert(side.has_subset && side.from == 1 && side.to == 2);
    /* another range is refused while labels of it are missing … */
    struct kit all = kit_in(a);
    kit_refused(&all, SM_E_MISMATCH, "files 0 to 0 (smesher.json), the options say 0 to 2");
    cr_assert_eq(rename(tmpdir_path(b, "postdata_1.bin"), tmpdir_path(a, "postdata_1.bin")), 0);
    cr_assert_eq(rename(tmpdir_path(b, "postdata_2.bin"), tmpdir_path(a, "postdata_2.bin")), 0);
    /* … and right when they are there */
    cr_assert_eq(kit_must(&all).labels_written, 0);
    kit_same(a, whole, "merged by hand");
}

Test(init, a_subset_without_a_nonce_is_complete)
{
    char a[256];
    struct kit k = kit_in(tmpdir_make(a));
    k.identity = without_nonce[0];
    k.to = 1;
    const struct sm_init_result res = kit_must(&k);
    cr_assert(!res.has_nonce);
    const struct sm_metadata m = kit_meta(a);
    cr_assert(!m.has_nonce && !m.has_nonce_value && !m.has_last_position);
}

/* ---- beyond the data ---- */

Test(init, the_search_goes_on_beyond_the_data)
{
    for (size_t i = 0; i < 3; i++) {
        char a[256], b[256];
        struct kit k = kit_in(tmpdir_make(a));
        k.identity = without_nonce[i];
        cr_assert(!kit_best(&k).found, "the identity has a nonce after all");
        const struct sm_init_result res = kit_must(&k);
        const struct sm_metadata m = kit_meta(a);
        cr_assert(m.has_nonce && m.has_nonce_value && m.has_last_position);
        cr_assert(m.nonce >= 192 && m.nonce == res.nonce);
        cr_assert(m.last_position >= 192 && m.last_position <= m.nonce);
        uint8_t difficulty[32], label[32];
        cr_assert_eq(sm_vrf_difficulty(192, difficulty, NULL), SM_OK);
        cr_assert_eq(sm_scrypt_one(2, kit_commitment(&k).b, m.nonce, label, NULL), SM_OK);
        cr_assert_lt(memcmp(label, difficulty, 32), 0);
        cr_assert_arr_eq(label, m.nonce_value, 16);
        /* as other engines and as others leave it: nonce and position, no value */
        struct kit k2 = kit_in(tmpdir_make(b));
        k2.identity = k.identity;
        k2.engines = 3;
        k2.chunk = 7;
        kit_must(&k2);
        kit_same(a, b, "beyond");
        struct sm_metadata go = kit_meta(b);
        go.has_nonce_value = false;
        kit_put_meta(b, &go);
        kit_must(&k2);
        kit_same(a, b, "NonceValue filled in");
        go.has_nonce = false; /* stopped during the search */
        kit_put_meta(b, &go);
        kit_must(&k2);
        kit_same(a, b, "search resumed");
        tmpdir_remove(a);
        tmpdir_remove(b);
    }
}

/* ---- crashes ---- */

struct crash_case {
    bool torn;
    uint64_t short_max;
    uint32_t identity;
    bool direct;
    uint64_t from;
};

/* Dies before the k-th call for every k; what is on disk is not computed again, and the end is the same to the byte. */
static void crash_everywhere(struct crash_case c)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    w.identity = c.identity;
    w.direct = c.direct;
    w.from = c.from;
    kit_must(&w);
    const uint64_t first = c.from == SM_LAYOUT_ALL ? 0 : 64 * c.from;
    for (uint64_t at = 1;; at++) {
        char a[256];
        struct kit k = w;
        (void)snprintf(k.dir, sizeof k.dir, "%s", tmpdir_make(a));
        const struct fault_plan plan = {.crash_at = at, .crash_torn = c.torn, .short_max = c.short_max};
        const int status = kit_child(&k, &plan);
        cr_assert(status == FAULT_CRASH_STATUS || status == 100, "call %llu: %d", (unsigned long long)at, status);
        const uint64_t stored = kit_stored_labels(a);
        const struct sm_init_result res = kit_must(&k);
        cr_assert_eq(res.labels_written, 192 - first - stored, "call %llu: computed again", (unsigned long long)at);
        kit_same(a, whole, "crash");
        tmpdir_remove(a);
        if (status == 100) {
            cr_log_info("%llu calls", (unsigned long long)at - 1);
            break;
        }
    }
    tmpdir_remove(whole);
}

Test(crash, before_every_call, .timeout = 300)
{
    crash_everywhere((struct crash_case){.identity = 1, .from = SM_LAYOUT_ALL});
}

Test(crash, in_the_middle_of_every_write, .timeout = 300)
{
    crash_everywhere((struct crash_case){.torn = true, .short_max = 170, .identity = 7, .from = SM_LAYOUT_ALL});
}

Test(crash, while_searching_beyond, .timeout = 300)
{
    crash_everywhere((struct crash_case){.identity = without_nonce[1], .from = SM_LAYOUT_ALL});
}

Test(crash, of_a_subset_with_direct_io, .timeout = 300)
{
    crash_everywhere((struct crash_case){.torn = true, .identity = 3, .direct = true, .from = 1});
}

/* Again and again at random places, until it is through. */
Test(crash, again_and_again, .timeout = 300)
{
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    for (int round = 0; round < 20; round++) {
        char a[256];
        struct kit k = kit_in(tmpdir_make(a));
        k.engines = 2;
        for (int status = 0; status != 100;) {
            const struct fault_plan plan = {
                .crash_at = (uint64_t)rand() % 60 + 10, .crash_torn = rand() % 2, .short_max = rand() % 2 ? 33 : 0};
            status = kit_child(&k, &plan);
            cr_assert(status == FAULT_CRASH_STATUS || status == 100, "%d, seed %u", status, seed);
        }
        kit_same(a, whole, "crashes");
        tmpdir_remove(a);
    }
}

/* ---- cancelling at every position ---- */

struct stopper {
    struct sm_cancel cancel;
    uint64_t at;
};

static void stop_at(void *ctx, const struct sm_init_progress *p)
{
    struct stopper *s = ctx;
    if (p->phase == SM_INIT_WRITING && p->labels_done >= s->at) sm_cancel_request(&s->cancel);
}

Test(init, cancelled_and_resumed_until_done)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    for (uint64_t step = 1; step < 192; step += 19) {
        char a[256];
        struct kit k = kit_in(tmpdir_make(a));
        struct sm_init_result res = {0};
        struct sm_errinfo ei = {0};
        sm_err err = SM_E_CANCELLED;
        for (int runs = 0; err == SM_E_CANCELLED; runs++) {
            struct stopper s = {.at = kit_stored_labels(a) + step};
            k.progress = stop_at;
            k.progress_ctx = &s;
            const uint64_t before = kit_stored_labels(a);
            err = kit_run(&k, &s.cancel, &res, &ei);
            cr_assert(err == SM_OK || err == SM_E_CANCELLED, "%s", ei.text);
            cr_assert_eq(kit_stored_labels(a), before + res.labels_written, "what was delivered is on disk");
            cr_assert_lt(runs, 300);
            if (err) {
                struct sm_sidecar side;
                cr_assert_eq(sm_sidecar_load(a, &side, NULL), SM_OK);
                cr_assert_eq(side.searched, before + res.labels_written, "checkpointed");
            }
        }
        kit_same(a, whole, "cancelled");
        tmpdir_remove(a);
    }
}

/* ---- disks that fail ---- */

static void resumes_after(const struct fault_plan *plan, const char *whole, sm_err may, const char *what)
{
    char a[256];
    struct kit k = kit_in(tmpdir_make(a));
    struct sm_init_result res;
    struct sm_errinfo ei = {0};
    fault_set(plan);
    const sm_err err = kit_run(&k, NULL, &res, &ei);
    fault_clear();
    cr_assert(err == SM_OK || err == may, "%s: %s %s", what, sm_err_name(err), ei.text);
    if (err) cr_assert(ei.text[0], "%s: an error without a text", what);
    const uint64_t stored = kit_stored_labels(a);
    cr_assert_eq(kit_must(&k).labels_written, 192 - stored, "%s", what);
    kit_same(a, whole, what);
    tmpdir_remove(a);
}

Test(faults, a_full_disk_at_every_byte, .timeout = 300)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    for (uint64_t space = 0; space < 4000; space += 83) {
        const struct fault_plan plan = {.has_space = true, .space_bytes = space};
        resumes_after(&plan, whole, SM_E_NOSPACE, "full");
        const struct fault_plan data = {.has_space = true, .space_bytes = space, .path_has = ".bin"};
        resumes_after(&data, whole, SM_E_NOSPACE, "full for labels");
    }
}

Test(faults, every_call_fails_once_or_for_good, .timeout = 300)
{
    char whole[256];
    struct kit w = kit_in(tmpdir_make(whole));
    kit_must(&w);
    static const unsigned kinds[] = {FAULT_WRITE, FAULT_SYNC, FAULT_RENAME, FAULT_TRUNCATE};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (uint64_t at = 1; at < 40; at += at < 12 ? 1 : 5)
            for (int forever = 0; forever < 2; forever++) {
                const struct fault_plan plan = {
                    .kinds = kinds[i], .fail_at = at, .fail_forever = forever, .fail_errno = EIO};
                resumes_after(&plan, whole, SM_E_IO, "EIO");
            }
}

Test(faults, interrupted_and_short_calls_do_not_matter)
{
    char whole[256], a[256];
    struct kit w = kit_in(tmpdir_make(whole)), k = kit_in(tmpdir_make(a));
    kit_must(&w);
    fault_set(&(struct fault_plan){.eintr = true, .short_max = 7});
    kit_must(&k);
    fault_clear();
    kit_same(a, whole, "short calls");
    cr_assert_eq(truncate(tmpdir_path(a, "postdata_1.bin"), 333), 0);
    fault_set(&(struct fault_plan){.eintr = true, .short_max = 7});
    kit_must(&k);
    fault_clear();
    kit_same(a, whole, "short calls on resume");
}

/* A file system that takes O_DIRECT and then refuses the write. */
Test(faults, a_refused_direct_write_goes_on_buffered)
{
    char whole[256], a[256];
    struct kit w = kit_in(tmpdir_make(whole)), k = kit_in(tmpdir_make(a));
    w.labels_per_unit = k.labels_per_unit = 3000;
    w.file_bytes = k.file_bytes = 51200;
    k.direct = true;
    kit_must(&w);
    fault_set(&(struct fault_plan){.kinds = FAULT_WRITE, .path_has = ".bin", .fail_at = 1, .fail_errno = EINVAL});
    kit_must(&k);
    fault_clear();
    kit_same(a, whole, "refused direct write");
}

/* A read error while checking what is there is an error, not a reason to overwrite. */
Test(faults, labels_that_cannot_be_read)
{
    char a[256], b[256];
    struct kit k = kit_in(tmpdir_make(a));
    kit_must(&k);
    cr_assert_eq(truncate(tmpdir_path(a, "postdata_1.bin"), 512), 0);
    kit_copy(a, tmpdir_make(b));
    fault_set(&(struct fault_plan){.kinds = FAULT_READ, .path_has = ".bin", .fail_at = 1, .fail_errno = EIO});
    kit_refused(&k, SM_E_IO, "cannot read");
    fault_clear();
    kit_same(a, b, "unreadable");
}
