#include "poet/prover_state.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/io.h"
#include "util/text.h"

#define NAME      "poet-state.json"
#define FORMAT    1
#define FILE_MAX  4096u
#define PATH_ROOM 4160u

/* Counts are text: JSON libraries hold numbers in 63 bits. */
static bool count_of(const char *text, uint64_t *out)
{
    char *end;
    if (!text || *text < '0' || *text > '9') return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static sm_err parse(const char *path, const char *text, size_t n, struct sm_poet_state *s, struct sm_errinfo *ei)
{
    json_error_t where;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    const char *statement = NULL, *leaves = NULL;
    json_int_t format = 0, proven = 0, depth = 0;
    sm_err err = SM_E_FORMAT;
    if (!root || json_unpack(root, "{s:I, s:s, s:I, s:I, s:s}", "format", &format, "statement", &statement,
                             "proven_leaves", &proven, "label_depth", &depth, "leaves", &leaves)) {
        (void)sm_fail(ei, SM_E_FORMAT, "%s is damaged; restore it, or start over in an empty directory", path);
        goto out;
    }
    s->statement_n = strlen(statement) / 2;
    if (format != FORMAT || proven < 1 || proven > SM_POSW_PROVEN_MAX || depth < 1 || depth > UINT32_MAX ||
        s->statement_n > sizeof s->statement || !count_of(leaves, &s->leaves)) {
        (void)sm_fail(ei, SM_E_FORMAT, "%s holds values this version does not understand", path);
        goto out;
    }
    s->params = (struct sm_posw_params){.proven_leaves = (uint32_t)proven, .depth = (uint32_t)depth};
    err = sm_hex_decode(statement, "statement", s->statement, s->statement_n, ei);
out:
    json_decref(root);
    return err;
}

sm_err sm_poet_state_load(const char *dir, struct sm_poet_state *out, bool *out_found, struct sm_errinfo *ei)
{
    char path[PATH_ROOM];
    char *text = NULL;
    size_t n = 0;
    struct sm_errinfo why = {0};
    struct sm_poet_state s = {.leaves = 0};
    sm_err err = sm_io_path(path, sizeof path, dir, NAME, ei);
    if (err) return err;
    err = sm_io_read_file(path, FILE_MAX, &text, &n, &why);
    if (err == SM_E_NOTFOUND) {
        *out_found = false;
        return SM_OK;
    }
    if (err) return sm_fail(ei, err, "%s", why.text);
    err = parse(path, text, n, &s, ei);
    free(text);
    if (err) return err;
    *out = s;
    *out_found = true;
    return SM_OK;
}

sm_err sm_poet_state_save(const char *dir, const struct sm_poet_state *s, struct sm_errinfo *ei)
{
    char path[PATH_ROOM], hex[SM_HEX_ROOM(SM_POET_STATEMENT_MAX)], text[512];
    const sm_err err = sm_io_path(path, sizeof path, dir, NAME, ei);
    if (err) return err;
    const int n = snprintf(text, sizeof text,
                           "{\"format\": %d, \"statement\": \"%s\", \"proven_leaves\": %" PRIu32
                           ", \"label_depth\": %" PRIu32 ", \"leaves\": \"%" PRIu64 "\"}\n",
                           FORMAT, sm_hex_encode(s->statement, s->statement_n, hex), s->params.proven_leaves,
                           s->params.depth, s->leaves);
    return sm_io_write_atomic(path, text, (size_t)n, 0644, ei);
}
