/* Index unpacking: one byte of width, two of count, the rest is packed. Nothing outside is read, and packing what was
 * unpacked gives the same bits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "post/proof.h"
#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    const unsigned bits = data[0];
    const size_t n = sm_le16_load(data + 1), bytes = (bits * n + 7) / 8;
    struct sm_errinfo ei = {0};
    uint64_t *out = calloc(n + 1, sizeof *out);
    uint8_t *again = calloc(bytes + 1, 1);
    check(out && again);
    const sm_err err = sm_indices_unpack(data + 3, size - 3, bits, n, out, &ei);
    if (bits > 64) {
        check(err == SM_E_ARG);
    } else if (bytes > size - 3) {
        check(err == SM_E_FORMAT);
    } else {
        check(err == SM_OK);
        for (size_t i = 0; i < n && bits < 64; i++) check(out[i] >> bits == 0);
        sm_indices_pack(out, n, bits, again);
        const unsigned used = (unsigned)(bits * n % 8);
        for (size_t i = 0; i < bytes; i++) {
            const uint8_t mask = i + 1 == bytes && used ? (uint8_t)((1u << used) - 1) : 0xff;
            check(again[i] == (data[3 + i] & mask));
        }
    }
    free(out);
    free(again);
    return 0;
}
