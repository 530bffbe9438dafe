"""A zsh in a terminal of its own, and what it makes of a line after TAB."""
import os
import pty
import re
import select

# The line is run in the end: by a smesher that says nothing.
PREPARE = "PS1=; smesher() {{ true; }}; autoload -Uz compinit; compinit -u -D; {more}; print RE''ADY\n"
LINES = {
    "smesher verify-p": "smesher verify-proof",
    "smesher help dev": "smesher help devices",
    "smesher config d": "smesher config dump",
    "smesher --log-level warn keys export": "smesher --log-level warn keys export-journal",
    "smesher --log-level er": "smesher --log-level error",
    "smesher init --commit": "smesher init --commitment-atx-id=",
    "smesher prove --randomx li": "smesher prove --randomx light",
    "smesher prove --randomx=f": "smesher prove --randomx=fast",
    "smesher prove --network stand": "smesher prove --network standalone",
    "smesher prove --network /etc/host.c": "smesher prove --network /etc/host.conf",
    "smesher verify-proof /etc/host.c": "smesher verify-proof /etc/host.conf",
    "smesher init --dir /etc/apt/sources.l": "smesher init --dir /etc/apt/sources.list.d/",
}


def _until(fd, word):
    seen = b""
    while word not in seen:
        ready, _, _ = select.select([fd], [], [], 60)
        if not ready:
            raise AssertionError(f"zsh says nothing more after {seen!r}")
        try:
            seen += os.read(fd, 4096)
        except OSError:
            break
    return seen.decode(errors="replace")


def completed(line, enter=(), more="true"):
    """`line` as zsh completes it.

    enter   what to put before zsh ("chroot", DIRECTORY)
    more    what to tell it first
    """
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C")
        os.execvp((*enter, "zsh")[0], [*map(str, enter), "zsh", "-f", "-i"])
    try:
        os.write(fd, PREPARE.format(more=more).encode())
        _until(fd, b"READY")
        os.write(fd, line.encode() + b"\t ; print D''ONE\n")
        said = _until(fd, b"DONE")
    finally:
        os.close(fd)
        os.waitpid(pid, 0)
    return re.findall(r"(smesher .*?)[ \x08]*;", said)[-1]
