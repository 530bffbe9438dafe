/* Address text: no text crashes it, and an accepted one is the only spelling of its address but for case. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "codec/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sm_errinfo ei = {0};
    struct sm_address a;
    char hrp[SM_HRP_MAX + 1], again[SM_ADDRESS_ROOM];
    char *text = malloc(size + 1);
    check(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (sm_address_decode(text, NULL, &a, hrp, &ei)) {
        check(ei.text[0] != '\0');
    } else {
        check(sm_address_encode(&a, hrp, again, &ei) == SM_OK);
        check(strcasecmp(text, again) == 0);
    }
    free(text);
    return 0;
}
