#include "poet/layers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/io.h"

#define NODE       ((size_t)SM_MERKLE_NODE_BYTES)
#define FILE_NODES 2048u /* buffered before a write: 64 KiB */
#define PATH_ROOM  4160u

static sm_err layer_path(const struct sm_layers *l, size_t at, char out[PATH_ROOM], struct sm_errinfo *ei)
{
    char name[40];
    (void)snprintf(name, sizeof name, "poet-layer-%02u.bin", (unsigned)(at * SM_LAYERS_STEP));
    return sm_io_path(out, PATH_ROOM, l->dir, name, ei);
}

sm_err sm_layers_init(struct sm_layers *l, const char *dir, struct sm_errinfo *ei)
{
    memset(l, 0, sizeof *l);
    for (size_t i = 0; i < SM_LAYERS_KEPT; i++) l->layer[i].fd = -1;
    if (!dir) return SM_OK;
    if (!*dir || strlen(dir) >= sizeof l->dir) return sm_fail(ei, SM_E_ARG, "the PoET directory has no usable name");
    memcpy(l->dir, dir, strlen(dir) + 1);
    return SM_OK;
}

void sm_layers_fini(struct sm_layers *l)
{
    for (size_t i = 0; i < SM_LAYERS_KEPT; i++) {
        sm_io_close(l->layer[i].fd);
        free(l->layer[i].tail);
    }
    memset(l, 0, sizeof *l);
    for (size_t i = 0; i < SM_LAYERS_KEPT; i++) l->layer[i].fd = -1;
}

sm_err sm_layers_exist(const struct sm_layers *l, bool *out, struct sm_errinfo *ei)
{
    *out = false;
    for (size_t i = 0; l->dir[0] && i < SM_LAYERS_KEPT; i++) {
        char path[PATH_ROOM];
        struct sm_errinfo why = {0};
        int fd = -1;
        sm_err err = layer_path(l, i, path, ei);
        if (err) return err;
        err = sm_io_open(path, O_RDONLY, 0, &fd, &why);
        if (err == SM_E_NOTFOUND) continue;
        if (err) return sm_fail(ei, err, "%s", why.text);
        sm_io_close(fd);
        *out = true;
    }
    return SM_OK;
}

static sm_err open_layer(struct sm_layers *l, size_t at, struct sm_errinfo *ei)
{
    char path[PATH_ROOM];
    sm_err err = layer_path(l, at, path, ei);
    if (!err) err = sm_io_open(path, O_RDWR | O_CREAT, 0644, &l->layer[at].fd, ei);
    return err ? err : sm_io_sync_dir(l->dir, ei);
}

sm_err sm_layers_resume(struct sm_layers *l, uint64_t leaves, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < SM_LAYERS_KEPT && leaves >> (i * SM_LAYERS_STEP); i++) {
        const uint64_t want = leaves >> (i * SM_LAYERS_STEP);
        struct sm_layer *a = &l->layer[i];
        char path[PATH_ROOM];
        uint64_t bytes = 0;
        sm_err err = layer_path(l, i, path, ei);
        if (!err) err = sm_io_open(path, O_RDWR, 0, &a->fd, ei);
        if (err == SM_E_NOTFOUND)
            return sm_fail(ei, SM_E_MISMATCH, "%s is missing, and %" PRIu64 " leaves were computed; put it back", path,
                           leaves);
        if (!err) err = sm_io_size(a->fd, path, &bytes, ei);
        if (err) return err;
        if (bytes / NODE < want)
            return sm_fail(ei, SM_E_MISMATCH, "%s holds %" PRIu64 " nodes where %" PRIu64 " were safe on disk", path,
                           bytes / NODE, want);
        a->on_file = want;
    }
    return SM_OK;
}

static sm_err flush(struct sm_layers *l, size_t at, struct sm_errinfo *ei)
{
    struct sm_layer *a = &l->layer[at];
    char path[PATH_ROOM];
    sm_err err = layer_path(l, at, path, ei);
    if (!err && a->fd < 0) err = open_layer(l, at, ei);
    if (!err) err = sm_io_pwrite(a->fd, path, a->tail, a->tail_n * NODE, a->on_file * NODE, ei);
    if (err) return err;
    a->on_file += a->tail_n;
    a->tail_n = 0;
    return SM_OK;
}

