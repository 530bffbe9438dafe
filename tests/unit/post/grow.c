/* Growing from one unit to three: the directory becomes the one that three units at once would have made. */
#include <criterion/criterion.h>
#include <errno.h>

#include "post/shrink.h"
#include "support/initkit.h"

/* Where the smallest label below the difficulty of three units is, by identity. */
static const uint32_t in_the_old_unit = 1, smaller_in_the_new = 3, only_in_the_new = 2, only_in_the_old = 91;

static struct kit one_unit(const char *dir, uint32_t identity)
{
    struct kit k = kit_in(dir);
    k.identity = identity;
    k.units = 1;
    return k;
}

static struct kit grown(struct kit k)
{
    k.units = 3;
    k.grow = true;
    return k;
}

static void make_whole(const char *dir, uint32_t identity)
{
    struct kit k = kit_in(dir);
    k.identity = identity;
    kit_must(&k);
}

Test(grow, gives_what_three_units_at_once_give)
{
    const uint32_t ids[] = {in_the_old_unit, smaller_in_the_new, only_in_the_new,
                            only_in_the_old, without_nonce[0],   without_nonce[1]};
    static const uint64_t file_bytes[] = {1024, 1664, 4096}; /* whole files; the last one is extended; one file */
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        for (size_t f = 0; f < 3; f++) {
            char whole[256], a[256];
            struct kit w = kit_in(tmpdir_make(whole)), k = one_unit(tmpdir_make(a), ids[i]);
            w.identity = ids[i];
            w.file_bytes = k.file_bytes = file_bytes[f];
            kit_must(&w);
            kit_must(&k);
            cr_assert_eq(kit_meta(a).num_units, 1);
            k = grown(k);
            cr_assert_eq(kit_must(&k).labels_written, 128);
            kit_same(a, whole, "grown");
            cr_assert_eq(kit_must(&k).labels_written, 0, "growing again changes nothing");
            kit_same(a, whole, "grown twice");
            tmpdir_remove(a);
            tmpdir_remove(whole);
        }
}

Test(grow, completes_an_unfinished_set_on_the_way)
{
    char whole[256], a[256];
    make_whole(tmpdir_make(whole), in_the_old_unit);
    struct kit k = one_unit(tmpdir_make(a), in_the_old_unit);
    kit_must(&k);
    cr_assert_eq(truncate(tmpdir_path(a, "postdata_0.bin"), 100), 0);
    k = grown(k);
    const struct sm_init_result res = kit_must(&k);
    cr_assert(res.labels_written == 192 - 6 && res.bytes_truncated == 4);
    kit_same(a, whole, "grown from a part");
}

/* Another program's nonce may be a valid one that is not the smallest: too large for the new size, while the old labels
 * hold a better one. */
Test(grow, searches_the_old_labels_when_nothing_else_helps)
{
    char whole[256], a[256];
    make_whole(tmpdir_make(whole), only_in_the_old);
    struct kit k = one_unit(tmpdir_make(a), only_in_the_old);
    kit_must(&k);
    uint8_t easy[32], hard[32], label[32];
    cr_assert_eq(sm_vrf_difficulty(64, easy, NULL), SM_OK);
    cr_assert_eq(sm_vrf_difficulty(192, hard, NULL), SM_OK);
    struct sm_metadata m = kit_meta(a);
    m.has_nonce_value = false;
    for (m.nonce = 0; m.nonce < 64; m.nonce++) {
        cr_assert_eq(sm_scrypt_one(2, kit_commitment(&k).b, m.nonce, label, NULL), SM_OK);
        if (memcmp(label, easy, 32) < 0 && memcmp(label, hard, 32) >= 0) break;
    }
    cr_assert_lt(m.nonce, 64);
    kit_put_meta(a, &m);
    (void)unlink(tmpdir_path(a, SM_SIDECAR_FILE));
    k = grown(k);
    k.checkpoint_bytes = 16; /* only the last label is scanned at the start, as if ours had lost its side file */
    kit_must(&k);
    kit_same(a, whole, "old labels searched");
}

Test(grow, of_a_part)
{
    char a[256];
    struct kit k = one_unit(tmpdir_make(a), without_nonce[0]);
    k.units = 2;
    k.from = 1;
    kit_must(&k);
    struct kit g = grown(k);
    cr_assert_eq(kit_must(&g).labels_written, 64);
    kit_verify(&g);
    const struct sm_metadata m = kit_meta(a);
    cr_assert(m.num_units == 3 && !m.has_nonce, "the old nonce is none for the new size");
    struct sm_sidecar side;
    cr_assert_eq(sm_sidecar_load(a, &side, NULL), SM_OK);
    cr_assert(side.has_subset && side.from == 1 && side.to == 2 && side.grow_to == 0);
}

