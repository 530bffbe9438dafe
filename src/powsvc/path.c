#include "powsvc/path.h"

#include <stdio.h>
#include <string.h>

#include "util/text.h"

#define PREFIX "/job/"
#define PARTS  4u

/* The parts behind the prefix; false unless there are exactly four, none of them empty. */
static bool split(const char *path, const char *part[PARTS], size_t n[PARTS])
{
    if (strncmp(path, PREFIX, sizeof PREFIX - 1) != 0) return false;
    path += sizeof PREFIX - 1;
    for (size_t i = 0; i < PARTS; i++) {
        part[i] = path;
        n[i] = strcspn(path, "/");
        if (!n[i] || (path[n[i]] == '/') != (i + 1 < PARTS)) return false;
        path += n[i] + 1;
    }
    return true;
}

bool sm_pow_path_is_job(const char *path)
{
    const char *part[PARTS];
    size_t n[PARTS];
    return split(path, part, n);
}

static sm_err hex(const char *p, size_t n, const char *what, uint8_t *out, size_t out_n, struct sm_errinfo *ei)
{
    char text[SM_HEX_ROOM(32)];
    if (n != 2 * out_n)
        return sm_fail(ei, SM_E_FORMAT, "%s: %zu characters instead of %zu hex digits", what, n, 2 * out_n);
    memcpy(text, p, n);
    text[n] = 0;
    return sm_hex_decode(text, what, out, out_n, ei);
}

static sm_err number(const char *p, size_t n, uint8_t *out, struct sm_errinfo *ei)
{
    unsigned v = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return sm_fail(ei, SM_E_FORMAT, "nonce_group: not a decimal number");
        v = 10 * v + (unsigned)(p[i] - '0');
        if (v > UINT8_MAX) return sm_fail(ei, SM_E_FORMAT, "nonce_group: more than %u", UINT8_MAX);
    }
    *out = (uint8_t)v;
    return SM_OK;
}

sm_err sm_pow_path_parse(const char *path, struct sm_k2pow_job *out, struct sm_errinfo *ei)
{
    const char *part[PARTS];
    size_t n[PARTS];
    struct sm_k2pow_job job = {0};
    if (!split(path, part, n))
        return sm_fail(ei, SM_E_FORMAT, "the path is not /job/miner/nonce_group/challenge/difficulty");
    sm_err err = hex(part[0], n[0], "miner", job.node_id.b, 32, ei);
    if (!err) err = number(part[1], n[1], &job.group, ei);
    if (!err) err = hex(part[2], n[2], "challenge", job.challenge.b, 8, ei);
    if (!err) err = hex(part[3], n[3], "difficulty", job.difficulty, 32, ei);
    if (!err) *out = job;
    return err;
}

char *sm_pow_path_make(const struct sm_k2pow_job *job, char out[SM_POW_PATH_ROOM])
{
    char miner[SM_HEX_ROOM(32)], challenge[SM_HEX_ROOM(8)], difficulty[SM_HEX_ROOM(32)];
    (void)snprintf(out, SM_POW_PATH_ROOM, PREFIX "%s/%u/%s/%s", sm_hex_encode(job->node_id.b, 32, miner), job->group,
                   sm_hex_encode(job->challenge.b, 8, challenge), sm_hex_encode(job->difficulty, 32, difficulty));
    return out;
}
