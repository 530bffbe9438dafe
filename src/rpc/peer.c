#include "rpc/peer.h"

#include <string.h>
#include <strings.h>

bool sm_peer_has_san(const struct sm_peer *p, const char *san)
{
    const size_t n = strlen(san);
    const bool dns = strncmp(san, "DNS:", 4) == 0;
    for (const char *at = p->sans; *at;) {
        const size_t len = strcspn(at, ",");
        if (n && len == n && (dns ? strncasecmp(at, san, n) : strncmp(at, san, n)) == 0) return true;
        at += len + (at[len] == ',');
    }
    return false;
}
