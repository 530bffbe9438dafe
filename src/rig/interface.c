#include "rig/interface.h"

#include <stdlib.h>

#include "http/server.h"
#include "status/api.h"
#include "util/log.h"

struct sm_rig_interface {
    struct sm_status_api api;
    struct sm_http_server *server;
};

static sm_err snapshot(void *ctx, struct sm_status_snapshot *out, struct sm_errinfo *ei)
{
    return sm_rig_snapshot(ctx, out, ei);
}

static sm_err order(void *ctx, const char *which, sm_status_order what, struct sm_errinfo *ei)
{
    return sm_rig_order_give(ctx, which, what, ei);
}

sm_err sm_rig_interface_start(struct sm_rig *r, struct sm_rig_interface **out, struct sm_errinfo *ei)
{
    const struct sm_rig_cfg *cfg = sm_rig_config(r);
    char *token = NULL;
    *out = NULL;
    if (!cfg->status.listen) return SM_OK;
    struct sm_rig_interface *i = calloc(1, sizeof *i);
    if (!i) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    i->api = (struct sm_status_api){.snapshot = snapshot, .order = order, .ctx = r};
    sm_err err = cfg->status.token_file ? sm_http_token_read(cfg->status.token_file, &token, ei) : SM_OK;
    const struct sm_http_server_cfg server = {
        .listen = cfg->status.listen, .bearer_token = token, .handler = sm_status_api_handle, .ctx = &i->api};
    if (!err) err = sm_http_server_start(&server, &i->server, ei);
    sm_http_token_free(token);
    if (err) {
        free(i);
        return err;
    }
    sm_log(SM_LOG_INFO, "rig", "status interface", "url=%s", sm_http_server_url(i->server));
    *out = i;
    return SM_OK;
}

void sm_rig_interface_stop(struct sm_rig_interface *i)
{
    if (!i) return;
    sm_http_server_stop(i->server);
    free(i);
}
