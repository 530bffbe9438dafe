/* The same calls over the socket; and what is not a request is refused. */
#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keys/server.h"
#include "keys/wire.h"

static struct kit kit;
static struct sm_cancel cancel;
static struct sm_server *server;
static pthread_t thread;
static char path[300];

static void *run(void *arg)
{
    (void)arg;
    OK(sm_server_run(server, &cancel, &ei));
    return NULL;
}

static void start(void)
{
    snprintf(path, sizeof path, "%s/s", kit.dir);
    OK(sm_server_open(path, kit.signer, &server, &ei));
    cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

static void stop(void)
{
    sm_cancel_request(&cancel);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    sm_server_close(server);
}

static struct sm_sign_request hare(struct sm_hare_body *b, unsigned layer, unsigned v)
{
    *b = (struct sm_hare_body){.layer = layer, .round = 3, .eligibility.count = (uint16_t)v};
    return (struct sm_sign_request){kit.id[0], SM_SIGN_HARE3, {.hare3 = b}};
}

Test(socket, signs_as_in_process)
{
    struct sm_signer *client = NULL;
    struct sm_hare_body b;
    struct sm_signature here, there;
    struct sm_vrf_proof p, q;
    struct stat st;
    size_t n;
    kit_open(&kit);
    start();
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600u);
    OK(sm_signer_connect(path, &kit.genesis, &client, &ei));
    const struct sm_signer_identity *ids = sm_signer_identities(client, &n);
    cr_assert_eq(n, 2u);
    cr_assert_str_eq(ids[1].name, "b.key");
    cr_assert_arr_eq(ids[1].node_id.b, kit.id[1].b, 32);
    struct sm_sign_request r = hare(&b, 5, 1);
    OK(sm_signer_sign(client, &r, &there, &ei));
    OK(sm_signer_sign(kit.signer, &r, &here, &ei));
    cr_assert_arr_eq(here.b, there.b, 64);
    r = hare(&b, 5, 2);
    REFUSED(SM_E_REFUSED, "signed already", sm_signer_sign(client, &r, &there, &ei));
    r.identity.b[0] ^= 1;
    REFUSED(SM_E_NOTFOUND, "no key", sm_signer_sign(client, &r, &there, &ei));
    const struct sm_vrf_request v = {
        .identity = kit.id[1], .kind = SM_ELIGIBILITY_WEAK_COIN, .body.weak_coin = {.epoch = 3}};
    OK(sm_signer_vrf(client, &v, &p, &ei));
    OK(sm_signer_vrf(kit.signer, &v, &q, &ei));
    cr_assert_arr_eq(p.b, q.b, 80);
    struct sm_genesis_id other = {{1}};
    struct sm_signer *wrong = NULL;
    REFUSED(SM_E_MISMATCH, "another network", sm_signer_connect(path, &other, &wrong, &ei));
    /* A second signer at the same name; and a restart below a connected client. */
    struct sm_server *second = NULL;
    REFUSED(SM_E_BUSY, "another signer", sm_server_open(path, kit.signer, &second, &ei));
    stop();
    REFUSED(SM_E_NET, "no signer answers",
            sm_signer_sign(client, &(struct sm_sign_request){kit.id[0], SM_SIGN_HARE3, {.hare3 = &b}}, &there, &ei));
    cancel = (struct sm_cancel){0};
    start();
    r = hare(&b, 6, 2);
    OK(sm_signer_sign(client, &r, &there, &ei));
    sm_signer_close(client);
    stop();
    kit_close(&kit);
}

Test(socket, a_directory_open_to_others_is_refused)
{
    kit_open(&kit);
    cr_assert_eq(chmod(kit.dir, 0777), 0);
    snprintf(path, sizeof path, "%s/s", kit.dir);
    REFUSED(SM_E_MISMATCH, "private", sm_server_open(path, kit.signer, &server, &ei));
    kit_close(&kit);
}

