#include "post/init_writer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"

#define BUFFER_BYTES  (8u << 20)
#define FLUSH_NS      (100 * SM_NS_PER_MS) /* finished labels reach the kernel at least so often: what kill -9 can cost */
#define CHECKPOINT_NS (60 * SM_NS_PER_S)   /* and the disk so often: what a power cut can cost */

/* A stretch of one file. Its bytes lie in memory as in the file: at the same offset modulo the block size. */
struct slot {
    struct sm_mem mem;
    bool full; /* under mu: the writer's; else the caller's */
    uint64_t file, offset;
    size_t n;
    uint64_t end_label;
    struct sm_vrf_best best;
};

struct sm_init_writer {
    struct sm_init_writer_cfg cfg; /* constant */
    pthread_t thread;
    bool running;
    struct slot slots[2];
    unsigned filling;    /* caller only */
    uint64_t started_ns; /* caller only: first byte into the slot being filled */
    struct {             /* under mu */
        pthread_mutex_t mu;
        pthread_cond_t changed;
        bool closing;
        sm_err err; /* of the writer, sticky */
        struct sm_errinfo ei;
    } shared;
    struct { /* writer's thread only; the caller's after it has ended */
        bool open, direct;
        uint64_t number;
        char path[PATH_MAX];
        int fd, direct_fd;
        bool dir_dirty;                /* a file was created */
        uint64_t dirty_from, dirty_to; /* of the open file, not synced */
        uint64_t unsaved;              /* bytes since the last checkpoint, in all files */
        uint64_t saved_ns;
        uint64_t position;
        struct sm_vrf_best best;
    } out;
};

/* ---- the file being written ---- */

/* Space for the whole file at once: less fragmentation. The size stays what was written, for it is the point where
 * other programs resume. Advisory. */
