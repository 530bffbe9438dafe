#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(struct sm_errinfo *ei, size_t at, const char *fmt, va_list ap)
{
    if (!ei || at >= sizeof ei->text) return;
    (void)vsnprintf(ei->text + at, sizeof ei->text - at, fmt, ap);
}

sm_err sm_fail(struct sm_errinfo *ei, sm_err err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put(ei, 0, fmt, ap);
    va_end(ap);
    return err;
}

sm_err sm_fail_add(struct sm_errinfo *ei, sm_err err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (ei) put(ei, strlen(ei->text), fmt, ap);
    va_end(ap);
    return err;
}

static sm_err err_from_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return SM_E_NOSPACE;
    case ENOENT:
        return SM_E_NOTFOUND;
    case ENOMEM:
        return SM_E_NOMEM;
    default:
        return SM_E_IO;
    }
}

sm_err sm_fail_errno(struct sm_errinfo *ei, int errnum, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put(ei, 0, fmt, ap);
    va_end(ap);
    char text[128];
    const char *why = strerror_r(errnum, text, sizeof text); /* GNU: thread-safe, returns the string */
    return sm_fail_add(ei, err_from_errno(errnum), ": %s", why);
}

const char *sm_err_name(sm_err err)
{
    static const char *const names[] = {
        "SM_OK",         "SM_E_ARG",      "SM_E_STATE",  "SM_E_NOMEM",    "SM_E_IO",
        "SM_E_NOSPACE",  "SM_E_CANCELLED", "SM_E_DEVICE", "SM_E_FORMAT",   "SM_E_MISMATCH",
        "SM_E_NOTFOUND", "SM_E_BUSY",     "SM_E_NET",    "SM_E_TIMEOUT", "SM_E_REFUSED",
    };
    return (size_t)err < sizeof names / sizeof names[0] ? names[err] : "SM_E_?";
}
