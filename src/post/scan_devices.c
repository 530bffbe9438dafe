#include "post/scan_devices.h"

#include <stdlib.h>
#include <string.h>

#include "gpu/labeler.h"

struct search {
    struct sm_gpu_device *known;
    size_t known_n;
    struct sm_gpu_report report;
    bool listed; /* when first needed: it takes a driver's start */
    struct sm_scan_devices found;
};

static sm_err add(struct search *s, const char *id, struct sm_errinfo *ei)
{
    struct sm_scan_devices *d = &s->found;
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->ids[i], id) == 0) return sm_fail(ei, SM_E_ARG, "device %s is given twice", id);
    char **ids = realloc(d->ids, (d->n + 1) * sizeof *ids);
    if (!ids) return sm_fail(ei, SM_E_NOMEM, "out of memory for a list of devices");
    d->ids = ids;
    ids[d->n] = strdup(id);
    if (!ids[d->n]) return sm_fail(ei, SM_E_NOMEM, "out of memory for a list of devices");
    d->n++;
    return SM_OK;
}

static sm_err list(struct search *s, struct sm_errinfo *ei)
{
    if (s->listed) return SM_OK;
    s->listed = true;
    return sm_gpu_list(&s->known, &s->known_n, &s->report, ei);
}

static sm_err add_all(struct search *s, struct sm_errinfo *ei)
{
    sm_err err = list(s, ei);
    const size_t before = s->found.n;
    for (size_t i = 0; i < s->known_n && !err; i++)
        if (s->known[i].type == SM_GPU_TYPE_GPU && !s->known[i].problem[0]) err = add(s, s->known[i].id, ei);
    if (err || s->found.n > before) return err;
    return sm_fail(ei, SM_E_NOTFOUND, "device all: there is no usable GPU%s%s; see smesher doctor",
                   s->report.problem[0] ? ": " : "", s->report.problem);
}

static sm_err add_named(struct search *s, const char *id, struct sm_errinfo *ei)
{
    if (strcmp(id, "cpu") == 0) return SM_OK;
    return strcmp(id, "all") == 0 ? add_all(s, ei) : add(s, id, ei);
}

static sm_err add_text(struct search *s, const char *text, struct sm_errinfo *ei)
{
    if (!strchr(text, ',')) return add_named(s, text, ei);
    sm_err err = list(s, ei);
    for (size_t i = 0; i < s->known_n && !err; i++)
        if (strcmp(s->known[i].id, text) == 0) return add(s, text, ei);
    char *ids = strdup(text), *rest = ids;
    if (!ids) err = sm_fail(ei, SM_E_NOMEM, "out of memory for a list of devices");
    for (const char *id; !err && (id = strsep(&rest, ",")) != NULL;) err = add_named(s, id, ei);
    free(ids);
    return err;
}

sm_err sm_scan_devices_find(const char *const *texts, size_t texts_n, struct sm_scan_devices *out,
                            struct sm_errinfo *ei)
{
    struct search s = {0};
    sm_err err = SM_OK;
    for (size_t i = 0; i < texts_n && !err; i++) err = add_text(&s, texts[i], ei);
    free(s.known);
    if (err)
        sm_scan_devices_free(&s.found);
    else
        *out = s.found;
    return err;
}

void sm_scan_devices_free(struct sm_scan_devices *d)
{
    for (size_t i = 0; i < d->n; i++) free(d->ids[i]);
    free(d->ids);
    *d = (struct sm_scan_devices){0};
}
