/* Walking descriptor sets: any bytes are walked to an end, and every view lies inside them. The first byte says how
 * much of the input is the symbol that is looked for. */
#include <stdlib.h>

#include "rpc/descriptors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct sm_slice all, struct sm_slice part)
{
    if (part.n && (part.p < all.p || part.n > all.n || (size_t)(part.p - all.p) > all.n - part.n)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    const size_t symbol_n = data[0] < size - 1 ? data[0] : size - 1;
    const struct sm_slice symbol = {data + 1, symbol_n}, set = {data + 1 + symbol_n, size - 1 - symbol_n};
    struct sm_proto_file f;
    struct sm_slice name;
    size_t at = 0, steps = 0;
    while (sm_proto_next_file(set, &at, &f)) {
        if (++steps > size) abort();
        check_inside(set, f.bytes);
        check_inside(set, f.name);
        check_inside(set, f.package);
        for (size_t i = 0; sm_proto_next_import(&f, &i, &name);) check_inside(f.bytes, name);
        if (sm_proto_defines(&f, symbol) && !symbol.n) abort();
    }
    return 0;
}
