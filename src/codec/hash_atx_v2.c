/* The Merkle tree of an ATX of version 2. Two kinds of padding must not be confused: lists "up to N" get zero leaves,
 * hashed upwards like any leaf; an odd level of the trees of 9, 5 and 3 leaves gets the zero node itself. */
#include <pthread.h>
#include <string.h>

#include "codec/hash.h"
#include "crypto/blake3.h"

static struct sm_hash32 parent_of(const struct sm_hash32 pair[2])
{
    static const uint8_t parent = 0x01;
    struct sm_hash32 out;
    struct sm_blake3 h;
    sm_blake3_init(&h);
    sm_blake3_update(&h, &parent, 1);
    sm_blake3_update(&h, pair, 2 * sizeof pair[0]);
    sm_blake3_final(&h, out.b);
    return out;
}

struct sm_hash32 sm_merkle_root_01(struct sm_hash32 *nodes, size_t n)
{
    while (n > 1) {
        if (n % 2) memset(&nodes[n++], 0, sizeof nodes[0]);
        for (size_t i = 0; i < n / 2; i++) nodes[i] = parent_of(&nodes[2 * i]);
        n /= 2;
    }
    return nodes[0];
}

#define LIST_LEVELS    8u /* of the lists of up to 256 */
#define NIPOSTS_LEVELS 2u
_Static_assert(1u << LIST_LEVELS == SM_ATX_V2_PREVIOUS_MAX && 1u << LIST_LEVELS == SM_ATX_V2_MARRIAGES_MAX &&
                   1u << LIST_LEVELS == SM_ATX_V2_POSTS_MAX && 1u << NIPOSTS_LEVELS == SM_ATX_V2_NIPOSTS_MAX,
               "limits are those of the trees");

static struct sm_hash32 zero_roots[LIST_LEVELS + 1]; /* of 2^k zero leaves */
static pthread_once_t zero_once = PTHREAD_ONCE_INIT;

static void make_zero_roots(void)
{
    for (unsigned k = 0; k < LIST_LEVELS; k++) {
        const struct sm_hash32 pair[2] = {zero_roots[k], zero_roots[k]};
        zero_roots[k + 1] = parent_of(pair);
    }
}

/* Root of n leaves and zero leaves behind them, 2^levels together. The lists are mostly empty: only what stands above the n
 * is hashed. Works in place; needs room for n + 1. */
static struct sm_hash32 list_root(struct sm_hash32 *nodes, size_t n, unsigned levels)
{
    (void)pthread_once(&zero_once, make_zero_roots);
    if (n == 0) return zero_roots[levels];
    for (unsigned k = 0; k < levels; k++) {
        if (n % 2) nodes[n++] = zero_roots[k];
        for (size_t i = 0; i < n / 2; i++) nodes[i] = parent_of(&nodes[2 * i]);
        n /= 2;
    }
    return nodes[0];
}

static struct sm_hash32 leaf_u32(uint32_t v)
{
    struct sm_hash32 h = {{0}};
    sm_le32_store(h.b, v);
    return h;
}

static struct sm_hash32 leaf_u64(uint64_t v)
{
    struct sm_hash32 h = {{0}};
    sm_le64_store(h.b, v);
    return h;
}

static struct sm_hash32 leaf_of(const void *p, size_t n)
{
    struct sm_hash32 h = {{0}};
    memcpy(h.b, p, n);
    return h;
}

sm_err sm_sub_post_v2_root(const struct sm_sub_post_v2 *p, const struct sm_atx_v2 *atx, struct sm_hash32 *out,
                           struct sm_errinfo *ei)
{
    const struct sm_atx_id *previous = atx->previous_atxs.p;
    struct sm_hash32 nodes[6] = {
        [0] = leaf_u32(p->marriage_index),
        [2] = leaf_u64(p->membership_leaf_index),
        [4] = leaf_u32(p->num_units),
    };
    if (p->prev_atx_index < atx->previous_atxs.n) nodes[1] = leaf_of(&previous[p->prev_atx_index], 32);
    sm_err err = sm_scale_hash(&sm_post_v1_type, &p->post, &nodes[3], ei);
    if (!err) *out = sm_merkle_root_01(nodes, 5);
    return err;
}

