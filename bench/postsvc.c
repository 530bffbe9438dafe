/* How many post services does one node's side carry? A hub process and a process of simulated rigs on this machine's loopback:
 *
 *   bench_postsvc [RIGS [IDENTITIES_PER_RIG [QUESTIONS [SHAPE]]]]        default 1000 10 20000 shared
 *
 * SHAPE: shared, the identities of a rig on one connection; or separate, each on its own (node.share_connection).
 *
 * Prints: seconds until every identity is registered; resident memory of the hub and of the rigs; processor
 * use of either while nothing is asked; median and 99th percentile from request to answer, a few hundred requests under way
 * at a time; processor use while every identity is polled every 2 s; and, after the hub was killed and started again,
 * seconds until every identity is back. The waits of the rigs are those of the product (5 s, a quarter more or less), so
 * the last number cannot be below 3.75 s. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "post/params.h"
#include "postsvc/client.h"
#include "postsvc/server.h"
#include "rpc/server.h"
#include "util/clock.h"
#include "util/log.h"

#define UNDER_WAY 256u
#define IDLE_S    5u

static const struct sm_post_params params = {.name = "bench",
                                             .min_num_units = 1,
                                             .max_num_units = 64,
                                             .labels_per_unit = 4096,
                                             .k1 = 26,
                                             .k2 = 37,
                                             .k3 = 1,
                                             .scrypt_n = 16,
                                             .nonces = 16,
                                             .num_units = 1,
                                             .max_file_size = 16384};

static void die(const char *what, const struct sm_errinfo *ei)
{
    (void)fprintf(stderr, "bench_postsvc: %s: %s\n", what, ei ? ei->text : strerror(errno));
    exit(1);
}

static struct sm_node_id node_id(uint64_t n)
{
    struct sm_node_id id = {{0}};
    sm_le64_store(id.b, n + 1);
    return id;
}

/* ---- the rigs' process ---- */

static sm_err rig_info(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei)
{
    (void)ei;
    *out = (struct sm_post_info){.node_id = node_id((uint64_t)(size_t)ctx),
                                 .has_nonce = true,
                                 .num_units = 1,
                                 .labels_per_unit = params.labels_per_unit};
    return SM_OK;
}

#define POLLED 2u /* first byte of a challenge that stays in progress */

/* An error ends the hub's request at once, so that the way there and back is what is measured. */
static sm_post_answer rig_proof(void *ctx, const struct sm_challenge *c, struct sm_proof *out,
                                struct sm_post_info *info)
{
    (void)ctx, (void)out, (void)info;
    return c->b[0] == POLLED ? SM_POST_IN_PROGRESS : SM_POST_FAILED;
}

static const struct sm_post_provider provider = {.info = rig_info, .proof = rig_proof};

struct rigs {
    size_t n, each;
    bool shared;
};

static void run_rigs(uint16_t port, const struct rigs *rigs)
{
    struct sm_errinfo ei = {0};
    struct sm_loop *loop = NULL;
    struct sm_post_carriers *pools = calloc(rigs->n, sizeof *pools);
    const struct sm_rpc_address address = {.host = "127.0.0.1", .port = port};
    if (!pools || sm_loop_new(&loop, &ei)) die("rigs", &ei);
    for (size_t i = 0; i < rigs->n * rigs->each; i++) {
        struct sm_post_client *c = NULL;
        const struct sm_post_client_cfg cfg = {.name = "bench",
                                               .addresses = &address,
                                               .addresses_n = 1,
                                               .seed = i,
                                               .share = rigs->shared ? &pools[i / rigs->each] : NULL};
        if (sm_post_client_new(loop, &cfg, &provider, (void *)i, &c, &ei)) die("rigs", &ei);
        sm_post_client_start(c);
    }
    if (sm_loop_run(loop, NULL, &ei)) die("rigs", &ei);
    exit(0);
}

/* ---- the hub's process: reports on a pipe, takes orders on another ---- */

struct hub {
    struct sm_loop *loop;
    struct sm_post_server *post;
    size_t n, registered, questions, asked, answered;
    uint64_t *sent_ns; /* by identity */
    uint64_t *times_ns;
    struct sm_loop_fd orders;
    int report_fd;
};

static void report(const struct hub *h, uint64_t v)
{
    if (write(h->report_fd, &v, sizeof v) != (ssize_t)sizeof v) die("report", NULL);
}

static void ask(struct hub *h, size_t i)
{
    struct sm_errinfo ei = {0};
    h->asked++;
    const struct sm_node_id id = node_id(i);
    const struct sm_challenge c = {{1}};
    h->sent_ns[i] = sm_clock_ns();
    if (sm_post_server_request(h->post, &id, &c, NULL, UINT64_MAX, &ei)) die("request", &ei);
}

