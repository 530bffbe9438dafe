#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/subject.h"
#include "post/datadir_list.h"
#include "post/spread.h"
#include "util/io.h"

struct args {
    const char *dir;
    struct sm_text_list moved;
    bool relink;
};

static const struct sm_option options[] = {
    SM_DIR_OPTION(struct args, dir),
    SM_OPT_LIST(struct args, moved, "moved", NULL, "OLD=NEW",
                "the directory that was OLD is at NEW now: change the list and the links; may be repeated"),
    SM_OPT_FLAG(struct args, relink, "relink", "link every data file in these directories that has no link in DIR"),
    SM_OPT_END,
};

/* ---- changing ---- */

static sm_err parse_moves(const struct sm_text_list *list, struct sm_spread_move *out, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *equals = strchr(list->v[i], '=');
        if (!equals || equals == list->v[i] || !equals[1])
            return sm_fail(ei, SM_E_ARG, "--moved %s: expected OLD=NEW, two directories", list->v[i]);
        out[i].from = strndup(list->v[i], (size_t)(equals - list->v[i]));
        out[i].to = equals + 1;
        if (!out[i].from) return sm_fail(ei, SM_E_NOMEM, "out of memory reading --moved");
    }
    return SM_OK;
}

static sm_err change(const struct args *a, uint64_t *out_links, struct sm_errinfo *ei)
{
    struct sm_spread_move *moves = calloc(a->moved.n + 1, sizeof *moves);
    sm_err err = moves ? parse_moves(&a->moved, moves, ei) : sm_fail(ei, SM_E_NOMEM, "out of memory reading --moved");
    if (!err) err = sm_spread_repoint(a->dir, moves, a->moved.n, out_links, ei);
    for (size_t i = 0; moves && i < a->moved.n; i++) free((void *)(size_t)moves[i].from);
    free(moves);
    return err;
}

/* ---- showing ---- */

struct row {
    const char *path;
    uint64_t planned, files, bytes, free_bytes;
    char problem[SM_ERRINFO_TEXT];
};

/* What is in a directory itself: links of the main one lead elsewhere. */
static sm_err count_files(const struct args *a, const struct sm_spread *s, size_t i, struct row *out,
                          struct sm_errinfo *ei)
{
    struct sm_datafile *files = NULL;
    struct sm_sentences odd = {0};
    size_t n = 0;
    sm_err err = sm_datadir_list(i ? s->dirs[i].path : a->dir, &files, &n, &odd, ei);
    for (size_t k = 0; k < n && !err; k++) {
        char path[PATH_MAX], real[PATH_MAX];
        err = sm_spread_file_path(s, a->dir, i, files[k].number, path, ei);
        if (!err && i == 0 && readlink(path, real, sizeof real) >= 0) continue;
        out->files++;
        out->bytes += files[k].bytes;
    }
    sm_sentences_fini(&odd);
    free(files);
    return err;
}

static void look(const struct args *a, const struct sm_spread *s, size_t i, struct row *out)
{
    struct sm_errinfo why = {0};
    *out = (struct row){.path = i ? s->dirs[i].path : a->dir};
    for (size_t k = 0; k < s->stretches_n; k++) out->planned += s->stretches[k].share[i];
    sm_err err = sm_spread_check_mark(s, i, &why);
    if (!err) err = count_files(a, s, i, out, &why);
    if (!err) err = sm_io_free_bytes(out->path, &out->free_bytes, &why);
    if (err) memcpy(out->problem, why.text, sizeof out->problem);
}

static json_t *row_json(const struct row *r)
{
    json_t *o = json_pack("{s:s, s:b}", "path", r->path, "present", !r->problem[0]);
    json_object_set_new(o, "files_planned", sm_cli_json_u64(r->planned));
    json_object_set_new(o, "files", sm_cli_json_u64(r->files));
    json_object_set_new(o, "bytes", sm_cli_json_u64(r->bytes));
    json_object_set_new(o, "free_bytes", r->problem[0] ? json_null() : sm_cli_json_u64(r->free_bytes));
    json_object_set_new(o, "problem", r->problem[0] ? json_string(r->problem) : json_null());
    return o;
}

static sm_exit show(struct sm_cli *cli, const struct args *a, const struct sm_spread *s, uint64_t links)
{
    struct sm_table *t = sm_table_new("lrrrr");
    json_t *list = json_array();
    bool good = true;
    SM_TABLE_ROW(t, "directory", "planned", "files", "labels", "free");
    for (size_t i = 0; i < s->dirs_n; i++) {
        static struct row r; /* large texts */
        char planned[32], files[32], bytes[32], room[32];
        look(a, s, i, &r);
        SM_TABLE_ROW(t, r.path, sm_text_count(r.planned, planned), sm_text_count(r.files, files),
                     sm_text_bytes((double)r.bytes, bytes),
                     r.problem[0] ? "-" : sm_text_bytes((double)r.free_bytes, room));
        json_array_append_new(list, row_json(&r));
        good = good && !r.problem[0];
    }
    sm_table_say(cli, t);
    sm_table_free(t);
    for (size_t i = 0; i < s->dirs_n; i++) {
        const char *problem = json_string_value(json_object_get(json_array_get(list, i), "problem"));
        if (problem) sm_cli_say(cli, "problem: %s", problem);
    }
    if (a->relink || a->moved.n) sm_cli_say(cli, "%" PRIu64 " links made or replaced", links);
    sm_cli_json(
        cli, json_pack("{s:s, s:o, s:o}", "dir", a->dir, "links_changed", sm_cli_json_u64(links), "directories", list));
    return good ? SM_EXIT_DONE : SM_EXIT_NO;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0}, why = {0};
    struct sm_spread s = {0};
    uint64_t links = 0;
    sm_err err = a->relink || a->moved.n ? change(a, &links, &ei) : SM_OK;
    if (err) return sm_cli_error(cli, err, &ei);
    err = sm_spread_load(a->dir, &s, &why);
    if (err == SM_E_NOTFOUND)
        err = sm_fail(&ei, err, "%s is not spread over several directories: there is no " SM_SPREAD_FILE, a->dir);
    else if (err)
        err = sm_fail(&ei, err, "%s", why.text);
    if (err) return sm_cli_error(cli, err, &ei);
    const sm_exit status = show(cli, a, &s, links);
    sm_spread_fini(&s);
    return status;
}

const struct sm_command sm_cmd_disks = {
    .name = "disks",
    .summary = "show the disks of a data set that is on several, or follow one that moved",
    .details =
        "A data set made by init --also has its files in several directories, one per disk; the main directory has "
        "a symbolic link to each of them, and " SM_SPREAD_FILE
        ", the list of directories. Every other directory has a mark, " SM_SPREAD_MARK
        ", so that an empty mount point is not taken for the disk.\n\n"
        "Exits with 4 when a directory is missing. No file is touched, only links and the list are.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
