#include "poet/prover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "poet/layers.h"
#include "poet/prover_state.h"
#include "util/io.h"
#include "util/text.h"

#define PATH_ROOM 4160u

struct sm_poet_prover {
    struct sm_poet_state state; /* .leaves: at the last checkpoint */
    struct sm_slice statement;  /* views state.statement */
    uint64_t checkpoint_leaves;
    bool broken;
    int lock_fd;
    struct sm_layers layers;
    struct sm_merkle_hash hash;
    struct sm_merkle_tree tree;
    uint8_t leaf[2][SM_MERKLE_NODE_BYTES]; /* by parity: the tree borrows the even one */
    uint8_t read[SM_MERKLE_NODE_BYTES];    /* lent by prove's source */
};

/* Held until close: two writers in one directory would destroy it. */
static sm_err lock(struct sm_poet_prover *p, const char *dir, struct sm_errinfo *ei)
{
    char path[PATH_ROOM];
    sm_err err = sm_io_path(path, sizeof path, dir, "poet.lock", ei);
    if (!err) err = sm_io_open(path, O_RDWR | O_CREAT, 0644, &p->lock_fd, ei);
    if (err) return err;
    if (flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0) return SM_OK;
    if (errno == EWOULDBLOCK) return sm_fail(ei, SM_E_BUSY, "%s: another process is working in this directory", path);
    return sm_fail_errno(ei, errno, "%s: cannot lock", path);
}

/* The state must be for what we were asked to prove. */
static sm_err same_run(const struct sm_poet_prover *p, const char *dir, const struct sm_poet_state *found,
                       struct sm_errinfo *ei)
{
    const struct sm_poet_state *want = &p->state;
    char a[SM_HEX_ROOM(SM_POET_STATEMENT_MAX)], b[SM_HEX_ROOM(SM_POET_STATEMENT_MAX)];
    if (found->statement_n != want->statement_n || memcmp(found->statement, want->statement, want->statement_n) != 0)
        return sm_fail(ei, SM_E_MISMATCH, "%s belongs to statement %s, not %s", dir,
                       sm_hex_encode(found->statement, found->statement_n, a),
                       sm_hex_encode(want->statement, want->statement_n, b));
    if (found->params.proven_leaves != want->params.proven_leaves || found->params.depth != want->params.depth)
        return sm_fail(ei, SM_E_MISMATCH, "%s was begun with %u proven leaves and label depth %u, not %u and %u", dir,
                       found->params.proven_leaves, found->params.depth, want->params.proven_leaves,
                       want->params.depth);
    return SM_OK;
}

static sm_err emit(void *ctx, unsigned layer, const uint8_t node[SM_MERKLE_NODE_BYTES], struct sm_errinfo *ei)
{
    struct sm_poet_prover *p = ctx;
    return sm_layers_put(&p->layers, layer, node, ei);
}

static sm_err add_leaf(struct sm_poet_prover *p, struct sm_errinfo *ei)
{
    struct sm_slice parked[SM_MERKLE_LAYERS_MAX];
    const uint64_t i = p->tree.leaves;
    uint8_t *leaf = p->leaf[i & 1];
    size_t n = 0;
    for (; n < SM_MERKLE_LAYERS_MAX && i >> n; n++) parked[n] = sm_merkle_parked(&p->tree, (unsigned)n);
    sm_posw_label(&p->state.params, p->statement, i, parked, n, leaf);
    const sm_err err = sm_layers_put(&p->layers, 0, leaf, ei);
    return err ? err : sm_merkle_add(&p->tree, (struct sm_slice){leaf, SM_MERKLE_NODE_BYTES}, emit, p, ei);
}

/* The tree as it was after `leaves` leaves, from the nodes kept. */
static sm_err restore_tree(struct sm_poet_prover *p, uint64_t leaves, struct sm_errinfo *ei)
{
    for (unsigned k = 0; k < SM_MERKLE_LAYERS_MAX; k++) {
        if (!(leaves >> k & 1)) continue;
        uint8_t *to = k ? p->tree.parked[k] : p->leaf[0];
        const sm_err err = sm_layers_get(&p->layers, &p->hash, k, (leaves >> k) - 1, to, ei);
        if (err) return err;
    }
    if (leaves & 1) p->tree.leaf = (struct sm_slice){p->leaf[0], SM_MERKLE_NODE_BYTES};
    p->tree.leaves = leaves;
    return SM_OK;
}

