#include <stdatomic.h>
#include <string.h>

#include "libpost/impl.h"
#include "util/log.h"

static void (*callback)(const ExternCRecord *); /* constant once `taken` */
static atomic_flag taken = ATOMIC_FLAG_INIT;

static Level level_of(sm_log_level level)
{
    static const Level levels[] = {[SM_LOG_ERROR] = Level_Error,
                                   [SM_LOG_WARN] = Level_Warn,
                                   [SM_LOG_INFO] = Level_Info,
                                   [SM_LOG_DEBUG] = Level_Debug};
    return levels[level];
}

static sm_log_level level_from(Level level)
{
    switch (level) {
    case 0: /* what is no level is taken for the nearest one */
    case Level_Error:
        return SM_LOG_ERROR;
    case Level_Warn:
        return SM_LOG_WARN;
    case Level_Info:
        return SM_LOG_INFO;
    default:
        return SM_LOG_DEBUG;
    }
}

static StringView view(const char *text, size_t n)
{
    return (StringView){.ptr = text, .len = n};
}

/* "time level subject: event key=value": the record has members for the first three. */
static void pass_on(void *ctx, sm_log_level level, const char *line)
{
    (void)ctx;
    const char *subject = line + SM_LOG_SUBJECT_AT, *colon = strstr(subject, ": ");
    const char *message = colon ? colon + 2 : subject;
    const ExternCRecord record = {.level = level_of(level),
                                  .message = view(message, strlen(message)),
                                  .module_path = view(subject, colon ? (size_t)(colon - subject) : 0),
                                  .file = view("", 0),
                                  .line = -1};
    callback(&record);
}

static void drop(void *ctx, sm_log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

/* A library does not write to the standard error of a program that did not ask for it. */
__attribute__((constructor)) static void be_silent(void)
{
    sm_log_set_sink(drop, NULL);
}

int32_t set_logging_callback(Level level, void (*cb)(const ExternCRecord *record))
{
    if (!cb || atomic_flag_test_and_set(&taken)) return 1;
    callback = cb;
    sm_log_set_level(level_from(level));
    sm_log_set_sink(pass_on, NULL);
    return 0;
}
