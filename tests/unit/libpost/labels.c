/* Labels and VRF nonces through the published interface. Values: vectors/labels.json, vrf_nonces.json, post.md §2.5. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libpost/post.h"
#include "support/vectors.h"

static Initializer *cpu(uintptr_t n, const uint8_t *commitment, const uint8_t *difficulty)
{
    Initializer *in = new_initializer(CPU_PROVIDER_ID, n, commitment, difficulty);
    cr_assert_not_null(in, "N = %" PRIuPTR, n);
    return in;
}

Test(libpost_labels, vectors)
{
    json_t *all = vec_load("labels.json"), *e;
    size_t i;
    cr_assert_eq(json_array_size(all), 252);
    json_array_foreach(all, i, e)
    {
        uint8_t commitment[32], want[32], got[16];
        vec_hex(e, "commitment_hex", commitment, 32);
        vec_hex(e, "label32_hex", want, 32);
        const uint64_t index = vec_u64(e, "index");
        Initializer *in = cpu(vec_u64(e, "n"), commitment, NULL);
        cr_assert_eq(initialize(in, index, index, got, NULL), InitializeResult_Ok);
        cr_assert_arr_eq(got, want, 16, "vector %zu", i);
        uint64_t nonce = 77;
        cr_assert_eq(initialize(in, index, index, got, &nonce), InitializeResult_OkNonceNotFound, "no difficulty");
        cr_assert_eq(nonce, 77, "left alone");
        free_initializer(in);
    }
    json_decref(all);
}

/* Ranges that are computed one label at a time, by the processors together, and what lies between. */
Test(libpost_labels, ranges_equal_single_labels)
{
    const uint8_t commitment[32] = "some commitment of thirty-two b";
    static const uint64_t counts[] = {1, 2, 8, 9, 10, 16, 17, 100, 129, 4000};
    static uint8_t one_by_one[16 * 4000], got[16 * 4000 + 16];
    const uint64_t first = (UINT64_C(1) << 32) - 1001; /* crosses 2^32 */
    Initializer *in = cpu(4, commitment, NULL);
    for (uint64_t i = 0; i < 4000; i++)
        cr_assert_eq(initialize(in, first + i, first + i, one_by_one + 16 * i, NULL), InitializeResult_Ok);
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        const uint64_t n = counts[k];
        memset(got, 0xa5, sizeof got);
        cr_assert_eq(initialize(in, first, first + n - 1, got, NULL), InitializeResult_Ok);
        cr_assert_arr_eq(got, one_by_one, 16 * n, "%" PRIu64 " labels", n);
        for (size_t i = 0; i < 16; i++) cr_assert_eq(got[16 * n + i], 0xa5, "nothing beyond the range is written");
    }
    free_initializer(in);
}

Test(libpost_labels, smallest_nonce_below_the_difficulty)
{
    uint8_t commitment[32], hard[32], harder[32];
    hex_to("e26b543725490682675f6f84ea7689601adeaf14caa7024ec1140c82754ca339", commitment, 32);
    memset(hard, 0xff, 32);
    memset(harder, 0xff, 32);
    memcpy(hard, (uint8_t[]){0, 0, 0x3f}, 3);
    memcpy(harder, (uint8_t[]){0, 0, 0}, 3);
    const uint64_t first = 1024, last = 262144;
    uint8_t *out = malloc(16 * (last - first + 1));
    uint64_t nonce = 0;
    Initializer *in = cpu(32, commitment, hard);
    cr_assert_eq(initialize(in, first, last, out, &nonce), InitializeResult_Ok);
    cr_assert_eq(nonce, 165545);
    cr_assert_eq(initialize(in, first, last, out, NULL), InitializeResult_Ok, "without a place for it");
    free_initializer(in);
    in = cpu(32, commitment, harder);
    nonce = 5;
    cr_assert_eq(initialize(in, first, last, out, &nonce), InitializeResult_OkNonceNotFound);
    cr_assert_eq(nonce, 5);
    free_initializer(in);
    free(out);
}

/* How a node checks the nonce of an ATX. */
Test(libpost_labels, published_vrf_nonces)
{
    json_t *all = vec_load("vrf_nonces.json"), *e;
    size_t i;
    cr_assert_eq(json_array_size(all), 42);
    json_array_foreach(all, i, e)
    {
        uint8_t commitment[32], difficulty[32], label[16];
        vec_hex(e, "commitment_hex", commitment, 32);
        vec_hex(e, "vrf_difficulty_hex", difficulty, 32);
        const uint64_t published = vec_u64(e, "vrf_nonce");
        uint64_t nonce = published + 1;
        Initializer *in = cpu(vec_u64(e, "scrypt_n"), commitment, difficulty);
        cr_assert_eq(initialize(in, published, published, label, &nonce), InitializeResult_Ok);
        cr_assert_eq(nonce, published);
        cr_assert_eq(initialize(in, published + 1, published + 1, label, &nonce), InitializeResult_OkNonceNotFound);
        free_initializer(in);
    }
    json_decref(all);
}

/* ---- misuse ---- */

