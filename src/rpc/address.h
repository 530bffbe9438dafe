/* rpc/address.h: where a service is: "host:port", "http://host:port", "https://host:port", "[::1]:9094".
 *
 * No scheme means http, as with the reference (our spec, post-service.md "2.3"). The port is always written: one that was
 * forgotten would otherwise be somebody else's service. Pure; any thread. */
#ifndef SM_RPC_ADDRESS_H
#define SM_RPC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define SM_RPC_HOST_ROOM    256u
#define SM_RPC_ADDRESS_ROOM (SM_RPC_HOST_ROOM + 16u)

struct sm_rpc_address {
    char host[SM_RPC_HOST_ROOM]; /* DNS name, IPv4 or IPv6 address (no brackets; %zone may follow) */
    uint16_t port;
    bool tls; /* https */
};

/* A service to connect to. A '/' at the end is ignored; paths, queries and user names are refused. SM_E_ARG, with a
 * sentence that quotes `text`. */
SM_MUST_CHECK sm_err sm_rpc_address_parse(const char *text, struct sm_rpc_address *out, struct sm_errinfo *ei);
/* A place to listen at: no scheme; port 0 lets the kernel choose. */
SM_MUST_CHECK sm_err sm_rpc_address_parse_listen(const char *text, struct sm_rpc_address *out, struct sm_errinfo *ei);
/* Certificates were given (`tls_given`) for an http address, or none for an https one: SM_E_ARG (OUR-2). */
SM_MUST_CHECK sm_err sm_rpc_address_check_tls(const struct sm_rpc_address *a, bool tls_given, struct sm_errinfo *ei);

/* "host:port" or "[::1]:9094", without a zone: the :authority of requests, and for messages. Returns `out`. */
const char *sm_rpc_address_text(const struct sm_rpc_address *a, char out[SM_RPC_ADDRESS_ROOM]);
/* Is the host an IPv4 or IPv6 address, not a name? */
bool sm_rpc_address_is_ip(const struct sm_rpc_address *a);
/* Does traffic to it stay on this machine (127.0.0.0/8, ::1, "localhost")? */
bool sm_rpc_address_is_loopback(const struct sm_rpc_address *a);

#endif
