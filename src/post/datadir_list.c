#include "post/datadir_list.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/io.h"

sm_err sm_sentences_add(struct sm_sentences *s, struct sm_errinfo *ei, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    const int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    char **v = n < 0 ? NULL : realloc(s->v, (s->n + 1) * sizeof *v);
    if (!v) {
        if (n >= 0) free(text);
        return sm_fail(ei, SM_E_NOMEM, "out of memory listing problems");
    }
    v[s->n] = text;
    s->v = v;
    s->n++;
    return SM_OK;
}

void sm_sentences_fini(struct sm_sentences *s)
{
    for (size_t i = 0; i < s->n; i++) free(s->v[i]);
    free(s->v);
    *s = (struct sm_sentences){0};
}

sm_data_name sm_data_name_parse(const char *name, uint64_t *out_number)
{
    static const char prefix[] = "postdata_";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return SM_DATA_NAME_FOREIGN;
    const char *digits = name + sizeof prefix - 1, *p = digits;
    uint64_t v = 0;
    bool fits = true;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (unsigned)(*p - '0'), &v)) fits = false;
    }
    if (p == digits || *p == '\0' || strcmp(p + 1, "bin") != 0) return SM_DATA_NAME_FOREIGN;
    const bool leading_zero = digits[0] == '0' && p - digits > 1;
    if (*p != '.' || leading_zero || !fits) return SM_DATA_NAME_ODD;
    *out_number = v;
    return SM_DATA_NAME_FILE;
}

/* ---- listing ---- */

struct listing {
    struct sm_datafile *v;
    size_t n, room;
};

static sm_err listing_add(struct listing *l, const struct sm_datafile *f, struct sm_errinfo *ei)
{
    if (l->n == l->room) {
        const size_t room = l->room ? l->room * 2 : 64;
        struct sm_datafile *v = realloc(l->v, room * sizeof *v);
        if (!v) return sm_fail(ei, SM_E_NOMEM, "out of memory listing data files");
        l->v = v;
        l->room = room;
    }
    l->v[l->n++] = *f;
    return SM_OK;
}

static sm_err list_entry(const char *dir, const char *name, struct listing *l, struct sm_sentences *problems,
                         struct sm_errinfo *ei)
{
    struct sm_datafile f = {0};
    char path[PATH_MAX];
    struct stat st;
    const sm_data_name kind = sm_data_name_parse(name, &f.number);
    if (kind == SM_DATA_NAME_FOREIGN) return SM_OK;
    if (kind == SM_DATA_NAME_ODD)
        return sm_sentences_add(problems, ei,
                                "%s is not used: the name of a data file is postdata_N.bin, N without "
                                "leading zeros; rename or remove it",
                                name);
    sm_err err = sm_io_path(path, sizeof path, dir, name, ei);
    if (err) return err;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT) return sm_sentences_add(problems, ei, "%s is a link to a file that does not exist", name);
        return sm_sentences_add(problems, ei, "%s cannot be examined: %s", name, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) return sm_sentences_add(problems, ei, "%s is not a regular file", name);
    f.bytes = (uint64_t)st.st_size;
    f.allocated_bytes = (uint64_t)st.st_blocks * 512;
    f.device = st.st_dev;
    return listing_add(l, &f, ei);
}

static int by_number(const void *a, const void *b)
{
    const struct sm_datafile *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

sm_err sm_datadir_list(const char *dir, struct sm_datafile **out, size_t *out_n, struct sm_sentences *problems,
                       struct sm_errinfo *ei)
{
    struct listing l = {0};
    sm_err err = SM_OK;
    DIR *d = opendir(dir);
    if (!d) return sm_fail_errno(ei, errno, "cannot list directory %s", dir);
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e && errno) err = sm_fail_errno(ei, errno, "cannot list directory %s", dir);
        if (!e) break;
        err = list_entry(dir, e->d_name, &l, problems, ei);
        if (err) break;
    }
    (void)closedir(d);
    if (err) {
        free(l.v);
        return err;
    }
    if (l.n) qsort(l.v, l.n, sizeof *l.v, by_number);
    *out = l.v;
    *out_n = l.n;
    return SM_OK;
}

/* ---- comparing with the layout ---- */

static sm_err missing(struct sm_sentences *problems, uint64_t first, uint64_t last, struct sm_errinfo *ei)
{
    char a[64], b[64];
    if (first == last) return sm_sentences_add(problems, ei, "%s is missing", sm_layout_file_name(first, a));
    return sm_sentences_add(problems, ei, "%s to %s are missing", sm_layout_file_name(first, a),
                            sm_layout_file_name(last, b));
}

static sm_err compare_size(const struct sm_datafile *f, uint64_t want, struct sm_sentences *problems,
                           struct sm_errinfo *ei)
{
    char name[64];
    const uint64_t have = f->bytes / SM_LABEL_BYTES, odd = f->bytes % SM_LABEL_BYTES;
    sm_layout_file_name(f->number, name);
    if (have < want && odd)
        return sm_sentences_add(problems, ei,
                                "%s holds %" PRIu64 " of %" PRIu64 " labels and %" PRIu64 " bytes of another", name,
                                have, want, odd);
    if (have < want)
        return sm_sentences_add(problems, ei, "%s holds %" PRIu64 " of %" PRIu64 " labels", name, have, want);
    if (f->bytes > want * SM_LABEL_BYTES)
        return sm_sentences_add(problems, ei, "%s is %" PRIu64 " bytes longer than its %" PRIu64 " labels", name,
                                f->bytes - want * SM_LABEL_BYTES, want);
    return SM_OK;
}

sm_err sm_datadir_compare(const struct sm_datafile *files, size_t n, const struct sm_layout *l,
                          struct sm_sentences *problems, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    uint64_t next = l->from; /* the number expected now; beyond `to` when all were seen */
    for (size_t i = 0; i < n && !err; i++) {
        const uint64_t number = files[i].number;
        char name[64];
        if (number >= l->files) {
            if (next <= l->to && l->from <= l->to) err = missing(problems, next, l->to, ei);
            next = l->files;
            if (!err)
                err = sm_sentences_add(problems, ei, "%s is beyond the last file of the data set, number %" PRIu64,
                                       sm_layout_file_name(number, name), l->files ? l->files - 1 : 0);
            continue;
        }
        if (number < l->from || number > l->to) continue;
        if (number > next) err = missing(problems, next, number - 1, ei);
        if (!err) err = compare_size(&files[i], sm_layout_file_labels(l, number), problems, ei);
        next = number + 1;
    }
    if (!err && l->from <= l->to && next <= l->to) err = missing(problems, next, l->to, ei);
    return err;
}

uint64_t sm_datadir_incomplete(const struct sm_datafile *files, size_t n, const struct sm_layout *l)
{
    if (l->from > l->to) return 0;
    uint64_t incomplete = l->to - l->from + 1;
    for (size_t i = 0; i < n; i++) {
        const uint64_t number = files[i].number;
        if (number < l->from || number > l->to) continue;
        if (files[i].bytes / SM_LABEL_BYTES >= sm_layout_file_labels(l, number)) incomplete--;
    }
    return incomplete;
}
