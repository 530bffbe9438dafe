/* tests/unit/status/kit.h: snapshots made by hand and at random. Header only. */
#ifndef SM_TESTS_STATUS_KIT_H
#define SM_TESTS_STATUS_KIT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "status/snapshot.h"

static inline uint64_t kit_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* SM_TEST_SEED repeats a run. */
static inline uint64_t kit_seed(void)
{
    const char *given = getenv("SM_TEST_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000003u | 1u;
    fprintf(stderr, "seed: SM_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Anything but NUL: quotes, control characters, UTF-8 whole and broken. */
static inline void kit_text(uint64_t *r, char *out, size_t room)
{
    static const char *const pieces[] = {"a",     "Z9",   " ", "\"",       "\\",       "\n",
                                         "\t",    "{}",   "é", "\xe2\x82", "\xff\xc0", "\xf0\x9f\xa6\x80",
                                         "\x1b[", "\x7f", ",", "="};
    char text[2048] = "";
    const size_t n = kit_random(r) % 8 == 0 ? kit_random(r) % 400 : kit_random(r) % 12;
    for (size_t i = 0; i < n; i++) strcat(text, pieces[kit_random(r) % (sizeof pieces / sizeof pieces[0])]);
    sm_status_text(out, room, text);
}
#define KIT_TEXT(r, member) kit_text((r), (member), sizeof(member))

static inline int64_t kit_time(uint64_t *r)
{
    return kit_random(r) % 3 ? (int64_t)(kit_random(r) % 4000000000u) : 0;
}

static inline double kit_speed(uint64_t *r)
{
    return kit_random(r) % 3 ? (double)(kit_random(r) % 1000000000) / 7 : 0;
}

static inline struct sm_status_rate kit_rate(uint64_t *r)
{
    return (struct sm_status_rate){kit_speed(r), kit_speed(r), kit_speed(r)};
}

static inline void kit_identity(struct sm_status_snapshot *s, uint64_t *r)
{
    struct sm_status_identity *id = sm_status_add_identity(s);
    for (size_t i = 0; i < 32; i++) id->node_id.b[i] = (uint8_t)kit_random(r);
    KIT_TEXT(r, id->name);
    KIT_TEXT(r, id->dir);
    id->disks_n = kit_random(r) % (SM_STATUS_DISKS_MAX + 1);
    for (size_t i = 0; i < id->disks_n; i++) KIT_TEXT(r, id->disks[i]);
    id->num_units = (uint32_t)kit_random(r);
    id->labels_per_unit = kit_random(r) >> 1;
    id->paused = kit_random(r) & 1;
    id->link = (sm_status_link)(kit_random(r) % SM_STATUS_LINKS);
    KIT_TEXT(r, id->link_reason);
    KIT_TEXT(r, id->link_text);
    KIT_TEXT(r, id->link_address);
    id->link_since_unix_s = kit_time(r);
    id->link_retry_unix_s = kit_time(r);
    id->phase = (sm_status_phase)(kit_random(r) % SM_STATUS_PHASES);
    KIT_TEXT(r, id->message);
    id->has_challenge = kit_random(r) & 1;
    if (id->has_challenge) memset(id->challenge.b, (int)kit_random(r) & 0xff, sizeof id->challenge.b);
    id->pass = (uint32_t)kit_random(r) % 10;
    id->nonce_first = (uint32_t)kit_random(r);
    id->nonce_end = (uint32_t)kit_random(r);
    id->groups_done = (uint32_t)kit_random(r) % 20;
    id->groups_total = (uint32_t)kit_random(r) % 20;
    id->bytes_done = kit_random(r) >> 1;
    id->bytes_total = kit_random(r) >> 1;
    id->read_bytes = kit_rate(r);
    id->hashes = kit_rate(r);
    id->eta_s = kit_random(r) % 3 ? kit_speed(r) : -1;
    id->deadline_unix_s = kit_time(r);
    id->tries = (unsigned)kit_random(r) % 5;
    id->last_proof_unix_s = kit_time(r);
    id->last_fetched = kit_random(r) & 1;
    id->disk_errors = kit_random(r) >> 1;
    id->bad_labels = (uint32_t)kit_random(r) % 1025;
}

static inline void kit_random_snapshot(struct sm_status_snapshot *s, uint64_t *r)
{
    *s = (struct sm_status_snapshot){.now_unix_s = kit_time(r), .started_unix_s = kit_time(r)};
    KIT_TEXT(r, s->version);
    KIT_TEXT(r, s->host);
    KIT_TEXT(r, s->network);
    s->counts = (struct sm_status_counts){kit_random(r) >> 1, kit_random(r) >> 1, 0, kit_random(r) % 9, 1};
    for (size_t n = kit_random(r) % 6; n; n--) kit_identity(s, r);
    for (size_t n = kit_random(r) % 4; n; n--) {
        struct sm_status_device *d = sm_status_add_device(s);
        KIT_TEXT(r, d->id);
        KIT_TEXT(r, d->name);
        KIT_TEXT(r, d->variant);
        d->bytes_per_s = kit_speed(r);
        d->hashes_per_s = kit_speed(r);
        if (kit_random(r) & 1) d->temperature_c = (double)(kit_random(r) % 120);
        if (kit_random(r) & 1) d->power_w = kit_speed(r);
        d->quarantined = kit_random(r) & 1;
        KIT_TEXT(r, d->why);
    }
    for (size_t n = kit_random(r) % 4; n; n--) {
        struct sm_status_disk *d = sm_status_add_disk(s);
        KIT_TEXT(r, d->name);
        d->rotational = kit_random(r) & 1;
        d->reading = (uint32_t)kit_random(r);
        d->waiting = (uint32_t)kit_random(r);
    }
    for (size_t n = kit_random(r) % 4; n; n--) {
        struct sm_status_skipped *k = sm_status_add_skipped(s);
        KIT_TEXT(r, k->dir);
        KIT_TEXT(r, k->why);
    }
    for (size_t n = kit_random(r) % 20; n; n--) {
        char subject[64], text[256];
        KIT_TEXT(r, subject);
        KIT_TEXT(r, text);
        sm_status_error_put(s->errors, &s->errors_n, kit_time(r), subject, text);
    }
}

/* A rig with one identity that reads, one that is done, a GPU in quarantine. */
static inline void kit_usual(struct sm_status_snapshot *s)
{
    *s = (struct sm_status_snapshot){.version = "0.1.0",
                                     .host = "rig-7",
                                     .network = "mainnet",
                                     .now_unix_s = 1700003600,
                                     .started_unix_s = 1700000000,
                                     .counts = {.proofs_made = 3, .proofs_failed = 1, .proofs_delivered = 2}};
    struct sm_status_identity *id = sm_status_add_identity(s);
    memset(id->node_id.b, 0xab, sizeof id->node_id.b);
    strcpy(id->name, "alpha");
    strcpy(id->dir, "/mnt/a/post");
    strcpy(id->disks[id->disks_n++], "sda");
    id->num_units = 4;
    id->labels_per_unit = 4294967296u;
    id->link = SM_STATUS_LINK_REGISTERED;
    strcpy(id->link_address, "node:9094");
    id->link_since_unix_s = 1700000010;
    id->phase = SM_STATUS_READING;
    id->has_challenge = true;
    memset(id->challenge.b, 0x11, sizeof id->challenge.b);
    id->nonce_end = 288;
    id->groups_done = id->groups_total = 18;
    id->bytes_done = 68719476736u;
    id->bytes_total = 274877906944u;
    id->read_bytes = (struct sm_status_rate){209715200, 199229440, 188743680};
    id->eta_s = 1035;
    id->deadline_unix_s = 1700043200;

    id = sm_status_add_identity(s);
    memset(id->node_id.b, 0xcd, sizeof id->node_id.b);
    strcpy(id->name, "beta");
    strcpy(id->dir, "/mnt/b/post");
    strcpy(id->disks[id->disks_n++], "sdb");
    id->num_units = 8;
    id->labels_per_unit = 4294967296u;
    id->link = SM_STATUS_LINK_REJECTED;
    strcpy(id->link_reason, "duplicate");
    strcpy(id->link_text, "post service already registered");
    id->link_retry_unix_s = 1700003605;
    id->phase = SM_STATUS_DONE;
    id->last_proof_unix_s = 1700003000;
    id->nonce_end = 288;

    struct sm_status_device *d = sm_status_add_device(s);
    strcpy(d->id, "cpu");
    strcpy(d->name, "Some CPU");
    strcpy(d->variant, "vaes512");
    d->bytes_per_s = 209715200;
    d->temperature_c = 54.5;
    d->power_w = 120;
    d = sm_status_add_device(s);
    strcpy(d->id, "gpu-0000:01:00.0");
    strcpy(d->name, "Some GPU");
    d->quarantined = true;
    strcpy(d->why, "computed a wrong label");

    struct sm_status_disk *disk = sm_status_add_disk(s);
    strcpy(disk->name, "sda");
    disk->rotational = true;
    disk->reading = 1;
    sm_status_error_put(s->errors, &s->errors_n, 1700003500, "beta", "node:9094: post service already registered");
}

#endif
