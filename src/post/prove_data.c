#include "post/prove_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/blake3.h"
#include "post/difficulty.h"
#include "post/metadata.h"
#include "post/sidecar.h"
#include "util/bytes.h"
#include "util/io.h"

#define CHUNK_BYTES (8u * SM_LABEL_BYTES) /* what the reference examines at a time: post.md §5.5 */

static sm_err check_units(const struct sm_prove_cfg *cfg, const struct sm_metadata *m, struct sm_errinfo *ei)
{
    const struct sm_post_params *p = &cfg->params;
    if (m->num_units < p->min_num_units || m->num_units > p->max_num_units)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s holds %" PRIu32 " units; network %s takes %" PRIu32 " to %" PRIu32 " units", cfg->dir,
                       m->num_units, p->name, p->min_num_units, p->max_num_units);
    if (m->labels_per_unit != p->labels_per_unit)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s has units of %" PRIu64 " labels, network %s has units of %" PRIu64
                       "; choose the network this data was made for",
                       cfg->dir, m->labels_per_unit, p->name, p->labels_per_unit);
    return SM_OK;
}

static sm_err check_file_size(const struct sm_prove_cfg *cfg, const struct sm_metadata *m, struct sm_errinfo *ei)
{
    const uint32_t multiple = cfg->reference_tail ? SM_LABEL_BYTES : CHUNK_BYTES;
    if (m->max_file_size && m->max_file_size % multiple == 0) return SM_OK;
    if (m->max_file_size && m->max_file_size % SM_LABEL_BYTES == 0)
        return sm_fail(ei, SM_E_FORMAT,
                       "%s: MaxFileSize %" PRIu64
                       " is not a multiple of %u; provers work on %u labels at a time and the "
                       "last ones of every file do not fit; prove with --reference-tail to leave those out",
                       cfg->dir, m->max_file_size, CHUNK_BYTES, CHUNK_BYTES / SM_LABEL_BYTES);
    return sm_fail(ei, SM_E_FORMAT,
                   "%s: MaxFileSize %" PRIu64 " is not a multiple of the %u bytes of a label; labels do not have a "
                   "defined place in such files: initialize again with another file size",
                   cfg->dir, m->max_file_size, SM_LABEL_BYTES);
}

static sm_err check_scrypt(const struct sm_prove_cfg *cfg, uint64_t n, const char *file, struct sm_errinfo *ei)
{
    if (n == cfg->params.scrypt_n) return SM_OK;
    return sm_fail(ei, SM_E_MISMATCH,
                   "%s/%s says scrypt N = %" PRIu64 ", network %s has N = %" PRIu32
                   "; a proof over such labels is not valid there",
                   cfg->dir, file, n, cfg->params.name, cfg->params.scrypt_n);
}

static sm_err check_sidecar(const struct sm_prove_cfg *cfg, struct sm_errinfo *ei)
{
    struct sm_sidecar s = {0};
    sm_err err = sm_sidecar_load(cfg->dir, &s, ei);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (err) return err;
    if (s.grow_to)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s is being grown to %" PRIu32 " units; finish that first: smesher grow --dir %s "
                       "--num-units %" PRIu32,
                       cfg->dir, s.grow_to, cfg->dir, s.grow_to);
    return s.scrypt_n ? check_scrypt(cfg, s.scrypt_n, SM_SIDECAR_FILE, ei) : SM_OK;
}

static sm_err check_metadata(const struct sm_prove_cfg *cfg, const struct sm_metadata *m, struct sm_errinfo *ei)
{
    sm_err err = check_units(cfg, m, ei);
    if (!err) err = check_file_size(cfg, m, ei);
    if (!err && m->has_scrypt) err = check_scrypt(cfg, m->scrypt_n, SM_METADATA_FILE, ei);
    if (!err) err = check_sidecar(cfg, ei);
    if (err) return err;
    if (!m->has_nonce && !cfg->without_vrf_nonce)
        return sm_fail(ei, SM_E_NOTFOUND,
                       "%s has no VRF nonce, without which the network does not accept an identity; find it first: "
                       "smesher nonce --dir %s",
                       cfg->dir, cfg->dir);
    return SM_OK;
}

