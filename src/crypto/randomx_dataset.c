#include "crypto/randomx_dataset.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "crypto/blake3.h"
#include "util/bytes.h"
#include "util/io.h"
#include "util/thread.h"

#define ITEM_BYTES    ((size_t)RANDOMX_DATASET_ITEM_SIZE)
#define BLOCK_ITEMS   16384u /* ours: 1 MiB, about 30 ms to compute: the grain of work and of cancelling */
#define HEADER_BYTES  4096u
#define CHECKED_ITEMS 64u
#define SPARE_BYTES   ((uint64_t)64 << 20) /* ours: left free on the disk */
#define MAGIC         "smesher randomx dataset\n"
#define VERSION       1u

/* The header's used part; 8-byte members first, no padding. */
struct header {
    char magic[24];
    uint64_t items;
    uint64_t fingerprint;
    uint32_t version, item_bytes;
    uint8_t key_hash[32];
    uint8_t checksum[32]; /* BLAKE3 of all before it */
};
_Static_assert(sizeof(struct header) == 112, "the header is written as it lies in memory");

/* ---- work in blocks, by all threads ---- */

struct blocks {
    const struct sm_dataset_fill *fill;
    sm_err (*one)(struct blocks *b, uint64_t first, uint64_t count, struct sm_errinfo *ei);
    int fd;
    const char *path;
    atomic_uint_fast64_t next, fingerprint;
    atomic_int err; /* the first failure; its text is in `ei`, written by who set it */
    struct sm_errinfo ei;
};

static uint8_t *item_at(const struct sm_dataset_fill *f, uint64_t item)
{
    return (uint8_t *)randomx_get_dataset_memory(f->dataset) + item * ITEM_BYTES;
}

static void blocks_fail(struct blocks *b, sm_err err, const struct sm_errinfo *ei)
{
    int none = SM_OK;
    if (atomic_compare_exchange_strong(&b->err, &none, (int)err)) b->ei = *ei;
}

static void blocks_main(void *ctx, unsigned index)
{
    (void)index;
    struct blocks *b = ctx;
    const uint64_t items = randomx_dataset_item_count();
    while (atomic_load(&b->err) == SM_OK) {
        const uint64_t first = atomic_fetch_add(&b->next, BLOCK_ITEMS);
        if (first >= items) return;
        struct sm_errinfo ei = {0};
        const uint64_t count = items - first < BLOCK_ITEMS ? items - first : BLOCK_ITEMS;
        sm_err err = sm_cancelled(b->fill->cancel) ? sm_fail(&ei, SM_E_CANCELLED, "RandomX dataset: cancelled")
                                                   : b->one(b, first, count, &ei);
        if (err) blocks_fail(b, err, &ei);
    }
}

static sm_err blocks_run(struct blocks *b, struct sm_errinfo *ei)
{
    sm_threads_run(b->fill->threads, blocks_main, b);
    const sm_err err = (sm_err)atomic_load(&b->err);
    if (err && ei) *ei = b->ei;
    return err;
}

/* ---- building ---- */

static sm_err build_block(struct blocks *b, uint64_t first, uint64_t count, struct sm_errinfo *ei)
{
    (void)ei;
    randomx_init_dataset(b->fill->dataset, b->fill->cache, (unsigned long)first, (unsigned long)count);
    return SM_OK;
}

sm_err sm_dataset_build(const struct sm_dataset_fill *f, struct sm_errinfo *ei)
{
    struct blocks b = {.fill = f, .one = build_block, .fd = -1};
    return blocks_run(&b, ei);
}

/* ---- fingerprint ---- */

/* Against bit rot, not against people: every step is a bijection of the running value, so that one changed word always
 * shows. Eight lanes keep up with the disk. Blocks are summed: they may come in any order. */
static uint64_t fingerprint_block(const uint8_t *p, uint64_t first, uint64_t count)
{
    const uint64_t prime = 0x9e3779b97f4a7c15; /* 2^64 / golden ratio, odd */
    uint64_t lane[8], sum = first;
    for (unsigned i = 0; i < 8; i++) lane[i] = (first + 1) * prime + i;
    for (uint64_t item = 0; item < count; item++, p += ITEM_BYTES)
        for (unsigned i = 0; i < 8; i++) {
            lane[i] = (lane[i] ^ sm_le64_load(p + 8 * (size_t)i)) * prime;
            lane[i] ^= lane[i] >> 32;
        }
    for (unsigned i = 0; i < 8; i++) sum = (sm_rotl64(sum, 23) ^ lane[i]) * prime;
    return sum;
}

static sm_err fingerprint_one(struct blocks *b, uint64_t first, uint64_t count, struct sm_errinfo *ei)
{
    (void)ei;
    atomic_fetch_add(&b->fingerprint, fingerprint_block(item_at(b->fill, first), first, count));
    return SM_OK;
}

/* ---- loading ---- */

static sm_err load_block(struct blocks *b, uint64_t first, uint64_t count, struct sm_errinfo *ei)
{
    const uint64_t off = HEADER_BYTES + first * ITEM_BYTES;
    const size_t n = (size_t)count * ITEM_BYTES;
    sm_err err = sm_io_pread_exact(b->fd, b->path, item_at(b->fill, first), n, off, ei);
    if (err) return err;
    sm_io_drop_cache(b->fd, off, n); /* the copy in our memory is the one that is used */
    return fingerprint_one(b, first, count, ei);
}

