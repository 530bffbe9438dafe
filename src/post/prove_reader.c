#include "post/prove_impl.h"

#include <fcntl.h>
#include <inttypes.h>

#include "util/io.h"

/* A reader's open file. */
struct source {
    const struct sm_prover *p;
    int fd;
    uint64_t file;
    char path[4096];
    bool direct;    /* the descriptor is in direct mode */
    bool no_direct; /* the file system refused, or a direct read failed: buffered from here on */
};

static sm_err source_open(struct source *s, uint64_t file, struct sm_errinfo *ei)
{
    if (s->fd >= 0 && s->file == file) return SM_OK;
    sm_io_close(s->fd);
    s->fd = -1;
    s->direct = false;
    char name[64];
    sm_err err = sm_io_path(s->path, sizeof s->path, s->p->data.dir, sm_layout_file_name(file, name), ei);
    if (!err) err = sm_io_open(s->path, O_RDONLY, 0, &s->fd, ei);
    if (err) return err;
    s->file = file;
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return SM_OK;
}

static bool source_direct(struct source *s, bool on)
{
    if (s->direct != on && sm_io_set_direct(s->fd, on)) s->direct = on;
    return s->direct == on;
}

/* The aligned part of a read, past the page cache. Returns the bytes read: 0 when that does not work here; the
 * buffered read that follows then tells whether the disk itself is at fault. */
static size_t read_direct(struct source *s, uint8_t *buf, size_t n, uint64_t offset)
{
    const size_t aligned = n - n % SM_IO_ALIGN;
    if (!s->p->cfg->direct_io || s->no_direct || offset % SM_IO_ALIGN || aligned == 0) return 0;
    if (source_direct(s, true) && sm_io_pread_exact(s->fd, s->path, buf, aligned, offset, NULL) == SM_OK)
        return aligned;
    s->no_direct = true;
    return 0;
}

static sm_err source_read(struct source *s, const struct sm_prove_slot *slot, struct sm_errinfo *ei)
{
    const size_t n = SM_LABEL_BYTES * slot->batch.labels;
    sm_err err = source_open(s, slot->batch.file, ei);
    if (err) return err;
    const size_t done = read_direct(s, slot->buf->p, n, slot->batch.offset);
    if (done == n) return SM_OK;
    if (!source_direct(s, false)) return sm_fail(ei, SM_E_IO, "%s: cannot leave direct mode", s->path);
    err = sm_io_pread_exact(s->fd, s->path, slot->buf->p + done, n - done, slot->batch.offset + done, ei);
    /* Whoever asked for direct I/O does not want these labels to push everything else out of memory. */
    if (!err && s->p->cfg->direct_io) sm_io_drop_cache(s->fd, slot->batch.offset + done, n - done);
    return err;
}

void *sm_prove_reader_main(void *reader)
{
    const struct sm_prove_reader *me = reader;
    struct sm_prove_ring *r = me->ring;
    struct source s = {.p = r->p, .fd = -1};
    for (struct sm_prove_slot *slot; (slot = sm_prove_ring_take_empty(r, me->lane));) {
        slot->ei.text[0] = '\0';
        const sm_err err = source_read(&s, slot, &slot->ei);
        if (!err) atomic_fetch_add(&r->bytes_read, SM_LABEL_BYTES * slot->batch.labels);
        sm_prove_ring_filled(r, slot, err);
    }
    sm_io_close(s.fd);
    return NULL;
}
