/* bench/journal: journalled signatures per second, by the number of threads that ask at once.
 *
 *   bench_journal DIR [seconds per row]
 *
 * DIR should lie on the disk in question; a directory in it is made and left behind. Every signature takes a slot of its
 * own and is on disk before it counts. One thread shows the cost of a flush, many show what sharing flushes gains. Each
 * row ends with a check that a signature is valid and that a second object for its slot is refused. */
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ed25519.h"
#include "keys/signer.h"
#include "util/clock.h"
#include "util/io.h"

#define THREADS_MAX 64u

static const struct sm_genesis_id genesis = {{0x9e, 0xeb}};

static struct sm_signer *signer;
static struct sm_node_id id;
static atomic_uint_fast32_t next_layer;
static atomic_bool stop;

static void die(const struct sm_errinfo *ei)
{
    (void)fprintf(stderr, "bench_journal: %s\n", ei->text);
    exit(1);
}

static sm_err sign(uint32_t layer, uint16_t count, struct sm_signature *out, struct sm_errinfo *ei)
{
    const struct sm_hare_body body = {.layer = layer, .round = 3, .eligibility.count = count};
    const struct sm_sign_request r = {id, SM_SIGN_HARE3, {.hare3 = &body}};
    return sm_signer_sign(signer, &r, out, ei);
}

static void *work(void *arg)
{
    struct sm_errinfo ei = {0};
    struct sm_signature sig;
    uint64_t *done = arg;
    while (!atomic_load(&stop)) {
        if (sign((uint32_t)atomic_fetch_add(&next_layer, 1), 1, &sig, &ei)) die(&ei);
        (*done)++;
    }
    return NULL;
}

static void check(void)
{
    struct sm_errinfo ei = {0};
    struct sm_signature sig;
    struct sm_sign_plan plan;
    const uint32_t layer = (uint32_t)atomic_fetch_add(&next_layer, 1);
    const struct sm_hare_body body = {.layer = layer, .round = 3, .eligibility.count = 1};
    const struct sm_sign_request r = {id, SM_SIGN_HARE3, {.hare3 = &body}};
    if (sign(layer, 1, &sig, &ei) || sm_sign_plan_make(&genesis, &r, &plan, &ei)) die(&ei);
    const struct sm_slice message = {plan.bytes.p + 21, plan.bytes.n - 21};
    if (!sm_signature_valid(&genesis, SM_DOMAIN_HARE, &id, message, &sig) ||
        sign(layer, 2, &sig, &ei) != SM_E_REFUSED) {
        (void)fprintf(stderr, "bench_journal: wrong signature, or a slot taken twice\n");
        exit(1);
    }
    sm_sign_plan_fini(&plan);
}

static void row(unsigned threads, unsigned seconds)
{
    pthread_t t[THREADS_MAX];
    uint64_t done[THREADS_MAX * 8] = {0}, all = 0; /* a cache line each */
    atomic_store(&stop, false);
    const uint64_t start = sm_clock_ns();
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&t[i], NULL, work, &done[8u * i]) != 0) exit(1);
    sm_clock_sleep_ns(seconds * SM_NS_PER_S);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < threads; i++) (void)pthread_join(t[i], NULL);
    const double took = sm_clock_seconds_since(start);
    for (unsigned i = 0; i < threads; i++) all += done[8u * i];
    check();
    (void)printf("journal threads=%u unit=signatures/s rate=%.0f ms_per_call=%.2f\n", threads, (double)all / took,
                 all ? 1000.0 * took * threads / (double)all : 0.0);
}

static void prepare(const char *dir, char *keys, char *journal)
{
    struct sm_errinfo ei = {0};
    struct sm_secret *s = NULL;
    struct sm_journal *j = NULL;
    if (sm_io_path(keys, PATH_MAX, dir, "bench-identities", &ei) ||
        sm_io_path(journal, PATH_MAX, dir, "bench-journal.db", &ei))
        die(&ei);
    if (sm_secret_generate(&s, &ei) ||
        sm_keyfile_write_new(keys, "bench.key", s, NULL, (struct sm_seal_cost){0}, &ei) ||
        sm_journal_create(journal, &genesis, &j, &ei) || sm_journal_register(j, &s->node_id, &ei))
        die(&ei);
    id = s->node_id;
    sm_journal_close(j);
    sm_secret_free(s);
}

int main(int argc, char **argv)
{
    static const unsigned threads[] = {1, 4, 16, THREADS_MAX};
    static char keys[PATH_MAX], journal[PATH_MAX];
    struct sm_errinfo ei = {0};
    const unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 3;
    if (argc < 2 || seconds == 0) {
        (void)fprintf(stderr, "usage: bench_journal DIR [seconds per row]\n");
        return 2;
    }
    prepare(argv[1], keys, journal);
    const struct sm_signer_cfg cfg = {.keys_dir = keys, .journal_path = journal, .genesis = genesis};
    if (sm_signer_open(&cfg, &signer, &ei)) die(&ei);
    check();
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) row(threads[i], seconds);
    sm_signer_close(signer);
    return 0;
}