/* Goes back by one leaf and computes it again: nodes that are not ours, or were lost, show now and not in a proof that
 * nobody accepts. */
static sm_err resume(struct sm_poet_prover *p, const char *dir, uint64_t leaves, struct sm_errinfo *ei)
{
    uint8_t last[SM_MERKLE_NODE_BYTES];
    sm_err err = sm_layers_resume(&p->layers, leaves, ei);
    if (err || leaves == 0) return err;
    err = sm_layers_get(&p->layers, &p->hash, 0, leaves - 1, last, ei);
    if (!err) err = restore_tree(p, leaves - 1, ei);
    if (err) return err;
    for (size_t i = 0; i < SM_LAYERS_KEPT; i++) p->layers.layer[i].on_file = (leaves - 1) >> (i * SM_LAYERS_STEP);
    err = add_leaf(p, ei);
    if (!err && memcmp(last, p->leaf[(leaves - 1) & 1], sizeof last) != 0)
        err = sm_fail(ei, SM_E_MISMATCH, "%s: leaf %" PRIu64 " is not what its statement gives: the files are damaged",
                      dir, leaves - 1);
    return err;
}

static sm_err open_dir(struct sm_poet_prover *p, const char *dir, struct sm_errinfo *ei)
{
    struct sm_poet_state found;
    bool has_state = false, has_layers = false;
    sm_err err = lock(p, dir, ei);
    if (!err) err = sm_poet_state_load(dir, &found, &has_state, ei);
    if (err) return err;
    if (has_state) {
        err = same_run(p, dir, &found, ei);
        if (!err) err = resume(p, dir, found.leaves, ei);
        if (!err) p->state.leaves = found.leaves;
        return err;
    }
    err = sm_layers_exist(&p->layers, &has_layers, ei);
    if (!err && has_layers)
        err = sm_fail(ei, SM_E_MISMATCH, "%s holds PoET layer files without a state; use an empty directory", dir);
    return err ? err : sm_poet_state_save(dir, &p->state, ei);
}

sm_err sm_poet_prover_open(const struct sm_poet_prover_cfg *cfg, struct sm_poet_prover **out, struct sm_errinfo *ei)
{
    sm_err err = SM_E_ARG;
    struct sm_poet_prover *p = NULL;
    if (cfg->statement.n > SM_POET_STATEMENT_MAX || cfg->params.depth == 0 || cfg->params.proven_leaves == 0 ||
        cfg->params.proven_leaves > SM_POSW_PROVEN_MAX)
        return sm_fail(ei, SM_E_ARG, "PoET prover: statement of %zu bytes, %u proven leaves, label depth %u",
                       cfg->statement.n, cfg->params.proven_leaves, cfg->params.depth);
    p = calloc(1, sizeof *p);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET prover");
    p->lock_fd = -1;
    p->checkpoint_leaves = cfg->dir ? cfg->checkpoint_leaves : 0;
    p->state.params = cfg->params;
    p->state.statement_n = cfg->statement.n;
    if (cfg->statement.n) memcpy(p->state.statement, cfg->statement.p, cfg->statement.n);
    p->statement = (struct sm_slice){p->state.statement, p->state.statement_n};
    p->hash = sm_posw_hash(&p->statement);
    sm_merkle_init(&p->tree, p->hash);
    err = sm_layers_init(&p->layers, cfg->dir, ei);
    if (!err && cfg->dir) err = open_dir(p, cfg->dir, ei);
    if (err) goto out;
    *out = p;
    p = NULL;
out:
    sm_poet_prover_close(p);
    return err;
}

void sm_poet_prover_close(struct sm_poet_prover *p)
{
    if (!p) return;
    sm_layers_fini(&p->layers);
    sm_io_close(p->lock_fd);
    free(p);
}

uint64_t sm_poet_prover_leaves(const struct sm_poet_prover *p)
{
    return p->tree.leaves;
}

static sm_err usable(const struct sm_poet_prover *p, struct sm_errinfo *ei)
{
    return p->broken ? sm_fail(ei, SM_E_STATE, "the PoET prover failed before; open it again") : SM_OK;
}

static sm_err settle(struct sm_poet_prover *p, sm_err err)
{
    if (err) p->broken = true;
    return err;
}