static int dial(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void *connect_one(void *arg)
{
    struct sm_signer **client = arg;
    OK(sm_signer_connect(path, &kit.genesis, client, &ei));
    return NULL;
}

/* As many connections as there may be, and then one more. */
Test(socket, idle_connections_give_way_and_busy_ones_do_not)
{
    int fd[SM_SERVER_CONNECTIONS];
    struct sm_signer *first = NULL, *client = NULL;
    struct sm_hare_body b;
    struct sm_signature sig;
    uint8_t byte;
    pthread_t waiting;
    kit_open(&kit);
    start();
    OK(sm_signer_connect(path, &kit.genesis, &first, &ei));
    for (size_t i = 0; i < SM_SERVER_CONNECTIONS; i++) fd[i] = dial();
    OK(sm_signer_connect(path, &kit.genesis, &client, &ei));
    sm_signer_close(client);
    /* The connection that was ended is made again. */
    struct sm_sign_request r = hare(&b, 8, 1);
    OK(sm_signer_sign(first, &r, &sig, &ei));
    for (size_t i = 0; i < SM_SERVER_CONNECTIONS; i++) close(fd[i]);
    sm_signer_close(first);

    /* Each has begun a request: only when one of them is done is there room. */
    client = NULL;
    for (size_t i = 0; i < SM_SERVER_CONNECTIONS; i++) {
        fd[i] = dial();
        cr_assert_eq(send(fd[i], "\x01", 1, MSG_NOSIGNAL), 1);
    }
    cr_assert_eq(pthread_create(&waiting, NULL, connect_one, &client), 0);
    for (size_t i = 1; i < SM_SERVER_CONNECTIONS; i++) /* none was ended for it */
        cr_assert(recv(fd[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "connection %zu", i);
    close(fd[0]);
    cr_assert_eq(pthread_join(waiting, NULL), 0);
    r = hare(&b, 9, 1);
    OK(sm_signer_sign(client, &r, &sig, &ei));
    for (size_t i = 1; i < SM_SERVER_CONNECTIONS; i++) close(fd[i]);
    sm_signer_close(client);
    stop();
    kit_close(&kit);
}

/* Sends bytes; true when the server answers that it does not understand, or closes. */
static bool rejected(const void *bytes, size_t n)
{
    struct sm_wire_answer answer;
    uint8_t *raw = NULL;
    size_t raw_n = 0;
    const int fd = dial();
    cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
    cr_assert_eq(shutdown(fd, SHUT_WR), 0);
    bool no = true;
    if (sm_wire_read(fd, 5000, &raw, &raw_n, NULL) == SM_OK) {
        OK(sm_wire_answer_decode((struct sm_slice){raw, raw_n}, &answer, &ei));
        no = answer.status == SM_E_FORMAT;
        free(raw);
    }
    close(fd);
    return no;
}

Test(socket, what_is_no_request)
{
    struct sm_scale_writer w = {0};
    struct sm_hare_body b;
    uint8_t frame[512] = {0};
    kit_open(&kit);
    start();
    const struct sm_wire_request r = {.op = SM_WIRE_SIGN, .sign = hare(&b, 7, 1)};
    OK(sm_wire_request_encode(&r, &w, &ei));
    frame[0] = (uint8_t)w.n;
    memcpy(frame + 4, w.p, w.n);
    for (size_t n = 0; n < w.n; n += 7) {
        frame[0] = (uint8_t)n; /* too short a frame */
        cr_assert(rejected(frame, 4 + n), "length %zu", n);
        frame[0] = (uint8_t)w.n; /* cut off */
        cr_assert(rejected(frame, 4 + n), "cut at %zu", n);
    }
    frame[4 + w.n] = 0;
    frame[0] = (uint8_t)(w.n + 1); /* left-over byte */
    cr_assert(rejected(frame, 5 + w.n));
    frame[0] = (uint8_t)w.n;
    frame[4] = 2; /* version */
    cr_assert(rejected(frame, 4 + w.n));
    frame[4] = 1;
    frame[6] = 77; /* kind */
    cr_assert(rejected(frame, 4 + w.n));
    cr_assert(rejected("\xff\xff\xff\xff----", 8));
    /* None of it has reached the journal: another object takes the slot. */
    struct sm_signature sig;
    const struct sm_sign_request other = hare(&b, 7, 9);
    OK(sm_signer_sign(kit.signer, &other, &sig, &ei));
    sm_scale_writer_fini(&w);
    stop();
    kit_close(&kit);
}
