#!/usr/bin/env python3
"""Disks that fill up, fail or transfer less than asked for, under the real program.

After every failure: an error status, one sentence that names the file, and a later run that ends with byte for byte
what an undisturbed run leaves.

usage: faults.py --smesher PATH --shim PATH [--seed N]
"""
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
import harness_scenario as scenario
from harness import OPTIONS, run


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        room = tempfile.TemporaryDirectory(prefix="faults-")
        cls.addClassCleanup(room.cleanup)
        cls.root = pathlib.Path(room.name)
        cls.env = {"SM_CACHE_DIR": str(cls.root / "cache")}
        cls.random = random.Random(OPTIONS.seed)
        cls.counter = 0

    def fresh(self):
        type(self).counter += 1
        directory = self.root / f"case-{self.counter}"
        directory.mkdir()
        return directory

    def run_in(self, directory, argv, **faults):
        return run(argv, faults_below=directory, env=self.env, **faults)

    def assert_failed(self, result, *parts):
        """Failed on the way (status 1) with one sentence that has these parts."""
        self.assertEqual(result.status, 1, result)
        self.assertGreater(result.stats.faults, 0, "the fault was not injected")
        error = result.json()["error"]
        self.assertEqual(error["exit"], 1)
        for part in parts:
            self.assertIn(part, error["message"])