Test(libpost_labels, impossible_initializers)
{
    const uint8_t commitment[32] = {0};
    static const uintptr_t bad[] = {0, 1, 3, 6, 8191, UINT32_MAX, (uintptr_t)1 << 40, UINTPTR_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_null(new_initializer(CPU_PROVIDER_ID, bad[i], commitment, NULL), "N = %" PRIuPTR, bad[i]);
    cr_assert_null(new_initializer(CPU_PROVIDER_ID, 2, NULL, NULL));
    cr_assert_null(new_initializer(CPU_PROVIDER_ID - 1, 2, commitment, NULL), "no such provider");
    free_initializer(NULL);
}

Test(libpost_labels, impossible_ranges)
{
    const uint8_t commitment[32] = {0};
    uint8_t out[16] = {9};
    uint64_t nonce = 3;
    Initializer *in = cpu(2, commitment, commitment);
    cr_assert_eq(initialize(in, 0, UINT64_MAX, out, &nonce), InitializeResult_InvalidLabelsRange);
    cr_assert_eq(initialize(in, UINT64_MAX, UINT64_MAX, out, &nonce), InitializeResult_InvalidLabelsRange);
    cr_assert_eq(initialize(in, 5, 4, out, &nonce), InitializeResult_InvalidLabelsRange);
    cr_assert_eq(initialize(NULL, 0, 0, out, &nonce), InitializeResult_InvalidArgument);
    cr_assert_eq(initialize(in, 0, 0, NULL, &nonce), InitializeResult_InvalidArgument);
    cr_assert(out[0] == 9 && nonce == 3);
    cr_assert_eq(initialize(in, UINT64_MAX - 1, UINT64_MAX - 1, out, NULL), InitializeResult_Ok, "the last index");
    free_initializer(in);
}

/* Programs give a pointer to nothing when they have no difficulty: here it ends at the end of the memory. */
Test(libpost_labels, a_difficulty_that_is_too_short)
{
    const uint8_t commitment[32] = {0};
    uint8_t *pages = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(pages, MAP_FAILED);
    cr_assert_eq(mprotect(pages + 4096, 4096, PROT_NONE), 0);
    uint8_t out[16];
    for (size_t have = 0; have <= 32; have += 8) {
        memset(pages, 0xff, 4096);
        Initializer *in = cpu(2, commitment, pages + 4096 - have);
        uint64_t nonce = 0;
        const InitializeResult r = initialize(in, 0, 0, out, &nonce);
        cr_assert_eq(r, have == 32 ? InitializeResult_Ok : InitializeResult_OkNonceNotFound, "%zu bytes", have);
        free_initializer(in);
    }
    munmap(pages, 2 * 4096);
}

/* ---- providers ---- */

Test(libpost_labels, providers)
{
    Provider p[64];
    const uintptr_t n = get_providers_count();
    cr_assert(n >= 1 && n < 64);
    memset(p, 0x5a, sizeof p);
    cr_assert_eq(get_providers(p, 64), InitializeResult_Ok);
    for (uintptr_t i = 0; i + 1 < n; i++) {
        cr_assert_eq(p[i].id, i);
        cr_assert_eq(p[i].class_, DeviceClass_GPU);
        cr_assert(memchr(p[i].name, '\0', sizeof p[i].name));
    }
    cr_assert_str_eq(p[n - 1].name, "[CPU] scrypt-jane");
    cr_assert_eq(p[n - 1].id, CPU_PROVIDER_ID);
    cr_assert_eq(p[n - 1].class_, DeviceClass_CPU);
    cr_assert_eq(p[n].id, 0x5a5a5a5a, "the rest is not touched");

    memset(p, 0x5a, sizeof p);
    cr_assert_eq(get_providers(p, 0), InitializeResult_Ok);
    cr_assert_eq(p[0].id, 0x5a5a5a5a);
    cr_assert_eq(get_providers(NULL, 1), InitializeResult_InvalidArgument);
}

/* ---- threads ---- */

struct worker {
    Initializer *in; /* NULL: one of its own */
    uint64_t first;
    uint8_t labels[16 * 300];
};

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    const uint8_t commitment[32] = {7};
    Initializer *own = w->in ? NULL : new_initializer(CPU_PROVIDER_ID, 2, commitment, NULL);
    const InitializeResult r = initialize(w->in ? w->in : own, w->first, w->first + 299, w->labels, NULL);
    free_initializer(own);
    return r == InitializeResult_Ok ? w : NULL;
}

Test(libpost_labels, several_threads)
{
    enum { THREADS = 8 };
    static struct worker w[THREADS];
    static uint8_t want[16 * 300 * THREADS];
    const uint8_t commitment[32] = {7};
    pthread_t t[THREADS];
    Initializer *shared = cpu(2, commitment, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.in = i % 2 ? shared : NULL, .first = 300 * i};
        cr_assert_eq(pthread_create(&t[i], NULL, worker_main, &w[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *done = NULL;
        cr_assert_eq(pthread_join(t[i], &done), 0);
        cr_assert_not_null(done);
    }
    cr_assert_eq(initialize(shared, 0, 300 * THREADS - 1, want, NULL), InitializeResult_Ok);
    for (unsigned i = 0; i < THREADS; i++) cr_assert_arr_eq(w[i].labels, want + 16 * w[i].first, sizeof w[i].labels);
    free_initializer(shared);
}
