#include "rpc/guard.h"

#include <string.h>

#include <nghttp2/nghttp2.h>

#include "util/bytes.h"
#include "util/clock.h"

#define FRAME_MAX        16384u /* bytes of payload; we announce nothing else */
#define BLOCK_FRAMES_MAX 16u /* a block of header_block_max bytes fits in one frame; senders that split do it by size */
#define EXPECTED_MAX     (UINT64_C(1000) * 1000000) /* thousandths of a frame */
#define PADDED_EMPTY_MAX 256u                       /* a padded DATA frame this short may hold nothing */

static const struct {
    uint64_t burst, per_s;
    const char *name;
} floods[SM_RPC_FLOODS] = {
    [SM_RPC_FLOOD_HEADERS] = {4000, 2000, "too_many_headers"},
    [SM_RPC_FLOOD_EMPTY_DATA] = {500, 50, "too_many_empty_frames"},
    [SM_RPC_FLOOD_RESET] = {200, 33, "too_many_resets"},
    [SM_RPC_FLOOD_SETTINGS] = {50, 1, "too_many_settings"},
    [SM_RPC_FLOOD_PING] = {500, 50, "too_many_pings"},
    [SM_RPC_FLOOD_WINDOW_UPDATE] = {5000, 1000, "too_many_window_updates"},
    [SM_RPC_FLOOD_OTHER] = {500, 50, "too_many_frames"},
    [SM_RPC_FLOOD_REFUSED] = {200, 33, "too_many_bad_requests"},
};

void sm_rpc_guard_init(struct sm_rpc_guard *g, bool server, uint32_t header_block_max, uint64_t now_ns)
{
    *g = (struct sm_rpc_guard){.server = server,
                               .header_block_max = header_block_max,
                               .preface_left = server ? (unsigned)NGHTTP2_CLIENT_MAGIC_LEN : 0};
    for (size_t i = 0; i < SM_RPC_FLOODS; i++) {
        g->buckets[i].level = floods[i].burst * 1000;
        g->buckets[i].at_ns = now_ns;
    }
}

const char *sm_rpc_guard_charge(struct sm_rpc_guard *g, sm_rpc_flood what, uint64_t now_ns)
{
    const uint64_t full = floods[what].burst * 1000;
    uint64_t passed = now_ns > g->buckets[what].at_ns ? now_ns - g->buckets[what].at_ns : 0;
    if (passed > 1000 * SM_NS_PER_S) passed = 1000 * SM_NS_PER_S; /* fills every bucket, and does not overflow */
    const uint64_t refill = passed * floods[what].per_s / SM_NS_PER_MS;
    uint64_t *level = &g->buckets[what].level;
    if (refill) {
        *level = full > *level && full - *level > refill ? *level + refill : full > *level ? full : *level;
        g->buckets[what].at_ns = now_ns;
    }
    if (*level < 1000) return floods[what].name;
    *level -= 1000;
    return NULL;
}

void sm_rpc_guard_expect(struct sm_rpc_guard *g, sm_rpc_flood what, unsigned n)
{
    uint64_t *level = &g->buckets[what].level;
    if (*level < EXPECTED_MAX) *level += n * UINT64_C(1000);
}

static bool maybe_empty(uint32_t n, uint8_t flags)
{
    if (flags & NGHTTP2_FLAG_END_STREAM) return false;
    return n == 0 || ((flags & NGHTTP2_FLAG_PADDED) && n <= PADDED_EMPTY_MAX);
}

static const char *see_block(struct sm_rpc_guard *g, uint32_t n, bool first, uint64_t now_ns)
{
    if (first) {
        g->block_since_ns = now_ns ? now_ns : 1;
        g->block_bytes = 0;
        g->block_frames = 0;
    }
    if (n > FRAME_MAX) return NULL;      /* the library refuses it */
    if (!g->block_since_ns) return NULL; /* a stray CONTINUATION ends the connection anyway */
    if (++g->block_frames > BLOCK_FRAMES_MAX) return "too_many_continuations";
    if (n > g->header_block_max - g->block_bytes) return "headers_too_large";
    g->block_bytes += n;
    return NULL;
}

/* ---- calls of a client: ids are 2 * place + 1 ---- */

static bool is_remembered(const struct sm_rpc_guard *g, uint32_t place)
{
    return place < g->calls && g->calls - place <= SM_RPC_GUARD_STREAMS;
}

static uint64_t *word_of(uint64_t *set, uint32_t place)
{
    return &set[place / 64 % (SM_RPC_GUARD_STREAMS / 64)];
}

static uint64_t bit_of(uint32_t place)
{
    return UINT64_C(1) << place % 64;
}

