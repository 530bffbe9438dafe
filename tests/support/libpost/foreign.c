/* tests/support/libpost/foreign.c: a program written for libpost, that knows nothing of this tree: it makes a data set in
 * the directory given, proves and verifies it, on several threads too.
 *
 *   libpost_foreign DIRECTORY      prints the library's version; exit 0: everything was as specified
 *
 * Values: the case "fastnet-like" of post.md §3.2 and 6.8, and a label of §1.7. */
#include "support/libpost/foreign.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x) ((x) ? (void)0 : failed(__LINE__, #x))
#define LABELS   256u
#define THREADS  4u

static void failed(int line, const char *what)
{
    (void)fprintf(stderr, "foreign.c:%d: %s\n", line, what);
    exit(1);
}

static const uint8_t commitment[32] = {0x62, 0x5a, 0x85, 0xd9, 0x09, 0xa0, 0xd2, 0xed, 0xca, 0x68, 0x70,
                                       0x71, 0x70, 0xb2, 0x6b, 0x4f, 0x46, 0x31, 0x85, 0x04, 0x2c, 0x10,
                                       0xa1, 0x82, 0x64, 0x1c, 0x8c, 0xf0, 0xf3, 0x39, 0x94, 0x46};
static const char metadata[] = "{\n\t\"NodeId\": \"d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c=\",\n"
                               "\t\"CommitmentAtxId\": \"iIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIg=\",\n"
                               "\t\"LabelsPerUnit\": 128,\n\t\"NumUnits\": 2,\n\t\"MaxFileSize\": 4294967296,\n"
                               "\t\"Nonce\": 246,\n\t\"NonceValue\": \"0005802b750e6627f4b430479841bdda\"\n}";

static struct subject subject(void)
{
    struct subject s = {.units = 2};
    memset(s.node, 0x77, 32);
    memset(s.atx, 0x88, 32);
    memset(s.challenge, 0x99, 32);
    return s;
}

static struct proving proving(void)
{
    struct proving p = {.k1 = 12, .k2 = 4};
    memset(p.difficulty, 0xff, 32);
    return p;
}

static const struct network network = {.least = 1, .most = 4, .labels_per_unit = 128, .scrypt = {2, 1, 1}};

static atomic_uint lines;

static void on_line(const struct line *l)
{
    if (l->message.len && l->level >= 1 && l->level <= 5 && l->number == -1) atomic_fetch_add(&lines, 1);
}

