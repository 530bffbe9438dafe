/* /metrics under a strict reader of the text format, and what dashboard, alerts and manual say of it. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "kit.h"
#include "status/fields.h"
#include "status/format.h"
#include "status/utf8.h"
#include "util/io.h"

#define ROOT SM_TEST_VECTORS "/../../"

/* ---- the reader: name{label="value",…} number, families one after the other, no series twice ---- */

struct series {
    char *text; /* name and labels */
    double value;
};

struct metrics {
    struct series *v;
    size_t n;
    char family[128];
    size_t families;
};

static const char *read_name(const char *p, char *out, size_t room)
{
    size_t n = 0;
    cr_assert(isalpha((unsigned char)*p) || *p == '_', "no name: %.40s", p);
    while (isalnum((unsigned char)*p) || *p == '_') {
        cr_assert_lt(n + 1, room);
        out[n++] = *p++;
    }
    out[n] = '\0';
    return p;
}

static const char *read_label_value(const char *p)
{
    cr_assert_eq(*p++, '"');
    while (*p != '"') {
        const size_t n = sm_utf8_char(p, NULL);
        cr_assert(n && *p && *p != '\n', "broken label value: %.40s", p);
        if (*p == '\\') {
            cr_assert(p[1] == '\\' || p[1] == '"' || p[1] == 'n', "unknown escape: %.40s", p);
            p++;
        }
        p += n;
    }
    return p + 1;
}

static const char *read_labels(const char *p)
{
    char seen[8][64];
    size_t n = 0;
    if (*p != '{') return p;
    do {
        p = read_name(p + 1, seen[n], sizeof seen[n]);
        for (size_t i = 0; i < n; i++) cr_assert_str_neq(seen[i], seen[n], "label twice");
        cr_assert_lt(++n, 8);
        cr_assert_eq(*p++, '=');
        p = read_label_value(p);
    } while (*p == ',');
    cr_assert_eq(*p, '}', "%.40s", p);
    return p + 1;
}

static const char *read_head(struct metrics *m, const char *p)
{
    char help[128], type[128];
    cr_assert_eq(strncmp(p, "# HELP ", 7), 0, "%.40s", p);
    p = read_name(p + 7, help, sizeof help);
    cr_assert_eq(*p, ' ');
    p = strchr(p, '\n') + 1;
    cr_assert_eq(strncmp(p, "# TYPE ", 7), 0, "%.40s", p);
    p = read_name(p + 7, type, sizeof type);
    cr_assert_str_eq(help, type);
    cr_assert_eq(strncmp(help, "smesher_", 8), 0, "%s", help);
    const bool total = strlen(help) > 6 && strcmp(help + strlen(help) - 6, "_total") == 0;
    const char *kind = total ? " counter\n" : " gauge\n";
    cr_assert_eq(strncmp(p, kind, strlen(kind)), 0, "%s:%.20s", help, p);
    strcpy(m->family, help);
    m->families++;
    return p + strlen(kind);
}

static const char *read_series(struct metrics *m, const char *p)
{
    char name[128], *end;
    const char *start = p;
    p = read_labels(read_name(p, name, sizeof name));
    cr_assert_str_eq(name, m->family, "outside its family");
    m->v = realloc(m->v, (m->n + 1) * sizeof *m->v);
    struct series *s = &m->v[m->n++];
    s->text = strndup(start, (size_t)(p - start));
    cr_assert_eq(*p++, ' ');
    s->value = strtod(p, &end);
    cr_assert(end != p && *end == '\n' && isfinite(s->value), "no number: %.40s", p);
    return end + 1;
}

static void read_metrics(const struct sm_status_snapshot *s, struct metrics *m)
{
    struct sm_errinfo ei = {0};
    char *text;
    size_t n;
    *m = (struct metrics){0};
    cr_assert_eq(sm_status_format_metrics(s, &text, &n, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(n, strlen(text));
    for (const char *p = text; *p;) p = *p == '#' ? read_head(m, p) : read_series(m, p);
    free(text);
}

static void metrics_fini(struct metrics *m)
{
    for (size_t i = 0; i < m->n; i++) free(m->v[i].text);
    free(m->v);
}

static double value_of(const struct metrics *m, const char *text)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->v[i].text, text) == 0) return m->v[i].value;
    }
    return NAN;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct series *)a)->text, ((const struct series *)b)->text);
}

/* ---- */

#define ALPHA "node_id=\"abababababababababababababababababababababababababababababababab\",identity=\"alpha\""
#define BETA  "node_id=\"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\",identity=\"beta\""

