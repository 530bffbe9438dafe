/* Commands that a hub takes on its standard input, one per line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/hub.h"
#include "cli/hub_files.h"
#include "util/text.h"

static void do_request(struct sm_hub *h, const char *rest)
{
    struct sm_node_id id;
    struct sm_challenge challenge;
    struct sm_errinfo ei = {0};
    sm_err err = sm_hub_parse_pair(rest, "request", &id, &challenge, &ei);
    if (!err) err = sm_hub_want(h, &id, &challenge, &ei);
    if (err)
        sm_hub_tell_error(h, ei.text);
    else
        sm_hub_check_done(h);
}

static void do_cancel(struct sm_hub *h, const char *rest)
{
    struct sm_node_id id;
    struct sm_errinfo ei = {0};
    if (sm_hex_decode(rest, "cancel", id.b, sizeof id.b, &ei)) {
        sm_hub_tell_error(h, ei.text);
    } else if (!sm_hub_unwant(h, &id)) {
        sm_hub_tell_error(h, "cancel: nothing is requested of this identity");
    } else {
        sm_hub_tell_cancelled(h, &id);
        sm_hub_check_done(h);
    }
}

static void do_line(struct sm_hub *h, char *line)
{
    line[strcspn(line, "\r")] = '\0';
    if (!line[0]) return;
    if (strcmp(line, "list") == 0)
        sm_hub_tell_identities(h);
    else if (strcmp(line, "quit") == 0)
        sm_loop_stop(h->loop);
    else if (strncmp(line, "request ", 8) == 0)
        do_request(h, line + 8);
    else if (strncmp(line, "cancel ", 7) == 0)
        do_cancel(h, line + 7);
    else
        sm_hub_tell_error(h, "list, request NODEID CHALLENGE, cancel NODEID or quit is expected");
}

void sm_hub_lines_feed(struct sm_hub *h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\n' && h->line_n < sizeof h->line - 1) {
            h->line[h->line_n++] = p[i] ? p[i] : '?';
        } else if (p[i] != '\n') {
            h->line_too_long = true;
        } else {
            h->line[h->line_n] = '\0';
            if (h->line_too_long)
                sm_hub_tell_error(h, "a line is too long");
            else
                do_line(h, h->line);
            h->line_n = 0;
            h->line_too_long = false;
        }
    }
}

/* One read per event: more would wait for the terminal. False at the end of the input. */
static bool read_some(struct sm_hub *h)
{
    char buf[4096];
    const ssize_t n = read(STDIN_FILENO, buf, sizeof buf);
    if (n > 0) sm_hub_lines_feed(h, buf, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

static void on_stdin(void *ctx, uint32_t events)
{
    struct sm_hub *h = ctx;
    (void)events;
    if (!read_some(h)) sm_loop_fd_del(h->loop, &h->stdin_fd);
}

sm_err sm_hub_lines_start(struct sm_hub *h, struct sm_errinfo *ei)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode)) { /* epoll does not watch files, and they do not wait */
        while (read_some(h)) {}
        return SM_OK;
    }
    h->stdin_fd = (struct sm_loop_fd){.fn = on_stdin, .ctx = h};
    return sm_loop_fd_add(h->loop, &h->stdin_fd, STDIN_FILENO, EPOLLIN, ei);
}
