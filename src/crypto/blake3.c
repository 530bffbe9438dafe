#include "crypto/blake3.h"

#include <string.h>

#include "util/bytes.h"

#define CHUNK_BYTES 1024u
#define BLOCK_BYTES 64u

enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

static const uint32_t iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* Row r: message words of round r, the permutation of appendix A applied r times. */
static const uint8_t schedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1}, {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4}, {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

/* A compression not yet done: chunk end or parent. Done with ROOT it gives output, without a chaining value. */
struct node {
    uint32_t cv[8];
    uint32_t block[16];
    uint64_t counter;
    uint32_t block_len, flags;
};

static inline void g(uint32_t v[16], unsigned a, unsigned b, unsigned c, unsigned d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = sm_rotr32(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = sm_rotr32(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = sm_rotr32(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = sm_rotr32(v[b] ^ v[c], 7);
}

static void compress(const struct node *n, uint32_t out[16])
{
    uint32_t v[16];
    memcpy(v, n->cv, sizeof n->cv);
    memcpy(v + 8, iv, 4 * sizeof *iv);
    v[12] = (uint32_t)n->counter;
    v[13] = (uint32_t)(n->counter >> 32);
    v[14] = n->block_len;
    v[15] = n->flags;
    for (unsigned r = 0; r < 7; r++) {
        const uint8_t *s = schedule[r];
        const uint32_t *m = n->block;
        g(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
        g(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
        g(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
        g(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
        g(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
        g(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
        g(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
        g(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (unsigned i = 0; i < 8; i++) {
        out[i] = v[i] ^ v[i + 8];
        out[i + 8] = v[i + 8] ^ n->cv[i];
    }
}

static void chaining_value(const struct node *n, uint32_t cv[8])
{
    uint32_t out[16];
    compress(n, out);
    memcpy(cv, out, 8 * sizeof *cv);
}

static void parent_node(const uint32_t left[8], const uint32_t right[8], struct node *n)
{
    memcpy(n->cv, iv, sizeof iv);
    memcpy(n->block, left, 8 * sizeof *left);
    memcpy(n->block + 8, right, 8 * sizeof *right);
    n->counter = 0;
    n->block_len = BLOCK_BYTES;
    n->flags = PARENT;
}

/* The block being filled, as a compression; zero padded. */
static void block_node(const struct sm_blake3 *h, uint32_t flags, struct node *n)
{
    memcpy(n->cv, h->cv, sizeof h->cv);
    memset(n->block, 0, sizeof n->block);
    memcpy(n->block, h->block, h->block_len); /* little-endian machine: words are the bytes */
    n->counter = h->chunk;
    n->block_len = h->block_len;
    n->flags = flags | (h->blocks == 0 ? CHUNK_START : 0);
}

static void start_chunk(struct sm_blake3 *h, uint64_t number)
{
    memcpy(h->cv, iv, sizeof iv);
    h->chunk = number;
    h->block_len = 0;
    h->blocks = 0;
}

/* A finished chunk joins the tree: it completes one subtree for every trailing zero bit of the chunk count. */
static void push_chunk(struct sm_blake3 *h, const uint32_t chunk_cv[8])
{
    uint32_t cv[8];
    memcpy(cv, chunk_cv, sizeof cv);
    for (uint64_t count = h->chunk + 1; !(count & 1); count >>= 1) {
        struct node n;
        parent_node(h->stack[--h->depth], cv, &n);
        chaining_value(&n, cv);
    }
    memcpy(h->stack[h->depth++], cv, sizeof cv);
}

/* Called with a full block that is known not to be the last of the input. */
static void take_block(struct sm_blake3 *h)
{
    const bool last = h->blocks == CHUNK_BYTES / BLOCK_BYTES - 1;
    struct node n;
    block_node(h, last ? CHUNK_END : 0, &n);
    chaining_value(&n, h->cv);
    if (last) {
        push_chunk(h, h->cv);
        start_chunk(h, h->chunk + 1);
    } else {
        h->blocks++;
        h->block_len = 0;
    }
}

static void root_node(const struct sm_blake3 *h, struct node *n)
{
    block_node(h, CHUNK_END, n);
    for (uint32_t i = h->depth; i-- > 0;) {
        uint32_t cv[8];
        chaining_value(n, cv);
        parent_node(h->stack[i], cv, n);
    }
    n->flags |= ROOT;
}

void sm_blake3_init(struct sm_blake3 *h)
{
    h->depth = 0;
    start_chunk(h, 0);
}

void sm_blake3_update(struct sm_blake3 *h, const void *p, size_t n)
{
    const uint8_t *in = p;
    while (n) {
        if (h->block_len == BLOCK_BYTES) take_block(h);
        const size_t room = BLOCK_BYTES - h->block_len;
        const size_t k = n < room ? n : room;
        memcpy(h->block + h->block_len, in, k);
        h->block_len += (uint32_t)k;
        in += k;
        n -= k;
    }
}

void sm_blake3_final(const struct sm_blake3 *h, uint8_t out[32])
{
    struct node n;
    uint32_t words[16];
    root_node(h, &n);
    n.counter = 0;
    compress(&n, words);
    memcpy(out, words, SM_BLAKE3_BYTES);
}

void sm_blake3_xof_start(const struct sm_blake3 *h, struct sm_blake3_xof *x)
{
    struct node n;
    root_node(h, &n);
    memcpy(x->cv, n.cv, sizeof x->cv);
    memcpy(x->block, n.block, sizeof x->block);
    x->block_len = n.block_len;
    x->flags = n.flags;
    x->next = 0;
    x->used = sizeof x->buf;
}

void sm_blake3_xof_read(struct sm_blake3_xof *x, void *out, size_t n)
{
    uint8_t *to = out;
    while (n) {
        if (x->used == sizeof x->buf) {
            struct node root = {.counter = x->next++, .block_len = x->block_len, .flags = x->flags};
            uint32_t words[16];
            memcpy(root.cv, x->cv, sizeof root.cv);
            memcpy(root.block, x->block, sizeof root.block);
            compress(&root, words);
            memcpy(x->buf, words, sizeof x->buf);
            x->used = 0;
        }
        const size_t room = sizeof x->buf - x->used;
        const size_t k = n < room ? n : room;
        memcpy(to, x->buf + x->used, k);
        x->used += (uint32_t)k;
        to += k;
        n -= k;
    }
}

void sm_blake3_hash(const void *p, size_t n, uint8_t out[32])
{
    struct sm_blake3 h;
    sm_blake3_init(&h);
    sm_blake3_update(&h, p, n);
    sm_blake3_final(&h, out);
}
