#include "crypto/randomx_memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_ROOM 4096u

/* One control group version: where it is mounted and what its files are called. */
struct group_kind {
    const char *mount, *limit, *usage, *reclaimable;
};
static const struct group_kind kind_v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                          "total_inactive_file"};
static const struct group_kind kind_v2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

/* The number after `key` at the start of a line ("" = the file's first). */
static bool read_number(const char *path, const char *key, uint64_t *out)
{
    char line[256];
    bool found = false;
    const size_t key_n = strlen(key);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    while (!found && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, key_n) != 0) continue;
        const char next = line[key_n];
        if (key_n && next != ' ' && next != ':') continue; /* a longer key */
        found = sscanf(line + key_n, "%*[: \t]%" SCNu64, out) == 1 || sscanf(line + key_n, "%" SCNu64, out) == 1;
    }
    (void)fclose(f);
    return found;
}

static bool join(char *out, const char *root, const char *mount, const char *group, const char *file)
{
    return (size_t)snprintf(out, PATH_ROOM, "%s%s%s/%s", root, mount, group, file) < PATH_ROOM;
}

/* What one group still allows; UINT64_MAX when it has no limit ("max" is not a number). */
static uint64_t group_room(const char *root, const struct group_kind *k, const char *group)
{
    char path[PATH_ROOM];
    uint64_t limit, usage, reclaimable = 0;
    if (!join(path, root, k->mount, group, k->limit) || !read_number(path, "", &limit)) return UINT64_MAX;
    if (!join(path, root, k->mount, group, k->usage) || !read_number(path, "", &usage)) return UINT64_MAX;
    if (join(path, root, k->mount, group, "memory.stat")) (void)read_number(path, k->reclaimable, &reclaimable);
    usage -= reclaimable < usage ? reclaimable : usage;
    return limit > usage ? limit - usage : 0;
}

/* A limit anywhere on the way up holds. The walk ends with the mount itself, which is all that a container sees. */
static uint64_t groups_room(const char *root, const struct group_kind *k, char *group)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        const uint64_t room = group_room(root, k, group);
        if (room < least) least = room;
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup: "number:controllers:/path", no controllers in version 2. */
static uint64_t line_room(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) return UINT64_MAX;
    *controllers++ = '\0';
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (!*controllers) return groups_room(root, &kind_v2, path);
    for (char *save, *c = strtok_r(controllers, ",", &save); c; c = strtok_r(NULL, ",", &save))
        if (strcmp(c, "memory") == 0) return groups_room(root, &kind_v1, path);
    return UINT64_MAX;
}

uint64_t sm_randomx_memory_available(const char *root)
{
    char path[PATH_ROOM], *line = NULL;
    size_t line_n = 0;
    uint64_t least = UINT64_MAX, kib;
    if (join(path, root, "/proc", "", "meminfo") && read_number(path, "MemAvailable", &kib)) least = kib << 10;
    FILE *f = join(path, root, "/proc", "", "self/cgroup") ? fopen(path, "re") : NULL;
    if (!f) return least;
    while (getline(&line, &line_n, f) > 0) {
        const uint64_t room = line_room(root, line);
        if (room < least) least = room;
    }
    free(line);
    (void)fclose(f);
    return least;
}
