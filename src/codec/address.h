/* codec/address.h: account addresses and their text. Source: wire.md §11; BIP-173; go-spacemesh common/types/address.go,
 * genvm/core/hash.go @cc65f27. */
#ifndef SM_CODEC_ADDRESS_H
#define SM_CODEC_ADDRESS_H

#include "util/bytes.h"
#include "util/err.h"
#include "util/ids.h"

#define SM_HRP_MAIN "sm"
#define SM_HRP_TEST "stest"
#define SM_HRP_MAX  16u /* characters of a network's prefix; the reference has no limit but Bech32's */
/* Room for an address as text: prefix, '1', 39 characters of data, 6 of checksum, NUL. */
#define SM_ADDRESS_ROOM (SM_HRP_MAX + 1u + 39u + 6u + 1u)

/* Templates: 23 zero bytes and 1 (single-signature wallet), 2 (multisig), 3 (vesting), 4 (vault). */
extern const struct sm_address sm_template_wallet, sm_template_multisig, sm_template_vesting, sm_template_vault;

/* 0^4 || last 20 bytes of blake3(template || spawn arguments as encoded). */
struct sm_address sm_address_of(const struct sm_address *template_address, struct sm_slice spawn_arguments);
/* The single-signature wallet of a public key. */
struct sm_address sm_address_of_wallet(const uint8_t public_key[32]);

/* 1 to SM_HRP_MAX lower-case letters and digits, the first a letter. */
bool sm_hrp_valid(const char *hrp);

/* Bech32 (checksum constant 1), lower case. `hrp` as sm_hrp_valid wants it: SM_E_ARG otherwise. */
SM_MUST_CHECK sm_err sm_address_encode(const struct sm_address *address, const char *hrp, char out[SM_ADDRESS_ROOM],
                                       struct sm_errinfo *ei);

/* All lower case or all upper case. SM_E_FORMAT for text that is no address, SM_E_MISMATCH for one of another network
 * than `hrp`. `hrp` NULL takes any network; `out_hrp`, which may be NULL, receives it in lower case.
 *
 * Stricter than the reference in one point: an address has one text only (but for case). The reference takes any value of
 * the padding bits, and a 40th character of data that it drops. */
SM_MUST_CHECK sm_err sm_address_decode(const char *text, const char *hrp, struct sm_address *out,
                                       char out_hrp[SM_HRP_MAX + 1], struct sm_errinfo *ei);

#endif
