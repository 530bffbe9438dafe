/* Checking label files through the published interface. Source: post.md §3.8, 9.2. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libpost/post.h"
#include "support/dataset.h"
#include "support/tmpdir.h"

static const ScryptParams n2 = {2, 1, 1};

/* Flips one bit of the label at `position` of file `number`. */
static void damage(const char *dir, const char *name, uint64_t position)
{
    size_t n;
    uint8_t *bytes = file_get(tmpdir_path(dir, name), &n);
    bytes[16 * position + 3] ^= 1;
    file_put(tmpdir_path(dir, name), bytes, n);
    free(bytes);
}

static void expect(VerifyPosResult got, VerifyPosResult_Tag want, const char *what)
{
    cr_assert_eq(got.tag, want, "%s: tag %d", what, (int)got.tag);
}

Test(libpost_pos, good_data)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    const uint32_t from = 1, to = 2;
    expect(verify_pos(dir, NULL, NULL, 100, n2), VerifyPosResult_Ok, "all");
    expect(verify_pos(dir, NULL, NULL, 50, n2), VerifyPosResult_Ok, "half");
    expect(verify_pos(dir, &from, &to, 100, n2), VerifyPosResult_Ok, "two files");
    expect(verify_pos(dir, &from, NULL, 10, n2), VerifyPosResult_Ok, "from");
    expect(verify_pos(dir, NULL, &to, 10, n2), VerifyPosResult_Ok, "to");
    expect(verify_pos(dir, &to, &from, 100, n2), VerifyPosResult_Ok, "no file at all");
    file_put(tmpdir_path(dir, "postdata_9.bin"), "surplus", 7);
    expect(verify_pos(dir, NULL, NULL, 100, n2), VerifyPosResult_Ok, "files beyond are not looked at");
    tmpdir_remove(dir);
}

Test(libpost_pos, the_first_wrong_label_is_named)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &dataset_tiny); /* four files of 64 labels */
    damage(dir, "postdata_2.bin", 50);
    damage(dir, "postdata_2.bin", 7);
    damage(dir, "postdata_3.bin", 0);
    const VerifyPosResult r = verify_pos(dir, NULL, NULL, 100, n2);
    expect(r, VerifyPosResult_Invalid, "all");
    cr_assert_eq(r.invalid.file, 2);
    cr_assert_eq(r.invalid.offset, 16 * 7);
    const uint32_t one = 1, three = 3;
    expect(verify_pos(dir, NULL, &one, 100, n2), VerifyPosResult_Ok, "before it");
    const VerifyPosResult last = verify_pos(dir, &three, NULL, 100, n2);
    expect(last, VerifyPosResult_Invalid, "the last file");
    cr_assert(last.invalid.file == 3 && last.invalid.offset == 0);
    tmpdir_remove(dir);
}

Test(libpost_pos, a_share_below_one_label_checks_nothing)
{
    char dir[256];
    struct dataset d = dataset_tiny;
    d.labels_per_unit = 100; /* files of 64, 64, 64, 8 */
    dataset_put(tmpdir_make(dir), &d);
    for (uint64_t i = 0; i < 8; i++) damage(dir, "postdata_3.bin", i);
    expect(verify_pos(dir, NULL, NULL, 0, n2), VerifyPosResult_Ok, "nothing");
    expect(verify_pos(dir, NULL, NULL, 1, n2), VerifyPosResult_Ok, "0.64 labels");
    expect(verify_pos(dir, NULL, NULL, 12, n2), VerifyPosResult_Ok, "0.96 labels of the last file");
    expect(verify_pos(dir, NULL, NULL, 12.5, n2), VerifyPosResult_Invalid, "one label of it");
    const uint32_t three = 3;
    expect(verify_pos(dir, &three, &three, 12, n2), VerifyPosResult_Ok, "only the last file");
    tmpdir_remove(dir);
}

Test(libpost_pos, what_cannot_be_read_has_failed)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    const uint32_t one = 1, four = 4;
    expect(verify_pos("/nonexistent/data", NULL, NULL, 100, n2), VerifyPosResult_Failed, "no directory");
    expect(verify_pos(dir, NULL, &four, 100, n2), VerifyPosResult_Failed, "beyond the last file");
    file_put(tmpdir_path(dir, "postdata_2.bin"), "", 0);
    expect(verify_pos(dir, NULL, NULL, 100, n2), VerifyPosResult_Failed, "a short file");
    expect(verify_pos(dir, NULL, &one, 100, n2), VerifyPosResult_Ok, "before it");
    cr_assert_eq(unlink(tmpdir_path(dir, "postdata_2.bin")), 0);
    expect(verify_pos(dir, NULL, NULL, 1, n2), VerifyPosResult_Failed, "a missing file");
    damage(dir, "postdata_3.bin", 1);
    expect(verify_pos(dir, NULL, NULL, 100, n2), VerifyPosResult_Failed, "it comes before the wrong label");
    damage(dir, "postdata_0.bin", 1);
    expect(verify_pos(dir, NULL, NULL, 100, n2), VerifyPosResult_Invalid, "a wrong label comes before it");
    file_put(tmpdir_path(dir, "postdata_metadata.json"), "{", 1);
    (void)unlink(tmpdir_path(dir, "postdata_metadata.json.bak"));
    expect(verify_pos(dir, NULL, NULL, 100, n2), VerifyPosResult_Failed, "broken metadata");
    (void)unlink(tmpdir_path(dir, "postdata_metadata.json"));
    expect(verify_pos(dir, NULL, NULL, 100, n2), VerifyPosResult_Failed, "no metadata");
    tmpdir_remove(dir);
}

Test(libpost_pos, another_n)
{
    char dir[256];
    struct dataset d = dataset_tiny;
    d.no_sidecar = true;
    dataset_put(tmpdir_make(dir), &d);
    expect(verify_pos(dir, NULL, NULL, 100, (ScryptParams){4, 1, 1}), VerifyPosResult_Invalid, "labels of N = 2");
    tmpdir_remove(dir);
}

Test(libpost_pos, arguments_that_are_none)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    expect(verify_pos(NULL, NULL, NULL, 100, n2), VerifyPosResult_InvalidArgument, "no path");
    expect(verify_pos("/tmp/\xc3\x28", NULL, NULL, 100, n2), VerifyPosResult_InvalidArgument, "no UTF-8");
    static const double fractions[] = {-1, 100.5, NAN, INFINITY};
    for (size_t i = 0; i < 4; i++)
        expect(verify_pos(dir, NULL, NULL, fractions[i], n2), VerifyPosResult_InvalidArgument, "fraction");
    static const ScryptParams bad[] = {{0, 1, 1}, {1, 1, 1}, {3, 1, 1}, {2, 0, 1}, {2, 1, 8}, {UINTPTR_MAX, 1, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect(verify_pos(dir, NULL, NULL, 100, bad[i]), VerifyPosResult_InvalidArgument, "scrypt");
    tmpdir_remove(dir);
}