static void on_registered(void *ctx, const struct sm_post_identity *id)
{
    struct hub *h = ctx;
    (void)id;
    if (++h->registered == h->n) report(h, h->n);
}

static void on_gone(void *ctx, const struct sm_post_identity *id, const char *why)
{
    (void)id, (void)why;
    ((struct hub *)ctx)->registered--;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void on_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text)
{
    struct hub *h = ctx;
    const uint64_t i = sm_le64_load(id->id.b) - 1;
    if (reason != SM_POST_FAILURE_RIG) {
        (void)fprintf(stderr, "bench_postsvc: %s\n", text);
        exit(1);
    }
    h->times_ns[h->answered++] = sm_clock_ns() - h->sent_ns[i];
    if (h->asked < h->questions) ask(h, i + UNDER_WAY < h->n ? i + UNDER_WAY : i % UNDER_WAY); /* lanes stay apart */
    if (h->answered < h->questions) return;
    qsort(h->times_ns, h->questions, sizeof *h->times_ns, by_value);
    report(h, h->times_ns[h->questions / 2]);
    report(h, h->times_ns[h->questions * 99 / 100]);
}

/* Every identity proves: each is asked every two seconds. */
static void poll_all(struct hub *h)
{
    struct sm_errinfo ei = {0};
    for (size_t i = 0; i < h->n; i++) {
        const struct sm_node_id id = node_id(i);
        const struct sm_challenge c = {{POLLED}};
        if (sm_post_server_request(h->post, &id, &c, NULL, UINT64_MAX, &ei)) die("request", &ei);
    }
}

static void on_order(void *ctx, uint32_t events)
{
    struct hub *h = ctx;
    char order;
    (void)events;
    if (read(h->orders.watch.fd, &order, 1) != 1) exit(0); /* the parent has gone */
    if (order == 'p') {
        poll_all(h);
        return;
    }
    h->asked = h->answered = 0;
    for (size_t i = 0; i < UNDER_WAY && i < h->n && h->asked < h->questions; i++) ask(h, i);
}

static void run_hub(uint16_t port, size_t n, size_t questions, int report_fd, int order_fd)
{
    static const struct sm_post_events events = {.registered = on_registered, .gone = on_gone, .failed = on_failed};
    static struct hub h;
    struct sm_errinfo ei = {0};
    struct sm_rpc_server *rpc = NULL;
    char listen[32];
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    h = (struct hub){.n = n,
                     .questions = questions,
                     .report_fd = report_fd,
                     .orders = {.fn = on_order, .ctx = &h},
                     .sent_ns = calloc(n, sizeof(uint64_t)),
                     .times_ns = calloc(questions + 1, sizeof(uint64_t))};
    if (!h.sent_ns || !h.times_ns || sm_loop_new(&h.loop, &ei)) die("hub", &ei);
    const struct sm_post_server_cfg post = {
        .loop = h.loop, .params = &params, .identities_max = (uint32_t)n, .events = &events, .events_ctx = &h};
    if (sm_post_server_new(&post, &h.post, &ei)) die("hub", &ei);
    struct sm_rpc_server_cfg cfg = {
        .listen = listen, .connections_max = (uint32_t)n + 64, .limits = {.message_max = SM_POST_MESSAGE_MAX}};
    cfg.methods = sm_post_server_methods(h.post, &cfg.methods_n);
    if (sm_rpc_server_start(h.loop, &cfg, &rpc, &ei)) die("hub", &ei);
    if (sm_loop_fd_add(h.loop, &h.orders, order_fd, EPOLLIN, &ei)) die("hub", &ei);
    report(&h, sm_rpc_server_port(rpc));
    if (sm_loop_run(h.loop, NULL, &ei)) die("hub", &ei);
    exit(0);
}

/* ---- the measurements ---- */

struct child {
    pid_t pid;
    int report_fd, order_fd;
};

static uint64_t next_report(const struct child *c)
{
    uint64_t v;
    if (read(c->report_fd, &v, sizeof v) != (ssize_t)sizeof v) die("a child ended early", NULL);
    return v;
}

static struct child start_hub(uint16_t port, size_t n, size_t questions)
{
    int report_pipe[2], order_pipe[2];
    if (pipe2(report_pipe, O_CLOEXEC) || pipe2(order_pipe, O_CLOEXEC)) die("pipe", NULL);
    const pid_t pid = fork();
    if (pid < 0) die("fork", NULL);
    if (pid == 0) {
        (void)close(report_pipe[0]);
        (void)close(order_pipe[1]);
        run_hub(port, n, questions, report_pipe[1], order_pipe[0]);
    }
    (void)close(report_pipe[1]);
    (void)close(order_pipe[0]);
    return (struct child){pid, report_pipe[0], order_pipe[1]};
}

