/* File format, little endian: MAGIC[8], binding[32], u32 pass, first nonce, nonces, k2, has_pow, found (0, or 1 + the
 * position of the winning nonce in the pass); u64 next label;
 * u64 pow per group; per nonce u32 count and count u64 labels; u32 count and u64 each of the bad labels; BLAKE3 of all
 * that. */
#include "post/prove_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"
#include "util/bytes.h"
#include "util/io.h"
#include "util/log.h"

#define MAGIC       "SMPROVE2"
#define HEAD_BYTES  (8u + 32u + 6u * 4u + 8u)
#define CHECK_BYTES 32u

static size_t groups_of(const struct sm_prove_pass *pass)
{
    return pass->lists.nonces / SM_NONCES_PER_GROUP;
}

static size_t encoded_bytes(const struct sm_prove_pass *pass, const struct sm_prove_bad *bad)
{
    size_t n = HEAD_BYTES + 8 * groups_of(pass) + 4 + 8 * (size_t)bad->n + CHECK_BYTES;
    for (uint32_t i = 0; i < pass->lists.nonces; i++) n += 4 + 8 * (size_t)pass->lists.counts[i];
    return n;
}

static uint8_t *put_u32(uint8_t *at, uint32_t v)
{
    sm_le32_store(at, v);
    return at + 4;
}

static uint8_t *put_u64(uint8_t *at, uint64_t v)
{
    sm_le64_store(at, v);
    return at + 8;
}

/* `out` has encoded_bytes(). */
static void encode(const struct sm_prove_pass *pass, const struct sm_prove_bad *bad, const uint8_t binding[32],
                   uint8_t *out)
{
    const struct sm_prove_lists *l = &pass->lists;
    uint8_t *at = out;
    memcpy(at, MAGIC, 8);
    memcpy(at + 8, binding, 32);
    at = put_u32(at + 40, pass->number);
    at = put_u32(at, pass->first_nonce);
    at = put_u32(at, l->nonces);
    at = put_u32(at, l->k2);
    at = put_u32(at, pass->has_pow);
    at = put_u32(at, pass->found ? 1 + pass->winner : 0);
    at = put_u64(at, pass->next_label);
    for (size_t i = 0; i < groups_of(pass); i++) at = put_u64(at, pass->has_pow ? pass->pow[i] : 0);
    for (uint32_t i = 0; i < l->nonces; i++) {
        at = put_u32(at, l->counts[i]);
        for (uint32_t k = 0; k < l->counts[i]; k++) at = put_u64(at, l->labels[(size_t)i * l->k2 + k]);
    }
    at = put_u32(at, bad->n);
    for (uint32_t i = 0; i < bad->n; i++) at = put_u64(at, bad->labels[i]);
    sm_blake3_hash(out, (size_t)(at - out), at);
}

void sm_prove_checkpoint_save(struct sm_prover *p)
{
    if (!p->checkpoint_path[0]) return;
    struct sm_errinfo ei = {0};
    const size_t n = encoded_bytes(&p->pass, &p->bad);
    uint8_t *bytes = malloc(n);
    sm_err err = bytes ? SM_OK : sm_fail(&ei, SM_E_NOMEM, "out of memory");
    if (!err) {
        encode(&p->pass, &p->bad, p->binding, bytes);
        err = sm_io_write_atomic(p->checkpoint_path, bytes, n, 0600, &ei);
    }
    free(bytes);
    if (!err) {
        sm_log(SM_LOG_DEBUG, "post", "checkpoint written", "pass=%" PRIu32 " next_label=%" PRIu64, p->pass.number,
               p->pass.next_label);
    } else if (!p->checkpoint_warned) {
        p->checkpoint_warned = true;
        sm_log(SM_LOG_WARN, "post", "no checkpoint, a restart will scan again", "error=\"%s\"", ei.text);
    }
}

void sm_prove_checkpoint_remove(struct sm_prover *p)
{
    struct sm_errinfo ei = {0};
    if (!p->checkpoint_path[0]) return;
    const sm_err err = sm_io_unlink(p->checkpoint_path, &ei);
    if (err && err != SM_E_NOTFOUND) sm_log(SM_LOG_WARN, "post", "checkpoint not removed", "error=\"%s\"", ei.text);
}

/* A cursor over bytes whose checksum holds; short reads still cannot leave the buffer. */
struct reader {
    const uint8_t *at, *end;
    bool ok;
};

static uint32_t get_u32(struct reader *r)
{
    if (r->end - r->at < 4) r->ok = false;
    if (!r->ok) return 0;
    r->at += 4;
    return sm_le32_load(r->at - 4);
}

static uint64_t get_u64(struct reader *r)
{
    if (r->end - r->at < 8) r->ok = false;
    if (!r->ok) return 0;
    r->at += 8;
    return sm_le64_load(r->at - 8);
}

/* Labels must be ascending and below the position, and no list but a winner's may be full: what the scan leaves behind.
 * A scan that has ended has also looked behind its position. */
static bool decode_list(struct reader *r, const struct sm_prove_pass *pass, uint32_t nonce, uint64_t end)
{
    const struct sm_prove_lists *l = &pass->lists;
    const uint32_t count = get_u32(r);
    if (!r->ok || count > l->k2 || (count == l->k2) != (pass->found && nonce == pass->winner)) return false;
    l->counts[nonce] = count;
    uint64_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        const uint64_t label = get_u64(r);
        if (!r->ok || label < least || label >= end) return false;
        l->labels[(size_t)nonce * l->k2 + k] = label;
        least = label + 1;
    }
    return true;
}