sm_err sm_nipost_v2_root(const struct sm_nipost_v2 *n, const struct sm_atx_v2 *atx, struct sm_hash32 *out,
                         struct sm_errinfo *ei)
{
    struct sm_hash32 posts[SM_ATX_V2_POSTS_MAX + 1], nodes[4] = {0};
    if (n->posts.n > SM_ATX_V2_POSTS_MAX)
        return sm_fail(ei, SM_E_ARG, "%zu posts in a NIPoST, at most 256", n->posts.n);
    sm_err err = sm_scale_hash(&sm_merkle_membership_v2_type, &n->membership, &nodes[0], ei);
    const struct sm_sub_post_v2 *list = n->posts.p;
    for (size_t i = 0; i < n->posts.n && !err; i++) err = sm_sub_post_v2_root(&list[i], atx, &posts[i], ei);
    if (err) return err;
    nodes[1] = leaf_of(&n->challenge, 32);
    nodes[2] = list_root(posts, n->posts.n, LIST_LEVELS);
    *out = sm_merkle_root_01(nodes, 3);
    return SM_OK;
}

static sm_err initial_root(const struct sm_initial_atx_parts_v2 *initial, struct sm_hash32 *out, struct sm_errinfo *ei)
{
    struct sm_hash32 nodes[2] = {leaf_of(&initial->commitment_atx_id, 32)};
    sm_err err = sm_scale_hash(&sm_post_v1_type, &initial->post, &nodes[1], ei);
    if (!err) *out = sm_merkle_root_01(nodes, 2);
    return err;
}

static sm_err niposts_root(const struct sm_atx_v2 *atx, struct sm_hash32 *out, struct sm_errinfo *ei)
{
    struct sm_hash32 nodes[SM_ATX_V2_NIPOSTS_MAX + 1];
    const struct sm_nipost_v2 *list = atx->niposts.p;
    sm_err err = SM_OK;
    for (size_t i = 0; i < atx->niposts.n && !err; i++) err = sm_nipost_v2_root(&list[i], atx, &nodes[i], ei);
    if (!err) *out = list_root(nodes, atx->niposts.n, NIPOSTS_LEVELS);
    return err;
}

static sm_err marriages_root(const struct sm_atx_v2 *atx, struct sm_hash32 *out, struct sm_errinfo *ei)
{
    struct sm_hash32 nodes[SM_ATX_V2_MARRIAGES_MAX + 1];
    const struct sm_marriage_certificate *list = atx->marriages.p;
    sm_err err = SM_OK;
    for (size_t i = 0; i < atx->marriages.n && !err; i++)
        err = sm_scale_hash(&sm_marriage_certificate_type, &list[i], &nodes[i], ei);
    if (!err) *out = list_root(nodes, atx->marriages.n, LIST_LEVELS);
    return err;
}

sm_err sm_atx_v2_id(const struct sm_atx_v2 *atx, struct sm_atx_id *out, struct sm_atx_v2_roots *out_roots,
                    struct sm_errinfo *ei)
{
    if (atx->previous_atxs.n > SM_ATX_V2_PREVIOUS_MAX || atx->niposts.n > SM_ATX_V2_NIPOSTS_MAX ||
        atx->marriages.n > SM_ATX_V2_MARRIAGES_MAX)
        return sm_fail(ei, SM_E_ARG, "an ATX has at most 256 previous ATXs, 4 NIPoSTs and 256 marriages");
    struct sm_atx_v2_roots roots = {0};
    struct sm_hash32 previous[SM_ATX_V2_PREVIOUS_MAX + 1];
    if (atx->previous_atxs.n) memcpy(previous, atx->previous_atxs.p, atx->previous_atxs.n * sizeof previous[0]);
    roots.previous_atxs = list_root(previous, atx->previous_atxs.n, LIST_LEVELS);
    sm_err err = atx->initial ? initial_root(atx->initial, &roots.initial, ei) : SM_OK;
    if (!err) err = niposts_root(atx, &roots.niposts, ei);
    if (!err) err = marriages_root(atx, &roots.marriages, ei);
    if (err) return err;

    struct sm_hash32 nodes[10] = {
        leaf_u32(atx->publish_epoch), leaf_of(&atx->positioning_atx, 32),
        leaf_of(&atx->coinbase, 24),  roots.initial,
        roots.previous_atxs,          roots.niposts,
        leaf_u64(atx->vrf_nonce),     roots.marriages,
    };
    if (atx->marriage_atx) nodes[8] = leaf_of(atx->marriage_atx, 32);
    const struct sm_hash32 root = sm_merkle_root_01(nodes, 9);
    memcpy(out->b, root.b, sizeof out->b);
    if (out_roots) *out_roots = roots;
    return SM_OK;
}
