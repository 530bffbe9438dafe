#include "cli/filling.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/heat.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "post/datadir.h"
#include "post/difficulty.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/text.h"

#define NEW_FILE_MULTIPLE 128u /* post.md §3.3 */

/* ---- progress ---- */

struct display {
    struct sm_progress *progress;
    struct sm_heat *heat;
    uint64_t others_done, others_total; /* labels of the other jobs */
};

/* "nonce 17  54 C, 90 W  all jobs 12.3 %": what there is of it. */
static void write_note(const struct display *d, const struct sm_init_progress *p, char *out, size_t room)
{
    char heat[48];
    int n = 0;
    out[0] = '\0';
    if (p->has_nonce) n = snprintf(out, room, "nonce %" PRIu64, p->nonce);
    sm_heat_note(d->heat, heat, sizeof heat);
    if (heat[0]) n += snprintf(out + n, room - (size_t)n, "%s%s", n ? "  " : "", heat);
    if (!d->others_total || (size_t)n >= room) return;
    const double all = (double)(d->others_total + p->labels_total), done = (double)(d->others_done + p->labels_done);
    (void)snprintf(out + n, room - (size_t)n, "%sall jobs %.1f %%", n ? "  " : "", 100 * done / all);
}

static void on_progress(void *ctx, const struct sm_init_progress *p)
{
    static const char *const phases[] = {"checking", "writing", "searching the VRF nonce", "done"};
    struct sm_progress_now now = {
        .phase = phases[p->phase],
        .unit = "labels",
        .bytes_per_unit = SM_LABEL_BYTES,
        .done = p->labels_done,
        .total = p->labels_total,
        .at_start = p->labels_at_start,
        .file = p->file,
        .file_done = p->file_labels_done,
        .file_total = p->file_labels_total,
        .files = p->files_total,
    };
    if (p->phase == SM_INIT_SEARCHING) {
        now.done = p->searched;
        now.total = now.at_start = now.files = 0;
        now.bytes_per_unit = 0;
    }
    const struct display *d = ctx;
    write_note(d, p, now.note, sizeof now.note);
    sm_progress_update(d->progress, &now);
}

/* ---- dry run ---- */

struct estimate {
    uint64_t labels;
};

static sm_err count_labels(void *ctx, struct sm_label_range range, const uint8_t *labels,
                           const struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    (void)labels, (void)best, (void)ei;
    ((struct estimate *)ctx)->labels += range.count;
    return SM_OK;
}

/* Labels per second of these engines, from two chunks each; takes the engines over. */
static sm_err measure(const struct sm_init_cfg *cfg, const struct sm_cancel *cancel, double *out, struct sm_errinfo *ei)
{
    uint64_t count = 0;
    for (size_t i = 0; i < cfg->engines_n; i++) count += 2 * cfg->engines[i].chunk;
    const struct sm_label_farm_cfg farm_cfg = {.engines = cfg->engines, .engines_n = cfg->engines_n};
    struct sm_label_farm *farm = NULL;
    sm_err err = sm_label_farm_new(&farm_cfg, &farm, ei);
    if (err) return err;
    const struct sm_label_job job = {.scrypt_n = cfg->scrypt_n};
    const struct sm_label_range range = {.first = 0, .count = count};
    struct estimate done = {0};
    const uint64_t start_ns = sm_clock_ns();
    err = sm_label_farm_run(farm, &job, &range, 1, cancel, count_labels, &done, ei);
    *out = (double)done.labels / sm_clock_seconds_since(start_ns);
    sm_label_farm_free(farm);
    return err;
}

struct plan {
    struct sm_layout layout;
    struct sm_filling_state is;
    double labels_per_s;
};

static sm_err differs(const struct sm_init_cfg *cfg, const char *what, struct sm_errinfo *ei)
{
    return sm_fail(ei, SM_E_MISMATCH, "%s: the metadata has another %s than the options; see smesher info", cfg->dir,
                   what);
}

