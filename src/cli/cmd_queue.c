#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/init_args.h"
#include "cli/jobs.h"
#include "cli/key.h"
#include "util/io.h"
#include "util/log.h"

struct args {
    bool check;
};

static const struct sm_option options[] = {
    SM_OPT_FLAG(struct args, check, "check",
                "show what would be done, and whether it fits on the disks; write nothing"),
    SM_OPT_END,
};

typedef enum outcome { WAITING, COMPLETE, DONE, BROKEN, NO_ROOM, STOPPED } outcome;
static const char *const outcomes[] = {"to do", "complete", "done", "failed", "no room", "stopped"};

struct item {
    struct sm_job *job;
    struct sm_command command; /* init, named after the job */
    char name[160];
    uint64_t labels, present;
    outcome is;
    sm_exit status;
    struct sm_errinfo why;
};

struct queue {
    struct sm_cli *cli;
    struct sm_jobs jobs;
    struct item *items;
    struct sm_spread_rooms rooms; /* of all jobs together */
};

/* ---- one job ---- */

/* init's own view of the command line, with the job's options. */
static struct sm_cli cli_of(const struct queue *q, struct item *it)
{
    struct sm_cli cli = *q->cli;
    cli.command = &it->command;
    cli.set = &it->job->set;
    cli.document_done = false;
    cli.event_lines = true; /* one line of JSON per job */
    cli.failure = &it->why;
    return cli;
}

/* A key is made once: later runs find it, or the metadata, there. */
static void forget_made_key(struct item *it)
{
    static const char *const signs[] = {SM_KEY_FILE, SM_METADATA_FILE};
    struct sm_option_set *set = &it->job->set;
    char path[PATH_MAX];
    bool there = false;
    for (size_t i = 0; i < 2; i++)
        there = there || (!sm_io_path(path, sizeof path, it->job->dir, signs[i], NULL) && access(path, F_OK) == 0);
    for (size_t row = 0; there && set->options[row].name; row++) {
        if (strcmp(set->options[row].name, "generate-key") != 0) continue;
        *(bool *)((char *)set->target + set->options[row].offset) = false;
        set->given &= ~(UINT64_C(1) << row);
    }
}

/* Disks that several jobs write to must have room for all of them. */
static sm_err add_rooms(struct queue *q, const struct sm_spread_rooms *rooms, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < rooms->n; i++) {
        size_t k = 0;
        while (k < q->rooms.n && q->rooms.v[k].device != rooms->v[i].device) k++;
        if (k < q->rooms.n) {
            q->rooms.v[k].need_bytes += rooms->v[i].need_bytes;
            continue;
        }
        struct sm_spread_room *v = realloc(q->rooms.v, (k + 1) * sizeof *v);
        if (!v) return sm_fail(ei, SM_E_NOMEM, "out of memory for the queue");
        q->rooms.v = v;
        v[q->rooms.n++] = rooms->v[i];
    }
    return SM_OK;
}

/* What there is to do for a job; a job that init would refuse is BROKEN. */
static void look(struct queue *q, struct item *it)
{
    struct sm_cli cli = cli_of(q, it);
    struct sm_init_cfg cfg;
    struct sm_also also = {0};
    struct sm_filling_state state = {0};
    forget_made_key(it);
    sm_err err = sm_init_decide(&cli, it->job->set.target, &also, &cfg, &it->why);
    if (!err) err = sm_filling_look(&cfg, &state, &it->why);
    if (!err) err = add_rooms(q, &state.rooms, &it->why);
    it->labels = state.labels;
    it->present = state.present;
    it->is = err ? BROKEN : state.complete ? COMPLETE : state.fits ? NO_ROOM : WAITING;
    if (!err) it->why = it->is == NO_ROOM ? state.why : (struct sm_errinfo){0};
    if (err) it->status = sm_cli_exit_of(err);
    free(state.rooms.v);
    sm_also_fini(&also);
}

/* ---- all of them ---- */

static void take_items(struct queue *q)
{
    for (size_t i = 0; i < q->jobs.n; i++) {
        struct item *it = &q->items[i];
        it->job = &q->jobs.v[i];
        it->command = sm_cmd_init;
        (void)snprintf(it->name, sizeof it->name, "queue %zu/%zu %.120s", i + 1, q->jobs.n, it->job->name);
        it->command.name = it->name;
        look(q, it);
    }
}

static json_t *item_json(const struct item *it)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:i}", "job", it->job->name, "dir", it->job->dir, "state", outcomes[it->is],
                          "exit", (int)it->status);
    json_object_set_new(o, "labels", sm_cli_json_u64(it->labels));
    json_object_set_new(o, "labels_present", sm_cli_json_u64(it->present));
    json_object_set_new(o, "problem", it->why.text[0] ? json_string(it->why.text) : json_null());
    return o;
}

static void say_items(const struct queue *q)
{
    struct sm_table *t = sm_table_new("llrr");
    char size[32], percent[32];
    SM_TABLE_ROW(t, "job", "state", "size", "on disk");
    for (size_t i = 0; i < q->jobs.n; i++) {
        const struct item *it = &q->items[i];
        (void)snprintf(percent, sizeof percent, "%.1f %%",
                       it->labels ? 100.0 * (double)it->present / (double)it->labels : 0.0);
        SM_TABLE_ROW(t, it->job->name, outcomes[it->is], sm_text_bytes((double)it->labels * SM_LABEL_BYTES, size),
                     percent);
    }
    sm_table_say(q->cli, t);
    sm_table_free(t);
    for (size_t i = 0; i < q->jobs.n; i++)
        if (q->items[i].why.text[0]) sm_cli_say(q->cli, "%s: %s", q->items[i].job->name, q->items[i].why.text);
}

