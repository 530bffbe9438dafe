/* The address of a job. Values: vectors/powsvc-k2pow.json. */
#include "powsvc/path.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "post/difficulty.h"
#include "support/vectors.h"

static struct sm_k2pow_job job_of(const json_t *url)
{
    struct sm_k2pow_job job = {.group = (uint8_t)vec_u64(url, "nonce_group")};
    uint8_t base[32];
    vec_hex(url, "node_id_hex", job.node_id.b, 32);
    vec_hex(url, "challenge_hex", job.challenge.b, 32);
    vec_hex(url, "pow_difficulty_hex", base, 32);
    cr_assert_eq(sm_k2pow_difficulty(base, (uint32_t)vec_u64(url, "num_units"), job.difficulty, NULL), SM_OK);
    return job;
}

Test(path, vector)
{
    json_t *file = vec_load("powsvc-k2pow.json");
    const json_t *url = vec_get(file, "url");
    const struct sm_k2pow_job job = job_of(url);
    struct sm_k2pow_job back;
    char path[SM_POW_PATH_ROOM];
    cr_assert_str_eq(sm_pow_path_make(&job, path), vec_str(url, "path"));
    cr_assert(sm_pow_path_is_job(path));
    cr_assert_eq(sm_pow_path_parse(path, &back, NULL), SM_OK);
    cr_assert_arr_eq(back.node_id.b, job.node_id.b, 32);
    cr_assert_arr_eq(back.challenge.b, job.challenge.b, 8);
    cr_assert_arr_eq(back.difficulty, job.difficulty, 32);
    cr_assert_eq(back.group, 0);
    for (size_t i = 8; i < 32; i++) cr_assert_eq(back.challenge.b[i], 0);
    json_decref(file);
}

Test(path, scaled_difficulties)
{
    json_t *file = vec_load("powsvc-k2pow.json"), *row;
    uint8_t base[32], got[32], want[32];
    size_t i;
    vec_hex(file, "scaled_pow_difficulty_hex", base, 32);
    json_array_foreach(vec_get(file, "scaled"), i, row)
    {
        vec_hex(row, "difficulty_hex", want, 32);
        cr_assert_eq(sm_k2pow_difficulty(base, (uint32_t)vec_u64(row, "num_units"), got, NULL), SM_OK);
        cr_assert_arr_eq(got, want, 32, "row %zu", i);
    }
    cr_assert_eq(i, 4);
    json_decref(file);
}

#define H16 "0123456789abcdef"
#define H64 H16 H16 H16 H16
#define U16 "0123456789ABCDEF"

Test(path, accepts_either_case_and_every_group)
{
    struct sm_k2pow_job lower, upper;
    char path[SM_POW_PATH_ROOM];
    cr_assert_eq(sm_pow_path_parse("/job/" H64 "/255/" H16 "/" H64, &lower, NULL), SM_OK);
    cr_assert_eq(sm_pow_path_parse("/job/" U16 U16 U16 U16 "/0255/" U16 "/" U16 U16 U16 U16, &upper, NULL), SM_OK);
    cr_assert_arr_eq(&lower, &upper, sizeof lower);
    for (unsigned g = 0; g < 256; g++) {
        struct sm_k2pow_job job = lower, back;
        job.group = (uint8_t)g;
        cr_assert_eq(sm_pow_path_parse(sm_pow_path_make(&job, path), &back, NULL), SM_OK);
        cr_assert_eq(back.group, g);
    }
}

Test(path, names_the_wrong_part)
{
    static const struct {
        const char *path, *part;
    } rows[] = {
        {"/job/" H16 "/0/" H16 "/" H64, "miner"},
        {"/job/" H64 "0/0/" H16 "/" H64, "miner"},
        {"/job/" H16 H16 H16 "0123456789abcdeg/0/" H16 "/" H64, "miner"},
        {"/job/" H64 "/256/" H16 "/" H64, "nonce_group"},
        {"/job/" H64 "/-1/" H16 "/" H64, "nonce_group"},
        {"/job/" H64 "/+1/" H16 "/" H64, "nonce_group"},
        {"/job/" H64 "/0x1/" H16 "/" H64, "nonce_group"},
        {"/job/" H64 "/ 1/" H16 "/" H64, "nonce_group"},
        {"/job/" H64 "/99999999999999999999999999/" H16 "/" H64, "nonce_group"},
        {"/job/" H64 "/0/" H64 "/" H64, "challenge"},
        {"/job/" H64 "/0/0123456789abcde/" H64, "challenge"},
        {"/job/" H64 "/0/" H16 "/" H16, "difficulty"},
        {"/job/" H64 "/0/" H16 "/" H64 "00", "difficulty"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sm_errinfo ei = {0};
        struct sm_k2pow_job job;
        cr_assert(sm_pow_path_is_job(rows[i].path), "%s", rows[i].path);
        cr_assert_eq(sm_pow_path_parse(rows[i].path, &job, &ei), SM_E_FORMAT, "%s", rows[i].path);
        cr_assert_eq(strncmp(ei.text, rows[i].part, strlen(rows[i].part)), 0, "%s: %s", rows[i].path, ei.text);
    }
}

Test(path, other_paths_are_no_jobs)
{
    static const char *const rows[] = {"",
                                       "/",
                                       "/job",
                                       "/job/",
                                       "/job/a",
                                       "/job/a/b/c",
                                       "/job/a/b/c/",
                                       "/job//b/c/d",
                                       "/job/a/b/c/d/",
                                       "/job/a/b/c/d/e",
                                       "/jobs/a/b/c/d",
                                       "job/a/b/c/d",
                                       "/JOB/a/b/c/d"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sm_k2pow_job job;
        cr_assert_not(sm_pow_path_is_job(rows[i]), "%s", rows[i]);
        cr_assert_eq(sm_pow_path_parse(rows[i], &job, NULL), SM_E_FORMAT);
    }
}

/* Any bytes: nothing is read beyond the end, and what parses is what is made of it again. */
Test(path, mutations)
{
    const unsigned seed = (unsigned)time(NULL);
    char path[SM_POW_PATH_ROOM], again[SM_POW_PATH_ROOM];
    cr_log_info("seed %u", seed);
    fprintf(stderr, "seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        struct sm_k2pow_job job, back;
        (void)snprintf(path, sizeof path, "/job/" H64 "/17/" H16 "/" H64);
        const size_t n = strlen(path); /* a change may make it shorter, down to nothing */
        for (int k = rand() % 3; k >= 0; k--)
            path[(size_t)rand() % n] = (char)(rand() % 4 ? '/' + rand() % 60 : rand());
        char *exact = strdup(path);
        if (sm_pow_path_parse(exact, &job, NULL) == SM_OK) {
            cr_assert_eq(sm_pow_path_parse(sm_pow_path_make(&job, again), &back, NULL), SM_OK);
            cr_assert_arr_eq(&job, &back, sizeof job);
        }
        free(exact);
    }
}
