/* The scan as the protocol describes it (post.md §5.3, 5.6). */
#include "crypto/aes_impl.h"
#include "crypto/scan_impl.h"

static bool lazy_is_good(const struct sm_scan_job *job, const struct sm_aes128 *key, const uint8_t label[16])
{
    uint8_t out[16];
    sm_aes128_encrypt_ref(key, label, out);
    return (sm_le64_load(out) & ((UINT64_C(1) << 56) - 1)) < job->difficulty_lsb;
}

/* False when the receiver wants no more. */
static bool scan_label(const struct sm_scan_job *job, const struct sm_scan_group *g, const uint8_t *labels,
                       size_t label, sm_scan_emit emit, void *ctx)
{
    uint8_t out[16];
    sm_aes128_encrypt_ref(&g->key, &labels[16 * label], out);
    for (uint32_t o = 0; o < 16; o++) {
        if (out[o] > job->difficulty_msb) continue;
        if (out[o] == job->difficulty_msb && !lazy_is_good(job, &g->lazy[o], &labels[16 * label])) continue;
        const struct sm_scan_hit hit = {.label = (uint32_t)label, .nonce = g->nonce_base + o};
        if (!emit(ctx, &hit, 1)) return false;
    }
    return true;
}

static size_t run(const struct sm_scan_job *job, const uint8_t *labels, size_t labels_n, sm_scan_emit emit, void *ctx)
{
    for (size_t chunk = 0; chunk < labels_n; chunk += 8) {
        const size_t end = labels_n - chunk < 8 ? labels_n : chunk + 8;
        for (uint32_t g = 0; g < job->groups_n; g++)
            for (size_t label = chunk; label < end; label++)
                if (!scan_label(job, &job->groups[g], labels, label, emit, ctx)) return chunk;
    }
    return labels_n;
}

const struct sm_scan_ops sm_scan_ops_ref = {.run = run};

unsigned sm_scan_offset(unsigned p)
{
    return sm_scan_offset_of(p);
}

void sm_scan_target(const struct sm_aes128 *key, uint8_t msb, uint8_t out[16])
{
    uint8_t unsub[256];
    for (unsigned x = 0; x < 256; x++) unsub[sm_aes_sbox[x]] = (uint8_t)x;
    for (unsigned p = 0; p < 16; p++) out[p] = unsub[msb ^ key->rk[10][sm_scan_offset_of(p)]];
}