static void reserve(int fd, uint64_t from, uint64_t to)
{
    if (to > from) (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
}

static sm_err file_sync(struct sm_init_writer *w, struct sm_errinfo *ei)
{
    if (!w->out.open || w->out.dirty_from == w->out.dirty_to) return SM_OK;
    sm_err err = sm_io_sync(w->out.fd, w->out.path, ei);
    if (err) return err;
    sm_io_drop_cache(w->out.fd, w->out.dirty_from, w->out.dirty_to - w->out.dirty_from);
    w->out.dirty_from = w->out.dirty_to;
    return SM_OK;
}

static void file_close(struct sm_init_writer *w)
{
    if (!w->out.open) return;
    sm_io_close(w->out.fd);
    sm_io_close(w->out.direct_fd);
    w->out.open = false;
}

static void open_direct(struct sm_init_writer *w)
{
    w->out.direct_fd = -1;
    if (!w->out.direct || sm_io_open(w->out.path, O_WRONLY, 0, &w->out.direct_fd, NULL)) return;
    if (sm_io_set_direct(w->out.direct_fd, true)) return;
    sm_io_close(w->out.direct_fd);
    w->out.direct_fd = -1;
    if (w->cfg.spread->dirs_n < 2) w->out.direct = false; /* the next files are on the same file system */
}

static sm_err create(struct sm_init_writer *w, uint64_t number, struct sm_errinfo *ei)
{
    if (w->cfg.spread->dirs_n > 1)
        return sm_spread_create(w->cfg.spread, w->cfg.dir, number, w->out.path, &w->out.fd, ei);
    return sm_io_open(w->out.path, O_WRONLY | O_CREAT, 0600, &w->out.fd, ei);
}

static sm_err file_open(struct sm_init_writer *w, uint64_t number, uint64_t offset, struct sm_errinfo *ei)
{
    char name[64];
    char link[PATH_MAX];
    struct stat st;
    sm_err err = sm_io_path(link, sizeof link, w->cfg.dir, sm_layout_file_name(number, name), ei);
    if (err) return err;
    if (lstat(link, &st) != 0 || !S_ISLNK(st.st_mode) || !realpath(link, w->out.path)) /* errors name the disk itself */
        memcpy(w->out.path, link, sizeof link);
    err = sm_io_open(w->out.path, O_WRONLY, 0, &w->out.fd, ei);
    if (err == SM_E_NOTFOUND) {
        err = create(w, number, ei);
        w->out.dir_dirty |= !err;
    }
    if (err) return err;
    w->out.open = true;
    w->out.number = number;
    w->out.dirty_from = w->out.dirty_to = offset;
    reserve(w->out.fd, offset, sm_layout_file_labels(&w->cfg.layout, number) * SM_LABEL_BYTES);
    open_direct(w);
    return SM_OK;
}

/* Whole blocks past the page cache; the ends, and everything where that is not to be had, through it. The two never
 * meet in one block, because a block is either whole or an end. */
static sm_err file_write(struct sm_init_writer *w, const uint8_t *p, size_t n, uint64_t offset, struct sm_errinfo *ei)
{
    const size_t to_block = (size_t)(-offset % SM_IO_ALIGN);
    const size_t head = n < to_block ? n : to_block;
    const size_t blocks = (n - head) / SM_IO_ALIGN * SM_IO_ALIGN;
    if (w->out.direct_fd < 0 || blocks == 0) return sm_io_pwrite(w->out.fd, w->out.path, p, n, offset, ei);

    sm_err err = sm_io_pwrite(w->out.fd, w->out.path, p, head, offset, ei);
    if (err) return err;
    err = sm_io_pwrite(w->out.direct_fd, w->out.path, p + head, blocks, offset + head, ei);
    if (err == SM_E_IO) { /* a file system may take the flag and refuse the write */
        sm_log(SM_LOG_DEBUG, "init", "direct write refused, going on buffered", "file=%s", w->out.path);
        sm_io_close(w->out.direct_fd);
        w->out.direct_fd = -1;
        w->out.direct = false;
        err = sm_io_pwrite(w->out.fd, w->out.path, p + head, blocks, offset + head, ei);
    }
    if (err) return err;
    return sm_io_pwrite(w->out.fd, w->out.path, p + head + blocks, n - head - blocks, offset + head + blocks, ei);
}

static sm_err checkpoint(struct sm_init_writer *w, struct sm_errinfo *ei)
{
    if (!w->out.unsaved) return SM_OK;
    sm_err err = file_sync(w, ei);
    if (!err && w->out.dir_dirty) err = sm_io_sync_dir(w->cfg.dir, ei);
    if (!err) err = w->cfg.checkpoint(w->cfg.ctx, w->out.position, &w->out.best, ei);
    if (err) return err;
    w->out.dir_dirty = false;
    w->out.unsaved = 0;
    w->out.saved_ns = sm_clock_ns();
    return SM_OK;
}

static sm_err write_slot(struct sm_init_writer *w, const struct slot *s, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    if (w->out.open && w->out.number != s->file) {
        err = file_sync(w, ei);
        file_close(w);
    }
    if (!err && !w->out.open) err = file_open(w, s->file, s->offset, ei);
    if (err) return err;
    const uint8_t *p = (const uint8_t *)s->mem.p + s->offset % SM_IO_ALIGN;
    w->out.dirty_to = s->offset + s->n; /* a failed write may have put a part of it there */
    err = file_write(w, p, s->n, s->offset, ei);
    if (err) return err;
    w->out.unsaved += s->n;
    w->out.position = s->end_label;
    w->out.best = s->best;
    if (w->out.unsaved >= w->cfg.checkpoint_bytes || sm_clock_ns() - w->out.saved_ns >= CHECKPOINT_NS)
        err = checkpoint(w, ei);
    return err;
}

/* ---- the thread ---- */

static void *writer_main(void *arg)
{
    struct sm_init_writer *w = arg;
    unsigned next = 0;
    sm_err err = SM_OK;
    pthread_mutex_lock(&w->shared.mu);
    while (!err) {
        struct slot *s = &w->slots[next];
        while (!s->full && !w->shared.closing) pthread_cond_wait(&w->shared.changed, &w->shared.mu);
        if (!s->full) break;
        struct sm_errinfo ei = {0};
        pthread_mutex_unlock(&w->shared.mu);
        err = write_slot(w, s, &ei);
        pthread_mutex_lock(&w->shared.mu);
        s->full = false;
        w->shared.err = err;
        w->shared.ei = ei;
        pthread_cond_signal(&w->shared.changed);
        next ^= 1;
    }
    pthread_mutex_unlock(&w->shared.mu);
    return NULL;
}

static void stop(struct sm_init_writer *w)
{
    if (!w->running) return;
    pthread_mutex_lock(&w->shared.mu);
    w->shared.closing = true;
    pthread_cond_signal(&w->shared.changed);
    pthread_mutex_unlock(&w->shared.mu);
    (void)pthread_join(w->thread, NULL);
    w->running = false;
}

sm_err sm_init_writer_new(const struct sm_init_writer_cfg *cfg, struct sm_init_writer **out, struct sm_errinfo *ei)
{
    sm_err err = SM_E_NOMEM;
    struct sm_init_writer *w = calloc(1, sizeof *w);
    if (!w) return sm_fail(ei, err, "out of memory for writing labels");
    w->cfg = *cfg;
    w->out.direct = cfg->direct_io;
    w->out.saved_ns = sm_clock_ns();
    (void)pthread_mutex_init(&w->shared.mu, NULL);
    (void)pthread_cond_init(&w->shared.changed, NULL);
    if (!sm_mem_map(&w->slots[0].mem, BUFFER_BYTES, SM_PAGES_NORMAL) ||
        !sm_mem_map(&w->slots[1].mem, BUFFER_BYTES, SM_PAGES_NORMAL)) {
        (void)sm_fail(ei, err, "out of memory for two buffers of %u bytes", BUFFER_BYTES);
        goto out;
    }
    w->running = pthread_create(&w->thread, NULL, writer_main, w) == 0;
    if (!w->running) {
        (void)sm_fail(ei, err, "cannot start the thread that writes labels");
        goto out;
    }
    *out = w;
    w = NULL;
    err = SM_OK;
out:
    sm_init_writer_free(w);
    return err;
}

void sm_init_writer_free(struct sm_init_writer *w)
{
    if (!w) return;
    stop(w);
    file_close(w);
    sm_mem_unmap(&w->slots[0].mem);
    sm_mem_unmap(&w->slots[1].mem);
    pthread_cond_destroy(&w->shared.changed);
    pthread_mutex_destroy(&w->shared.mu);
    free(w);
}

/* ---- the caller's side ---- */

/* Gives the filled slot to the writer and waits for the other one. */
static sm_err hand_over(struct sm_init_writer *w, struct sm_errinfo *ei)
{
    pthread_mutex_lock(&w->shared.mu);
    if (w->slots[w->filling].n) {
        w->slots[w->filling].full = true;
        pthread_cond_signal(&w->shared.changed);
        w->filling ^= 1;
    }
    struct slot *s = &w->slots[w->filling];
    while (s->full && !w->shared.err) pthread_cond_wait(&w->shared.changed, &w->shared.mu);
    const sm_err err = w->shared.err ? sm_fail(ei, w->shared.err, "%s", w->shared.ei.text) : SM_OK;
    pthread_mutex_unlock(&w->shared.mu);
    if (!err) s->n = 0;
    return err;
}

static size_t room(const struct slot *s)
{
    return BUFFER_BYTES - (size_t)(s->offset % SM_IO_ALIGN) - s->n;
}

/* Bytes of one file. */
static sm_err put(struct sm_init_writer *w, uint64_t file, uint64_t offset, const uint8_t *p, size_t n,
                  const struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    while (n) {
        struct slot *s = &w->slots[w->filling];
        if (s->n && (s->file != file || s->offset + s->n != offset || !room(s))) {
            sm_err err = hand_over(w, ei);
            if (err) return err;
            continue;
        }
        if (!s->n) {
            s->file = file;
            s->offset = offset;
            w->started_ns = sm_clock_ns();
        }
        const size_t k = n < room(s) ? n : room(s);
        memcpy((uint8_t *)s->mem.p + s->offset % SM_IO_ALIGN + s->n, p, k);
        s->n += k;
        s->best = *best;
        s->end_label = sm_layout_file_first(&w->cfg.layout, file) + (s->offset + s->n) / SM_LABEL_BYTES;
        p += k;
        n -= k;
        offset += k;
    }
    return SM_OK;
}

sm_err sm_init_writer_put(struct sm_init_writer *w, struct sm_label_range range, const uint8_t *labels,
                          const struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    const uint64_t per_file = w->cfg.layout.labels_per_file;
    for (uint64_t done = 0; done < range.count;) {
        const uint64_t file = (range.first + done) / per_file, at = (range.first + done) % per_file;
        uint64_t n = range.count - done;
        if (n > per_file - at) n = per_file - at;
        sm_err err = put(w, file, at * SM_LABEL_BYTES, labels + done * SM_LABEL_BYTES, n * SM_LABEL_BYTES, best, ei);
        if (err) return err;
        done += n;
    }
    if (sm_clock_ns() - w->started_ns >= FLUSH_NS) return hand_over(w, ei);
    return SM_OK;
}

sm_err sm_init_writer_finish(struct sm_init_writer *w, struct sm_errinfo *ei)
{
    sm_err err = hand_over(w, ei);
    stop(w);
    if (!err && w->shared.err) err = sm_fail(ei, w->shared.err, "%s", w->shared.ei.text);
    if (!err) err = checkpoint(w, ei);
    return err;
}
