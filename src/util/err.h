/* util/err.h: the error codes of the whole tree, and the sentence for the operator that travels beside them.
 *
 * A code says what the caller can do next; the text says what happened, where, and what to do. The text is
 * written once, where the failure occurred, by sm_fail(). Callers that add context use sm_fail_add().
 * Threads: an errinfo belongs to one call at a time. */
#ifndef SM_UTIL_ERR_H
#define SM_UTIL_ERR_H

#include <stddef.h>

typedef enum sm_err {
    SM_OK = 0,
    SM_E_ARG,       /* our bug: fix the caller */
    SM_E_STATE,     /* our bug, or a call out of order */
    SM_E_NOMEM,     /* this job stops; the process may go on */
    SM_E_IO,        /* the disk or file system refused; the text holds path and errno */
    SM_E_NOSPACE,   /* like SM_E_IO, and freeing space helps: ENOSPC, EDQUOT, EFBIG */
    SM_E_CANCELLED, /* asked to stop; what was finished is safe */
    SM_E_DEVICE,    /* the compute device failed or lied: fall back to another */
    SM_E_FORMAT,    /* bytes from disk or wire do not parse */
    SM_E_MISMATCH,  /* well-formed input that contradicts what exists; both values are in the text */
    SM_E_NOTFOUND,  /* the thing asked for does not exist (file, nonce, device) */
    SM_E_BUSY,      /* another process holds it */
    SM_E_NET,       /* retry with back-off */
    SM_E_TIMEOUT,   /* retry with back-off */
    SM_E_REFUSED,   /* the peer answered no; do not retry unchanged */
} sm_err;

#define SM_ERRINFO_TEXT 512u

/* Text of the last failure. Zero-initialise; NULL is accepted wherever an errinfo is taken. */
struct sm_errinfo {
    char text[SM_ERRINFO_TEXT];
};

#define SM_MUST_CHECK __attribute__((warn_unused_result))
#define SM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* sm_fail writes the text (cut at SM_ERRINFO_TEXT - 1) and returns `err`. */
sm_err sm_fail(struct sm_errinfo *ei, sm_err err, const char *fmt, ...) SM_PRINTF(3, 4);

/* sm_fail_errno: as sm_fail, with ": <strerror(errnum)>" appended and the code derived from errnum
 * (ENOSPC, EDQUOT, EFBIG -> SM_E_NOSPACE; ENOENT -> SM_E_NOTFOUND; ENOMEM -> SM_E_NOMEM; else SM_E_IO). */
sm_err sm_fail_errno(struct sm_errinfo *ei, int errnum, const char *fmt, ...) SM_PRINTF(3, 4);

/* sm_fail_add appends to the text already there. Returns `err`. */
sm_err sm_fail_add(struct sm_errinfo *ei, sm_err err, const char *fmt, ...) SM_PRINTF(3, 4);

/* sm_err_name: "SM_E_IO" and so on; static string. */
const char *sm_err_name(sm_err err);

#endif