static sm_err compare_metadata(const struct sm_init_cfg *cfg, const struct sm_metadata *m, struct sm_errinfo *ei)
{
    if (memcmp(m->node_id.b, cfg->node_id.b, 32) != 0) return differs(cfg, "node id", ei);
    if (memcmp(m->commitment_atx_id.b, cfg->commitment_atx_id.b, 32) != 0) return differs(cfg, "commitment ATX id", ei);
    if (m->labels_per_unit != cfg->labels_per_unit) return differs(cfg, "number of labels per unit", ei);
    if (m->max_file_size != cfg->max_file_size) return differs(cfg, "maximum file size", ei);
    if (cfg->num_units < m->num_units || (cfg->num_units > m->num_units && !cfg->grow))
        return sm_fail(ei, SM_E_MISMATCH, "%s has %" PRIu32 " units, the options say %" PRIu32 ": use smesher %s",
                       cfg->dir, m->num_units, cfg->num_units, cfg->num_units < m->num_units ? "shrink" : "grow");
    return SM_OK;
}

static uint64_t labels_present(const struct sm_datadir_info *info, const struct sm_layout *l)
{
    uint64_t n = 0;
    for (size_t i = 0; i < info->files_n; i++) {
        const uint64_t number = info->files[i].number, have = info->files[i].bytes / SM_LABEL_BYTES;
        if (number < l->from || number > l->to) continue;
        const uint64_t want = sm_layout_file_labels(l, number);
        n += have < want ? have : want;
    }
    return n;
}

/* What is to be written where. Too little room is a result, not an error. */
static sm_err plan_rooms(const struct sm_init_cfg *cfg, const struct sm_datadir_info *info, struct plan *out,
                         struct sm_errinfo *ei)
{
    const struct sm_spread_job job = {.main_dir = cfg->dir,
                                      .commitment = sm_commitment_of(&cfg->node_id, &cfg->commitment_atx_id),
                                      .layout = &out->layout,
                                      .files = info->files,
                                      .files_n = info->files_n,
                                      .also = cfg->also,
                                      .also_n = cfg->also_n,
                                      .same_disk = cfg->same_disk};
    struct sm_spread spread = {0};
    struct sm_errinfo why = {0};
    bool changed;
    sm_err err = sm_spread_load(cfg->dir, &spread, &why);
    if (err && err != SM_E_NOTFOUND) return sm_fail(ei, err, "%s", why.text);
    err = sm_spread_arrange(&spread, &job, &changed, &out->is.rooms, &out->is.why);
    sm_spread_fini(&spread);
    if (err && err != SM_E_NOSPACE) return sm_fail(ei, err, "%s", out->is.why.text);
    out->is.fits = err;
    return SM_OK;
}

/* Every label, and a nonce where there must be one. */
static bool is_complete(const struct sm_init_cfg *cfg, const struct sm_datadir_info *info, const struct plan *p)
{
    const bool whole = p->layout.from == 0 && p->layout.to + 1 == p->layout.files;
    return info->has_meta && !info->meta_from_backup && info->meta.num_units == cfg->num_units &&
           p->is.present == p->is.labels && (info->meta.has_nonce || !whole) && !info->problems_n;
}

static sm_err make_plan(const struct sm_init_cfg *cfg, struct plan *out, struct sm_errinfo *ei)
{
    uint64_t num_labels = 0;
    struct sm_datadir_info info = {0};
    sm_err err = sm_num_labels(cfg->num_units, cfg->labels_per_unit, &num_labels, ei);
    if (!err) err = sm_layout_make(num_labels, cfg->max_file_size, cfg->from_file, cfg->to_file, &out->layout, ei);
    if (err) return err;
    err = sm_datadir_inspect(cfg->dir, &info, ei);
    if (err && err != SM_E_NOTFOUND) return err;
    err = SM_OK;
    if (info.has_meta)
        err = compare_metadata(cfg, &info.meta, ei);
    else if (cfg->max_file_size % NEW_FILE_MULTIPLE)
        err = sm_fail(ei, SM_E_ARG, "--max-file-size %" PRIu64 " is not a multiple of %u", cfg->max_file_size,
                      NEW_FILE_MULTIPLE);
    out->is.labels = sm_layout_subset_labels(&out->layout);
    out->is.present = labels_present(&info, &out->layout);
    out->is.complete = is_complete(cfg, &info, out);
    if (!err) err = plan_rooms(cfg, &info, out, ei);
    sm_datadir_info_fini(&info);
    return err;
}