/* Checks file i and adds it to the identity of the data. */
static sm_err check_file(const struct sm_prove_data *d, uint64_t i, struct sm_blake3 *h, uint64_t *out_device,
                         struct sm_errinfo *ei)
{
    char name[64], path[4096];
    sm_err err = sm_io_path(path, sizeof path, d->dir, sm_layout_file_name(i, name), ei);
    if (err) return err;
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT) return sm_fail_errno(ei, errno, "cannot look at %s", path);
        return sm_fail(ei, SM_E_NOTFOUND,
                       "%s is missing; the data set has files 0 to %" PRIu64
                       ": finish it with init, or merge its parts",
                       path, d->layout.files - 1);
    }
    const uint64_t want = SM_LABEL_BYTES * sm_layout_file_labels(&d->layout, i), bytes = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode)) return sm_fail(ei, SM_E_FORMAT, "%s is not a regular file", path);
    if (bytes < want)
        return sm_fail(ei, SM_E_FORMAT, "%s is too short: %" PRIu64 " bytes, expected %" PRIu64 "; finish it with init",
                       path, bytes, want);
    if (bytes % SM_LABEL_BYTES)
        return sm_fail(ei, SM_E_FORMAT,
                       "%s: %" PRIu64 " bytes are not a whole number of labels, expected %" PRIu64
                       "; check it with verify",
                       path, bytes, want);
    uint8_t id[4 * 8];
    sm_le64_store(id, i);
    sm_le64_store(id + 8, bytes);
    sm_le64_store(id + 16, (uint64_t)st.st_mtim.tv_sec);
    sm_le64_store(id + 24, (uint64_t)st.st_mtim.tv_nsec);
    sm_blake3_update(h, id, sizeof id);
    *out_device = st.st_dev;
    return SM_OK;
}

/* The devices of the files, as far as they are there: what the metadata says may be no more than a number. */
struct devices {
    uint64_t *v;
    uint64_t n, room;
};

static sm_err add_device(struct devices *d, uint64_t device, struct sm_errinfo *ei)
{
    if (d->n == d->room) {
        const uint64_t room = d->room ? 2 * d->room : 64;
        uint64_t *v = realloc(d->v, room * sizeof *v);
        if (!v) return sm_fail(ei, SM_E_NOMEM, "out of memory for a data set of more than %" PRIu64 " files", d->n);
        d->v = v;
        d->room = room;
    }
    d->v[d->n++] = device;
    return SM_OK;
}

static sm_err check_files(struct sm_prove_data *d, uint64_t max_file_size, struct sm_errinfo *ei)
{
    struct sm_blake3 h;
    sm_blake3_init(&h);
    uint8_t head[32 + 32 + 4 * 8];
    memcpy(head, d->node_id.b, 32);
    memcpy(head + 32, d->commitment_atx_id.b, 32);
    sm_le64_store(head + 64, d->num_units);
    sm_le64_store(head + 72, d->labels_per_unit);
    sm_le64_store(head + 80, max_file_size);
    sm_le64_store(head + 88, d->reference_tail);
    sm_blake3_update(&h, head, sizeof head);
    struct devices devices = {0};
    sm_err err = SM_OK;
    for (uint64_t i = 0; i < d->layout.files && !err; i++) {
        uint64_t device = 0;
        err = check_file(d, i, &h, &device, ei);
        if (!err) err = add_device(&devices, device, ei);
    }
    if (!err) err = sm_prove_disks_init(&d->disks, devices.v, d->layout.files, ei);
    free(devices.v);
    sm_blake3_final(&h, d->identity);
    return err;
}

void sm_prove_data_fini(struct sm_prove_data *d)
{
    sm_prove_disks_fini(&d->disks);
}

sm_err sm_prove_data_open(const struct sm_prove_cfg *cfg, struct sm_prove_data *out, struct sm_errinfo *ei)
{
    struct sm_metadata m = {0};
    bool from_backup = false;
    sm_err err = sm_metadata_load(cfg->dir, &m, &from_backup, ei);
    if (err) return err;
    err = check_metadata(cfg, &m, ei);
    if (err) goto out;

    struct sm_prove_data d = {.dir = cfg->dir,
                              .node_id = m.node_id,
                              .commitment_atx_id = m.commitment_atx_id,
                              .num_units = m.num_units,
                              .labels_per_unit = m.labels_per_unit,
                              .reference_tail = cfg->reference_tail};
    uint64_t num_labels = 0;
    err = sm_num_labels(m.num_units, m.labels_per_unit, &num_labels, ei);
    if (!err) err = sm_layout_make(num_labels, m.max_file_size, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &d.layout, ei);
    if (!err) err = check_files(&d, m.max_file_size, ei);
    if (!err) *out = d;
out:
    sm_metadata_fini(&m);
    return err;
}
