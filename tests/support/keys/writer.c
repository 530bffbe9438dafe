/* The process that the journal's kill test kills.
 *
 *   keys_writer sign DIR LOG SEED   several threads sign equal and conflicting objects; each signature that was released
 *                                   becomes a line of LOG: identity, layer, round, hash of the signed bytes, signature
 *   keys_writer new DIR NAME LOG    makes a key and registers it; then a line of LOG: its node ID
 *   keys_writer check DIR           the journal as JSON on stdout; fails when keys or journal do not open
 *
 * DIR holds identities/ and journal.db. A busy journal is tried again until it is free: two processes take turns. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keys/signer.h"
#include "util/clock.h"
#include "util/text.h"

#define THREADS  4
#define REQUESTS 24u /* of each thread */
#define LAYERS   40u /* from which slots are drawn, so that runs and threads collide */

static const struct sm_genesis_id genesis = {{0x9e, 0xeb}};
static struct sm_signer *signer;
static int log_fd = -1;
static uint64_t seed;

static void say(const char *line)
{
    if (write(log_fd, line, strlen(line)) != (ssize_t)strlen(line)) abort();
}

static void fail(const struct sm_errinfo *ei)
{
    (void)fprintf(stderr, "keys_writer: %s\n", ei->text);
    exit(1);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void sign_one(uint64_t *rng)
{
    size_t n;
    const struct sm_signer_identity *ids = sm_signer_identities(signer, &n);
    struct sm_hare_body body = {
        .layer = (uint32_t)(next_random(rng) % LAYERS),
        .round = 3,
        .eligibility.count = (uint16_t)(next_random(rng) % 3),
    };
    const struct sm_sign_request r = {ids[next_random(rng) % n].node_id, SM_SIGN_HARE3, {.hare3 = &body}};
    struct sm_signature sig;
    struct sm_sign_plan plan;
    struct sm_errinfo ei = {0};
    sm_err err = sm_signer_sign(signer, &r, &sig, &ei);
    if (err == SM_E_REFUSED) return;
    if (err) fail(&ei);
    if (sm_sign_plan_make(&genesis, &r, &plan, &ei)) fail(&ei);
    char line[512], id[65], hash[65], text[129];
    (void)snprintf(line, sizeof line, "%s %u 3 %s %s\n", sm_hex_encode(r.identity.b, 32, id), body.layer,
                   sm_hex_encode(plan.entries[0].hash.b, 32, hash), sm_hex_encode(sig.b, 64, text));
    say(line);
    sm_sign_plan_fini(&plan);
}

static void *sign_some(void *arg)
{
    uint64_t rng = (seed * 31 + (uint64_t)(size_t)arg) * 0x9e3779b97f4a7c15u | 1;
    for (unsigned i = 0; i < REQUESTS; i++) sign_one(&rng);
    return NULL;
}

static void open_signer(const char *dir)
{
    char keys[4096], journal[4096];
    (void)snprintf(keys, sizeof keys, "%s/identities", dir);
    (void)snprintf(journal, sizeof journal, "%s/journal.db", dir);
    const struct sm_signer_cfg cfg = {.keys_dir = keys, .journal_path = journal, .genesis = genesis};
    struct sm_errinfo ei = {0};
    sm_err err;
    while ((err = sm_signer_open(&cfg, &signer, &ei)) == SM_E_BUSY) sm_clock_sleep_ns(SM_NS_PER_MS);
    if (err) fail(&ei);
}

static void open_log(const char *path)
{
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
}

static int run_sign(char **argv)
{
    pthread_t t[THREADS];
    seed = strtoull(argv[2], NULL, 10);
    open_log(argv[1]);
    open_signer(argv[0]);
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, sign_some, (void *)i) != 0) abort();
    for (size_t i = 0; i < THREADS; i++) (void)pthread_join(t[i], NULL);
    sm_signer_close(signer);
    return 0;
}

static struct sm_journal *open_journal(const char *dir)
{
    char path[4096];
    struct sm_journal *j = NULL;
    struct sm_errinfo ei = {0};
    sm_err err;
    (void)snprintf(path, sizeof path, "%s/journal.db", dir);
    while ((err = sm_journal_create(path, &genesis, &j, &ei)) == SM_E_BUSY) sm_clock_sleep_ns(SM_NS_PER_MS);
    if (err) fail(&ei);
    return j;
}

static int run_new(char **argv)
{
    char keys[4096], line[80], id[65];
    struct sm_secret *s = NULL;
    struct sm_errinfo ei = {0};
    (void)snprintf(keys, sizeof keys, "%s/identities", argv[0]);
    open_log(argv[2]);
    if (sm_secret_generate(&s, &ei)) fail(&ei);
    if (sm_keyfile_write_new(keys, argv[1], s, NULL, (struct sm_seal_cost){0}, &ei)) fail(&ei);
    (void)snprintf(line, sizeof line, "%s\n", sm_hex_encode(s->node_id.b, 32, id));
    say(line);
    struct sm_journal *j = open_journal(argv[0]);
    if (sm_journal_register(j, &s->node_id, &ei)) fail(&ei);
    sm_journal_close(j);
    sm_secret_free(s);
    return 0;
}

/* A key whose registration was cut off is registered now, as `smesher keys import` does. */
static int run_check(char **argv)
{
    char keys[4096], *text = NULL;
    struct sm_keyring ring = {0};
    struct sm_errinfo ei = {0};
    (void)snprintf(keys, sizeof keys, "%s/identities", argv[0]);
    struct sm_journal *j = open_journal(argv[0]);
    if (sm_keyring_load(keys, SM_KEYRING_LIST, NULL, &ring, &ei)) fail(&ei);
    for (size_t i = 0; i < ring.n; i++)
        if (sm_journal_register(j, &ring.v[i].node_id, &ei)) fail(&ei);
    if (sm_journal_export(j, &text, &ei)) fail(&ei);
    (void)printf("{\"keys\": [");
    for (size_t i = 0; i < ring.n; i++) {
        char id[65];
        (void)printf("%s\"%s\"", i ? ", " : "", sm_hex_encode(ring.v[i].node_id.b, 32, id));
    }
    (void)printf("], \"journal\": %s}\n", text);
    free(text);
    sm_keyring_fini(&ring);
    sm_journal_close(j);
    open_signer(argv[0]);
    sm_signer_close(signer);
    return 0;
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) return 1;
    if (argc == 5 && strcmp(argv[1], "sign") == 0) return run_sign(argv + 2);
    if (argc == 5 && strcmp(argv[1], "new") == 0) return run_new(argv + 2);
    if (argc == 3 && strcmp(argv[1], "check") == 0) return run_check(argv + 2);
    return 2;
}
