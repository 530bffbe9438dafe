#include "util/notify.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A manager's socket under a name that the kernel chooses. */
static int manager(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t n = sizeof a;
    char name[sizeof a.sun_path + 1];
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    const size_t len = n - sizeof(sa_family_t);
    memcpy(name, a.sun_path, len);
    name[0] = '@';
    name[len] = 0;
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

Test(notify, reaches_the_manager)
{
    char text[64] = {0};
    const int fd = manager();
    cr_assert(sm_notify("READY=1\nSTATUS=working"));
    cr_assert_eq(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 22);
    cr_assert_str_eq(text, "READY=1\nSTATUS=working");
    close(fd);
    cr_assert_not(sm_notify("READY=1"));
}

Test(notify, nothing_without_a_manager)
{
    unsetenv("NOTIFY_SOCKET");
    cr_assert_not(sm_notify("READY=1"));
    static const char *const bad[] = {"", "@", "relative", "vsock:2:1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        cr_assert_not(sm_notify("READY=1"), "%s", bad[i]);
    }
}

Test(notify, watchdog)
{
    char pid[32];
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    cr_assert_eq(sm_notify_watchdog_ns(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    cr_assert_eq(sm_notify_watchdog_ns(), 30000000000ull);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    cr_assert_eq(sm_notify_watchdog_ns(), 30000000000ull);
    setenv("WATCHDOG_PID", "1", 1); /* somebody else's */
    cr_assert_eq(sm_notify_watchdog_ns(), 0);
    unsetenv("WATCHDOG_PID");
    static const char *const bad[] = {"", "-1", "x", "99999999999999999999999", "1 "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setenv("WATCHDOG_USEC", bad[i], 1);
        cr_assert_eq(sm_notify_watchdog_ns(), 0, "%s", bad[i]);
    }
}
