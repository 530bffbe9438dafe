#include "util/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t mu;
    sm_log_level level;
    sm_log_sink sink;
    void *ctx;
} lg = {.mu = PTHREAD_MUTEX_INITIALIZER, .level = SM_LOG_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void sm_log_set_level(sm_log_level level)
{
    pthread_mutex_lock(&lg.mu);
    lg.level = level;
    pthread_mutex_unlock(&lg.mu);
}

bool sm_log_parse_level(const char *text, sm_log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (sm_log_level)i;
            return true;
        }
    }
    return false;
}

void sm_log_set_sink(sm_log_sink sink, void *ctx)
{
    pthread_mutex_lock(&lg.mu);
    lg.sink = sink;
    lg.ctx = ctx;
    pthread_mutex_unlock(&lg.mu);
}

void sm_log(sm_log_level level, const char *subject, const char *event, const char *fmt, ...)
{
    pthread_mutex_lock(&lg.mu);
    if (level <= lg.level) {
        char line[1024];
        const time_t now = time(NULL);
        struct tm tm;
        (void)gmtime_r(&now, &tm);
        size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%SZ", &tm);
        int k = snprintf(line + n, sizeof line - n, " %-5s %s: %s ", level_names[level], subject, event);
        n = k < 0 || (size_t)k >= sizeof line - n ? sizeof line - 1 : n + (size_t)k;
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(line + n, sizeof line - n, fmt, ap);
        va_end(ap);
        n = strlen(line);
        while (n && line[n - 1] == ' ') line[--n] = '\0';
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
        if (lg.sink)
            lg.sink(lg.ctx, level, line);
        else
            (void)fprintf(stderr, "%s\n", line);
    }
    pthread_mutex_unlock(&lg.mu);
}
