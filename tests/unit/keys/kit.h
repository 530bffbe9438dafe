/* A directory with the identities of the vectors (seeds 01… and 02…), a journal, and a signer over them. */
#ifndef SM_TESTS_KEYS_KIT_H
#define SM_TESTS_KEYS_KIT_H

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keys/signer.h"
#include "support/tmpdir.h"
#include "support/vectors.h"
#include "util/text.h"

struct kit {
    char dir[256], keys[300], journal[300];
    struct sm_genesis_id genesis;
    struct sm_node_id id[2];
    struct sm_signer *signer;
};

#define OK(call)                                                                    \
    do {                                                                            \
        struct sm_errinfo ei = {0};                                                 \
        const sm_err err_ = (call);                                                 \
        cr_assert_eq(err_, SM_OK, "%s: %s: %s", #call, sm_err_name(err_), ei.text); \
    } while (0)
#define REFUSED(want, part, call)                                                      \
    do {                                                                               \
        struct sm_errinfo ei = {0};                                                    \
        const sm_err err_ = (call);                                                    \
        cr_assert_eq(err_, (want), "%s: %s: %s", #call, sm_err_name(err_), ei.text);   \
        cr_assert(strstr(ei.text, (part)) != NULL, "no '%s' in: %s", (part), ei.text); \
    } while (0)

static inline struct sm_secret *seed_key(uint8_t seed)
{
    cr_assert_geq(sodium_init(), 0);
    uint8_t *bytes = sodium_malloc(SM_SECRET_BYTES), pk[32], s[32];
    struct sm_secret *out = NULL;
    memset(s, seed, sizeof s);
    crypto_sign_seed_keypair(pk, bytes, s);
    cr_assert_eq(sm_secret_new(bytes, "seed", &out, NULL), SM_OK);
    return out;
}

static inline void kit_files(struct kit *k, unsigned keys)
{
    cr_assert_geq(sodium_init(), 0);
    tmpdir_make(k->dir);
    snprintf(k->keys, sizeof k->keys, "%s/identities", k->dir);
    snprintf(k->journal, sizeof k->journal, "%s/journal.db", k->dir);
    hex_to("9eebff023abb17ccb775c602daade8ed708f0a50", k->genesis.b, 20);
    struct sm_journal *j = NULL;
    OK(sm_journal_create(k->journal, &k->genesis, &j, &ei));
    mkdir(k->keys, 0700);
    for (unsigned i = 0; i < keys; i++) {
        struct sm_secret *s = seed_key((uint8_t)(i + 1));
        k->id[i] = s->node_id;
        OK(sm_keyfile_write_new(k->keys, i ? "b.key" : "a.key", s, NULL, (struct sm_seal_cost){0}, &ei));
        OK(sm_journal_register(j, &s->node_id, &ei));
        sm_secret_free(s);
    }
    sm_journal_close(j);
}

static inline sm_err kit_start(struct kit *k, struct sm_errinfo *ei)
{
    const struct sm_signer_cfg cfg = {.keys_dir = k->keys, .journal_path = k->journal, .genesis = k->genesis};
    return sm_signer_open(&cfg, &k->signer, ei);
}

static inline void kit_open(struct kit *k)
{
    kit_files(k, 2);
    OK(kit_start(k, &ei));
}

static inline void kit_close(struct kit *k)
{
    sm_signer_close(k->signer);
    tmpdir_remove(k->dir);
}

#endif
