#include "status/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/text.h"

#define SHORTEST_ID 10u /* digits */

static const char *const phases[SM_STATUS_PHASES] = {
    "idle", "queued", "randomx-init", "k2pow", "reading", "verifying", "done", "failed",
};
static const char *const links[SM_STATUS_LINKS] = {"stopped", "waiting", "connecting", "registered", "rejected"};

static bool find(const char *const *names, size_t n, const char *name, size_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

const char *sm_status_phase_name(sm_status_phase p)
{
    return (unsigned)p < SM_STATUS_PHASES ? phases[p] : "unknown";
}

bool sm_status_phase_of(const char *name, sm_status_phase *out)
{
    size_t i;
    if (!find(phases, SM_STATUS_PHASES, name, &i)) return false;
    *out = (sm_status_phase)i;
    return true;
}

const char *sm_status_link_name(sm_status_link l)
{
    return (unsigned)l < SM_STATUS_LINKS ? links[l] : "unknown";
}

bool sm_status_link_of(const char *name, sm_status_link *out)
{
    size_t i;
    if (!find(links, SM_STATUS_LINKS, name, &i)) return false;
    *out = (sm_status_link)i;
    return true;
}

/* The array grows at powers of two, so that thousands of identities are not copied thousands of times. */
static void *add(void **array, size_t *n, size_t size)
{
    if ((*n & (*n - 1)) == 0) {
        void *more = reallocarray(*array, *n ? 2 * *n : 1, size);
        if (!more) return NULL;
        *array = more;
    }
    char *at = (char *)*array + *n * size;
    memset(at, 0, size);
    ++*n;
    return at;
}

struct sm_status_identity *sm_status_add_identity(struct sm_status_snapshot *s)
{
    void *array = s->identities;
    struct sm_status_identity *id = add(&array, &s->identities_n, sizeof *id);
    s->identities = array;
    if (id) id->eta_s = -1;
    return id;
}

struct sm_status_device *sm_status_add_device(struct sm_status_snapshot *s)
{
    void *array = s->devices;
    struct sm_status_device *d = add(&array, &s->devices_n, sizeof *d);
    s->devices = array;
    if (d) d->temperature_c = d->power_w = -1;
    return d;
}

struct sm_status_disk *sm_status_add_disk(struct sm_status_snapshot *s)
{
    void *array = s->disks;
    struct sm_status_disk *d = add(&array, &s->disks_n, sizeof *d);
    s->disks = array;
    return d;
}

struct sm_status_skipped *sm_status_add_skipped(struct sm_status_snapshot *s)
{
    void *array = s->skipped;
    struct sm_status_skipped *k = add(&array, &s->skipped_n, sizeof *k);
    s->skipped = array;
    return k;
}

double sm_status_percent(const struct sm_status_identity *id)
{
    double done = 0, total = 0;
    switch (id->phase) {
    case SM_STATUS_K2POW:
        done = id->groups_done;
        total = id->groups_total;
        break;
    case SM_STATUS_READING:
        done = (double)id->bytes_done;
        total = (double)id->bytes_total;
        break;
    case SM_STATUS_VERIFYING:
    case SM_STATUS_DONE:
        return 100;
    default:
        return -1;
    }
    if (!(total > 0)) return -1;
    return done < total ? 100 * done / total : 100;
}

static bool is_named(const struct sm_status_identity *id, const char *which)
{
    char hex[SM_HEX_ROOM(sizeof id->node_id.b)];
    const size_t n = strlen(which);
    if (strcmp(id->name, which) == 0) return true;
    return n >= SHORTEST_ID && n < sizeof hex &&
           strncasecmp(sm_hex_encode(id->node_id.b, sizeof id->node_id.b, hex), which, n) == 0;
}

const struct sm_status_identity *sm_status_find(const struct sm_status_snapshot *s, const char *which)
{
    const struct sm_status_identity *found = NULL;
    for (size_t i = 0; i < s->identities_n; i++) {
        if (!is_named(&s->identities[i], which)) continue;
        if (found) return NULL;
        found = &s->identities[i];
    }
    return found;
}

void sm_status_text(char *out, size_t room, const char *text)
{
    size_t n = strnlen(text, room);
    if (n == room) {
        n = room - 1;
        while (n && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

void sm_status_error_put(struct sm_status_error *ring, size_t *n, int64_t unix_s, const char *subject, const char *text)
{
    if (*n < SM_STATUS_ERRORS_MAX) ++*n;
    memmove(ring + 1, ring, (*n - 1) * sizeof *ring);
    ring[0] = (struct sm_status_error){.unix_s = unix_s};
    sm_status_text(ring[0].subject, sizeof ring[0].subject, subject);
    sm_status_text(ring[0].text, sizeof ring[0].text, text);
}

void sm_status_snapshot_fini(struct sm_status_snapshot *s)
{
    free(s->identities);
    free(s->devices);
    free(s->disks);
    free(s->skipped);
    *s = (struct sm_status_snapshot){0};
}
