/* util/notify.h: tells the service manager how we are: sd_notify(3) by a plain datagram, without its library.
 *
 * Everything is a no-op where no manager listens ($NOTIFY_SOCKET is unset). Any thread.
 * Source: sd_notify(3), sd_watchdog_enabled(3). */
#ifndef SM_UTIL_NOTIFY_H
#define SM_UTIL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Lines of NAME=VALUE: "READY=1", "STATUS=proving", "STOPPING=1", "WATCHDOG=1". True when it was handed over; a manager that does
 * not take it is nothing a service could do something about. */
bool sm_notify(const char *state);

/* How long the manager waits for a "WATCHDOG=1" before it thinks that we hang; send one at least every half of it.
 * 0: no watchdog for this process. */
uint64_t sm_notify_watchdog_ns(void);

#endif
