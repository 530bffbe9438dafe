/* Old k2pow results on disk. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "post/k2pow.h"
#include "support/tmpdir.h"

static struct sm_k2pow_job job_of(uint8_t group)
{
    return (struct sm_k2pow_job){.group = group, .difficulty = {0x80}};
}

static void put(const char *dir, uint8_t group)
{
    const struct sm_k2pow_job job = job_of(group);
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_k2pow_cache_put(dir, &job, group, &ei), SM_OK, "%s", ei.text);
}

static void make_all_old(const char *dir)
{
    char command[600];
    (void)snprintf(command, sizeof command, "touch -d '1 hour ago' %s/k2pow/*", dir);
    cr_assert_eq(system(command), 0);
}

Test(cache, sweep)
{
    char dir[256];
    size_t left = 99;
    struct sm_errinfo ei = {0};
    const struct sm_k2pow_job old = job_of(1), fresh = job_of(2), never = job_of(3);
    tmpdir_make(dir);
    cr_assert_eq(sm_k2pow_cache_sweep(dir, 60, &left, &ei), SM_OK, "no folder yet: %s", ei.text);
    cr_assert_eq(left, 0);
    cr_assert_eq(sm_k2pow_cache_age_s(dir, &old), -1);
    put(dir, 1);
    file_put(tmpdir_path(dir, "k2pow/notes.txt"), "mine", 4);
    make_all_old(dir);
    put(dir, 2);
    cr_assert(sm_k2pow_cache_age_s(dir, &old) >= 3600);
    cr_assert(sm_k2pow_cache_age_s(dir, &fresh) >= 0 && sm_k2pow_cache_age_s(dir, &fresh) < 3600);
    cr_assert_eq(sm_k2pow_cache_age_s(dir, &never), -1);
    cr_assert_eq(sm_k2pow_cache_sweep(dir, 7200, &left, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(left, 2);
    cr_assert_eq(sm_k2pow_cache_sweep(dir, 3600, &left, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(left, 1);
    cr_assert_eq(sm_k2pow_cache_age_s(dir, &old), -1);
    cr_assert_geq(sm_k2pow_cache_age_s(dir, &fresh), 0);
    cr_assert_eq(file_size(tmpdir_path(dir, "k2pow/notes.txt")), 4, "what is not ours stays");
    tmpdir_remove(dir);
}
