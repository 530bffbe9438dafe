#include "cli/heat.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/sensors.h"
#include "util/clock.h"
#include "util/log.h"

#define READ_NS     (2 * SM_NS_PER_S)
#define DEVICES_MAX 32u /* more are not shown, and never rest */

struct warm {
    char device[64];
    struct sm_reading now;
    bool rests;
};

struct sm_heat {
    struct sm_sensors *sensors;
    double max_c;
    struct warm v[DEVICES_MAX];
    size_t n;
    uint64_t read_ns;
};

static void judge(const struct sm_heat *h, struct warm *w)
{
    if (h->max_c <= 0 || !w->now.has_temperature) return; /* a sensor that fails now changes nothing */
    const bool was = w->rests;
    w->rests = w->now.temperature_c >= (was ? h->max_c - SM_HEAT_HYSTERESIS_C : h->max_c);
    if (w->rests && !was)
        sm_log(SM_LOG_WARN, "init", "device is too hot, it rests", "device=%s temperature=%.0f limit=%.0f", w->device,
               w->now.temperature_c, h->max_c);
    if (!w->rests && was)
        sm_log(SM_LOG_INFO, "init", "device has cooled down, it goes on", "device=%s temperature=%.0f", w->device,
               w->now.temperature_c);
}

void sm_heat_read(struct sm_heat *h)
{
    h->read_ns = sm_clock_ns();
    for (size_t i = 0; i < h->n; i++) {
        h->v[i].now = sm_sensors_read(h->sensors, h->v[i].device);
        judge(h, &h->v[i]);
    }
}

static void refresh(struct sm_heat *h)
{
    if (sm_clock_ns() - h->read_ns >= READ_NS) sm_heat_read(h);
}

static struct warm *find(struct sm_heat *h, const char *device)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->v[i].device, device) == 0) return &h->v[i];
    return NULL;
}

struct sm_heat *sm_heat_new(const struct sm_label_engine *engines, size_t n, double max_c)
{
    struct sm_heat *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->sensors = sm_sensors_new(NULL);
    h->max_c = max_c;
    for (size_t i = 0; i < n && h->n < DEVICES_MAX; i++)
        if (!find(h, engines[i].device))
            (void)snprintf(h->v[h->n++].device, sizeof h->v[0].device, "%s", engines[i].device);
    sm_heat_read(h);
    for (size_t i = 0; i < h->n && max_c > 0; i++)
        if (!h->v[i].now.has_temperature)
            sm_log(SM_LOG_WARN, "init", "device does not tell its temperature, --max-temp has no effect on it",
                   "device=%s", h->v[i].device);
    return h;
}

void sm_heat_free(struct sm_heat *h)
{
    if (!h) return;
    sm_sensors_free(h->sensors);
    free(h);
}

bool sm_heat_rests(void *heat, const char *device)
{
    struct sm_heat *h = heat;
    if (!h) return false;
    refresh(h);
    const struct warm *w = find(h, device);
    return w && w->rests;
}

static void add(char *out, size_t room, const char *separator, const char *text)
{
    const size_t n = strlen(out);
    if (n < room) (void)snprintf(out + n, room - n, "%s%s", n ? separator : "", text);
}

void sm_heat_note(struct sm_heat *h, char *out, size_t room)
{
    double watts = 0;
    unsigned rest = 0;
    bool power = false, any = false;
    char text[32];
    out[0] = '\0';
    if (!h) return;
    refresh(h);
    for (size_t i = 0; i < h->n; i++) any = any || h->v[i].now.has_temperature;
    for (size_t i = 0; i < h->n && any; i++) {
        const struct warm *w = &h->v[i];
        if (w->now.has_temperature)
            (void)snprintf(text, sizeof text, "%.0f", w->now.temperature_c);
        else
            (void)snprintf(text, sizeof text, "-");
        add(out, room, " ", text);
    }
    if (any) add(out, room, " ", "C");
    for (size_t i = 0; i < h->n; i++) {
        power = power || h->v[i].now.has_power;
        watts += h->v[i].now.has_power ? h->v[i].now.power_w : 0;
        rest += h->v[i].rests;
    }
    (void)snprintf(text, sizeof text, "%.0f W", watts);
    if (power) add(out, room, ", ", text);
    (void)snprintf(text, sizeof text, "%u rest%s", rest, rest == 1 ? "s" : "");
    if (rest) add(out, room, ", ", text);
}
