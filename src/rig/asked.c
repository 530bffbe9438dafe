#include "rig/asked.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/io.h"
#include "util/text.h"

#define FILE_MAX 1024u

static sm_err path_of(const char *dir, const struct sm_node_id *id, char out[PATH_MAX], struct sm_errinfo *ei)
{
    char hex[SM_HEX_ROOM(32)], name[SM_HEX_ROOM(32) + sizeof ".json"];
    (void)snprintf(name, sizeof name, "%s.json", sm_hex_encode(id->b, sizeof id->b, hex));
    return sm_io_path(out, PATH_MAX, dir, name, ei);
}

static sm_err decode(const char *text, size_t n, const char *path, struct sm_asked *out, struct sm_errinfo *ei)
{
    json_t *root = json_loadb(text, n, 0, NULL);
    const char *challenge = json_string_value(json_object_get(root, "challenge"));
    const json_t *at = json_object_get(root, "first_asked_unix_s");
    struct sm_asked a = {.unix_s = json_integer_value(at)};
    sm_err err = challenge && json_is_integer(at) && a.unix_s > 0
                     ? sm_hex_decode(challenge, path, a.challenge.b, sizeof a.challenge.b, ei)
                     : sm_fail(ei, SM_E_FORMAT, "%s: challenge or first_asked_unix_s is missing", path);
    json_decref(root);
    if (!err) *out = a;
    return err;
}

sm_err sm_asked_get(const char *dir, const struct sm_node_id *id, struct sm_asked *out, struct sm_errinfo *ei)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    sm_err err = path_of(dir, id, path, ei);
    if (!err) err = sm_io_read_file(path, FILE_MAX, &text, &n, ei);
    if (!err) err = decode(text, n, path, out, ei);
    free(text);
    return err;
}

sm_err sm_asked_put(const char *dir, const struct sm_node_id *id, const struct sm_asked *asked, struct sm_errinfo *ei)
{
    char path[PATH_MAX], hex[SM_HEX_ROOM(32)], text[256];
    sm_err err = path_of(dir, id, path, ei);
    const int n = snprintf(text, sizeof text, "{\"challenge\":\"%s\",\"first_asked_unix_s\":%" PRId64 "}\n",
                           sm_hex_encode(asked->challenge.b, sizeof asked->challenge.b, hex), asked->unix_s);
    return err ? err : sm_io_write_atomic(path, text, (size_t)n, 0600, ei);
}