static void header_fill(const struct sm_dataset_fill *f, uint64_t fingerprint, struct header *h)
{
    *h = (struct header){.items = randomx_dataset_item_count(),
                         .fingerprint = fingerprint,
                         .version = VERSION,
                         .item_bytes = (uint32_t)ITEM_BYTES};
    memcpy(h->magic, MAGIC, sizeof h->magic);
    sm_blake3_hash(f->key, f->key_n, h->key_hash);
    sm_blake3_hash(h, offsetof(struct header, checksum), h->checksum);
}

static sm_err header_check(const struct sm_dataset_fill *f, int fd, const char *path, uint64_t *out_fingerprint,
                           struct sm_errinfo *ei)
{
    struct header got, want;
    uint64_t size;
    sm_err err = sm_io_pread_exact(fd, path, &got, sizeof got, 0, ei);
    if (!err) err = sm_io_size(fd, path, &size, ei);
    if (err) return err;
    header_fill(f, got.fingerprint, &want); /* checks every member, the checksum included */
    if (memcmp(&got, &want, sizeof got) != 0)
        return sm_fail(ei, SM_E_MISMATCH, "%s: not a RandomX dataset of this version and key", path);
    const uint64_t want_size = HEADER_BYTES + want.items * ITEM_BYTES;
    if (size != want_size)
        return sm_fail(ei, SM_E_FORMAT, "%s: %" PRIu64 " bytes, expected %" PRIu64, path, size, want_size);
    *out_fingerprint = got.fingerprint;
    return SM_OK;
}

static sm_err check_random_items(const struct sm_dataset_fill *f, const char *path, struct sm_errinfo *ei)
{
    for (unsigned i = 0; i < CHECKED_ITEMS; i++) {
        const uint32_t item = randombytes_uniform((uint32_t)randomx_dataset_item_count());
        uint8_t loaded[RANDOMX_DATASET_ITEM_SIZE];
        memcpy(loaded, item_at(f, item), ITEM_BYTES);
        randomx_init_dataset(f->dataset, f->cache, item, 1);
        if (memcmp(loaded, item_at(f, item), ITEM_BYTES) != 0)
            return sm_fail(ei, SM_E_MISMATCH, "%s: item %" PRIu32 " differs from its recomputation", path, item);
    }
    return SM_OK;
}

sm_err sm_dataset_load(const struct sm_dataset_fill *f, const char *path, struct sm_errinfo *ei)
{
    struct blocks b = {.fill = f, .one = load_block, .fd = -1, .path = path};
    uint64_t fingerprint = 0;
    sm_err err = sm_io_open(path, O_RDONLY, 0, &b.fd, ei);
    if (err) return err;
    err = header_check(f, b.fd, path, &fingerprint, ei);
    if (!err) err = blocks_run(&b, ei);
    if (!err && atomic_load(&b.fingerprint) != fingerprint)
        err = sm_fail(ei, SM_E_MISMATCH, "%s: the items do not match their fingerprint", path);
    if (!err) err = check_random_items(f, path, ei);
    sm_io_close(b.fd);
    return err;
}

/* ---- saving ---- */

static sm_err save_block(struct blocks *b, uint64_t first, uint64_t count, struct sm_errinfo *ei)
{
    const uint64_t off = HEADER_BYTES + first * ITEM_BYTES;
    sm_err err = sm_io_pwrite(b->fd, b->path, item_at(b->fill, first), (size_t)count * ITEM_BYTES, off, ei);
    return err ? err : fingerprint_one(b, first, count, ei);
}

static sm_err save_header(struct blocks *b, struct sm_errinfo *ei)
{
    struct header h;
    uint8_t page[HEADER_BYTES] = {0};
    header_fill(b->fill, atomic_load(&b->fingerprint), &h);
    memcpy(page, &h, sizeof h);
    return sm_io_pwrite(b->fd, b->path, page, sizeof page, 0, ei);
}

static sm_err check_space(const char *dir, struct sm_errinfo *ei)
{
    const uint64_t need = HEADER_BYTES + (uint64_t)randomx_dataset_item_count() * ITEM_BYTES + SPARE_BYTES;
    uint64_t room;
    sm_err err = sm_io_free_bytes(dir, &room, ei);
    if (err) return err;
    if (room < need)
        return sm_fail(ei, SM_E_NOSPACE, "%s: %" PRIu64 " MiB free, a RandomX dataset file needs %" PRIu64 " MiB", dir,
                       room >> 20, need >> 20);
    return SM_OK;
}

sm_err sm_dataset_save(const struct sm_dataset_fill *f, const char *path, struct sm_errinfo *ei)
{
    char tmp[PATH_MAX], dir_room[PATH_MAX];
    if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", path) >= sizeof tmp)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", path);
    (void)snprintf(dir_room, sizeof dir_room, "%s", path);
    const char *dir = dirname(dir_room);
    sm_err err = check_space(dir, ei);
    if (err) return err;

    struct blocks b = {.fill = f, .one = save_block, .fd = -1, .path = tmp};
    err = sm_io_open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600, &b.fd, ei);
    if (err) return err;
    err = blocks_run(&b, ei);
    if (!err) err = save_header(&b, ei);
    if (!err) err = sm_io_sync(b.fd, tmp, ei);
    sm_io_drop_cache(b.fd, 0, 0);
    sm_io_close(b.fd);
    if (!err) err = sm_io_rename(tmp, path, ei);
    if (err) {
        const sm_err ignored = sm_io_unlink(tmp, NULL); /* the first failure is the one to report */
        (void)ignored;
        return err;
    }
    return sm_io_sync_dir(dir, ei);
}
