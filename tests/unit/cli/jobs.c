/* Files of jobs: what is taken, what is refused, and where the sentence points. */
#include "cli/jobs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/init_args.h"
#include "support/tmpdir.h"

static char dir[256];

static sm_err load(const char *text, struct sm_jobs *out, struct sm_errinfo *ei)
{
    if (!dir[0]) (void)tmpdir_make(dir);
    file_put(tmpdir_path(dir, "jobs.yaml"), text, strlen(text));
    return sm_jobs_load(tmpdir_path(dir, "jobs.yaml"), out, ei);
}

Test(jobs, keys_are_the_options_of_init)
{
    struct sm_jobs j;
    struct sm_errinfo ei = {0};
    char b[300];
    cr_assert_eq(load("defaults: {device: cpu, num_units: 3, also: [x, y], no_direct_io: yes, checkpoint: 1MiB}\n"
                      "jobs:\n"
                      "  - name: one\n"
                      "    dir: /a\n"
                      "    also: b=2KiB\n"
                      "    num_units: 4\n"
                      "    no_direct_io: false\n"
                      "  - dir: c\n",
                      &j, &ei),
                 SM_OK, "%s", ei.text);
    cr_assert_eq(j.n, 2);
    const struct sm_filling_args *one = sm_init_filling(j.v[0].set.target), *two = sm_init_filling(j.v[1].set.target);
    cr_assert_str_eq(j.v[0].name, "one");
    cr_assert_str_eq(one->dir, "/a");
    (void)snprintf(b, sizeof b, "%s/b=2KiB", dir);
    cr_assert(one->also.n == 1 && strcmp(one->also.v[0], b) == 0, "a list replaces that of the defaults");
    cr_assert(one->num_units == 4 && !one->no_direct_io && one->checkpoint == 1u << 20);
    cr_assert(sm_options_given(&j.v[0].set, "num-units") && !sm_options_given(&j.v[0].set, "scrypt-n"));
    cr_assert_eq(one->recheck, 16, "what nobody says has the default of the option");

    (void)snprintf(b, sizeof b, "%s/c", dir);
    cr_assert_str_eq(two->dir, b, "relative to the file");
    cr_assert_str_eq(j.v[1].name, b);
    cr_assert(two->num_units == 3 && two->no_direct_io && two->also.n == 2);
    sm_jobs_fini(&j);
}

Test(jobs, refusals)
{
    static const struct {
        const char *text, *wants[3];
    } rows[] = {
        {"", {"is empty"}},
        {"- dir: a\n", {"jobs.yaml:1:", "keys and values"}},
        {"defaults: {device: cpu}\n", {"no list of jobs"}},
        {"jobs: a\n", {"jobs.yaml:1:", "a list"}},
        {"jobs: []\n", {"no job"}},
        {"job:\n  - {dir: a}\n", {"jobs.yaml:1: unknown key job", "did you mean jobs?"}},
        {"jobs:\n  - dir: a\n    num_unit: 4\n", {"jobs.yaml:3: unknown key num_unit", "did you mean num_units?"}},
        {"defaults:\n  device: cpu\n  nam: x\njobs:\n  - dir: a\n", {"jobs.yaml:3: unknown key nam"}},
        {"defaults:\n  name: x\njobs:\n  - dir: a\n", {"jobs.yaml:2: unknown key name"}},
        {"jobs:\n  - dir: a\n    dir: b\n", {"jobs.yaml:3: repeated key dir"}},
        {"jobs:\n  - name: x\n", {"jobs.yaml:2: a job needs a dir"}},
        {"jobs:\n  - dir: a\n    num_units: 0\n", {"jobs.yaml:3: num_units"}},
        {"jobs:\n  - dir: a\n    num_units: [1]\n", {"jobs.yaml:3:", "a single value"}},
        {"jobs:\n  - dir: a\n    node_id: zz\n", {"jobs.yaml:3: node_id"}},
        {"jobs:\n  - dir: a\n    generate_key: 1\n", {"jobs.yaml:3: generate_key", "neither yes nor no"}},
        {"jobs:\n  - dir: a\n    dry_run: yes\n", {"jobs.yaml:2:", "queue --check"}},
        {"jobs:\n  - dir: ''\n", {"jobs.yaml:2: dir is empty"}},
        {"jobs:\n  - dir: a\n  - dir: b\n  - dir: a\n", {"jobs.yaml:4:", "the job in line 2"}},
        {"jobs:\n  - {dir: a\n", {"not YAML"}},
        {"jobs:\n  - dir: a\n---\njobs: []\n", {"second document"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sm_jobs j;
        struct sm_errinfo ei = {0};
        cr_assert_eq(load(rows[i].text, &j, &ei), SM_E_FORMAT, "%s", rows[i].text);
        for (size_t k = 0; k < 3 && rows[i].wants[k]; k++)
            cr_assert(strstr(ei.text, rows[i].wants[k]), "'%s' not in: %s", rows[i].wants[k], ei.text);
        sm_jobs_fini(&j); /* harmless after a failure */
    }
    struct sm_jobs j;
    cr_assert_eq(sm_jobs_load("/no/such/file", &j, NULL), SM_E_NOTFOUND);
}

Test(jobs, the_example_is_right)
{
    struct sm_jobs j;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_jobs_load(SM_TEST_VECTORS "/../../configs/jobs.yaml", &j, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(j.n, 2);
    sm_jobs_fini(&j);
}
