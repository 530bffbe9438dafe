#include "util/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool sm_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return false;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') to.sun_path[0] = 0; /* an abstract name has no terminator either */
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const socklen_t to_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
    ssize_t sent;
    do sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to, to_n);
    while (sent < 0 && errno == EINTR);
    (void)close(fd);
    return sent >= 0;
}

static bool number(const char *text, unsigned long long *out)
{
    if (!text || *text < '0' || *text > '9') return false; /* strtoull takes signs and white space */
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == 0;
}

uint64_t sm_notify_watchdog_ns(void)
{
    unsigned long long usec, pid;
    const char *whose = getenv("WATCHDOG_PID");
    if (whose && (!number(whose, &pid) || pid != (unsigned long long)getpid())) return 0; /* a parent's */
    if (!number(getenv("WATCHDOG_USEC"), &usec) || usec > UINT64_MAX / 1000) return 0;
    return usec * 1000;
}