/* The places up to `place` come into memory, and others leave it. */
static void advance(struct sm_rpc_guard *g, uint32_t place)
{
    if (place - g->calls >= SM_RPC_GUARD_STREAMS) {
        memset(g->opened, 0, sizeof g->opened);
        memset(g->ended, 0, sizeof g->ended);
    } else {
        for (uint32_t p = g->calls; p <= place; p++) {
            *word_of(g->opened, p) &= ~bit_of(p);
            *word_of(g->ended, p) &= ~bit_of(p);
        }
    }
    g->calls = place + 1;
}

static const char *breach(struct sm_rpc_guard *g, uint32_t h2_error, const char *what)
{
    g->h2_error = h2_error;
    return what;
}

/* HEADERS of a client must not open a stream that it has skipped: the next one closed it for good. HEADERS and DATA must not
 * come behind its own END_STREAM or RST_STREAM. Ids too far behind to be remembered pass: the library skips their frames. */
static const char *see_stream(struct sm_rpc_guard *g)
{
    const uint32_t stream = sm_be32_load(g->head + 5) & 0x7fffffffu, place = stream / 2;
    const uint8_t type = g->head[3], flags = g->head[4];
    if (!g->server || !(stream & 1)) return NULL;
    if (type == NGHTTP2_HEADERS && place >= g->calls) {
        advance(g, place);
        *word_of(g->opened, place) |= bit_of(place);
    }
    if (!is_remembered(g, place)) return NULL;
    if (type != NGHTTP2_RST_STREAM && (*word_of(g->ended, place) & bit_of(place)))
        return breach(g, NGHTTP2_STREAM_CLOSED, "stream_closed");
    if (type == NGHTTP2_HEADERS && !(*word_of(g->opened, place) & bit_of(place)))
        return breach(g, NGHTTP2_PROTOCOL_ERROR, "stream_out_of_order");
    if (type == NGHTTP2_RST_STREAM || (flags & NGHTTP2_FLAG_END_STREAM)) *word_of(g->ended, place) |= bit_of(place);
    return NULL;
}

static const char *see_head(struct sm_rpc_guard *g, uint64_t now_ns)
{
    const uint32_t n = (uint32_t)g->head[0] << 16 | (uint32_t)g->head[1] << 8 | g->head[2];
    g->payload_left = n;
    switch (g->head[3]) {
    case NGHTTP2_DATA: {
        const char *why = see_stream(g);
        if (why || !maybe_empty(n, g->head[4])) return why;
        return sm_rpc_guard_charge(g, SM_RPC_FLOOD_EMPTY_DATA, now_ns);
    }
    case NGHTTP2_HEADERS:
    case NGHTTP2_PUSH_PROMISE: {
        const char *why = sm_rpc_guard_charge(g, SM_RPC_FLOOD_HEADERS, now_ns);
        if (!why && g->head[3] == NGHTTP2_HEADERS) why = see_stream(g);
        return why ? why : see_block(g, n, true, now_ns);
    }
    case NGHTTP2_CONTINUATION:
        return see_block(g, n, false, now_ns);
    case NGHTTP2_RST_STREAM: {
        const char *why = sm_rpc_guard_charge(g, SM_RPC_FLOOD_RESET, now_ns);
        return why ? why : see_stream(g);
    }
    case NGHTTP2_SETTINGS:
        return sm_rpc_guard_charge(g, SM_RPC_FLOOD_SETTINGS, now_ns);
    case NGHTTP2_PING:
        return sm_rpc_guard_charge(g, SM_RPC_FLOOD_PING, now_ns);
    case NGHTTP2_WINDOW_UPDATE:
        return sm_rpc_guard_charge(g, SM_RPC_FLOOD_WINDOW_UPDATE, now_ns);
    default:
        return sm_rpc_guard_charge(g, SM_RPC_FLOOD_OTHER, now_ns);
    }
}

static void see_end(struct sm_rpc_guard *g)
{
    const uint8_t type = g->head[3];
    const bool block = type == NGHTTP2_HEADERS || type == NGHTTP2_PUSH_PROMISE || type == NGHTTP2_CONTINUATION;
    if (block && (g->head[4] & NGHTTP2_FLAG_END_HEADERS)) g->block_since_ns = 0;
    if (type == NGHTTP2_SETTINGS) g->settings_seen = true;
    g->head_n = 0;
}

const char *sm_rpc_guard_scan(struct sm_rpc_guard *g, const uint8_t *p, size_t n, uint64_t now_ns, size_t *out_good)
{
    size_t i = g->preface_left < n ? g->preface_left : n;
    g->preface_left -= (unsigned)i;
    while (i < n) {
        if (g->head_n < sizeof g->head) {
            g->head[g->head_n++] = p[i++];
            if (g->head_n < sizeof g->head) continue;
            const char *why = see_head(g, now_ns);
            if (why) {
                *out_good = i > sizeof g->head ? i - sizeof g->head : 0;
                return why;
            }
        }
        const size_t skip = g->payload_left < n - i ? g->payload_left : n - i;
        i += skip;
        g->payload_left -= (uint32_t)skip;
        if (!g->payload_left) see_end(g);
    }
    *out_good = n;
    return NULL;
}
