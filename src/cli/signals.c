#include "cli/signals.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "util/clock.h"

/* timeout(1) and some supervisors send a signal to the process and to its group: one wish, delivered twice. */
#define SAME_WISH_NS (200 * SM_NS_PER_MS)

static struct sm_cancel cancel;
static atomic_uint_fast64_t first_ns;
static atomic_int first_signal;
static atomic_bool paused;

static void tell(const char *text)
{
    const ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

/* Every file is written so that death at any moment loses one batch at most, so _exit is safe. */
static void on_signal(int sig)
{
    const uint64_t now = sm_clock_ns(); /* clock_gettime is async-signal-safe */
    uint_fast64_t before = 0;
    if (atomic_compare_exchange_strong(&first_ns, &before, now))
        atomic_store(&first_signal, sig);
    else if (sig == atomic_load(&first_signal) && now - before < SAME_WISH_NS)
        return;
    if (atomic_exchange_explicit(&cancel.requested, true, memory_order_acq_rel)) {
        tell("\nsmesher: stopped at once\n");
        _exit(SM_EXIT_INTERRUPTED);
    }
    tell("\nsmesher: stopping: the current batch is finished and saved; a second signal stops at once\n");
}

static void on_pause(int sig)
{
    const bool pause = sig == SIGUSR1;
    if (atomic_exchange(&paused, pause) == pause) return;
    tell(pause ? "\nsmesher: paused; SIGUSR2 goes on\n" : "\nsmesher: going on\n");
}

void sm_signals_allow_pause(void)
{
    struct sigaction action = {.sa_handler = on_pause, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaddset(&action.sa_mask, SIGUSR1);
    (void)sigaddset(&action.sa_mask, SIGUSR2);
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGUSR2, &action, NULL);
}

bool sm_signals_paused(void *unused)
{
    (void)unused;
    return atomic_load(&paused);
}

const struct sm_cancel *sm_signals_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    struct sigaction old;
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup keeps it ignored */
        (void)sigaction(SIGHUP, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a file-size limit then fails the write, and init can be resumed */
    return &cancel;
}
