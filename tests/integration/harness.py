"""What the destructive tests share: the program under test, the fault injector, and directory comparison."""
import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

OPTIONS = argparse.Namespace(smesher=None, shim=None, seed=None, kills=None)


@dataclasses.dataclass
class Stats:
    """struct faultio_stats of tests/support/preload/faultio.c."""

    calls: int = 0
    open: int = 0
    read: int = 0
    write: int = 0
    sync: int = 0
    truncate: int = 0
    rename: int = 0
    unlink: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    faults: int = 0

    FORMAT = struct.Struct("=11Q")


@dataclasses.dataclass
class Result:
    status: int  # negative: the signal that ended it
    out: str
    err: str
    stats: Stats
    seconds: float

    @property
    def killed(self):
        return self.status == -signal.SIGKILL

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run(argv, faults_below=None, kill_after_s=None, timeout_s=120, env=None, preexec=None, **faults):
    """Runs a program.

    faults_below   directory whose files the injector watches; None: no injector
    faults         its settings without prefix: kill_at=7, fail="write:EIO:3", match="postdata_", ...
    kill_after_s   SIGKILL after so many seconds
    """
    environment = {**os.environ, **(env or {})}
    stats_file = None
    if faults_below is not None:
        stats_file = tempfile.NamedTemporaryFile(prefix="faultio-")
        stats_file.write(bytes(Stats.FORMAT.size))
        stats_file.flush()
        environment["LD_PRELOAD"] = OPTIONS.shim
        environment["FAULTIO_DIR"] = os.path.realpath(faults_below)
        environment["FAULTIO_STATS"] = stats_file.name
        for name, value in faults.items():
            environment["FAULTIO_" + name.upper()] = str(value)
    elif faults:
        raise ValueError("faults without faults_below")
    start = time.monotonic()
    with subprocess.Popen([str(a) for a in argv], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, preexec_fn=preexec) as process:
        try:
            out, err = process.communicate(timeout=timeout_s if kill_after_s is None else kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            if kill_after_s is None:
                raise AssertionError(f"{argv}: no end after {timeout_s} s\n{out}\n{err}") from None
    stats = Stats()
    if stats_file:
        stats_file.seek(0)
        stats = Stats(*Stats.FORMAT.unpack(stats_file.read(Stats.FORMAT.size)))
        stats_file.close()
    return Result(process.returncode, out, err, stats, time.monotonic() - start)


def digests(directory, ignore=("smesher.lock",)):
    """{relative path: SHA-256} of every file below the directory."""
    root = pathlib.Path(directory)
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(root.rglob("*")) if p.is_file() and p.name not in ignore}


def main():
    """Parses our options, leaves the rest to unittest."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--smesher", help="the program under test")
    parser.add_argument("--shim", help="libfaultio.so")
    parser.add_argument("--seed", type=int, help="of everything random; default: new, and printed")
    parser.add_argument("--kills", type=int, help="how many times to kill each command")
    parser.parse_known_args(namespace=OPTIONS)
    _, rest = parser.parse_known_args()
    for name in ("smesher", "shim"):
        path = getattr(OPTIONS, name)
        if path:
            setattr(OPTIONS, name, os.path.abspath(path))
            if not os.path.exists(path):
                sys.exit(f"--{name} {path}: no such file")
    if OPTIONS.seed is None:
        OPTIONS.seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {OPTIONS.seed}", file=sys.stderr, flush=True)
    unittest.main(module="__main__", argv=[sys.argv[0], "-v", *rest])
