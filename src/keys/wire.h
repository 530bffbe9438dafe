/* keys/wire.h: what travels over the signer's socket. Both ends are of one version; anything unknown is refused.
 *
 * Frame: length of the rest (4 bytes, little endian, at most SM_WIRE_MAX), then the rest.
 *
 *   request    version 1 (1 byte), operation (1), kind (1), identity (32), the kind's body in SCALE
 *              operation HELLO has kind 0, a zero identity and no body
 *   answer     version 1, status (1), then
 *                status 0: hello    genesis ID (20), number of identities (2), each node ID (32), name length (1), name
 *                          sign     signature (64)
 *                          VRF      proof (80)
 *                status n: a sentence of at most SM_WIRE_TEXT bytes
 *
 * The decoders read nothing beyond what they are given, allocate from the caller's arena only, and accept exactly what
 * the encoders write. */
#ifndef SM_KEYS_WIRE_H
#define SM_KEYS_WIRE_H

#include "keys/signer.h"
#include "util/arena.h"

#define SM_WIRE_VERSION 1u
#define SM_WIRE_MAX     (8u << 20) /* a proposal at its limits has some 6 MiB */
#define SM_WIRE_TEXT    511u

typedef enum sm_wire_op { SM_WIRE_HELLO = 0, SM_WIRE_SIGN = 1, SM_WIRE_VRF = 2 } sm_wire_op;

struct sm_wire_request {
    sm_wire_op op;
    struct sm_sign_request sign; /* SM_WIRE_SIGN; its body lies in the arena */
    struct sm_vrf_request vrf;   /* SM_WIRE_VRF */
};
struct sm_wire_answer {
    sm_err status;
    char text[SM_WIRE_TEXT + 1]; /* of a failure */
    struct sm_slice body;        /* of a success; inside the decoded bytes */
};

SM_MUST_CHECK sm_err sm_wire_request_encode(const struct sm_wire_request *r, struct sm_scale_writer *w,
                                            struct sm_errinfo *ei);
/* SM_E_FORMAT for anything but a canonical request. */
SM_MUST_CHECK sm_err sm_wire_request_decode(struct sm_slice in, struct sm_arena *arena, struct sm_wire_request *out,
                                            struct sm_errinfo *ei);

SM_MUST_CHECK sm_err sm_wire_answer_encode(sm_err status, const char *text, struct sm_slice body,
                                           struct sm_scale_writer *w, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_wire_answer_decode(struct sm_slice in, struct sm_wire_answer *out, struct sm_errinfo *ei);

SM_MUST_CHECK sm_err sm_wire_hello_encode(const struct sm_genesis_id *genesis, const struct sm_signer_identity *ids,
                                          size_t n, struct sm_scale_writer *w, struct sm_errinfo *ei);
/* *out is malloc'd. */
SM_MUST_CHECK sm_err sm_wire_hello_decode(struct sm_slice in, struct sm_genesis_id *out_genesis,
                                          struct sm_signer_identity **out, size_t *out_n, struct sm_errinfo *ei);

/* One whole frame. `deadline_ms` bounds the time from the first byte to the last; the wait for the first byte is not
 * bounded. *out is malloc'd. SM_E_NOTFOUND: the peer closed before the first byte; SM_E_NET: it broke off, or took too
 * long; SM_E_FORMAT: too long a frame. */
SM_MUST_CHECK sm_err sm_wire_read(int fd, unsigned deadline_ms, uint8_t **out, size_t *out_n, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_wire_write(int fd, unsigned deadline_ms, struct sm_slice body, struct sm_errinfo *ei);

#endif
