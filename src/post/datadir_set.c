#include "post/datadir_set.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/sidecar.h"
#include "util/io.h"

static sm_err choose_n(const char *dir, uint32_t asked, uint64_t recorded, const char *where, uint32_t *out,
                       struct sm_errinfo *ei)
{
    if (asked == 0 && recorded == 0)
        return sm_fail(ei, SM_E_ARG, "%s does not record its scrypt N: name it (--scrypt-n; the main network has 8192)",
                       dir);
    if (asked && recorded && asked != recorded)
        return sm_fail(ei, SM_E_MISMATCH, "scrypt N: asked for %" PRIu32 ", but %s of %s says %" PRIu64, asked, where,
                       dir, recorded);
    if (recorded > SM_SCRYPT_N_MAX)
        return sm_fail(ei, SM_E_FORMAT, "%s of %s: scrypt N %" PRIu64 " is out of range", where, dir, recorded);
    *out = asked ? asked : (uint32_t)recorded;
    return SM_OK;
}

/* Drops the files outside from..to. */
static void keep_asked_for(struct sm_dataset *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->files_n; i++) {
        if (s->files[i].number < s->layout.from || s->files[i].number > s->layout.to) continue;
        s->files[kept++] = s->files[i];
    }
    s->files_n = kept;
}

sm_err sm_dataset_open(const char *dir, uint32_t scrypt_n, uint64_t from, uint64_t to, struct sm_dataset *out,
                       struct sm_errinfo *ei)
{
    struct sm_dataset s = {0};
    struct sm_sidecar side = {0};
    struct sm_errinfo ignored = {0};
    bool from_backup;
    sm_err err = sm_datadir_list(dir, &s.files, &s.files_n, &s.problems, ei);
    if (err) goto out;
    err = sm_metadata_load(dir, &s.meta, &from_backup, ei);
    if (err) goto out;
    if (sm_sidecar_load(dir, &side, &ignored) != SM_OK)
        side = (struct sm_sidecar){0}; /* says nothing: the caller must */

    if (side.scrypt_n || !s.meta.has_scrypt)
        err = choose_n(dir, scrypt_n, side.scrypt_n, SM_SIDECAR_FILE, &s.scrypt_n, ei);
    else
        err = choose_n(dir, scrypt_n, s.meta.scrypt_n, SM_METADATA_FILE, &s.scrypt_n, ei);
    if (err) goto out;
    if (from == SM_LAYOUT_ALL && to == SM_LAYOUT_ALL && side.has_subset) {
        from = side.from;
        to = side.to;
    }
    err = sm_layout_make(s.meta.labels_per_unit * s.meta.num_units, s.meta.max_file_size, from, to, &s.layout, ei);
    if (err) goto out;
    err = sm_datadir_compare(s.files, s.files_n, &s.layout, &s.problems, ei);
    if (err) goto out;

    keep_asked_for(&s);
    s.commitment = sm_commitment_of(&s.meta.node_id, &s.meta.commitment_atx_id);
    *out = s;
    s = (struct sm_dataset){0};
out:
    sm_dataset_fini(&s);
    return err;
}

void sm_dataset_fini(struct sm_dataset *s)
{
    sm_metadata_fini(&s->meta);
    free(s->files);
    sm_sentences_fini(&s->problems);
    *s = (struct sm_dataset){0};
}

uint64_t sm_dataset_labels(const struct sm_dataset *s, const struct sm_datafile *f)
{
    const uint64_t have = f->bytes / SM_LABEL_BYTES, want = sm_layout_file_labels(&s->layout, f->number);
    return have < want ? have : want;
}

uint64_t sm_dataset_first(const struct sm_dataset *s, const struct sm_datafile *f)
{
    return sm_layout_file_first(&s->layout, f->number);
}

static sm_err probe_file(const struct sm_dataset *s, const struct sm_datafile *f, const char *path,
                         struct sm_errinfo *ei)
{
    const uint64_t labels = sm_dataset_labels(s, f), at[3] = {0, labels / 2, labels - 1};
    int fd = -1;
    sm_err err = sm_io_open(path, O_RDONLY, 0, &fd, ei);
    if (err) return err;
    for (int i = 0; i < 3; i++) {
        uint8_t stored[SM_LABEL_BYTES], right[32];
        err = sm_io_pread_exact(fd, path, stored, sizeof stored, at[i] * SM_LABEL_BYTES, ei);
        if (err) goto out;
        err = sm_scrypt_one(s->scrypt_n, s->commitment.b, sm_dataset_first(s, f) + at[i], right, ei);
        if (err) goto out;
        if (memcmp(stored, right, sizeof stored) == 0) goto out;
    }
    err = sm_fail(ei, SM_E_MISMATCH,
                  "%s: its first, middle and last label are not those of scrypt N = %" PRIu32
                  " and the ids in the metadata: another N, or not the data of this identity",
                  path, s->scrypt_n);
out:
    sm_io_close(fd);
    return err;
}

sm_err sm_dataset_probe(const struct sm_dataset *s, const char *dir, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < s->files_n; i++) {
        char name[64], path[PATH_MAX];
        if (sm_dataset_labels(s, &s->files[i]) == 0) continue;
        sm_err err = sm_io_path(path, sizeof path, dir, sm_layout_file_name(s->files[i].number, name), ei);
        return err ? err : probe_file(s, &s->files[i], path, ei);
    }
    return SM_OK;
}
