#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/stage.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/thread.h"

#define BLOCK_BYTES ((size_t)4 << 20) /* per request, as the prover reads */
#define IN_FLIGHT   4u                /* requests at once: enough for NVMe, harmless for a spindle (in order) */
#define PAGE        4096u
#define KEEP_FREE   ((uint64_t)1 << 30)
#define READ_ROUNDS 3u

/* The first word of every page tells where it belongs: cheap to check at any speed. */
static uint64_t page_mark(uint64_t offset)
{
    return (offset + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

struct disk_run {
    const char *path;
    int fd;
    bool write;
    uint64_t blocks;
    const struct sm_cancel *cancel;
    atomic_uint_fast64_t next;
    _Atomic int err;
    struct {
        struct sm_errinfo ei;
    } member[IN_FLIGHT];
};

static sm_err one_block(struct disk_run *r, uint8_t *buf, uint64_t block, struct sm_errinfo *ei)
{
    const uint64_t off = block * BLOCK_BYTES;
    if (r->write) {
        for (size_t p = 0; p < BLOCK_BYTES; p += PAGE) sm_le64_store(buf + p, page_mark(off + p));
        return sm_io_pwrite(r->fd, r->path, buf, BLOCK_BYTES, off, ei);
    }
    sm_err err = sm_io_pread_exact(r->fd, r->path, buf, BLOCK_BYTES, off, ei);
    for (size_t p = 0; !err && p < BLOCK_BYTES; p += PAGE)
        if (sm_le64_load(buf + p) != page_mark(off + p))
            err =
                sm_fail(ei, SM_E_IO, "%s: offset %" PRIu64 " reads back other bytes than were written: check this disk",
                        r->path, off + p);
    return err;
}

static void disk_member(void *arg, unsigned index)
{
    struct disk_run *r = arg;
    struct sm_errinfo *ei = &r->member[index].ei;
    struct sm_mem mem;
    sm_err err = sm_mem_map(&mem, BLOCK_BYTES, SM_PAGES_THP) ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory");
    if (!err)
        for (size_t i = 0; i < BLOCK_BYTES; i += 8) sm_le64_store((uint8_t *)mem.p + i, (i + 1) * page_mark(index));
    while (!err && !atomic_load(&r->err)) {
        const uint64_t block = atomic_fetch_add(&r->next, 1);
        if (block >= r->blocks) break;
        err = sm_cancelled(r->cancel) ? sm_fail(ei, SM_E_CANCELLED, "interrupted") : one_block(r, mem.p, block, ei);
    }
    if (err) atomic_store(&r->err, (int)err);
    sm_mem_unmap(&mem);
}

/* Bytes per second of one sweep over the file. */
static sm_err sweep(struct disk_run *r, double *out, struct sm_errinfo *ei)
{
    atomic_store(&r->next, 0);
    atomic_store(&r->err, SM_OK);
    const uint64_t start = sm_clock_ns();
    sm_threads_run(IN_FLIGHT, disk_member, r);
    sm_err err = (sm_err)atomic_load(&r->err);
    for (unsigned i = 0; err && i < IN_FLIGHT; i++)
        if (r->member[i].ei.text[0]) return sm_fail(ei, err, "%s", r->member[i].ei.text);
    if (err) return err;
    if (r->write) err = sm_io_sync(r->fd, r->path, ei);
    *out = (double)(r->blocks * BLOCK_BYTES) / sm_clock_seconds_since(start);
    return err;
}

static void disk_row(struct sm_bench_row *row, const char *dir, const char *how, bool direct, double *rates, unsigned n)
{
    memset(row, 0, sizeof *row);
    (void)snprintf(row->stage, sizeof row->stage, "disk");
    (void)snprintf(row->device, sizeof row->device, "%.63s", dir);
    (void)snprintf(row->variant, sizeof row->variant, "%s %s", direct ? "direct" : "buffered", how);
    (void)snprintf(row->unit, sizeof row->unit, "bytes/s");
    row->rate = sm_bench_stat_of(rates, n);
    row->bytes_per_s = row->rate.median;
    if (!direct) (void)snprintf(row->note, sizeof row->note, "no direct I/O here: the page cache is in the figure");
}

static sm_err room_for(const char *dir, uint64_t bytes, struct sm_errinfo *ei)
{
    uint64_t room = 0;
    sm_err err = sm_io_free_bytes(dir, &room, ei);
    if (!err && room < bytes + KEEP_FREE)
        err = sm_fail(ei, SM_E_NOSPACE,
                      "%s: %" PRIu64 " MiB free, the disk benchmark needs %" PRIu64
                      " MiB and leaves 1 GiB: choose another --dir or a smaller --size",
                      dir, room >> 20, (bytes + KEEP_FREE) >> 20);
    return err;
}

sm_err sm_bench_disk(const char *dir, uint64_t bytes, const struct sm_cancel *cancel, struct sm_bench_row out[2],
                     struct sm_errinfo *ei)
{
    char name[64], path[PATH_MAX] = "";
    double rates[READ_ROUNDS];
    struct disk_run r = {.fd = -1, .path = path, .cancel = cancel, .blocks = bytes / BLOCK_BYTES};
    if (r.blocks == 0) r.blocks = 1;
    sm_err err = room_for(dir, r.blocks * BLOCK_BYTES, ei);
    if (err) return err;
    (void)snprintf(name, sizeof name, ".smesher-bench-%ld.tmp", (long)getpid());
    err = sm_io_path(path, sizeof path, dir, name, ei);
    if (!err) err = sm_io_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, &r.fd, ei);
    if (err) return err;
    const bool direct = sm_io_set_direct(r.fd, true);

    r.write = true;
    err = sweep(&r, &rates[0], ei);
    if (err) goto out;
    disk_row(&out[0], dir, "write", direct, rates, 1);
    r.write = false;
    for (unsigned i = 0; i < READ_ROUNDS; i++) {
        err = sweep(&r, &rates[i], ei);
        if (err) goto out;
    }
    disk_row(&out[1], dir, "read", direct, rates, READ_ROUNDS);
out:
    sm_io_close(r.fd);
    (void)unlink(path); /* ours: created above with O_EXCL */
    return err;
}
