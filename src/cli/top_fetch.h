/* cli/top_fetch.h: asks rigs for their status, one thread each, so that a rig that does not answer delays nobody. */
#ifndef SM_CLI_TOP_FETCH_H
#define SM_CLI_TOP_FETCH_H

#include "cli/top_view.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_top_fetch_cfg {
    const char *const *urls; /* "http://127.0.0.1:9090"; live as long as the fetcher */
    size_t urls_n;           /* 1 … SM_TOP_RIGS_MAX */
    const char *token;       /* NULL: none */
    const char *ca_file;     /* NULL: the system's */
    unsigned interval_s;
    const struct sm_cancel *cancel; /* ends what is under way */
};

/* One question, on the calling thread: *body is the document, malloc'd, and *out what it says. Both are the caller's. */
SM_MUST_CHECK sm_err sm_top_ask(const struct sm_top_fetch_cfg *cfg, size_t rig, struct sm_status_snapshot *out,
                                char **body, struct sm_errinfo *ei);

struct sm_top_fetch;
SM_MUST_CHECK sm_err sm_top_fetch_start(const struct sm_top_fetch_cfg *cfg, struct sm_top_fetch **out,
                                        struct sm_errinfo *ei);
/* Stops, waiting for what is under way to be broken off; accepts NULL. */
void sm_top_fetch_stop(struct sm_top_fetch *f);

/* Moves new answers into rigs[urls_n], which the caller owns, and renews their age. True: something is new. *told (room
 * bytes) receives the result of an order when there is one. */
bool sm_top_fetch_take(struct sm_top_fetch *f, struct sm_top_rig *rigs, char *told, size_t room);
void sm_top_fetch_refresh(struct sm_top_fetch *f);
/* Sends a pause or resume; the answer comes by take. A second one for a rig replaces the first when that is not yet
 * sent. */
void sm_top_fetch_order(struct sm_top_fetch *f, size_t rig, const struct sm_node_id *id, bool resume);

#endif
