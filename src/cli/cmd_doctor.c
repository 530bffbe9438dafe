/* smesher doctor: is this machine, and this data directory, fit for smeshing. */
#include <string.h>

#include "cli/commands.h"
#include "cli/doctor.h"

struct args {
    const char *dir;
    uint64_t disk_size;
    bool quick;
};

static const struct sm_option options[] = {
    SM_OPT_TEXT(struct args, dir, "dir", NULL, "DIR", "also examine this data directory and its disk"),
    SM_OPT_SIZE(struct args, disk_size, "disk-size", "256MiB", 0, UINT64_C(1) << 40,
                "size of the temporary file that measures the disk of --dir; 0 = do not measure"),
    SM_OPT_FLAG(struct args, quick, "quick", "leave out RandomX and the disk measurement"),
    SM_OPT_END,
};

static const char *const level_names[] = {"ok", "note", "warn", "bad"};
static const sm_paint level_paint[] = {SM_PAINT_GOOD, SM_PAINT_BOLD, SM_PAINT_WARN, SM_PAINT_BAD};

static sm_finding_level say(struct sm_cli *cli, const struct sm_findings *f)
{
    sm_finding_level worst = SM_FINDING_OK;
    json_t *list = json_array();
    for (size_t i = 0; i < f->n; i++) {
        const struct sm_finding *x = &f->list[i];
        if (x->level > worst) worst = x->level;
        sm_cli_say(cli, "%s%-4s%s  %-10s  %s", sm_cli_paint(cli, level_paint[x->level]), level_names[x->level],
                   sm_cli_paint(cli, SM_PAINT_OFF), x->topic, x->text);
        if (x->advice[0]) sm_cli_say(cli, "                  -> %s", x->advice);
        json_t *o = json_pack("{s:s, s:s, s:s}", "level", level_names[x->level], "topic", x->topic, "text", x->text);
        if (x->advice[0]) (void)json_object_set_new(o, "advice", json_string(x->advice));
        (void)json_array_append_new(list, o);
    }
    sm_cli_json(cli, json_pack("{s:o, s:s}", "findings", list, "worst", level_names[worst]));
    return worst;
}

static sm_exit run_doctor(struct sm_cli *cli, void *p)
{
    const struct args *a = p;
    struct sm_findings f = {0};
    sm_doctor_cpu(&f);
    sm_doctor_self_test(&f);
    sm_doctor_memory(&f);
    sm_doctor_huge_pages(&f);
    if (!a->quick) sm_doctor_randomx(&f, cli->cancel);
    sm_doctor_opencl(&f);
    sm_doctor_clock(&f);
    if (a->dir) {
        sm_doctor_disk(&f, a->dir, a->quick ? 0 : a->disk_size, cli->cancel);
        sm_doctor_data(&f, a->dir);
    }
    if (sm_cancelled(cli->cancel)) return sm_cli_error(cli, SM_E_CANCELLED, NULL);
    return say(cli, &f) == SM_FINDING_BAD ? SM_EXIT_NO : SM_EXIT_DONE;
}

const struct sm_command sm_cmd_doctor = {
    .name = "doctor",
    .summary = "examine this machine, and a data directory, for what smeshing needs",
    .details =
        "Looks at CPU features, known answers of labels, AES and RandomX, memory, huge pages, OpenCL platforms and why "
        "one is unusable, clock synchronisation and, with --dir, at the disk's speed and at metadata, files and key "
        "against each other. Each finding is ok, note, warn or bad; the exit status is 4 when one is bad.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run_doctor,
};