static pid_t start_rigs(uint16_t port, const struct rigs *rigs)
{
    const pid_t pid = fork();
    if (pid < 0) die("fork", NULL);
    if (pid == 0) run_rigs(port, rigs);
    return pid;
}

static uint64_t rss_bytes(pid_t pid)
{
    char path[64];
    uint64_t size = 0, resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%" SCNu64 " %" SCNu64, &size, &resident) != 2) die(path, NULL);
    (void)fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Seconds of processor time that the process has used. */
static double cpu_s(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f)) die(path, NULL);
    (void)fclose(f);
    const char *after = strrchr(line, ')');
    if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        die(path, NULL);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void measure_cpu(const char *what, pid_t hub, pid_t rigs)
{
    const double a = cpu_s(hub), b = cpu_s(rigs);
    const uint64_t start = sm_clock_ns();
    sm_clock_sleep_ns(IDLE_S * SM_NS_PER_S);
    const double s = sm_clock_seconds_since(start);
    (void)printf("%-12s hub=%.2f%% rigs=%.2f%% of a processor\n", what, 100 * (cpu_s(hub) - a) / s,
                 100 * (cpu_s(rigs) - b) / s);
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void measure(const struct rigs *shape, size_t questions)
{
    const size_t n = shape->n * shape->each;
    struct child hub = start_hub(0, n, questions);
    const uint16_t port = (uint16_t)next_report(&hub);
    const uint64_t empty = rss_bytes(hub.pid);
    uint64_t start = sm_clock_ns();
    const pid_t rigs = start_rigs(port, shape);
    if (next_report(&hub) != n) die("registration", NULL);
    (void)printf("registered   rigs=%zu identities=%zu connections=%s seconds=%.2f\n", shape->n, n,
                 shape->shared ? "shared" : "separate", sm_clock_seconds_since(start));
    (void)printf("memory       hub=%.1f KiB rig=%.1f KiB per identity; hub=%.1f KiB rig=%.1f KiB per rig of %zu\n",
                 (double)(rss_bytes(hub.pid) - empty) / 1024 / (double)n, (double)rss_bytes(rigs) / 1024 / (double)n,
                 (double)(rss_bytes(hub.pid) - empty) / 1024 / (double)shape->n,
                 (double)rss_bytes(rigs) / 1024 / (double)shape->n, shape->each);
    measure_cpu("idle", hub.pid, rigs);
    start = sm_clock_ns();
    if (write(hub.order_fd, "q", 1) != 1) die("order", NULL);
    const uint64_t p50 = next_report(&hub), p99 = next_report(&hub);
    (void)printf("round trip   p50=%.2f ms p99=%.2f ms questions=%zu under_way=%u per_s=%.0f\n", (double)p50 / 1e6,
                 (double)p99 / 1e6, questions, UNDER_WAY, (double)questions / sm_clock_seconds_since(start));
    if (write(hub.order_fd, "p", 1) != 1) die("order", NULL);
    measure_cpu("all proving", hub.pid, rigs);
    end(hub.pid);
    start = sm_clock_ns();
    hub = start_hub(port, n, questions);
    (void)next_report(&hub);
    if (next_report(&hub) != n) die("registration", NULL);
    (void)printf("after kill   seconds=%.2f until all %zu are back\n", sm_clock_seconds_since(start), n);
    end(hub.pid);
    end(rigs);
}

int main(int argc, char **argv)
{
    const char *shape = argc > 4 ? argv[4] : "shared";
    const struct rigs rigs = {.n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000,
                              .each = argc > 2 ? strtoul(argv[2], NULL, 10) : 10,
                              .shared = strcmp(shape, "separate") != 0};
    const size_t connections = rigs.shared ? rigs.n : rigs.n * rigs.each;
    const size_t questions = argc > 3 ? strtoul(argv[3], NULL, 10) : 20000;
    struct rlimit files;
    if (!rigs.n || !rigs.each || !questions || (rigs.shared && strcmp(shape, "shared") != 0)) {
        (void)fprintf(stderr, "usage: bench_postsvc [RIGS [IDENTITIES_PER_RIG [QUESTIONS [shared|separate]]]]\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files)) die("getrlimit", NULL);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < connections + 64) {
        (void)fprintf(stderr, "bench_postsvc: %zu connections need ulimit -n %zu\n", connections, connections + 64);
        return 2;
    }
    sm_log_set_level(SM_LOG_ERROR);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    measure(&rigs, questions);
    return 0;
}