static sm_err grow(struct sm_layer *a, struct sm_errinfo *ei)
{
    const size_t room = a->tail_room ? 2 * a->tail_room : FILE_NODES;
    uint8_t *p = room > SIZE_MAX / NODE ? NULL : realloc(a->tail, room * NODE);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu nodes of the PoET tree", room);
    a->tail = p;
    a->tail_room = room;
    return SM_OK;
}

sm_err sm_layers_put(struct sm_layers *l, unsigned layer, const uint8_t node[SM_MERKLE_NODE_BYTES],
                     struct sm_errinfo *ei)
{
    if (layer % SM_LAYERS_STEP || layer / SM_LAYERS_STEP >= SM_LAYERS_KEPT) return SM_OK;
    const size_t at = layer / SM_LAYERS_STEP;
    struct sm_layer *a = &l->layer[at];
    sm_err err = SM_OK;
    if (a->tail_n == a->tail_room) err = l->dir[0] && a->tail_room ? flush(l, at, ei) : grow(a, ei);
    if (err) return err;
    memcpy(a->tail + a->tail_n++ * NODE, node, NODE);
    return SM_OK;
}

sm_err sm_layers_sync(struct sm_layers *l, struct sm_errinfo *ei)
{
    for (size_t i = 0; l->dir[0] && i < SM_LAYERS_KEPT; i++) {
        char path[PATH_ROOM];
        sm_err err = l->layer[i].tail_n ? flush(l, i, ei) : SM_OK;
        if (!err) err = layer_path(l, i, path, ei);
        if (!err && l->layer[i].fd >= 0) err = sm_io_sync(l->layer[i].fd, path, ei);
        if (err) return err;
    }
    return SM_OK;
}

/* `n` neighbouring nodes of a kept layer. */
static sm_err read_kept(struct sm_layers *l, size_t at, uint64_t first, size_t n, uint8_t *out, struct sm_errinfo *ei)
{
    const struct sm_layer *a = &l->layer[at];
    const uint64_t on_file = first < a->on_file ? a->on_file - first : 0;
    const size_t from_file = on_file < n ? (size_t)on_file : n;
    if (first > a->on_file + a->tail_n || n > a->on_file + a->tail_n - first)
        return sm_fail(ei, SM_E_ARG, "node %" PRIu64 " of layer %zu is not there yet", first, at * SM_LAYERS_STEP);
    if (from_file) {
        char path[PATH_ROOM];
        sm_err err = layer_path(l, at, path, ei);
        if (!err) err = sm_io_pread_exact(a->fd, path, out, from_file * NODE, first * NODE, ei);
        if (err) return err;
    }
    if (n > from_file)
        memcpy(out + from_file * NODE, a->tail + (size_t)(first + from_file - a->on_file) * NODE,
               (n - from_file) * NODE);
    return SM_OK;
}

sm_err sm_layers_get(struct sm_layers *l, const struct sm_merkle_hash *hash, unsigned layer, uint64_t position,
                     uint8_t *out, struct sm_errinfo *ei)
{
    const unsigned up = layer % SM_LAYERS_STEP;
    size_t n = (size_t)1 << up;
    uint8_t nodes[(1u << (SM_LAYERS_STEP - 1)) * SM_MERKLE_NODE_BYTES];
    const sm_err err = read_kept(l, layer / SM_LAYERS_STEP, position << up, n, nodes, ei);
    if (err) return err;
    for (; n > 1; n /= 2)
        for (size_t i = 0; i < n / 2; i++)
            hash->parent(hash->ctx, (struct sm_slice){nodes + 2 * i * NODE, NODE},
                         (struct sm_slice){nodes + (2 * i + 1) * NODE, NODE}, nodes + i * NODE);
    memcpy(out, nodes, NODE);
    return SM_OK;
}