sm_err sm_poet_prover_checkpoint(struct sm_poet_prover *p, struct sm_errinfo *ei)
{
    sm_err err = usable(p, ei);
    if (err || !p->layers.dir[0]) return err;
    err = sm_layers_sync(&p->layers, ei);
    if (!err) {
        p->state.leaves = p->tree.leaves;
        err = sm_poet_state_save(p->layers.dir, &p->state, ei);
    }
    return settle(p, err);
}

sm_err sm_poet_prover_add(struct sm_poet_prover *p, uint64_t n, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    sm_err err = usable(p, ei);
    for (; !err && n; n--) {
        if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "the PoET prover was asked to stop");
        err = settle(p, add_leaf(p, ei));
        if (!err && p->checkpoint_leaves && p->tree.leaves % p->checkpoint_leaves == 0)
            err = sm_poet_prover_checkpoint(p, ei);
    }
    return err;
}

static sm_err source_node(void *ctx, unsigned layer, uint64_t position, struct sm_slice *out, struct sm_errinfo *ei)
{
    struct sm_poet_prover *p = ctx;
    *out = (struct sm_slice){p->read, sizeof p->read};
    return sm_layers_get(&p->layers, &p->hash, layer, position, p->read, ei);
}

/* The codec's view of 32-byte values: each with a length of its own. */
static sm_err to_list(const struct sm_slice *from, size_t n, struct sm_arena *arena, struct sm_scale_list *out,
                      struct sm_errinfo *ei)
{
    struct sm_scale_bytes *list = sm_arena_array(arena, n, sizeof *list);
    if (!list) return sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET proof");
    for (size_t i = 0; i < n; i++) {
        list[i].p = sm_arena_alloc(arena, from[i].n);
        if (!list[i].p) return sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET proof");
        memcpy(list[i].p, from[i].p, from[i].n);
        list[i].n = from[i].n;
    }
    *out = (struct sm_scale_list){.p = list, .n = n};
    return SM_OK;
}

static sm_err opened_leaves(struct sm_poet_prover *p, const uint64_t *indices, size_t n, struct sm_arena *arena,
                            struct sm_scale_list *out, struct sm_errinfo *ei)
{
    struct sm_slice *leaves = sm_arena_array(arena, n, sizeof *leaves);
    uint8_t *bytes = sm_arena_array(arena, n, SM_MERKLE_NODE_BYTES);
    if (!leaves || !bytes) return sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET proof");
    for (size_t i = 0; i < n; i++) {
        uint8_t *to = bytes + i * SM_MERKLE_NODE_BYTES;
        const sm_err err = sm_layers_get(&p->layers, &p->hash, 0, indices[i], to, ei);
        if (err) return err;
        leaves[i] = (struct sm_slice){to, SM_MERKLE_NODE_BYTES};
    }
    return to_list(leaves, n, arena, out, ei);
}

sm_err sm_poet_prover_prove(struct sm_poet_prover *p, struct sm_arena *arena, struct sm_poet_proof *out,
                            struct sm_errinfo *ei)
{
    const uint32_t t = p->state.params.proven_leaves;
    const struct sm_merkle_source source = {.node = source_node, .ctx = p, .leaves = p->tree.leaves};
    struct sm_poet_proof proof = {.leaf_count = p->tree.leaves};
    struct sm_merkle_proof tree = {0};
    sm_err err = usable(p, ei);
    if (err) return err;
    if (p->tree.leaves < t)
        return sm_fail(ei, SM_E_STATE, "a PoET proof needs %u leaves and there are %" PRIu64, t, p->tree.leaves);
    uint8_t node[SM_MERKLE_NODE_BYTES];
    const struct sm_slice root = sm_merkle_root(&p->tree, node);
    uint64_t *indices = sm_arena_array(arena, t, sizeof *indices);
    uint8_t *root_copy = sm_arena_alloc(arena, root.n);
    if (!indices || !root_copy) return sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET proof");
    memcpy(root_copy, root.p, root.n);
    proof.root = (struct sm_scale_bytes){.p = root_copy, .n = root.n};
    const size_t n = sm_posw_indices(root, p->tree.leaves, t, indices);
    err = opened_leaves(p, indices, n, arena, &proof.proven_leaves, ei);
    if (!err) err = sm_merkle_prove(&p->hash, &source, indices, n, arena, &tree, ei);
    if (!err) err = to_list(tree.nodes, tree.nodes_n, arena, &proof.proof_nodes, ei);
    if (!err) *out = proof;
    return err;
}
