#!/usr/bin/env python3
"""The fault injector itself: a test that relies on a fault must know that the fault happens.

usage: harness_faultio.py --shim libfaultio.so [--seed N]
"""
import errno
import os
import pathlib
import random
import sys
import tempfile
import unittest

import harness

# A victim that writes 10 blocks with all kinds of calls and reads them back.
VICTIM = """
import os, sys
path = sys.argv[1] + "/data"
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
for i in range(10):
    at = 0
    while at < 1000: at += os.pwrite(fd, bytes([i]) * (1000 - at), 1000 * i + at)
os.fdatasync(fd)
got = b""
while len(got) < 10000:
    part = os.pread(fd, 10000 - len(got), len(got))
    assert part
    got += part
assert got == b"".join(bytes([i]) * 1000 for i in range(10))
os.ftruncate(fd, 9999)
os.rename(path, path + ".new")
if os.path.exists(path + ".old"): os.unlink(path + ".old")
"""
CALLS = 1 + 10 + 1 + 1 + 1 + 1


class Injector(unittest.TestCase):
    def setUp(self):
        room = tempfile.TemporaryDirectory()
        self.addCleanup(room.cleanup)
        self.dir = pathlib.Path(room.name)
        self.random = random.Random(harness.OPTIONS.seed)

    def victim(self, code=VICTIM, below=None, **faults):
        # -B, -I: the interpreter itself must not touch files below the directory
        argv = [sys.executable, "-I", "-B", "-c", code, self.dir]
        return harness.run(argv, faults_below=below or self.dir, **faults)

    def test_counts_without_disturbing(self):
        r = self.victim()
        self.assertEqual(r.status, 0, r)
        self.assertEqual(r.stats, harness.Stats(calls=CALLS, open=1, read=1, write=10, sync=1, truncate=1, rename=1,
                                                bytes_read=10000, bytes_written=10000))
        self.assertEqual((self.dir / "data.new").stat().st_size, 9999)

    def test_leaves_other_directories_alone(self):
        with tempfile.TemporaryDirectory() as elsewhere:
            r = self.victim(below=elsewhere, kill_at=1, fail="write:EIO:1:0")
        self.assertEqual((r.status, r.stats), (0, harness.Stats()), r)

    def test_kills_at_every_call(self):
        for k in range(1, CALLS + 1):
            r = self.victim(kill_at=k)
            self.assertTrue(r.killed, f"{k}: {r}")
            self.assertEqual(r.stats.calls, k)
            self.assertEqual(r.stats.bytes_written, 1000 * min(max(k - 2, 0), 10))

    def test_tears_the_last_write(self):
        r = self.victim(kill_at=4, tear=37)
        self.assertTrue(r.killed, r)
        self.assertEqual((self.dir / "data").stat().st_size, 2370)

    def test_fails_the_chosen_calls(self):
        ops = {"open": 1, "read": 1, "write": 7, "sync": 1, "truncate": 1, "rename": 1, "unlink": 1}
        (self.dir / "data.old").touch()
        for op, first in ops.items():
            for code in ("EIO", "ENOSPC"):
                r = self.victim(fail=f"{op}:{code}:{first}")
                self.assertEqual(r.status, 1, r)
                self.assertIn(f"[Errno {getattr(errno, code)}]", r.err)
                self.assertEqual(r.stats.faults, 1)

    def test_failures_end(self):
        code = VICTIM.replace("while at < 1000: at += os", "while at < 1000:\n        try: at += os")
        code = code.replace("1000 * i + at)\n", "1000 * i + at)\n        except OSError: pass\n")
        r = self.victim(code, fail="write:EIO:3:4")
        self.assertEqual((r.status, r.stats.faults), (0, 4), r)

    def test_matches_by_path(self):
        r = self.victim(fail="write:EIO:1:0", match="nothing-like-it")
        self.assertEqual((r.status, r.stats.faults), (0, 0), r)
        self.assertEqual(r.stats.calls, CALLS)

    def test_space_ends_in_the_middle_of_a_write(self):
        r = self.victim(space=4321)
        self.assertIn(f"[Errno {errno.ENOSPC}]", r.err)
        self.assertEqual((self.dir / "data").stat().st_size, 4321)

    def test_short_transfers_lose_nothing(self):
        for _ in range(5):
            r = self.victim(short=self.random.getrandbits(60))
            self.assertEqual(r.status, 0, r)
            self.assertGreater(r.stats.faults, 10)

    def test_a_wrong_setting_aborts(self):
        for bad in ({"kill_at": "x"}, {"fail": "write"}, {"fail": "jump:EIO:1"}, {"fail": "write:EPERM:1"}):
            self.assertLess(self.victim(**bad).status, 0, bad)


if __name__ == "__main__":
    harness.main()
