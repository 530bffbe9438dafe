/* The Merkle tree of an ATX of version 2. Two kinds of padding must not be confused: lists "up to N" get zero leaves,
 * hashed upwards like any leaf; an odd level of the trees of 9, 5 and 3 leaves gets the zero node itself. */
#include <string.h>

#include "codec/hash.h"
#include "crypto/blake3.h"

struct sm_hash32 sm_merkle_root_01(struct sm_hash32 *nodes, size_t n)
{
    static const uint8_t parent = 0x01;
    while (n > 1) {
        if (n % 2) memset(&nodes[n++], 0, sizeof nodes[0]);
        for (size_t i = 0; i < n / 2; i++) {
            struct sm_blake3 h;
            sm_blake3_init(&h);
            sm_blake3_update(&h, &parent, 1);
            sm_blake3_update(&h, &nodes[2 * i], 2 * sizeof nodes[0]);
            sm_blake3_final(&h, nodes[i].b);
        }
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
    struct sm_hash32 posts[SM_ATX_V2_POSTS_MAX + 1] = {0}, nodes[4] = {0};
    if (n->posts.n > SM_ATX_V2_POSTS_MAX)
        return sm_fail(ei, SM_E_ARG, "%zu posts in a NIPoST, at most 256", n->posts.n);
    sm_err err = sm_scale_hash(&sm_merkle_membership_v2_type, &n->membership, &nodes[0], ei);
    const struct sm_sub_post_v2 *list = n->posts.p;
    for (size_t i = 0; i < n->posts.n && !err; i++) err = sm_sub_post_v2_root(&list[i], atx, &posts[i], ei);
    if (err) return err;
    nodes[1] = leaf_of(&n->challenge, 32);
    nodes[2] = sm_merkle_root_01(posts, SM_ATX_V2_POSTS_MAX);
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
    struct sm_hash32 nodes[SM_ATX_V2_NIPOSTS_MAX] = {0};
    const struct sm_nipost_v2 *list = atx->niposts.p;
    sm_err err = SM_OK;
    for (size_t i = 0; i < atx->niposts.n && !err; i++) err = sm_nipost_v2_root(&list[i], atx, &nodes[i], ei);
    if (!err) *out = sm_merkle_root_01(nodes, SM_ATX_V2_NIPOSTS_MAX);
    return err;
}

static sm_err marriages_root(const struct sm_atx_v2 *atx, struct sm_hash32 *out, struct sm_errinfo *ei)
{
    struct sm_hash32 nodes[SM_ATX_V2_MARRIAGES_MAX] = {0};
    const struct sm_marriage_certificate *list = atx->marriages.p;
    sm_err err = SM_OK;
    for (size_t i = 0; i < atx->marriages.n && !err; i++)
        err = sm_scale_hash(&sm_marriage_certificate_type, &list[i], &nodes[i], ei);
    if (!err) *out = sm_merkle_root_01(nodes, SM_ATX_V2_MARRIAGES_MAX);
    return err;
}

sm_err sm_atx_v2_id(const struct sm_atx_v2 *atx, struct sm_atx_id *out, struct sm_atx_v2_roots *out_roots,
                    struct sm_errinfo *ei)
{
    if (atx->previous_atxs.n > SM_ATX_V2_PREVIOUS_MAX || atx->niposts.n > SM_ATX_V2_NIPOSTS_MAX ||
        atx->marriages.n > SM_ATX_V2_MARRIAGES_MAX)
        return sm_fail(ei, SM_E_ARG, "an ATX has at most 256 previous ATXs, 4 NIPoSTs and 256 marriages");
    struct sm_atx_v2_roots roots = {0};
    struct sm_hash32 previous[SM_ATX_V2_PREVIOUS_MAX] = {0};
    if (atx->previous_atxs.n) memcpy(previous, atx->previous_atxs.p, atx->previous_atxs.n * sizeof previous[0]);
    roots.previous_atxs = sm_merkle_root_01(previous, SM_ATX_V2_PREVIOUS_MAX);
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
