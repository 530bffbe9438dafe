#include "rig/proofs.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/blake3.h"
#include "util/bytes.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

#define KEY_BYTES    16u /* of the hash that names a file: no two proofs of one machine collide */
#define SUFFIX       ".json"
#define SUFFIX_BAD   ".bad"
#define SUFFIX_TMP   ".tmp"     /* of sm_io_write_atomic */
#define CLOCK_SANE_S 1672531200 /* 2023-01-01: before the network */
#define NAME_ROOM    (SM_HEX_ROOM(KEY_BYTES) + sizeof SUFFIX + sizeof SUFFIX_BAD)

struct sm_proof_store {
    char dir[PATH_MAX];
};

/* ---- names ---- */

static void name_of(const struct sm_proof_meta *m, char out[NAME_ROOM])
{
    uint8_t in[32 + 32 + 32 + 4 + 8], hash[32];
    memcpy(in, m->node_id.b, 32);
    memcpy(in + 32, m->commitment_atx_id.b, 32);
    memcpy(in + 64, m->challenge.b, 32);
    sm_le32_store(in + 96, m->num_units);
    sm_le64_store(in + 100, m->labels_per_unit);
    sm_blake3_hash(in, sizeof in, hash);
    (void)sm_hex_encode(hash, KEY_BYTES, out);
    (void)strcat(out, SUFFIX);
}

/* Is it a name that this store gives, followed by `tail`? */
static bool is_ours(const char *name, const char *tail)
{
    const size_t digits = strspn(name, "0123456789abcdef");
    return digits == 2 * KEY_BYTES && strncmp(name + digits, SUFFIX, sizeof SUFFIX - 1) == 0 &&
           strcmp(name + digits + sizeof SUFFIX - 1, tail) == 0;
}

/* ---- content ---- */

/* Over everything that would be sent to a node. */
static sm_err checksum(const struct sm_stored_proof *p, char out[SM_HEX_ROOM(32)], struct sm_errinfo *ei)
{
    char *text = NULL, *all = NULL;
    uint8_t hash[32];
    sm_err err = sm_proof_encode_json(&p->proof, &p->meta, &text, ei);
    if (err) return err;
    const int n = asprintf(&all, "%s %d %" PRIu64, text, p->has_vrf_nonce, p->has_vrf_nonce ? p->vrf_nonce : 0);
    free(text);
    if (n < 0) return sm_fail(ei, SM_E_NOMEM, "out of memory storing a proof");
    sm_blake3_hash(all, (size_t)n, hash);
    free(all);
    (void)sm_hex_encode(hash, sizeof hash, out);
    return SM_OK;
}

/* The encoder's document ends in '}': ours goes on there. The VRF nonce is a string, because jansson has no unsigned
 * 64-bit integers. */
static sm_err encode(const struct sm_stored_proof *p, char **out, struct sm_errinfo *ei)
{
    char *text = NULL, sum[SM_HEX_ROOM(32)], nonce[48] = "";
    sm_err err = checksum(p, sum, ei);
    if (!err) err = sm_proof_encode_json(&p->proof, &p->meta, &text, ei);
    if (err) return err;
    if (p->has_vrf_nonce) (void)snprintf(nonce, sizeof nonce, "\"vrf_nonce\":\"%" PRIu64 "\",", p->vrf_nonce);
    const int body = (int)strlen(text) - 1;
    const int n = asprintf(out, "%.*s,%s\"made_unix_s\":%" PRId64 ",\"fetched\":%s,\"blake3\":\"%s\"}\n", body, text,
                           nonce, p->made_unix_s, p->fetched ? "true" : "false", sum);
    free(text);
    return n < 0 ? sm_fail(ei, SM_E_NOMEM, "out of memory storing a proof") : SM_OK;
}

static sm_err decode_ours(const json_t *root, const char *path, struct sm_stored_proof *out, struct sm_errinfo *ei)
{
    const json_t *made = json_object_get(root, "made_unix_s"), *fetched = json_object_get(root, "fetched");
    const char *sum = json_string_value(json_object_get(root, "blake3"));
    const char *nonce = json_string_value(json_object_get(root, "vrf_nonce"));
    char want[SM_HEX_ROOM(32)], *end = NULL;
    if (!json_is_integer(made) || !json_is_boolean(fetched) || !sum)
        return sm_fail(ei, SM_E_FORMAT, "%s: members are missing", path);
    out->made_unix_s = json_integer_value(made);
    out->fetched = json_is_true(fetched);
    out->has_vrf_nonce = nonce != NULL;
    errno = 0;
    out->vrf_nonce = nonce ? strtoull(nonce, &end, 10) : 0;
    if (nonce && (errno || end == nonce || *end)) return sm_fail(ei, SM_E_FORMAT, "%s: vrf_nonce is no number", path);
    sm_err err = checksum(out, want, ei);
    if (!err && strcmp(want, sum) != 0) err = sm_fail(ei, SM_E_FORMAT, "%s: the checksum is wrong", path);
    return err;
}

static sm_err decode(const char *text, size_t n, const char *path, struct sm_stored_proof *out, struct sm_errinfo *ei)
{
    bool has_meta = false;
    sm_err err = sm_proof_decode_json(text, n, path, &out->proof, &out->meta, &has_meta, ei);
    if (err) return err;
    if (!has_meta) return sm_fail(ei, SM_E_FORMAT, "%s: the metadata is missing", path);
    json_t *root = json_loadb(text, n, 0, NULL);
    if (!root) return sm_fail(ei, SM_E_FORMAT, "%s: not JSON", path);
    err = decode_ours(root, path, out, ei);
    json_decref(root);
    return err;
}

