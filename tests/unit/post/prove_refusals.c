/* What the prover refuses, and that it says why. */
#include "unit/post/prove_cases.h"

#include <sys/stat.h>
#include <unistd.h>

#include "post/datadir.h"
#include "post/sidecar.h"

static struct prove_case base;
static char dir[256];
static struct sm_prove_cfg cfg;

static void start(void)
{
    base = load_case("msb-nonzero"); /* 2 units of 200 labels, two files of 3200 bytes */
    put_data(&base, tmpdir_make(dir));
    cfg = cfg_of(&base, dir);
    cfg.reference_tail = false;
}

static void stop(void)
{
    tmpdir_remove(dir);
}

TestSuite(prove_refusals, .init = start, .fini = stop);

static void assert_refused(sm_err want, const char *text)
{
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    const sm_err err = sm_prove_run(&cfg, NULL, &r, &ei);
    cr_assert_eq(err, want, "%s: %s", sm_err_name(err), ei.text);
    cr_assert(strstr(ei.text, text), "\"%s\" is not in: %s", text, ei.text);
}

Test(prove_refusals, nonces)
{
    static const uint32_t bad[] = {0, 1, 15, 17, 100, 4097, 4112, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cfg.nonces = bad[i];
        assert_refused(SM_E_ARG, "nonces per pass: must be a multiple of 16 from 16 to 4096");
    }
}

Test(prove_refusals, k1_and_k2)
{
    cfg.params.k2 = 0;
    assert_refused(SM_E_ARG, "k2 is 0");
    cfg.params.k2 = SM_K2_MAX + 1;
    assert_refused(SM_E_ARG, "k2 is 6401");
    cfg.params.k2 = 1000;
    assert_refused(SM_E_ARG, "more than the 800 bytes");
    cfg.params.k2 = base.k2;
    cfg.params.k1 = 0;
    assert_refused(SM_E_ARG, "k1 is 0");
    cfg.params.k1 = 400;
    assert_refused(SM_E_ARG, "too few for k1");
}

Test(prove_refusals, threads_and_variant)
{
    cfg.threads = 100000;
    assert_refused(SM_E_ARG, "threads");
    cfg.threads = 0;
    cfg.cores = (const unsigned[]){0};
    assert_refused(SM_E_ARG, "pinned cores");
    cfg.threads = 1;
    cfg.cores = NULL;
    cfg.isa = "sse9";
    assert_refused(SM_E_ARG, "sse9");
}

Test(prove_refusals, another_network)
{
    cfg.params.max_num_units = 1;
    assert_refused(SM_E_MISMATCH, "holds 2 units");
    cfg.params.max_num_units = 10;
    cfg.params.min_num_units = 3;
    assert_refused(SM_E_MISMATCH, "takes 3 to 10 units");
    cfg.params.min_num_units = 1;
    cfg.params.labels_per_unit = 512;
    assert_refused(SM_E_MISMATCH, "units of 200 labels");
}

Test(prove_refusals, another_n)
{
    struct sm_errinfo ei = {0};
    struct sm_sidecar side = {.scrypt_n = 2 * base.scrypt_n};
    cr_assert_eq(sm_sidecar_save(dir, &side, &ei), SM_OK, "%s", ei.text);
    assert_refused(SM_E_MISMATCH, "scrypt N");
}

Test(prove_refusals, an_unfinished_grow)
{
    struct sm_errinfo ei = {0};
    struct sm_sidecar side = {.scrypt_n = base.scrypt_n, .grow_to = 7};
    cr_assert_eq(sm_sidecar_save(dir, &side, &ei), SM_OK, "%s", ei.text);
    assert_refused(SM_E_MISMATCH, "smesher grow");
}

Test(prove_refusals, a_broken_side_file)
{
    file_put(tmpdir_path(dir, SM_SIDECAR_FILE), "{", 1);
    assert_refused(SM_E_FORMAT, SM_SIDECAR_FILE);
}

