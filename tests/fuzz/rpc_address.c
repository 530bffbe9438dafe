/* Addresses of services and listeners: no text crashes the parser, refusals say something, and what it takes is
 * written in a form that it takes again as the same. */
#include <stdlib.h>
#include <string.h>

#include "rpc/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, sm_err (*parse)(const char *, struct sm_rpc_address *, struct sm_errinfo *))
{
    struct sm_rpc_address a, again;
    struct sm_errinfo ei = {0};
    char shown[SM_RPC_ADDRESS_ROOM];
    if (parse(text, &a, &ei)) {
        if (!ei.text[0]) abort();
        return;
    }
    if (parse(sm_rpc_address_text(&a, shown), &again, NULL)) abort();
    a.host[strcspn(a.host, "%")] = '\0'; /* zones are not shown */
    if (strcmp(a.host, again.host) != 0 || a.port != again.port) abort();
    if (sm_rpc_address_is_ip(&a) != sm_rpc_address_is_ip(&again)) abort();
    if (sm_rpc_address_is_loopback(&a) != sm_rpc_address_is_loopback(&again)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1); /* exactly as long, for the sanitizer */
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    check(text, sm_rpc_address_parse);
    check(text, sm_rpc_address_parse_listen);
    free(text);
    return 0;
}
