#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/top_fetch.h"
#include "cli/top_screen.h"
#include "http/client.h"
#include "http/server.h"
#include "util/clock.h"

#define ONCE_WIDTH 120u /* columns where there is no terminal */

struct args {
    struct sm_text_list urls;
    const char *token_file, *ca_cert;
    uint32_t interval_s;
    bool once;
};

static const struct sm_option options[] = {
    SM_OPT_LIST(struct args, urls, "url", NULL, "URL", "a rig's status address, http://HOST:PORT; may be repeated",
                .required = true),
    SM_OPT_TEXT(struct args, token_file, "token-file", NULL, "FILE", "token that the rigs want, as in their own file"),
    SM_OPT_TEXT(struct args, ca_cert, "ca-cert", NULL, "FILE",
                "certificates to trust for https, instead of the system's"),
    SM_OPT_U32(struct args, interval_s, "interval", "2", 1, 3600, "S", "seconds between questions"),
    SM_OPT_FLAG(struct args, once, "once", "print one frame as plain text and end"),
    SM_OPT_END,
};

static sm_err check(const struct args *a, struct sm_errinfo *ei)
{
    if (a->urls.n > SM_TOP_RIGS_MAX)
        return sm_fail(ei, SM_E_ARG, "--url %zu times, more than %u rigs", a->urls.n, SM_TOP_RIGS_MAX);
    for (size_t i = 0; i < a->urls.n; i++) {
        const sm_err err = sm_http_check_url(a->urls.v[i], "--url", ei);
        if (err) return err;
    }
    return SM_OK;
}

static unsigned width_of(int fd)
{
    struct winsize size;
    return isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : ONCE_WIDTH;
}

static sm_err say_frame(struct sm_cli *cli, const struct sm_top_rig *rigs, size_t n, struct sm_errinfo *ei)
{
    struct sm_top_frame frame = {0};
    struct sm_top_row *rows = NULL;
    size_t rows_n = 0;
    const struct sm_top_look look = {.width = width_of(STDOUT_FILENO), .utf8 = sm_top_utf8()};
    const bool good = sm_top_rows(rigs, n, SM_TOP_BY_NAME, &rows, &rows_n) &&
                      sm_top_draw(rigs, n, rows, rows_n, &look, sm_clock_wall_s(), &frame);
    for (size_t i = 0; good && i < frame.n; i++) sm_cli_say(cli, "%s", frame.lines[i].text);
    sm_top_frame_fini(&frame);
    free(rows);
    return good ? SM_OK : sm_fail(ei, SM_E_NOMEM, "not enough memory to show the rigs");
}

/* The document of one rig as it came; of several, a list of {"url", "status"} and {"url", "error"}. */
static json_t *documents_json(const struct sm_top_rig *rigs, char *const *bodies, size_t n)
{
    if (n == 1 && bodies[0]) return json_loads(bodies[0], 0, NULL);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_pack("{s:s}", "url", rigs[i].url);
        if (bodies[i])
            json_object_set_new(one, "status", json_loads(bodies[i], 0, NULL));
        else
            json_object_set_new(one, "error", json_string(rigs[i].trouble));
        json_array_append_new(list, one);
    }
    return list;
}

static sm_exit once(struct sm_cli *cli, const struct sm_top_fetch_cfg *cfg, struct sm_top_rig *rigs)
{
    char *bodies[SM_TOP_RIGS_MAX] = {NULL};
    struct sm_errinfo ei = {0};
    sm_err err = SM_OK;
    for (size_t i = 0; i < cfg->urls_n && err != SM_E_CANCELLED; i++) {
        struct sm_errinfo why = {0};
        const sm_err one = sm_top_ask(cfg, i, &rigs[i].snapshot, &bodies[i], &why);
        rigs[i].known = !one;
        if (!one) continue;
        sm_status_text(rigs[i].trouble, sizeof rigs[i].trouble, why.text);
        err = one;
        ei = why;
    }
    sm_err drawn = SM_OK;
    if (cfg->urls_n > 1 || !err) {
        drawn = say_frame(cli, rigs, cfg->urls_n, &ei);
        sm_cli_json(cli, documents_json(rigs, bodies, cfg->urls_n));
    }
    for (size_t i = 0; i < cfg->urls_n; i++) free(bodies[i]);
    if (drawn) err = drawn;
    return err ? sm_cli_error(cli, err, &ei) : SM_EXIT_DONE;
}

static sm_exit watch(struct sm_cli *cli, const struct sm_top_fetch_cfg *cfg, struct sm_top_rig *rigs)
{
    struct sm_top_fetch *fetch = NULL;
    struct sm_errinfo ei = {0};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return sm_cli_refuse(cli, SM_EXIT_USAGE, "top draws on a terminal and this is none: use --once or --json");
    sm_err err = sm_top_fetch_start(cfg, &fetch, &ei);
    if (!err) err = sm_top_screen_run(fetch, rigs, cfg->urls_n, cli->color_out, cli->cancel, &ei);
    sm_top_fetch_stop(fetch);
    return err ? sm_cli_error(cli, err, &ei) : SM_EXIT_DONE;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_top_rig *rigs = calloc(SM_TOP_RIGS_MAX, sizeof *rigs);
    struct sm_errinfo ei = {0};
    char *token = NULL;
    sm_err err = rigs ? check(a, &ei) : sm_fail(&ei, SM_E_NOMEM, "not enough memory for %u rigs", SM_TOP_RIGS_MAX);
    if (!err && a->token_file) err = sm_http_token_read(a->token_file, &token, &ei);
    sm_exit status;
    if (err) {
        status = sm_cli_error(cli, err, &ei);
    } else {
        const struct sm_top_fetch_cfg cfg = {.urls = a->urls.v,
                                             .urls_n = a->urls.n,
                                             .token = token,
                                             .ca_file = a->ca_cert,
                                             .interval_s = a->interval_s,
                                             .cancel = cli->cancel};
        for (size_t i = 0; i < a->urls.n; i++) rigs[i].url = a->urls.v[i];
        status = a->once || cli->global.json ? once(cli, &cfg, rigs) : watch(cli, &cfg, rigs);
    }
    for (size_t i = 0; rigs && i < SM_TOP_RIGS_MAX; i++) sm_status_snapshot_fini(&rigs[i].snapshot);
    free(rigs);
    sm_http_token_free(token);
    return status;
}

const struct sm_command sm_cmd_top = {
    .name = "top",
    .summary = "watch rigs in a terminal: identities, progress, speeds, deadlines, errors",
    .details =
        "Asks each rig for /v1/status. Keys: arrows and page keys select, s sorts, p pauses or resumes the selected "
        "identity after a question, r asks now, ? shows help, q leaves. A rig that does not answer stays on the screen "
        "with its last state and is asked again.\n\n"
        "--once prints one frame and ends; --json prints the rig's document instead, for several rigs a list of "
        "{\"url\", \"status\"}. Both end with status 1 when a rig does not answer.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