sm_err sm_filling_look(const struct sm_init_cfg *cfg, struct sm_filling_state *out, struct sm_errinfo *ei)
{
    struct plan plan = {0};
    const sm_err err = make_plan(cfg, &plan, ei);
    *out = plan.is;
    return err;
}

sm_err sm_filling_check(const struct sm_init_cfg *cfg, struct sm_errinfo *ei)
{
    struct sm_filling_state ignored = {0};
    const sm_err err = sm_filling_look(cfg, &ignored, ei);
    free(ignored.rooms.v);
    return err;
}

static uint64_t free_bytes(const struct sm_spread_rooms *rooms)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < rooms->n; i++) sum += rooms->v[i].free_bytes;
    return sum;
}

static json_t *rooms_json(const struct sm_spread_rooms *rooms)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rooms->n; i++) {
        json_t *o = json_pack("{s:s}", "path", rooms->v[i].path);
        json_object_set_new(o, "need_bytes", sm_cli_json_u64(rooms->v[i].need_bytes));
        json_object_set_new(o, "free_bytes", sm_cli_json_u64(rooms->v[i].free_bytes));
        json_array_append_new(list, o);
    }
    return list;
}

static sm_exit report_plan(struct sm_cli *cli, const struct sm_init_cfg *cfg, const struct plan *p)
{
    const double seconds = (double)(p->is.labels - p->is.present) / p->labels_per_s;
    char a[32], b[32], c[32], eta[64];
    sm_cli_say(cli, "files      %" PRIu64 " to %" PRIu64 " of %" PRIu64 ", up to %s each", p->layout.from, p->layout.to,
               p->layout.files, sm_text_bytes((double)cfg->max_file_size, a));
    sm_cli_say(cli, "labels     %s, of which %s are on disk", sm_text_count(p->is.labels, a),
               sm_text_count(p->is.present, b));
    const bool fits = !p->is.fits;
    for (size_t i = 0; i < p->is.rooms.n; i++)
        sm_cli_say(cli, "disk       %s needed, %s free at %s", sm_text_bytes((double)p->is.rooms.v[i].need_bytes, a),
                   sm_text_bytes((double)p->is.rooms.v[i].free_bytes, b), p->is.rooms.v[i].path);
    if (!fits)
        sm_cli_say(cli, "disk       %snot enough space%s: %s", sm_cli_paint(cli, SM_PAINT_BAD),
                   sm_cli_paint(cli, SM_PAINT_OFF), p->is.why.text);
    sm_cli_say(cli, "time       %s at %s labels/s (%s), measured for a second", sm_text_eta(seconds, eta),
               sm_text_count((uint64_t)p->labels_per_s, a), sm_text_rate(p->labels_per_s * SM_LABEL_BYTES, c));
    sm_cli_say(cli, "nothing was written (dry run)");
    json_t *o = json_pack("{s:b, s:s, s:b}", "dry_run", true, "dir", cfg->dir, "fits", fits);
    json_object_set_new(o, "scrypt_n", sm_cli_json_u64(cfg->scrypt_n));
    json_object_set_new(o, "num_units", sm_cli_json_u64(cfg->num_units));
    json_object_set_new(o, "labels_per_unit", sm_cli_json_u64(cfg->labels_per_unit));
    json_object_set_new(o, "max_file_size", sm_cli_json_u64(cfg->max_file_size));
    json_object_set_new(o, "files_total", sm_cli_json_u64(p->layout.files));
    json_object_set_new(o, "from_file", sm_cli_json_u64(p->layout.from));
    json_object_set_new(o, "to_file", sm_cli_json_u64(p->layout.to));
    json_object_set_new(o, "labels", sm_cli_json_u64(p->is.labels));
    json_object_set_new(o, "labels_present", sm_cli_json_u64(p->is.present));
    json_object_set_new(o, "need_bytes", sm_cli_json_u64((p->is.labels - p->is.present) * SM_LABEL_BYTES));
    json_object_set_new(o, "free_bytes", sm_cli_json_u64(free_bytes(&p->is.rooms)));
    json_object_set_new(o, "disks", rooms_json(&p->is.rooms));
    json_object_set_new(o, "problem", fits ? json_null() : json_string(p->is.why.text));
    json_object_set_new(o, "labels_per_s", sm_cli_json_real(p->labels_per_s));
    json_object_set_new(o, "estimated_seconds", sm_cli_json_real(seconds));
    sm_cli_json(cli, o);
    return fits ? SM_EXIT_DONE : SM_EXIT_NO;
}