/* Half-way: metadata of the old size, the side file knows the aim. */
static void half_grown(struct kit *k)
{
    kit_must(k);
    const struct kit g = grown(*k);
    const struct fault_plan plan = {
        .kinds = FAULT_WRITE, .path_has = "postdata_2.bin", .crash_at = 1, .crash_torn = true};
    cr_assert_eq(kit_child(&g, &plan), FAULT_CRASH_STATUS);
    cr_assert_eq(kit_meta(k->dir).num_units, 1);
    cr_assert_eq(file_size(tmpdir_path(k->dir, "postdata_2.bin")), 512);
}

Test(grow, half_grown_is_refused_except_to_go_on)
{
    char whole[256], a[256], b[256];
    make_whole(tmpdir_make(whole), only_in_the_new);
    struct kit k = one_unit(tmpdir_make(a), only_in_the_new), other;
    half_grown(&k);
    kit_copy(a, tmpdir_make(b));
    kit_refused(&k, SM_E_MISMATCH,
                "is being grown from 1 to 3 units, the options say 1: finish that with `smesher grow`");
    other = grown(k);
    other.units = 2;
    kit_refused(&other, SM_E_MISMATCH, "is being grown from 1 to 3 units, the options say 2");
    other = k;
    other.units = 3;
    kit_refused(&other, SM_E_MISMATCH, "is being grown from 1 to 3 units");
    char lock_b[300], lock_a[300]; /* a refused run leaves the lock file empty, the crash left a pid in it */
    (void)snprintf(lock_a, sizeof lock_a, "%s", tmpdir_path(a, SM_LOCK_FILE));
    (void)snprintf(lock_b, sizeof lock_b, "%s", tmpdir_path(b, SM_LOCK_FILE));
    cr_assert(unlink(lock_a) == 0 && unlink(lock_b) == 0);
    kit_same(a, b, "refused");
    other = grown(k);
    kit_must(&other);
    kit_same(a, whole, "gone on");
}

Test(grow, half_grown_can_be_taken_back)
{
    char one[256], a[256];
    struct sm_errinfo ei = {0};
    struct kit w = one_unit(tmpdir_make(one), only_in_the_new), k = one_unit(tmpdir_make(a), only_in_the_new);
    kit_must(&w);
    half_grown(&k);
    cr_assert_eq(sm_shrink_run(a, 1, &ei), SM_OK, "%s", ei.text);
    kit_must(&k);
    kit_verify(&k);
    cr_assert_eq(kit_meta(a).num_units, 1);
}

/* Dies before the k-th call for every k. */
static void crash_everywhere(uint32_t identity, uint64_t file_bytes)
{
    char whole[256], base[256];
    struct kit w = kit_in(tmpdir_make(whole)), old = one_unit(tmpdir_make(base), identity);
    w.identity = identity;
    w.file_bytes = old.file_bytes = file_bytes;
    kit_must(&w);
    kit_must(&old);
    for (uint64_t at = 1;; at++) {
        char a[256];
        kit_copy(base, tmpdir_make(a));
        struct kit k = grown(old);
        (void)snprintf(k.dir, sizeof k.dir, "%s", a);
        const int status = kit_child(&k, &(struct fault_plan){.crash_at = at, .crash_torn = true});
        cr_assert(status == FAULT_CRASH_STATUS || status == 100, "call %llu: %d", (unsigned long long)at, status);
        const uint64_t stored = kit_stored_labels(a);
        cr_assert_eq(kit_must(&k).labels_written, 192 - stored, "call %llu", (unsigned long long)at);
        kit_same(a, whole, "crash while growing");
        tmpdir_remove(a);
        if (status == 100) break;
    }
}

Test(grow, crash_nonce_in_the_old_unit, .timeout = 300)
{
    crash_everywhere(in_the_old_unit, 1024);
}

Test(grow, crash_nonce_in_the_new_units, .timeout = 300)
{
    crash_everywhere(only_in_the_new, 1664);
}

Test(grow, crash_nonce_beyond, .timeout = 300)
{
    crash_everywhere(without_nonce[2], 1024);
}
