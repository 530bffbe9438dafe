/* http/server_impl.h: what the files of the server share. */
#ifndef SM_HTTP_SERVER_IMPL_H
#define SM_HTTP_SERVER_IMPL_H

#include <microhttpd.h>
#include <pthread.h>

#include "http/server.h"

/* Open connections and since when each one's current request runs. libmicrohttpd's own timeout only knows silence: who
 * sends a byte now and then would hold a connection for ever. */
struct sm_http_conns {
    pthread_t thread;
    bool started;
    uint64_t timeout_ns;
    struct { /* under mu */
        pthread_mutex_t mu;
        pthread_cond_t changed; /* monotonic clock */
        struct sm_http_conn {
            int fd;
            uint64_t since_ns;
        } * list; /* room for max */
        unsigned n, max;
        bool stop;
    } shared;
};
SM_MUST_CHECK sm_err sm_http_conns_start(struct sm_http_conns *c, unsigned max, uint64_t timeout_ns,
                                         struct sm_errinfo *ei);
void sm_http_conns_stop(struct sm_http_conns *c); /* accepts a zeroed one */
void sm_http_conns_add(struct sm_http_conns *c, int fd);
void sm_http_conns_remove(struct sm_http_conns *c, int fd); /* before fd is closed */
void sm_http_conns_next_request(struct sm_http_conns *c, int fd);

struct sm_http_server {
    struct MHD_Daemon *daemon;
    int listen_fd; /* -1 once the daemon owns it */
    uint16_t port;
    char url[80];
    bool has_token;
    uint8_t token_hash[32];
    sm_http_handler handler;
    void *ctx;
    size_t body_max;
    char *tls_cert, *tls_key; /* PEM texts; libmicrohttpd borrows them */
    size_t tls_key_n;
    struct sm_http_conns conns;
    pthread_t starter; /* libmicrohttpd complains on this thread only while it starts */
    char why[256];     /* its last complaint then */
};

/* Callbacks of libmicrohttpd; ctx is the server. */
enum MHD_Result sm_http_on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_n, void **state);
void sm_http_on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode how);
size_t sm_http_on_unescape(void *ctx, struct MHD_Connection *connection, char *text);

#endif
