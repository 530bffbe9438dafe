#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keys/server.h"
#include "util/io.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "name the architecture for the system call filter"
#endif
#define X32_BIT 0x40000000u /* the second table of system calls of x86-64 */

/* Refused with EPERM: programs, other processes, new sockets, and what only exploits use here. */
static const unsigned refused[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_open_by_handle_at,
    SYS_memfd_create,
    SYS_personality,
    SYS_setuid,
    SYS_setgid,
    SYS_kill,
    SYS_io_uring_setup,
};
#define REFUSED_N (sizeof refused / sizeof refused[0])

static sm_err filter_calls(struct sm_errinfo *ei)
{
    struct sock_filter f[8 + 2 * REFUSED_N];
    size_t n = 0;
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    for (size_t i = 0; i < REFUSED_N; i++) {
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], 0, 1);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = (unsigned short)n, .filter = f};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 || errno == EINVAL)
        return SM_OK; /* no seccomp here */
    return sm_fail_errno(ei, errno, "cannot restrict system calls");
}

/* Version 1 of Landlock: everything it can forbid, allowed below `dir` only. */
static sm_err fence_files(const char *dir, bool *out_fenced, struct sm_errinfo *ei)
{
    static const uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    static const uint64_t allowed = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                    LANDLOCK_ACCESS_FS_REMOVE_FILE;
    const struct landlock_ruleset_attr attr = {.handled_access_fs = all};
    sm_err err = SM_OK;
    *out_fenced = false;
    const int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0) return SM_OK; /* a kernel without it, or without it switched on */
    int dir_fd = -1;
    err = sm_io_open(dir, O_PATH | O_DIRECTORY, 0, &dir_fd, ei);
    const struct landlock_path_beneath_attr below = {.allowed_access = allowed, .parent_fd = dir_fd};
    if (!err && (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0 ||
                 syscall(SYS_landlock_restrict_self, rules, 0) != 0))
        err = sm_fail_errno(ei, errno, "cannot fence in the signer's files");
    *out_fenced = !err;
    sm_io_close(dir_fd);
    sm_io_close(rules);
    return err;
}

sm_err sm_sandbox_enter(const char *dir, bool *out_landlock, struct sm_errinfo *ei)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return sm_fail_errno(ei, errno, "cannot give up privileges");
    sm_err err = fence_files(dir, out_landlock, ei);
    return err ? err : filter_calls(ei);
}