/* Ascending, and in no list. */
static bool decode_bad(struct reader *r, const struct sm_prove_pass *pass, uint64_t end, struct sm_prove_bad *bad)
{
    const struct sm_prove_lists *l = &pass->lists;
    const uint32_t n = get_u32(r);
    uint64_t least = 0;
    if (!r->ok || n > SM_PROVE_BAD_MAX) return false;
    for (; bad->n < n; bad->n++) {
        const uint64_t label = get_u64(r);
        if (!r->ok || label < least || label >= end) return false;
        bad->labels[bad->n] = label;
        least = label + 1;
    }
    for (uint32_t i = 0; i < l->nonces; i++)
        for (uint32_t k = 0; k < l->counts[i]; k++)
            if (sm_prove_is_bad(bad, l->labels[(size_t)i * l->k2 + k])) return false;
    return true;
}

/* Into `pass`, whose lists have the room of a full pass. False: some value is impossible. */
static bool decode(const struct sm_prover *p, struct reader *r, struct sm_prove_pass *pass, struct sm_prove_bad *bad)
{
    const uint32_t most = pass->lists.nonces, k2 = pass->lists.k2;
    pass->number = get_u32(r);
    pass->first_nonce = get_u32(r);
    const uint32_t nonces = get_u32(r);
    if (get_u32(r) != k2 || !r->ok) return false;
    const uint32_t has_pow = get_u32(r);
    const uint32_t found = get_u32(r);
    pass->next_label = get_u64(r);
    if (pass->number > SM_NONCES_MAX / SM_NONCES_PER_GROUP || pass->first_nonce != pass->number * most) return false;
    if (pass->first_nonce >= SM_NONCES_MAX || has_pow > 1 || pass->next_label > p->data.layout.num_labels) return false;
    if (nonces != (SM_NONCES_MAX - pass->first_nonce < most ? SM_NONCES_MAX - pass->first_nonce : most)) return false;
    if (found > nonces || (found && !has_pow)) return false;
    pass->has_pow = has_pow == 1;
    pass->found = found != 0;
    pass->winner = found ? found - 1 : 0;
    pass->lists.nonces = nonces;
    for (size_t i = 0; i < groups_of(pass); i++) pass->pow[i] = get_u64(r);
    for (uint32_t i = 0; i < nonces; i++) {
        if (!decode_list(r, pass, i, pass->found ? p->data.layout.num_labels : pass->next_label)) return false;
        if (pass->lists.counts[i] > pass->lists.longest) pass->lists.longest = pass->lists.counts[i];
    }
    if (!decode_bad(r, pass, p->data.layout.num_labels, bad)) return false;
    return r->ok && r->at == r->end && (pass->has_pow || pass->next_label == 0);
}

/* Why `bytes` are of no use; NULL when they were taken over. */
static const char *restore(struct sm_prover *p, const uint8_t *bytes, size_t n)
{
    uint8_t sum[CHECK_BYTES];
    if (n < HEAD_BYTES + CHECK_BYTES || memcmp(bytes, MAGIC, 8) != 0) return "not a checkpoint of this program version";
    sm_blake3_hash(bytes, n - CHECK_BYTES, sum);
    if (memcmp(sum, bytes + n - CHECK_BYTES, CHECK_BYTES) != 0) return "damaged";
    if (memcmp(bytes + 8, p->binding, 32) != 0) return "made for another challenge, parameter set or data set";

    struct sm_prove_pass pass = {0};
    struct sm_prove_bad bad = {0};
    if (sm_prove_lists_init(&pass.lists, p->pass.lists.nonces, p->pass.lists.k2, NULL)) return "out of memory";
    struct reader r = {.at = bytes + 40, .end = bytes + n - CHECK_BYTES, .ok = true};
    if (!decode(p, &r, &pass, &bad)) {
        sm_prove_lists_fini(&pass.lists);
        return "its values contradict each other";
    }
    sm_prove_lists_fini(&p->pass.lists);
    p->pass = pass;
    p->bad = bad;
    p->progress.bad_labels = bad.n;
    return NULL;
}

bool sm_prove_checkpoint_load(struct sm_prover *p)
{
    if (!p->checkpoint_path[0]) return false;
    struct sm_errinfo ei = {0};
    char *bytes = NULL;
    size_t n = 0;
    const size_t most = HEAD_BYTES + CHECK_BYTES + 4 + 8 * SM_PROVE_BAD_MAX + 8 * groups_of(&p->pass) +
                        (size_t)p->pass.lists.nonces * (4 + 8 * (size_t)p->pass.lists.k2);
    const sm_err err = sm_io_read_file(p->checkpoint_path, most, &bytes, &n, &ei);
    if (err == SM_E_NOTFOUND) return false;
    const char *why = err ? ei.text : restore(p, (const uint8_t *)bytes, n);
    free(bytes);
    if (!why) return true;
    sm_log(SM_LOG_WARN, "post", "checkpoint ignored", "file=%s reason=\"%s\"", p->checkpoint_path, why);
    return false;
}
