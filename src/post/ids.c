#include "post/ids.h"

#include <string.h>

#include "crypto/blake3.h"

struct sm_commitment sm_commitment_of(const struct sm_node_id *node_id, const struct sm_atx_id *atx_id)
{
    uint8_t in[64];
    struct sm_commitment out;
    memcpy(in, node_id->b, 32);
    memcpy(in + 32, atx_id->b, 32);
    sm_blake3_hash(in, sizeof in, out.b);
    return out;
}