static sm_exit dry_run(struct sm_cli *cli, struct sm_init_cfg *cfg)
{
    struct sm_errinfo ei = {0};
    struct plan plan = {0};
    sm_err err = make_plan(cfg, &plan, &ei);
    if (err) {
        sm_engines_free(cfg->engines, cfg->engines_n);
    } else {
        err = measure(cfg, cli->cancel, &plan.labels_per_s, &ei);
        free(cfg->engines);
    }
    const sm_exit status = err ? sm_cli_error(cli, err, &ei) : report_plan(cli, cfg, &plan);
    free(plan.is.rooms.v);
    return status;
}

/* ---- running ---- */

static json_t *engines_json(const struct sm_init_result *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->engines_n; i++) {
        const struct sm_label_engine_stats *e = &r->engines[i];
        json_t *o =
            json_pack("{s:s, s:s, s:b}", "device", e->device, "variant", e->variant, "quarantined", e->quarantined);
        json_object_set_new(o, "labels_in_flight", json_integer(e->width));
        json_object_set_new(o, "labels", sm_cli_json_u64(e->labels));
        json_object_set_new(o, "busy_seconds", sm_cli_json_real((double)e->busy_ns / (double)SM_NS_PER_S));
        json_object_set_new(o, "problem", e->quarantined ? json_string(e->why) : json_null());
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *result_json(const struct sm_init_cfg *cfg, const struct sm_init_result *r, double seconds)
{
    json_t *o = json_pack("{s:s, s:b, s:o, s:o}", "dir", cfg->dir, "complete", r->complete, "node_id",
                          sm_cli_json_hex(cfg->node_id.b, 32), "commitment_atx_id",
                          sm_cli_json_hex(cfg->commitment_atx_id.b, 32));
    json_object_set_new(o, "num_units", sm_cli_json_u64(cfg->num_units));
    json_object_set_new(o, "labels_per_unit", sm_cli_json_u64(cfg->labels_per_unit));
    json_object_set_new(o, "max_file_size", sm_cli_json_u64(cfg->max_file_size));
    json_object_set_new(o, "scrypt_n", sm_cli_json_u64(cfg->scrypt_n));
    json_object_set_new(o, "labels_written", sm_cli_json_u64(r->labels_written));
    json_object_set_new(o, "bytes_written", sm_cli_json_u64(r->labels_written * SM_LABEL_BYTES));
    json_object_set_new(o, "bytes_truncated", sm_cli_json_u64(r->bytes_truncated));
    json_object_set_new(o, "seconds", sm_cli_json_real(seconds));
    json_object_set_new(o, "labels_per_s", sm_cli_json_real((double)r->labels_written / seconds));
    json_object_set_new(o, "nonce", r->has_nonce ? sm_cli_json_u64(r->nonce) : json_null());
    json_object_set_new(o, "engines", engines_json(r));
    return o;
}

static void say_result(struct sm_cli *cli, const struct sm_init_cfg *cfg, const struct sm_init_result *r,
                       double seconds)
{
    char a[32], b[32], c[32], id[SM_HEX_ROOM(32)];
    sm_cli_say(cli, "%s: %s, %" PRIu32 " units", cfg->dir, r->complete ? "complete" : "not complete", cfg->num_units);
    sm_cli_say(cli, "node id    %s", sm_hex_encode(cfg->node_id.b, 32, id));
    sm_cli_say(cli, "written    %s in %s (%s)", sm_text_bytes((double)(r->labels_written * SM_LABEL_BYTES), a),
               sm_text_duration(seconds, b), sm_text_rate((double)(r->labels_written * SM_LABEL_BYTES) / seconds, c));
    if (r->bytes_truncated) sm_cli_say(cli, "truncated  %" PRIu64 " bytes of partial labels", r->bytes_truncated);
    if (r->has_nonce)
        sm_cli_say(cli, "VRF nonce  %" PRIu64, r->nonce);
    else
        sm_cli_say(cli, "VRF nonce  none in this part; merge the parts, or run nonce");
    for (size_t i = 0; i < r->engines_n; i++)
        if (r->engines[i].quarantined)
            sm_cli_say(cli, "%s (%s) was taken out of service: %s", r->engines[i].device, r->engines[i].variant,
                       r->engines[i].why);
}

/* The data is right either way; whoever looks after the machine wants to know. */
static sm_exit status_of(const struct sm_init_result *r)
{
    if (!r->complete) return SM_EXIT_FAILED;
    for (size_t i = 0; i < r->engines_n; i++)
        if (r->engines[i].quarantined) return SM_EXIT_DEGRADED;
    return SM_EXIT_DONE;
}

sm_err sm_filling_take_also(const struct sm_filling_args *args, struct sm_also *also, struct sm_init_cfg *cfg,
                            struct sm_errinfo *ei)
{
    sm_err err = sm_also_parse(&args->also, also, ei);
    cfg->also = also->v;
    cfg->also_n = also->n;
    cfg->same_disk = args->same_disk;
    return err;
}

sm_exit sm_filling_run(struct sm_cli *cli, const struct sm_filling_args *args, struct sm_init_cfg *cfg)
{
    struct sm_errinfo ei = {0};
    struct sm_engine_args engine = args->engine;
    engine.cancel = cli->cancel;
    uint64_t labels = 0;
    if (!args->dry_run && !sm_mul_overflows_u64(cfg->num_units, cfg->labels_per_unit, &labels)) engine.labels = labels;
    sm_err err = sm_engines_make(&engine, cfg->scrypt_n, &cfg->engines, &cfg->engines_n, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    err = sm_engines_throttle(cfg->engines, cfg->engines_n, &args->throttle, &ei);
    if (err) {
        sm_engines_free(cfg->engines, cfg->engines_n);
        return sm_cli_error(cli, err, &ei);
    }
    for (size_t i = 0; args->batch && i < cfg->engines_n; i++) cfg->engines[i].chunk = args->batch;
    cfg->checkpoint_bytes = args->checkpoint;
    cfg->recheck_labels = args->recheck;
    cfg->direct_io = !args->no_direct_io;
    if (args->dry_run) return dry_run(cli, cfg);
    sm_signals_allow_pause();
    cfg->paused = sm_signals_paused;

    struct display display = {.progress = sm_progress_new(cli, cli->command->name),
                              .heat = sm_heat_new(cfg->engines, cfg->engines_n, args->max_temp),
                              .others_done = args->others_done,
                              .others_total = args->others_total};
    cfg->progress = on_progress;
    cfg->progress_ctx = &display;
    cfg->rests = args->max_temp ? sm_heat_rests : NULL;
    cfg->rests_ctx = display.heat;
    static struct sm_init_result result; /* 64 engine records: too large for some stacks */
    const uint64_t start_ns = sm_clock_ns();
    err = sm_init_run(cfg, cli->cancel, &result, &ei);
    const double seconds = sm_clock_seconds_since(start_ns);
    sm_progress_free(display.progress);
    sm_heat_free(display.heat);
    free(cfg->engines);
    if (err) return sm_cli_error(cli, err, &ei);
    say_result(cli, cfg, &result, seconds);
    sm_cli_json(cli, result_json(cfg, &result, seconds));
    return status_of(&result);
}