static void put_file(const char *dir, const char *name, const void *data, size_t n)
{
    char path[4096];
    CHECK((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) < sizeof path);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

static void check_providers(void)
{
    const uintptr_t n = get_providers_count();
    struct provider *p = calloc(n, sizeof *p);
    CHECK(p && get_providers(p, n) == 0);
    CHECK(p[n - 1].id == UINT32_MAX && p[n - 1].kind == 1 && strcmp(p[n - 1].name, "[CPU] scrypt-jane") == 0);
    CHECK(get_providers(NULL, n) == 4);
    free(p);
}

static void check_label(void)
{
    static const uint8_t zero[32],
        want[16] = {0x8c, 0x7b, 0x34, 0xd4, 0x95, 0x26, 0x6b, 0x23, 0x79, 0x9d, 0xda, 0xdd, 0xc2, 0xa1, 0x83, 0x6b};
    uint8_t got[16];
    void *in = new_initializer(UINT32_MAX, 8192, zero, NULL);
    CHECK(in && initialize(in, 0, 0, got, NULL) == 0 && memcmp(got, want, 16) == 0);
    CHECK(initialize(in, 0, UINT64_MAX, got, NULL) == 2);
    CHECK(initialize(in, 0, 0, NULL, NULL) == 4);
    free_initializer(in);
    CHECK(!new_initializer(UINT32_MAX, 6, zero, NULL) && !new_initializer(12345, 2, zero, NULL));
}

static void make_data(const char *dir)
{
    uint8_t labels[16 * LABELS], difficulty[32] = {0x08};
    uint64_t nonce = 0;
    void *in = new_initializer(UINT32_MAX, 2, commitment, difficulty);
    CHECK(in && initialize(in, 0, LABELS - 1, labels, &nonce) == 0 && nonce == 246);
    CHECK(initialize(in, nonce + 1, LABELS - 1, labels + 16 * (nonce + 1), &nonce) <= 1);
    free_initializer(in);
    put_file(dir, "postdata_0.bin", labels, sizeof labels);
    put_file(dir, "postdata_metadata.json", metadata, sizeof metadata - 1);
    CHECK(verify_pos(dir, NULL, NULL, 100, network.scrypt).tag == 0);
    const uint32_t one = 1;
    CHECK(verify_pos(dir, NULL, &one, 100, network.scrypt).tag == 3);
    CHECK(verify_pos("\xff", NULL, NULL, 100, network.scrypt).tag == 2);
    labels[16 * 9] ^= 1;
    put_file(dir, "postdata_0.bin", labels, sizeof labels);
    const struct pos_verdict bad = verify_pos(dir, NULL, NULL, 100, network.scrypt);
    CHECK(bad.tag == 1 && bad.file == 0 && bad.offset == 16 * 9);
    labels[16 * 9] ^= 1;
    put_file(dir, "postdata_0.bin", labels, sizeof labels);
}

struct judging {
    const void *verifier;
    const struct proof *proof;
};

static void *judge(void *arg)
{
    const struct judging *j = arg;
    const struct subject s = subject();
    for (int i = 0; i < 8; i++) {
        CHECK(verify_proof(j->verifier, *j->proof, &s, proving(), network).tag == 0);
        CHECK(verify_proof_index(j->verifier, *j->proof, &s, proving(), network, 3).tag == 0);
        CHECK(verify_proof_subset(j->verifier, *j->proof, &s, proving(), network, 2, s.node, 32).tag == 0);
    }
    return NULL;
}

static void check_verdicts(const void *verifier, const struct proof *p)
{
    struct subject s = subject();
    CHECK(verify_proof(NULL, *p, &s, proving(), network).tag == 3);
    CHECK(verify_proof(verifier, *p, NULL, proving(), network).tag == 3);
    uint8_t other[5];
    memcpy(other, p->indices.p, sizeof other);
    struct proof bad = *p;
    bad.indices.p = other;
    other[1] = 0x12; /* the second index, nine bits from the tenth on, is 9 now */
    const struct verdict v = verify_proof(verifier, bad, &s, proving(), network);
    CHECK(v.tag == 2 && v.position == 1);
    CHECK(verify_proof_index(verifier, bad, &s, proving(), network, 0).tag == 0);
    s.units = 5;
    CHECK(verify_proof(verifier, *p, &s, proving(), network).tag == 1);
}

static void check_proof(const char *dir)
{
    static const uint8_t indices[5] = {0x03, 0x10, 0x50, 0xd0, 0x00};
    const struct subject s = subject();
    void *verifier = NULL;
    CHECK(new_verifier(recommended_pow_flags(), &verifier) == 0 && verifier);
    CHECK(new_verifier(0, NULL) == 1);
    struct proof *p = generate_proof(dir, s.challenge, proving(), 16, 1, recommended_pow_flags());
    CHECK(p && p->nonce == 5 && p->pow == 3);
    CHECK(p->indices.len == sizeof indices && memcmp(p->indices.p, indices, sizeof indices) == 0);
    check_verdicts(verifier, p);
    pthread_t t[THREADS];
    struct judging j = {verifier, p};
    for (unsigned i = 0; i < THREADS; i++) CHECK(pthread_create(&t[i], NULL, judge, &j) == 0);
    for (unsigned i = 0; i < THREADS; i++) CHECK(pthread_join(t[i], NULL) == 0);
    free_proof(p);
    free_verifier(verifier);
    const unsigned before = atomic_load(&lines);
    CHECK(!generate_proof("/nonexistent", s.challenge, proving(), 16, 1, 0));
    CHECK(atomic_load(&lines) > before);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    (void)printf("%s\n", version());
    (void)fflush(stdout);
    CHECK(set_logging_callback(3, on_line) == 0 && set_logging_callback(3, on_line) == 1);
    check_providers();
    check_label();
    make_data(argv[1]);
    check_proof(argv[1]);
    return 0;
}
