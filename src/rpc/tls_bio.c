/* OpenSSL's own socket BIO uses write(), so that a peer's reset would raise SIGPIPE in whatever program links us. */
#include "rpc/tls_impl.h"

#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <sys/socket.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static int fd_of(BIO *b)
{
    return (int)(intptr_t)BIO_get_data(b);
}

static int on_read(BIO *b, char *p, size_t n, size_t *out_n)
{
    ssize_t got;
    BIO_clear_retry_flags(b);
    do got = recv(fd_of(b), p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(b);
    if (got == 0) BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    *out_n = got > 0 ? (size_t)got : 0;
    return got > 0;
}

static int on_write(BIO *b, const char *p, size_t n, size_t *out_n)
{
    ssize_t put;
    BIO_clear_retry_flags(b);
    do put = send(fd_of(b), p, n, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(b);
    *out_n = put > 0 ? (size_t)put : 0;
    return put > 0;
}

static long on_ctrl(BIO *b, int what, long arg, void *p)
{
    (void)arg;
    (void)p;
    if (what == BIO_CTRL_FLUSH) return 1;
    if (what == BIO_CTRL_EOF) return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    return 0;
}

static void make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    if (m && BIO_meth_set_read_ex(m, on_read) && BIO_meth_set_write_ex(m, on_write) && BIO_meth_set_ctrl(m, on_ctrl))
        method = m;
    else
        BIO_meth_free(m);
}

BIO *sm_tls_bio(int fd)
{
    (void)pthread_once(&once, make_method);
    BIO *b = method ? BIO_new(method) : NULL;
    if (!b) return NULL;
    BIO_set_data(b, (void *)(intptr_t)fd);
    BIO_set_init(b, 1);
    return b;
}
