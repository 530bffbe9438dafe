/* rpc/peer.h: who is on the other side of a connection: what sm_rpc_stream_peer() lends to methods. */
#ifndef SM_RPC_PEER_H
#define SM_RPC_PEER_H

#include <stdbool.h>

#define SM_PEER_SANS_ROOM 512u

struct sm_peer {
    char address[64]; /* "10.1.2.3:50412" */
    bool tls;
    /* TLS: of the certificate, which was verified against the CA. */
    char fingerprint_sha256[65]; /* lower-case hex, of the DER */
    char subject[128];           /* for messages; '?' for what is not printable */
    char
        sans[SM_PEER_SANS_ROOM]; /* "DNS:post,IP:10.0.0.1,URI:spiffe://..."; names with odd characters and what does not
                                   * fit are left out, so that an allow-list never takes one name for another */
};

/* Is `san` ("DNS:post", "IP:10.0.0.1") one of the certificate's names? DNS names compare without case. */
bool sm_peer_has_san(const struct sm_peer *p, const char *san);

#endif