Test(metrics, values)
{
    static const struct {
        char text[200];
        double value;
    } expected[] = {
        {"smesher_build_info{version=\"0.1.0\",network=\"mainnet\"}", 1},
        {"smesher_start_time_seconds", 1700000000},
        {"smesher_identities", 2},
        {"smesher_proofs_failed_total", 1},
        {"smesher_identity_registered{" ALPHA "}", 1},
        {"smesher_identity_registered{" BETA "}", 0},
        {"smesher_identity_data_bytes{" ALPHA "}", 274877906944.0},
        {"smesher_identity_read_position_bytes{" ALPHA "}", 68719476736.0},
        {"smesher_identity_read_bytes_per_second{" ALPHA "}", 199229440},
        {"smesher_identity_eta_seconds{" ALPHA "}", 1035},
        {"smesher_identity_deadline_timestamp_seconds{" ALPHA "}", 1700043200},
        {"smesher_identity_last_proof_fetched{" BETA "}", 0},
        {"smesher_identity_phase{" ALPHA ",phase=\"reading\"}", 1},
        {"smesher_identity_phase{" ALPHA ",phase=\"idle\"}", 0},
        {"smesher_identity_link{" BETA ",state=\"rejected\"}", 1},
        {"smesher_device_quarantined{device=\"cpu\"}", 0},
        {"smesher_device_quarantined{device=\"gpu-0000:01:00.0\"}", 1},
        {"smesher_device_temperature_celsius{device=\"cpu\"}", 54.5},
        {"smesher_device_power_watts{device=\"cpu\"}", 120},
        {"smesher_disk_reading_identities{disk=\"sda\"}", 1},
    };
    struct sm_status_snapshot s;
    struct metrics m;
    kit_usual(&s);
    read_metrics(&s, &m);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        cr_assert_eq(value_of(&m, expected[i].text), expected[i].value, "%s", expected[i].text);
    cr_assert(isnan(value_of(&m, "smesher_identity_eta_seconds{" BETA "}")), "unknown is absent");
    cr_assert(isnan(value_of(&m, "smesher_identity_last_proof_timestamp_seconds{" ALPHA "}")));
    cr_assert(isnan(value_of(&m, "smesher_device_temperature_celsius{device=\"gpu-0000:01:00.0\"}")));
    metrics_fini(&m);
    sm_status_snapshot_fini(&s);
}

Test(metrics, random_snapshots_are_well_formed)
{
    uint64_t r = kit_seed();
    for (int round = 0; round < 200; round++) {
        struct sm_status_snapshot s;
        struct metrics m;
        kit_random_snapshot(&s, &r);
        for (size_t i = 0; i < s.devices_n; i++) s.devices[i].id[0] = (char)('a' + i); /* unique by contract */
        for (size_t i = 0; i < s.devices_n; i++) s.devices[i].id[1] = '\0';
        for (size_t i = 0; i < s.disks_n; i++) (void)snprintf(s.disks[i].name, sizeof s.disks[i].name, "\"%zu\\", i);
        read_metrics(&s, &m);
        cr_assert_gt(m.families, 25);
        qsort(m.v, m.n, sizeof *m.v, by_text);
        for (size_t i = 1; i < m.n; i++) cr_assert_str_neq(m.v[i].text, m.v[i - 1].text, "twice");
        metrics_fini(&m);
        sm_status_snapshot_fini(&s);
    }
}

/* ---- documents ---- */

static char *file(const char *path)
{
    struct sm_errinfo ei = {0};
    char *text;
    size_t n;
    cr_assert_eq(sm_io_read_file(path, 1u << 20, &text, &n, &ei), SM_OK, "%s", ei.text);
    return text;
}

static char *all_metrics(void)
{
    struct sm_status_snapshot s;
    char *text;
    size_t n;
    kit_usual(&s);
    cr_assert_eq(sm_status_format_metrics(&s, &text, &n, NULL), SM_OK);
    sm_status_snapshot_fini(&s);
    return text;
}

/* Each smesher_… in `text` is a family that is exported. Returns how many there are. */
static unsigned check_names(const char *where, const char *text, const char *exported)
{
    unsigned found = 0;
    for (const char *p = text; (p = strstr(p, "smesher_"));) {
        char name[128], type[160];
        p = read_name(p, name, sizeof name);
        (void)snprintf(type, sizeof type, "# TYPE %s ", name);
        cr_assert_not_null(strstr(exported, type), "%s: %s is not exported", where, name);
        found++;
    }
    return found;
}

Test(metrics, dashboard_and_alerts_use_what_is_exported)
{
    char *exported = all_metrics();
    char *dashboard = file(ROOT "packaging/grafana/smesher-rig.json");
    char *alerts = file(ROOT "packaging/prometheus/smesher-alerts.yaml");
    cr_assert_gt(check_names("dashboard", dashboard, exported), 15);
    cr_assert_gt(check_names("alerts", alerts, exported), 6);
    json_t *root = json_loads(dashboard, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(root, "the dashboard is no JSON");
    json_decref(root);
    free(exported);
    free(dashboard);
    free(alerts);
}

static void check_described(const char *manual, const char *name)
{
    char quoted[128];
    (void)snprintf(quoted, sizeof quoted, "`%s`", name);
    cr_assert_not_null(strstr(manual, quoted), "docs/status.md does not describe %s", quoted);
}

static void check_fields(const char *manual, const struct sm_field *fields)
{
    for (const struct sm_field *f = fields; f->key; f++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s%s%s", f->group ? f->group : "", f->group ? "." : "", f->key);
        check_described(manual, name);
    }
}

Test(metrics, everything_is_described)
{
    char *exported = all_metrics(), *manual = file(ROOT "docs/status.md");
    const struct sm_field *const tables[] = {sm_fields_rig,  sm_fields_identity, sm_fields_device,
                                             sm_fields_disk, sm_fields_skipped,  sm_fields_error};
    cr_assert_gt(check_names("manual", manual, exported), 25);
    for (const char *p = exported; (p = strstr(p, "# TYPE "));) {
        char name[128];
        p = read_name(p + 7, name, sizeof name);
        check_described(manual, name);
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) check_fields(manual, tables[i]);
    check_described(manual, "percent");
    check_described(manual, "estimated_end_unix_s");
    free(exported);
    free(manual);
}
