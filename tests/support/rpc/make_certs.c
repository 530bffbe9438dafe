/* make_certs DIRECTORY: the certificates of certs.h, for integration tests. */
#include <stdio.h>

#include "support/rpc/certs.h"

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]), 2;
    cert_make_all(argv[1]);
    return 0;
}