class Init(Faults):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = cls.root / "undisturbed"
        directory.mkdir()
        result = run(scenario.init_argv(directory), faults_below=directory, env=cls.env)
        assert result.status == 0, result
        cls.expected, cls.stats = harness.digests(directory), result.stats

    def finish(self, directory):
        result = self.run_in(directory, scenario.init_argv(directory))
        self.assertEqual(result.status, 0, result)
        self.assertEqual(harness.digests(directory), self.expected)

    def test_full_disk(self):
        for _ in range(8):
            directory = self.fresh()
            space = self.random.randrange(scenario.TOTAL_BYTES)
            with self.subTest(space=space):
                result = self.run_in(directory, scenario.init_argv(directory), match=".bin", space=space)
                self.assert_failed(result, "postdata_", "No space left")
                self.assertLessEqual(scenario.bytes_on_disk(directory), space)
                self.finish(directory)

    def test_full_disk_again_and_again(self):
        directory = self.fresh()
        for _ in range(5):
            result = self.run_in(directory, scenario.init_argv(directory), match=".bin", space=100_001)
            self.assert_failed(result, "postdata_", "No space left")
        self.finish(directory)

    def fails_at(self, op, k, code, lasting):
        """A call that fails once may be made up for (direct I/O falls back to the page cache); a lasting fault may not."""
        directory = self.fresh()
        fail = f"{op}:{code}:{k}:{0 if lasting else 1}"
        with self.subTest(fail=fail, of=getattr(self.stats, op)):
            result = self.run_in(directory, scenario.init_argv(directory), fail=fail)
            if lasting or result.status:
                self.assert_failed(result, str(directory))
            self.finish(directory)

    def test_every_kind_of_call_fails(self):
        for op in ("open", "write", "sync", "truncate", "rename"):
            count = getattr(self.stats, op) - (op == "truncate")  # the last one empties the lock file, which is a courtesy
            for k in sorted(self.random.sample(range(1, count + 1), min(count, 4))):
                self.fails_at(op, k, self.random.choice(("EIO", "ENOSPC")), lasting=True)
                self.fails_at(op, k, "EIO", lasting=False)

    def test_reads_fail_when_resuming(self):
        directory = self.fresh()
        self.run_in(directory, scenario.init_argv(directory), match=".bin", space=300_000)
        for k in range(1, 4):
            result = self.run_in(directory, scenario.init_argv(directory), match=".bin", fail=f"read:EIO:{k}:0")
            if result.stats.faults == 0:
                break
            self.assert_failed(result, "postdata_", "Input/output error")
        self.assertGreater(k, 1, "nothing is read back before data is continued")
        self.finish(directory)

    def test_short_transfers(self):
        for _ in range(3):
            directory = self.fresh()
            result = self.run_in(directory, scenario.init_argv(directory), short=self.random.getrandbits(60))
            self.assertEqual(result.status, 0, result)
            self.assertGreater(result.stats.faults, 5)
            self.assertEqual(harness.digests(directory), self.expected)

    def test_file_size_limit(self):
        directory = self.fresh()

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        result = run(scenario.init_argv(directory), env=self.env, preexec=limit)
        self.assertEqual(result.status, 1, result)
        self.assertIn("File too large", result.json()["error"]["message"])
        self.finish(directory)

    def test_small_file_system(self):
        directory = self.fresh()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", directory], capture_output=True,
                                 text=True, check=False)
        if mounted.returncode:
            self.skipTest(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
        try:
            result = run(scenario.init_argv(directory / "data"), env=self.env)
            self.assertEqual(result.status, 1, result)
            self.assertRegex(result.json()["error"]["message"], r"(?i)(space|room|free)")
            self.assertEqual(scenario.bytes_on_disk(directory / "data"), 0, "refused before anything is written")
            subprocess.run(["mount", "-o", "remount,size=8m", directory], check=True)
            result = run(scenario.init_argv(directory / "data"), env=self.env)
            self.assertEqual(result.status, 0, result)
            self.assertEqual(harness.digests(directory / "data"), self.expected)
        finally:
            subprocess.run(["umount", directory], check=True)


class Prove(Faults):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = scenario.proving_data(cls.root, cls.env)
        directory = cls.copy("undisturbed")
        result = run(scenario.prove_argv(directory), faults_below=directory, env=cls.env)
        assert result.status == 0, result
        cls.proof = scenario.proof_of(directory)

    @classmethod
    def copy(cls, name):
        shutil.copytree(cls.data, cls.root / name / "data")
        return cls.root / name

    def fresh(self):
        type(self).counter += 1
        return self.copy(f"case-{self.counter}")

    def finish(self, directory):
        result = self.run_in(directory, scenario.prove_argv(directory))
        self.assertEqual(result.status, 0, result)
        self.assertEqual(scenario.proof_of(directory), self.proof)

    def test_reads_fail(self):
        for _ in range(3):
            directory = self.fresh()
            with self.subTest(directory.name):
                k = self.random.randint(1, scenario.FILES)  # a read per file and pass; from here on all fail
                result = self.run_in(directory, scenario.prove_argv(directory), match=".bin", fail=f"read:EIO:{k}:0")
                self.assert_failed(result, "postdata_", "Input/output error")
                self.assertIsNone(scenario.proof_of(directory))
                self.finish(directory)

    def test_a_read_fails_once(self):
        """Direct I/O falls back to the page cache."""
        directory = self.fresh()
        result = self.run_in(directory, scenario.prove_argv(directory), match=".bin", fail="read:EIO:9")
        self.assertEqual(result.stats.faults, 1)
        if result.status:
            self.assert_failed(result, "postdata_", "Input/output error")
        self.finish(directory)

    def test_short_reads(self):
        for _ in range(2):
            directory = self.fresh()
            result = self.run_in(directory, scenario.prove_argv(directory), match=".bin",
                                 short=self.random.getrandbits(60))
            self.assertEqual(result.status, 0, result)
            self.assertGreater(result.stats.faults, 5)
            self.assertEqual(scenario.proof_of(directory), self.proof)

    def test_full_disk_for_state_and_proof(self):
        for match in ("data/", "proof.json"):
            directory = self.fresh()
            with self.subTest(match):
                result = self.run_in(directory, scenario.prove_argv(directory), match=match, fail="write:ENOSPC:1:0")
                self.assertGreater(result.stats.faults, 0)
                if match == "proof.json":
                    self.assert_failed(result, "proof.json", "No space left")
                self.finish(directory)

    def test_a_file_that_ends_early(self):
        directory = self.fresh()
        victim = directory / "data" / "postdata_1.bin"
        os.truncate(victim, victim.stat().st_size - 16)
        result = self.run_in(directory, scenario.prove_argv(directory))
        self.assertNotEqual(result.status, 0)
        self.assertIn("postdata_1.bin", result.json()["error"]["message"])
        self.assertIsNone(scenario.proof_of(directory))


if __name__ == "__main__":
    harness.main()