static sm_err load(const char *path, struct sm_stored_proof *out, struct sm_errinfo *ei)
{
    char *text = NULL;
    size_t n = 0;
    *out = (struct sm_stored_proof){0};
    sm_err err = sm_io_read_file(path, SM_PROOF_JSON_MAX, &text, &n, ei);
    if (!err) err = decode(text, n, path, out, ei);
    free(text);
    return err;
}

/* ---- the store ---- */

struct walk {
    struct sm_proof_store *s;
    void (*visit)(struct walk *w, const char *name, const char *path);
    int64_t now_unix_s;
    uint64_t keep_s;
    size_t removed;
};

static sm_err walk(struct walk *w, struct sm_errinfo *ei)
{
    DIR *d = opendir(w->s->dir);
    char path[PATH_MAX];
    if (!d) return sm_fail_errno(ei, errno, "cannot list %s", w->s->dir);
    for (const struct dirent *e; (e = readdir(d));)
        if (sm_io_path(path, sizeof path, w->s->dir, e->d_name, NULL) == SM_OK) w->visit(w, e->d_name, path);
    (void)closedir(d);
    return SM_OK;
}

static void remove_file(struct walk *w, const char *path)
{
    struct sm_errinfo ei = {0};
    if (sm_io_unlink(path, &ei) == SM_OK)
        w->removed++;
    else
        sm_log(SM_LOG_WARN, "rig", "old file not removed", "error=\"%s\"", ei.text);
}

static void visit_leftover(struct walk *w, const char *name, const char *path)
{
    if (is_ours(name, SUFFIX_TMP)) remove_file(w, path);
}

sm_err sm_proof_store_open(const char *dir, struct sm_proof_store **out, struct sm_errinfo *ei)
{
    struct sm_proof_store *s = calloc(1, sizeof *s);
    sm_err err = s ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory");
    if (!err && (size_t)snprintf(s->dir, sizeof s->dir, "%s", dir) >= sizeof s->dir - NAME_ROOM)
        err = sm_fail(ei, SM_E_ARG, "path too long: %s", dir);
    if (!err && mkdir(dir, 0700) != 0 && errno != EEXIST) err = sm_fail_errno(ei, errno, "cannot make %s", dir);
    if (!err) {
        struct walk w = {.s = s, .visit = visit_leftover};
        err = walk(&w, ei);
    }
    if (err) {
        sm_proof_store_close(s);
        return err;
    }
    *out = s;
    return SM_OK;
}

void sm_proof_store_close(struct sm_proof_store *s)
{
    free(s);
}

static sm_err path_of(const struct sm_proof_store *s, const struct sm_proof_meta *meta, char out[PATH_MAX],
                      struct sm_errinfo *ei)
{
    char name[NAME_ROOM];
    name_of(meta, name);
    return sm_io_path(out, PATH_MAX, s->dir, name, ei);
}

sm_err sm_proof_store_put(struct sm_proof_store *s, const struct sm_stored_proof *p, struct sm_errinfo *ei)
{
    char path[PATH_MAX], *text = NULL;
    sm_err err = path_of(s, &p->meta, path, ei);
    if (!err) err = encode(p, &text, ei);
    if (!err) err = sm_io_write_atomic(path, text, strlen(text), 0600, ei);
    free(text);
    return err;
}

static void set_aside(const char *path, const char *why)
{
    char bad[PATH_MAX];
    struct sm_errinfo ei = {0};
    sm_log(SM_LOG_ERROR, "rig", "stored proof is damaged and will be made again", "error=\"%s\"", why);
    if ((size_t)snprintf(bad, sizeof bad, "%s%s", path, SUFFIX_BAD) >= sizeof bad) return;
    if (sm_io_rename(path, bad, &ei) != SM_OK)
        sm_log(SM_LOG_WARN, "rig", "damaged proof not set aside", "error=\"%s\"", ei.text);
}

sm_err sm_proof_store_get(struct sm_proof_store *s, const struct sm_proof_meta *meta, struct sm_stored_proof *out,
                          struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    struct sm_stored_proof found;
    struct sm_errinfo why = {0};
    sm_err err = path_of(s, meta, path, ei);
    if (err) return err;
    err = load(path, &found, &why);
    if (!err && !sm_proof_meta_equal(&found.meta, meta))
        err = sm_fail(&why, SM_E_FORMAT, "%s: it is about something else", path);
    if (!err) {
        *out = found;
        return SM_OK;
    }
    if (err == SM_E_FORMAT) {
        set_aside(path, why.text);
        err = SM_E_NOTFOUND;
    }
    return sm_fail(ei, err, "%s", why.text);
}

static bool too_old(const struct walk *w, int64_t made_unix_s)
{
    return made_unix_s <= w->now_unix_s && (uint64_t)(w->now_unix_s - made_unix_s) > w->keep_s;
}

static void visit_old(struct walk *w, const char *name, const char *path)
{
    struct sm_stored_proof *p = NULL;
    struct stat st;
    if (is_ours(name, SUFFIX_BAD)) {
        if (stat(path, &st) == 0 && too_old(w, st.st_mtime)) remove_file(w, path);
        return;
    }
    if (!is_ours(name, "") || !(p = malloc(sizeof *p))) return;
    if (load(path, p, NULL) == SM_OK && too_old(w, p->made_unix_s)) remove_file(w, path);
    free(p);
}

sm_err sm_proof_store_prune(struct sm_proof_store *s, int64_t now_unix_s, uint64_t keep_s, size_t *out_removed,
                            struct sm_errinfo *ei)
{
    struct walk w = {.s = s, .visit = visit_old, .now_unix_s = now_unix_s, .keep_s = keep_s};
    *out_removed = 0;
    if (now_unix_s < CLOCK_SANE_S) return SM_OK;
    sm_err err = walk(&w, ei);
    *out_removed = w.removed;
    return err;
}