Test(prove_refusals, no_vrf_nonce)
{
    struct sm_errinfo ei = {0};
    struct sm_metadata m = {0};
    bool backup = false;
    cr_assert_eq(sm_metadata_load(dir, &m, &backup, &ei), SM_OK);
    m.has_nonce = false;
    cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_OK);
    sm_metadata_fini(&m);
    assert_refused(SM_E_NOTFOUND, "smesher nonce --dir ");
}

Test(prove_refusals, no_metadata)
{
    cr_assert_eq(unlink(tmpdir_path(dir, SM_METADATA_FILE)), 0);
    assert_refused(SM_E_NOTFOUND, SM_METADATA_FILE);
}

Test(prove_refusals, no_directory)
{
    cfg.dir = "/nonexistent/post";
    assert_refused(SM_E_NOTFOUND, "/nonexistent/post");
}

static void set_file_size(uint64_t bytes)
{
    base.max_file_size = bytes;
    put_metadata(&base, dir);
}

Test(prove_refusals, file_sizes_without_whole_chunks)
{
    set_file_size(3200 + 16);
    assert_refused(SM_E_FORMAT, "MaxFileSize 3216 is not a multiple of 128");
    set_file_size(3200 + 8);
    assert_refused(SM_E_FORMAT, "MaxFileSize 3208 is not a multiple of the 16 bytes");
    cfg.reference_tail = true;
    assert_refused(SM_E_FORMAT, "MaxFileSize 3208");
}

Test(prove_refusals, a_missing_file)
{
    cr_assert_eq(unlink(tmpdir_path(dir, "postdata_0.bin")), 0);
    assert_refused(SM_E_NOTFOUND, "postdata_0.bin is missing");
}

Test(prove_refusals, files_named_almost_right)
{
    /* the reference counts files instead of reading their numbers */
    cr_assert_eq(rename(tmpdir_path(dir, "postdata_1.bin"), tmpdir_path(dir, "postdata_2.bin")), 0);
    assert_refused(SM_E_NOTFOUND, "postdata_1.bin is missing");
    cr_assert_eq(rename(tmpdir_path(dir, "postdata_2.bin"), tmpdir_path(dir, "postdata_01.bin")), 0);
    assert_refused(SM_E_NOTFOUND, "postdata_1.bin is missing");
}

Test(prove_refusals, short_and_odd_files)
{
    const char *last = tmpdir_path(dir, "postdata_1.bin");
    cr_assert_eq(truncate(last, 3200 - 16), 0);
    assert_refused(SM_E_FORMAT, "postdata_1.bin is too short: 3184 bytes, expected 3200");
    cr_assert_eq(truncate(last, 3200 - 3), 0);
    assert_refused(SM_E_FORMAT, "postdata_1.bin is too short");
    cr_assert_eq(truncate(last, 3200 + 5), 0);
    assert_refused(SM_E_FORMAT, "3205 bytes are not a whole number of labels");
    cr_assert_eq(truncate(last, 0), 0);
    assert_refused(SM_E_FORMAT, "postdata_1.bin is too short: 0 bytes");
    cr_assert_eq(unlink(last), 0);
    cr_assert_eq(mkdir(last, 0700), 0);
    assert_refused(SM_E_FORMAT, "postdata_1.bin is not a regular file");
}

Test(prove_refusals, while_somebody_writes)
{
    struct sm_errinfo ei = {0};
    struct sm_dirlock lock;
    cr_assert_eq(sm_dirlock_take(dir, true, &lock, &ei), SM_OK, "%s", ei.text);
    assert_refused(SM_E_BUSY, dir);
    sm_dirlock_release(&lock);
    cr_assert_eq(sm_dirlock_take(dir, false, &lock, &ei), SM_OK, "%s", ei.text);
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "readers do not exclude each other: %s", ei.text);
    sm_dirlock_release(&lock);
}
