/* cli/hub.h: what the parts of `smesher hub` share. Loop thread. */
#ifndef SM_CLI_HUB_H
#define SM_CLI_HUB_H

#include "cli/cli.h"
#include "postsvc/server.h"
#include "rpc/server.h"
#include "rpc/services.h"

typedef enum sm_wanted_state {
    SM_WANTED_QUEUED, /* another proof of this identity comes first */
    SM_WANTED_ASKING,
    SM_WANTED_PAUSED, /* failed; asked again when the timer says so */
    SM_WANTED_DONE,
    SM_WANTED_FAILED,
} sm_wanted_state;

/* A proof that somebody asked the hub for. */
struct sm_wanted {
    struct sm_hub *hub;
    struct sm_wanted *next;
    struct sm_node_id id;
    struct sm_challenge challenge;
    sm_wanted_state state;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    struct sm_loop_timer timer;
};

struct sm_hub {
    struct sm_cli *cli;
    const char *out_dir;
    uint64_t deadline_ns, retry_ns; /* per request; 0: none */
    bool once;
    struct sm_loop *loop;
    struct sm_post_server *post;
    struct sm_rpc_services *services; /* of post, with health and reflection */
    struct sm_rpc_server *rpc;
    struct sm_wanted *wanted, **wanted_last;
    size_t open_n, done_n, failed_n; /* of wanted: not settled yet, in, failed for good */
    uint64_t trouble_n, trouble_ns;  /* not yet logged; when the last was */
    char line[512];                  /* of stdin, incomplete */
    size_t line_n;
    bool line_too_long;
    struct sm_loop_fd stdin_fd, hangup_fd;
    struct sm_tls_context *tls;
};

/* ---- hub_wanted.c ---- */

/* Asks for a proof, unless it is in the directory already. A failure concerns this request alone. */
SM_MUST_CHECK sm_err sm_hub_want(struct sm_hub *h, const struct sm_node_id *id, const struct sm_challenge *challenge,
                                 struct sm_errinfo *ei);
/* Forgets what is not settled of this identity. False: there was nothing. */
bool sm_hub_unwant(struct sm_hub *h, const struct sm_node_id *id);
void sm_hub_on_proof(void *ctx, const struct sm_post_identity *id, const struct sm_post_verified *v);
void sm_hub_on_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text);
/* Stops the loop when --once is given and nothing is open. */
void sm_hub_check_done(struct sm_hub *h);
void sm_hub_wanted_fini(struct sm_hub *h);

/* ---- hub_events.c: what happens, told to people or, with --json, to programs ---- */

extern const struct sm_post_events sm_hub_events;
void sm_hub_tell_listening(struct sm_hub *h, const char *address, bool tls);
void sm_hub_tell_requested(struct sm_hub *h, const struct sm_wanted *w);
void sm_hub_tell_proof(struct sm_hub *h, const struct sm_wanted *w, const char *path, const struct sm_post_verified *v);
void sm_hub_tell_failed(struct sm_hub *h, const struct sm_wanted *w, const char *reason, const char *text,
                        uint64_t retry_ns);
void sm_hub_tell_cancelled(struct sm_hub *h, const struct sm_node_id *id);
void sm_hub_tell_identities(struct sm_hub *h);
void sm_hub_tell_error(struct sm_hub *h, const char *text);

/* ---- hub_lines.c: commands on stdin ---- */

SM_MUST_CHECK sm_err sm_hub_lines_start(struct sm_hub *h, struct sm_errinfo *ei);
/* Bytes as they come; lines are carried out when they are whole. */
void sm_hub_lines_feed(struct sm_hub *h, const char *p, size_t n);

#endif
