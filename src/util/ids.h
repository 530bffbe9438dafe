/* util/ids.h: the fixed-size values of the protocol, one struct each, so that the compiler catches a mix-up. */
#ifndef SM_UTIL_IDS_H
#define SM_UTIL_IDS_H

#include <stdint.h>

struct sm_node_id { uint8_t b[32]; };    /* Ed25519 public key of an identity; also its VRF public key */
struct sm_atx_id { uint8_t b[32]; };     /* activation transaction; zero = none; the golden ATX stands for genesis */
struct sm_commitment { uint8_t b[32]; }; /* BLAKE3(node ID || commitment ATX ID) */
struct sm_challenge { uint8_t b[32]; };  /* of a PoST or NIPoST */
struct sm_poet_ref { uint8_t b[32]; };   /* PoET proof reference */
struct sm_tx_id { uint8_t b[32]; };
struct sm_hash32 { uint8_t b[32]; };
struct sm_genesis_id { uint8_t b[20]; }; /* prefix of everything signed */
struct sm_ballot_id { uint8_t b[20]; };
struct sm_block_id { uint8_t b[20]; };
struct sm_proposal_id { uint8_t b[20]; };
struct sm_address { uint8_t b[24]; };
struct sm_beacon { uint8_t b[4]; };
struct sm_compact_proposal_id { uint8_t b[4]; };
struct sm_signature { uint8_t b[64]; };
struct sm_vrf_proof { uint8_t b[80]; };

#endif
