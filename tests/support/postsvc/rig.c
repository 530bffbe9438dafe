/* A post service without data: registers one identity by postsvc/client.h and answers as it is told. One line of JSON on
 * stdout for everything that happens.
 *
 *   postsvc_rig [--proof FILE] [--node-id HEX] [--units N] [--labels N] [--no-nonce] [--progress K] [--fail]
 *               [--interval-ms N] [--max-retries N] [--ca FILE --cert FILE --key FILE] [--domain NAME] ADDRESS...
 *
 * --proof: serves this proof, as `smesher prove` writes them, under its identity, after K answers "in progress". Without
 * it, answers are "in progress" for ever, or ERROR with --fail. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postsvc/client.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/text.h"

static struct rig {
    struct sm_loop *loop;
    struct sm_post_info info;
    struct sm_challenge challenge; /* of the proof */
    struct sm_proof proof;
    bool has_proof, fails, gave_up;
    unsigned progress, asked;
} rig = {.info = {.has_nonce = true, .nonce = 7, .num_units = 2, .labels_per_unit = 4096}};

static struct sm_cancel cancel;

static void on_signal(int sig)
{
    (void)sig;
    sm_cancel_request(&cancel);
}

static void die(const char *text)
{
    (void)fprintf(stderr, "postsvc_rig: %s\n", text);
    exit(2);
}

static void say_challenge(const char *what, const struct sm_challenge *c)
{
    char hex[SM_HEX_ROOM(32)];
    (void)printf("{\"event\":\"%s\",\"challenge\":\"%s\"}\n", what, sm_hex_encode(c->b, sizeof c->b, hex));
}

/* ---- the provider ---- */

static sm_err info(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei)
{
    (void)ctx, (void)ei;
    *out = rig.info;
    return SM_OK;
}

static sm_post_answer proof(void *ctx, const struct sm_challenge *challenge, struct sm_proof *out,
                            struct sm_post_info *out_info)
{
    (void)ctx;
    say_challenge("asked", challenge);
    if (rig.fails) return SM_POST_FAILED;
    if (!rig.has_proof || memcmp(challenge, &rig.challenge, sizeof *challenge) != 0 || rig.asked++ < rig.progress)
        return SM_POST_IN_PROGRESS;
    *out = rig.proof;
    *out_info = rig.info;
    return SM_POST_DONE;
}

static void fetched(void *ctx, const struct sm_challenge *challenge)
{
    (void)ctx;
    say_challenge("fetched", challenge);
}

static void put_text(const char *text)
{
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            (void)printf("\\%c", *text);
        else
            (void)putchar(*text);
}

static void state(void *ctx, const struct sm_post_link_state *st)
{
    (void)ctx;
    (void)printf("{\"event\":\"state\",\"phase\":\"%s\",\"reason\":\"%s\",\"address\":%" PRIu32 ",\"text\":\"",
                 sm_post_link_phase_name(st->phase), sm_post_link_reason_name(st->reason), st->address);
    put_text(st->text);
    (void)puts("\"}");
}

static void given_up(void *ctx, const char *text)
{
    (void)ctx;
    (void)printf("{\"event\":\"given-up\",\"text\":\"%s\"}\n", text);
    rig.gave_up = true;
    sm_loop_stop(rig.loop);
}

/* ---- options ---- */

static void read_proof(const char *path)
{
    struct sm_errinfo ei = {0};
    struct sm_proof_meta meta = {0};
    char *text = NULL;
    size_t n = 0;
    bool has_meta = false;
    sm_err err = sm_io_read_file(path, SM_PROOF_JSON_MAX, &text, &n, &ei);
    if (!err) err = sm_proof_decode_json(text, n, path, &rig.proof, &meta, &has_meta, &ei);
    if (err || !has_meta) die(err ? ei.text : "a proof with metadata is needed");
    rig.info.node_id = meta.node_id;
    rig.info.commitment_atx_id = meta.commitment_atx_id;
    rig.info.num_units = meta.num_units;
    rig.info.labels_per_unit = meta.labels_per_unit;
    rig.challenge = meta.challenge;
    rig.has_proof = true;
    free(text);
}

static void read_node_id(const char *hex)
{
    struct sm_errinfo ei = {0};
    if (sm_hex_decode(hex, "--node-id", rig.info.node_id.b, 32, &ei)) die(ei.text);
}

struct options {
    struct sm_post_client_cfg client;
    struct sm_tls_cfg tls;
    struct sm_rpc_address addresses[SM_POST_ADDRESSES_MAX];
};

/* True when `word` took `value`. */
static bool take_option(struct options *o, const char *word, const char *value)
{
    const uint64_t n = strtoull(value, NULL, 10);
    if (strcmp(word, "--proof") == 0)
        read_proof(value);
    else if (strcmp(word, "--node-id") == 0)
        read_node_id(value);
    else if (strcmp(word, "--units") == 0)
        rig.info.num_units = (uint32_t)n;
    else if (strcmp(word, "--labels") == 0)
        rig.info.labels_per_unit = n;
    else if (strcmp(word, "--progress") == 0)
        rig.progress = (unsigned)n;
    else if (strcmp(word, "--interval-ms") == 0)
        o->client.reconnect_interval_ns = n * SM_NS_PER_MS;
    else if (strcmp(word, "--max-retries") == 0) {
        o->client.limited = true;
        o->client.max_retries = (uint32_t)n;
    } else if (strcmp(word, "--ca") == 0)
        o->tls.ca = value;
    else if (strcmp(word, "--cert") == 0)
        o->tls.cert = value;
    else if (strcmp(word, "--key") == 0)
        o->tls.key = value;
    else if (strcmp(word, "--domain") == 0)
        o->client.tls_name = value;
    else
        return false;
    return true;
}

static void parse(struct options *o, int argc, char **argv)
{
    struct sm_errinfo ei = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-nonce") == 0)
            rig.info.has_nonce = false;
        else if (strcmp(argv[i], "--fail") == 0)
            rig.fails = true;
        else if (i + 1 < argc && take_option(o, argv[i], argv[i + 1]))
            i++;
        else if (o->client.addresses_n == SM_POST_ADDRESSES_MAX ||
                 sm_rpc_address_parse(argv[i], &o->addresses[o->client.addresses_n++], &ei))
            die(ei.text[0] ? ei.text : "too many addresses");
    }
    o->client.addresses = o->addresses;
}

int main(int argc, char **argv)
{
    static const struct sm_post_provider provider = {info, proof, fetched, state};
    struct options o = {.client = {.name = "rig", .given_up = given_up, .seed = 1}};
    struct sm_errinfo ei = {0};
    struct sm_post_client *client = NULL;
    parse(&o, argc, argv);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGTERM, on_signal);
    sm_err err = sm_loop_new(&rig.loop, &ei);
    if (!err && o.tls.ca) err = sm_tls_context_new(&o.tls, SM_TLS_CLIENT, &o.client.tls, &ei);
    if (!err) err = sm_post_client_new(rig.loop, &o.client, &provider, NULL, &client, &ei);
    if (!err) {
        sm_post_client_start(client);
        err = sm_loop_run(rig.loop, &cancel, &ei);
        sm_post_client_stop(client);
    }
    sm_post_client_free(client);
    sm_tls_context_free(o.client.tls);
    sm_loop_free(rig.loop);
    if (err) die(ei.text);
    return rig.gave_up;
}
