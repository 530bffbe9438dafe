#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/init_run.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

#define HEAD_LABELS     2u  /* at the start of the first file: they prove N and the identity */
#define RECHECK_DEFAULT 16u /* at the end of what is on disk: they prove that appending goes on after good data */
#define RECHECK_MAX     4096u
#define UNSAVED_BYTES   (UINT64_C(16) << 20) /* two buffers beyond the checkpoint interval */
#define N_TRIED_MAX     16384u               /* when labels do not fit: which N were they made with? */

static bool matches(uint32_t n, const struct sm_commitment *commitment, uint64_t index, const uint8_t stored[16])
{
    uint8_t label[32];
    return sm_scrypt_one(n, commitment->b, index, label, NULL) == SM_OK && memcmp(label, stored, 16) == 0;
}

/* Says with which N the label at `index` was made, when that can be found out. */
static sm_err refuse_label(const struct sm_init_run *r, uint64_t index, const uint8_t stored[16], const char *what,
                           struct sm_errinfo *ei)
{
    char hex[SM_HEX_ROOM(16)];
    for (uint32_t n = SM_SCRYPT_N_MIN; n <= N_TRIED_MAX; n *= 2) {
        if (n == r->cfg->scrypt_n || !matches(n, &r->commitment, index, stored)) continue;
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s: %s (label %" PRIu64 ") was made with scrypt N = %u, the options say N = %u", r->cfg->dir,
                       what, index, n, r->cfg->scrypt_n);
    }
    return sm_fail(ei, SM_E_MISMATCH,
                   "%s: %s (label %" PRIu64 ", %s) is not what this identity and scrypt N = %u give: the data is "
                   "damaged or not made with these values; see `smesher verify`, which can repair it",
                   r->cfg->dir, what, index, sm_hex_encode(stored, 16, hex), r->cfg->scrypt_n);
}

/* A label behind the last checkpoint may be lost by a power cut; it is made again. Not one far behind: a scan starts
 * again from zero when files were added. */
static bool may_be_lost(const struct sm_init_run *r, uint64_t index)
{
    const uint64_t window = (r->checkpoint_bytes + UNSAVED_BYTES) / SM_LABEL_BYTES;
    return r->has_side && r->side.scrypt_n == r->cfg->scrypt_n && r->side.has_searched && index >= r->side.searched &&
           index - r->side.searched < window;
}

/* Recomputes labels [at, at + count) of a file. The first bad one is refused, or ends the part at the checkpoint. */
static sm_err recheck(struct sm_init_run *r, struct sm_init_part *p, uint64_t at, uint64_t count, struct sm_errinfo *ei)
{
    char path[PATH_MAX], name[64];
    uint8_t stored[SM_LABEL_BYTES], label[32];
    int fd = -1;
    const uint64_t first = sm_layout_file_first(&r->layout, p->number);
    sm_err err = sm_init_open_file(r, p->number, O_RDONLY, path, &fd, ei);
    if (err) return err;
    for (uint64_t i = at; i < at + count; i++) {
        err = sm_io_pread_exact(fd, path, stored, sizeof stored, i * SM_LABEL_BYTES, ei);
        if (!err) err = sm_scrypt_one(r->cfg->scrypt_n, r->commitment.b, first + i, label, ei);
        if (err) break;
        if (memcmp(stored, label, sizeof stored) == 0) continue;
        if (!may_be_lost(r, first + i)) {
            err = refuse_label(r, first + i, stored, sm_layout_file_name(p->number, name), ei);
            break;
        }
        p->labels = r->side.searched > first ? r->side.searched - first : 0;
        sm_log(SM_LOG_WARN, "init", "labels behind the last checkpoint are damaged, they are made again",
               "file=%s first_label=%" PRIu64, path, first + p->labels);
        break;
    }
    sm_io_close(fd);
    return err;
}

static sm_err prove_labels(struct sm_init_run *r, struct sm_errinfo *ei)
{
    uint64_t tail = r->cfg->recheck_labels ? r->cfg->recheck_labels : RECHECK_DEFAULT;
    if (tail > RECHECK_MAX) tail = RECHECK_MAX;
    bool first = true;
    size_t last = r->parts_n; /* the last part with labels */
    for (size_t i = 0; i < r->parts_n; i++)
        if (r->parts[i].labels) last = i;
    for (size_t i = 0; i < r->parts_n; i++) {
        struct sm_init_part *p = &r->parts[i];
        const uint64_t have = p->labels;
        if (!have) continue;
        sm_err err = SM_OK;
        if (first) err = recheck(r, p, 0, have < HEAD_LABELS ? have : HEAD_LABELS, ei);
        first = false;
        if (err) return err;
        if (p->labels != have) continue;
        if (have == sm_layout_file_labels(&r->layout, p->number) && i != last) continue;
        const uint64_t n = have < tail ? have : tail;
        err = recheck(r, p, have - n, n, ei);
        if (err) return err;
        if (sm_cancelled(r->cancel)) return sm_fail(ei, SM_E_CANCELLED, "cancelled");
    }
    return SM_OK;
}

static void drop_nonce(struct sm_init_run *r, const char *why)
{
    sm_log(SM_LOG_WARN, "init", "the metadata's nonce is not used", "nonce=%" PRIu64 " reason=\"%s\"", r->meta.nonce,
           why);
    r->nonce_dropped = r->rescan = true;
}

/* The metadata's nonce: its label again, which also proves N when there is nothing else. */
static sm_err prove_nonce(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const struct sm_metadata *m = &r->meta;
    if (!r->has_meta || !m->has_nonce) return SM_OK;
    uint8_t label[32];
    sm_err err = sm_scrypt_one(r->cfg->scrypt_n, r->commitment.b, m->nonce, label, ei);
    if (err) return err;
    if (m->has_nonce_value && memcmp(label, m->nonce_value, sizeof m->nonce_value) != 0) {
        for (size_t i = 0; i < r->parts_n; i++)
            if (r->parts[i].labels) { /* N is right, they have shown */
                drop_nonce(r, "NonceValue is not its label");
                return SM_OK;
            }
        return refuse_label(r, m->nonce, m->nonce_value, "NonceValue in the metadata", ei);
    }
    sm_vrf_best_offer(&r->best, r->difficulty, m->nonce, label);
    /* While growing the old one stays until there is a better one: it is right for the old size. */
    if (!r->best.found && !r->growing) drop_nonce(r, "its label is not below the difficulty of this size");
    return SM_OK;
}

sm_err sm_init_prove(struct sm_init_run *r, struct sm_errinfo *ei)
{
    sm_err err = prove_labels(r, ei);
    return err ? err : prove_nonce(r, ei);
}
