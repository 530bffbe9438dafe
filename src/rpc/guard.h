/* rpc/guard.h: what a peer may make us do for nothing. It reads the frame heads of the input beside the HTTP/2
 * library and says when a peer floods: frames of one type faster than a call needs, header blocks without end. It
 * also knows since when the peer owes us the rest of something, and two things that the library takes for late frames
 * but that no late frame can be: a client opens a call below one that it opened before, or goes on with a call that it
 * has itself ended. Holds no memory but itself. One thread.
 *
 * Rates are ours: far above what gRPC peers send, and low enough that a flood is cheap to take. */
#ifndef SM_RPC_GUARD_H
#define SM_RPC_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum sm_rpc_flood {
    SM_RPC_FLOOD_HEADERS,
    SM_RPC_FLOOD_EMPTY_DATA,
    SM_RPC_FLOOD_RESET,
    SM_RPC_FLOOD_SETTINGS,
    SM_RPC_FLOOD_PING,
    SM_RPC_FLOOD_WINDOW_UPDATE,
    SM_RPC_FLOOD_OTHER,   /* PRIORITY, GOAWAY, unknown types */
    SM_RPC_FLOOD_REFUSED, /* calls and frames that we had to reset */
    SM_RPC_FLOODS,
} sm_rpc_flood;

#define SM_RPC_GUARD_STREAMS 1024u /* whose ids are remembered, behind the highest */

struct sm_rpc_guard {
    bool server;
    uint32_t header_block_max; /* bytes, CONTINUATION frames included */
    unsigned preface_left;     /* bytes */
    bool settings_seen;        /* the peer's first SETTINGS frame is whole */
    uint8_t head[9];
    unsigned head_n;
    uint32_t payload_left;
    uint64_t block_since_ns; /* a header block is open since then; 0: none is */
    uint32_t block_bytes, block_frames;
    uint32_t calls; /* places of client ids so far: the highest is 2 * calls - 1 */
    /* By place modulo their number: HEADERS came for it; END_STREAM or RST_STREAM came for it. */
    uint64_t opened[SM_RPC_GUARD_STREAMS / 64u], ended[SM_RPC_GUARD_STREAMS / 64u];
    uint32_t h2_error; /* why the scan ended: this, and not a flood; 0: a flood */
    struct {
        uint64_t level; /* thousandths of a frame */
        uint64_t at_ns;
    } buckets[SM_RPC_FLOODS];
};

void sm_rpc_guard_init(struct sm_rpc_guard *g, bool server, uint32_t header_block_max, uint64_t now_ns);
/* Looks at input. Returns NULL, or what the peer overdid ("too_many_resets"), and then *out_good is the number of
 * bytes in front of the frame that was too much; with h2_error, what the peer did that RFC 9113 5.1 forbids. */
const char *sm_rpc_guard_scan(struct sm_rpc_guard *g, const uint8_t *p, size_t n, uint64_t now_ns, size_t *out_good);
/* Counts one event that frame heads do not show. NULL, or as above. */
const char *sm_rpc_guard_charge(struct sm_rpc_guard *g, sm_rpc_flood what, uint64_t now_ns);
/* Takes `n` such frames out of the count: ones that something of ours makes the peer send. */
void sm_rpc_guard_expect(struct sm_rpc_guard *g, sm_rpc_flood what, unsigned n);

#endif