/* Says which disks are too small for everything that is to be written there. */
static bool all_fit(const struct queue *q)
{
    bool fit = true;
    for (size_t i = 0; i < q->rooms.n; i++) {
        const struct sm_spread_room *r = &q->rooms.v[i];
        char need[32], room[32];
        if (r->need_bytes <= r->free_bytes) continue;
        fit = false;
        sm_log(SM_LOG_WARN, "queue", "the jobs do not fit on a disk", "at=%s need=\"%s\" free=\"%s\"", r->path,
               sm_text_bytes((double)r->need_bytes, need), sm_text_bytes((double)r->free_bytes, room));
    }
    return fit;
}

/* 0 when every job is fine; else of the first that is not; less than that is a device that was left out. */
static sm_exit status_of(const struct queue *q)
{
    sm_exit status = SM_EXIT_DONE;
    for (size_t i = 0; i < q->jobs.n; i++) {
        if (q->items[i].is == STOPPED) return SM_EXIT_INTERRUPTED;
        if (q->items[i].is == BROKEN) return q->items[i].status ? q->items[i].status : SM_EXIT_FAILED;
        if (q->items[i].is == NO_ROOM) return SM_EXIT_NO;
        if (q->items[i].status == SM_EXIT_DEGRADED) status = SM_EXIT_DEGRADED;
    }
    return status;
}

static sm_exit check(const struct queue *q)
{
    json_t *list = json_array();
    const bool fit = all_fit(q);
    say_items(q);
    for (size_t i = 0; i < q->jobs.n; i++) json_array_append_new(list, item_json(&q->items[i]));
    sm_cli_json(q->cli, json_pack("{s:o, s:b}", "jobs", list, "fits", fit));
    const sm_exit status = status_of(q);
    return status || fit ? status : SM_EXIT_NO;
}

static void run_item(struct queue *q, struct item *it)
{
    struct sm_filling_args *fill = sm_init_filling(it->job->set.target);
    struct sm_cli cli = cli_of(q, it);
    for (size_t i = 0; i < q->jobs.n; i++) {
        const struct item *other = &q->items[i];
        if (other == it) continue;
        fill->others_total += other->labels;
        fill->others_done += other->is == DONE ? other->labels : other->present;
    }
    it->why = (struct sm_errinfo){0};
    it->status = it->command.run(&cli, it->job->set.target);
    it->is = BROKEN;
    if (it->status == SM_EXIT_DONE || it->status == SM_EXIT_DEGRADED) it->is = DONE;
    if (it->status == SM_EXIT_INTERRUPTED) it->is = STOPPED;
    if (it->is == DONE) it->present = it->labels;
}

static sm_exit run_all(struct queue *q)
{
    (void)all_fit(q); /* room may be made meanwhile */
    for (size_t i = 0; i < q->jobs.n && !sm_cancelled(q->cli->cancel); i++) {
        struct item *it = &q->items[i];
        if (it->is != COMPLETE) { /* room, or a disk, may be there by now: init says what is still wrong */
            sm_log(SM_LOG_INFO, "queue", "job begins", "job=%s number=%zu of=%zu", it->job->name, i + 1, q->jobs.n);
            run_item(q, it);
        }
        sm_cli_event(q->cli, item_json(it));
    }
    if (sm_cancelled(q->cli->cancel))
        for (size_t i = 0; i < q->jobs.n; i++)
            if (q->items[i].is == WAITING) q->items[i].is = STOPPED;
    say_items(q);
    return status_of(q);
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct queue q = {.cli = cli};
    sm_err err = sm_jobs_load(cli->operands[0], &q.jobs, &ei);
    if (!err) {
        q.items = calloc(q.jobs.n, sizeof *q.items);
        if (!q.items) err = sm_fail(&ei, SM_E_NOMEM, "out of memory for %zu jobs", q.jobs.n);
    }
    sm_exit status = SM_EXIT_FAILED;
    if (err) {
        status = sm_cli_error(cli, err == SM_E_NOTFOUND ? SM_E_FORMAT : err, &ei);
    } else if (cli->operands_n > 1) {
        status = sm_cli_refuse(cli, SM_EXIT_USAGE, "one file of jobs is expected");
    } else {
        take_items(&q);
        status = a->check ? check(&q) : run_all(&q);
    }
    free(q.items);
    free(q.rooms.v);
    sm_jobs_fini(&q.jobs);
    return status;
}

const struct sm_command sm_cmd_queue = {
    .name = "queue",
    .summary = "fill several data sets, one after the other",
    .operands = "FILE",
    .operands_min = 1,
    .details =
        "FILE is YAML with a list of jobs; each is an init, and its keys are the options of init with '_' for '-', and "
        "a name. Keys of 'defaults' are for every job that does not say otherwise. configs/jobs.yaml is an example. "
        "Relative directories are relative to the file.\n\n"
        "Every job has all its devices for itself. What is complete is left alone, what is partial is continued, and a "
        "job that fails does not stop the others: a table at the end names each one and what is wrong with it, and the "
        "exit status is that of the first that failed. Run it again after any interruption.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
