#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "status/format.h"
#include "status/utf8.h"
#include "util/text.h"

/* A label's value, escaped as the format wants. Control characters are allowed in it, but nobody can read them. */
static void put_escaped(FILE *f, const char *text)
{
    char clean[SM_UTF8_ROOM(SM_STATUS_PATH_ROOM)];
    for (const char *p = sm_utf8_clean(text, clean, sizeof clean); *p; p++) {
        switch (*p) {
        case '\\':
            (void)fputs("\\\\", f);
            break;
        case '"':
            (void)fputs("\\\"", f);
            break;
        case '\n':
            (void)fputs("\\n", f);
            break;
        default:
            (void)fputc(*p, f);
            break;
        }
    }
}

static void put_label(FILE *f, char *separator, const char *name, const char *value)
{
    (void)fprintf(f, "%c%s=\"", *separator, name);
    put_escaped(f, value);
    (void)fputc('"', f);
    *separator = ',';
}

static void put_value(FILE *f, double v)
{
    (void)fprintf(f, " %.17g\n", isfinite(v) ? v : 0);
}

static void put_head(FILE *f, const char *name, const char *type, const char *help)
{
    (void)fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ---- the rig ---- */

static void put_one(FILE *f, const char *name, const char *type, const char *help, double v)
{
    put_head(f, name, type, help);
    (void)fputs(name, f);
    put_value(f, v);
}

static void put_rig(FILE *f, const struct sm_status_snapshot *s)
{
    char separator = '{';
    put_head(f, "smesher_build_info", "gauge", "Version and network of this rig; always 1.");
    (void)fputs("smesher_build_info", f);
    put_label(f, &separator, "version", s->version);
    put_label(f, &separator, "network", s->network);
    (void)fputs("} 1\n", f);
    put_one(f, "smesher_start_time_seconds", "gauge", "When the rig started, in seconds since 1970.",
            (double)s->started_unix_s);
    put_one(f, "smesher_identities", "gauge", "Identities that are served.", (double)s->identities_n);
    put_one(f, "smesher_skipped_directories", "gauge", "Directories that were found and cannot be served.",
            (double)s->skipped_n);
    put_one(f, "smesher_proofs_made_total", "counter", "Proofs computed and verified.", (double)s->counts.proofs_made);
    put_one(f, "smesher_proofs_recalled_total", "counter", "Proofs that were asked for and already on disk.",
            (double)s->counts.proofs_recalled);
    put_one(f, "smesher_proofs_failed_total", "counter", "Proofs given up: the node was told an error.",
            (double)s->counts.proofs_failed);
    put_one(f, "smesher_proofs_retried_total", "counter", "Tries after a failure that may pass.",
            (double)s->counts.proofs_retried);
    put_one(f, "smesher_proofs_delivered_total", "counter", "Proofs taken by a node.",
            (double)s->counts.proofs_delivered);
}

/* ---- one row per identity ---- */

struct identity_metric {
    const char *name, *type, *help;
    /* NAN: no value, no line. */
    double (*value)(const struct sm_status_identity *id);
};

static double v_registered(const struct sm_status_identity *id)
{
    return id->link == SM_STATUS_LINK_REGISTERED;
}
static double v_paused(const struct sm_status_identity *id)
{
    return id->paused;
}
static double v_data(const struct sm_status_identity *id)
{
    return (double)id->num_units * (double)id->labels_per_unit * 16;
}
static double v_pass(const struct sm_status_identity *id)
{
    return id->pass;
}
static double v_groups_done(const struct sm_status_identity *id)
{
    return id->groups_done;
}
static double v_groups(const struct sm_status_identity *id)
{
    return id->groups_total;
}
static double v_position(const struct sm_status_identity *id)
{
    return (double)id->bytes_done;
}
static double v_read(const struct sm_status_identity *id)
{
    return id->read_bytes.s60;
}
static double v_hashes(const struct sm_status_identity *id)
{
    return id->hashes.s60;
}
static double v_eta(const struct sm_status_identity *id)
{
    return id->eta_s >= 0 ? id->eta_s : NAN;
}
static double v_deadline(const struct sm_status_identity *id)
{
    return id->deadline_unix_s ? (double)id->deadline_unix_s : NAN;
}
static double v_last_proof(const struct sm_status_identity *id)
{
    return id->last_proof_unix_s ? (double)id->last_proof_unix_s : NAN;
}
static double v_fetched(const struct sm_status_identity *id)
{
    return id->last_proof_unix_s ? (double)id->last_fetched : NAN;
}
static double v_tries(const struct sm_status_identity *id)
{
    return id->tries;
}
static double v_disk_errors(const struct sm_status_identity *id)
{
    return (double)id->disk_errors;
}
static double v_bad_labels(const struct sm_status_identity *id)
{
    return id->bad_labels;
}

static const struct identity_metric identity_metrics[] = {
    {"smesher_identity_registered", "gauge", "1 while a node has this identity's registration.", v_registered},
    {"smesher_identity_paused", "gauge", "1 while the operator has paused it.", v_paused},
    {"smesher_identity_data_bytes", "gauge", "Size of its labels.", v_data},
    {"smesher_identity_pass", "gauge", "Pass over the labels, from 0.", v_pass},
    {"smesher_identity_k2pow_groups_done", "gauge", "Nonce groups of this pass whose proof of work is found.",
     v_groups_done},
    {"smesher_identity_k2pow_groups", "gauge", "Nonce groups of this pass.", v_groups},
    {"smesher_identity_read_position_bytes", "gauge", "Labels of this pass that are read, from the start.", v_position},
    {"smesher_identity_read_bytes_per_second", "gauge", "Reading speed over the last minute.", v_read},
    {"smesher_identity_k2pow_hashes_per_second", "gauge", "RandomX hashes per second over the last minute.", v_hashes},
    {"smesher_identity_eta_seconds", "gauge", "Expected time until the proof; absent when unknown.", v_eta},
    {"smesher_identity_deadline_timestamp_seconds", "gauge",
     "When the proof must be there, in seconds since 1970; absent when unknown.", v_deadline},
    {"smesher_identity_last_proof_timestamp_seconds", "gauge",
     "When the last proof was there, in seconds since 1970; absent before the first.", v_last_proof},
    {"smesher_identity_last_proof_fetched", "gauge", "1 when a node took the last proof; absent before the first.",
     v_fetched},
    {"smesher_identity_failed_tries", "gauge", "Failed tries for the challenge in work.", v_tries},
    {"smesher_identity_disk_errors_total", "counter", "Tries that ended because a disk did not read or write.",
     v_disk_errors},
    {"smesher_identity_bad_labels", "gauge", "Labels that proofs found wrong on disk and left out; repair the data.",
     v_bad_labels},
};

/* The labels of every series of an identity, without the closing brace. */
static void put_identity_labels(FILE *f, const char *name, const struct sm_status_identity *id, char *separator)
{
    char hex[SM_HEX_ROOM(sizeof id->node_id.b)];
    *separator = '{';
    (void)fputs(name, f);
    put_label(f, separator, "node_id", sm_hex_encode(id->node_id.b, sizeof id->node_id.b, hex));
    put_label(f, separator, "identity", id->name);
}

static void put_identity_metric(FILE *f, const struct identity_metric *m, const struct sm_status_snapshot *s)
{
    char separator;
    put_head(f, m->name, m->type, m->help);
    for (size_t i = 0; i < s->identities_n; i++) {
        const double v = m->value(&s->identities[i]);
        if (isnan(v)) continue;
        put_identity_labels(f, m->name, &s->identities[i], &separator);
        (void)fputc('}', f);
        put_value(f, v);
    }
}

static void put_state(FILE *f, const char *name, const struct sm_status_identity *id, const char *label,
                      const char *state, bool holds)
{
    char separator;
    put_identity_labels(f, name, id, &separator);
    put_label(f, &separator, label, state);
    (void)fprintf(f, "} %d\n", holds);
}

/* One series per state, so that alerts need not know which states there are. */
static void put_identity_states(FILE *f, const struct sm_status_snapshot *s)
{
    char separator;
    put_head(f, "smesher_identity_info", "gauge", "Data directory of an identity; always 1.");
    for (size_t i = 0; i < s->identities_n; i++) {
        put_identity_labels(f, "smesher_identity_info", &s->identities[i], &separator);
        put_label(f, &separator, "dir", s->identities[i].dir);
        (void)fputs("} 1\n", f);
    }
    put_head(f, "smesher_identity_phase", "gauge", "1 for the phase that the identity is in.");
    for (size_t i = 0; i < s->identities_n; i++) {
        for (int p = 0; p < SM_STATUS_PHASES; p++)
            put_state(f, "smesher_identity_phase", &s->identities[i], "phase", sm_status_phase_name((sm_status_phase)p),
                      s->identities[i].phase == (sm_status_phase)p);
    }
    put_head(f, "smesher_identity_link", "gauge", "1 for the state of the registration with a node.");
    for (size_t i = 0; i < s->identities_n; i++) {
        for (int l = 0; l < SM_STATUS_LINKS; l++)
            put_state(f, "smesher_identity_link", &s->identities[i], "state", sm_status_link_name((sm_status_link)l),
                      s->identities[i].link == (sm_status_link)l);
    }
}

/* ---- devices and disks ---- */

static void put_named(FILE *f, const char *metric, const char *label, const char *name, double v)
{
    char separator = '{';
    (void)fputs(metric, f);
    put_label(f, &separator, label, name);
    (void)fputc('}', f);
    put_value(f, v);
}

static void put_devices(FILE *f, const struct sm_status_snapshot *s)
{
    put_head(f, "smesher_device_info", "gauge", "Name and code variant of a device; always 1.");
    for (size_t i = 0; i < s->devices_n; i++) {
        char separator = '{';
        (void)fputs("smesher_device_info", f);
        put_label(f, &separator, "device", s->devices[i].id);
        put_label(f, &separator, "name", s->devices[i].name);
        put_label(f, &separator, "variant", s->devices[i].variant);
        (void)fputs("} 1\n", f);
    }
    put_head(f, "smesher_device_quarantined", "gauge", "1 when the device computed wrong results and is left out.");
    for (size_t i = 0; i < s->devices_n; i++)
        put_named(f, "smesher_device_quarantined", "device", s->devices[i].id, s->devices[i].quarantined);
    put_head(f, "smesher_device_bytes_per_second", "gauge", "Label bytes that the device computes or scans.");
    for (size_t i = 0; i < s->devices_n; i++)
        put_named(f, "smesher_device_bytes_per_second", "device", s->devices[i].id, s->devices[i].bytes_per_s);
    put_head(f, "smesher_device_hashes_per_second", "gauge", "RandomX hashes that the device computes.");
    for (size_t i = 0; i < s->devices_n; i++)
        put_named(f, "smesher_device_hashes_per_second", "device", s->devices[i].id, s->devices[i].hashes_per_s);
    put_head(f, "smesher_device_temperature_celsius", "gauge",
             "Temperature of the device; absent when it does not tell.");
    for (size_t i = 0; i < s->devices_n; i++)
        if (s->devices[i].temperature_c >= 0)
            put_named(f, "smesher_device_temperature_celsius", "device", s->devices[i].id, s->devices[i].temperature_c);
    put_head(f, "smesher_device_power_watts", "gauge", "Power that the device draws; absent when it does not tell.");
    for (size_t i = 0; i < s->devices_n; i++)
        if (s->devices[i].power_w >= 0)
            put_named(f, "smesher_device_power_watts", "device", s->devices[i].id, s->devices[i].power_w);
}

static void put_disks(FILE *f, const struct sm_status_snapshot *s)
{
    put_head(f, "smesher_disk_rotational", "gauge", "1 for disks that turn.");
    for (size_t i = 0; i < s->disks_n; i++)
        put_named(f, "smesher_disk_rotational", "disk", s->disks[i].name, s->disks[i].rotational);
    put_head(f, "smesher_disk_reading_identities", "gauge", "Identities that read the disk now.");
    for (size_t i = 0; i < s->disks_n; i++)
        put_named(f, "smesher_disk_reading_identities", "disk", s->disks[i].name, s->disks[i].reading);
    put_head(f, "smesher_disk_waiting_identities", "gauge", "Identities that wait for the disk.");
    for (size_t i = 0; i < s->disks_n; i++)
        put_named(f, "smesher_disk_waiting_identities", "disk", s->disks[i].name, s->disks[i].waiting);
}

sm_err sm_status_format_metrics(const struct sm_status_snapshot *s, char **out, size_t *out_n, struct sm_errinfo *ei)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return sm_fail(ei, SM_E_NOMEM, "not enough memory for the metrics");
    put_rig(f, s);
    put_identity_states(f, s);
    for (size_t i = 0; i < sizeof identity_metrics / sizeof identity_metrics[0]; i++)
        put_identity_metric(f, &identity_metrics[i], s);
    put_devices(f, s);
    put_disks(f, s);
    const bool bad = ferror(f) != 0;
    if (fclose(f) || bad) {
        free(text);
        return sm_fail(ei, SM_E_NOMEM, "not enough memory for the metrics");
    }
    *out = text;
    *out_n = n;
    return SM_OK;
}
