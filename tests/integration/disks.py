#!/usr/bin/env python3
"""One data set on several disks, by the real program: killed at random file calls, a full disk, a disk that is missing, one
that moved; and everything that reads data, over it.

The disks are directories below a temporary one and, where /dev/shm is another file system, one there.

usage: disks.py --smesher PATH --shim PATH [--seed N] [--kills N]
"""
import hashlib
import json
import pathlib
import random
import shutil
import tempfile
import unittest

import harness
import harness_scenario as scenario
from harness import OPTIONS, run


def labels_of(directory):
    """SHA-256 of all labels, read by the names in the main directory."""
    total = hashlib.sha256()
    for number in range(scenario.FILES):
        total.update((directory / f"postdata_{number}.bin").read_bytes())
    return total.hexdigest()


class Disks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        room = tempfile.TemporaryDirectory(prefix="disks-")
        cls.addClassCleanup(room.cleanup)
        cls.root = pathlib.Path(room.name)
        cls.env = {"SM_CACHE_DIR": str(cls.root / "cache")}
        whole = cls.root / "one"
        result = run(scenario.init_argv(whole), env=cls.env)
        assert result.status == 0, result
        cls.right = labels_of(whole)
        cls.metadata = (whole / "postdata_metadata.json").read_bytes()

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="set-", dir=self.root)
        self.addCleanup(holder.cleanup)
        self.tmp = pathlib.Path(holder.name)
        self.second = self.another_disk() or self.tmp / "disk-b"
        self.second.mkdir(exist_ok=True)
        (self.tmp / "disk-c").mkdir()
        self.main, self.b, self.c = self.tmp / "main", self.second / "post", self.tmp / "disk-c" / "post"

    def another_disk(self):
        shm = pathlib.Path("/dev/shm")
        if not shm.is_dir() or shm.stat().st_dev == self.tmp.stat().st_dev:
            return None
        try:
            holder = tempfile.TemporaryDirectory(prefix="sm-disks-", dir=shm)
        except OSError:
            return None
        self.addCleanup(holder.cleanup)
        return pathlib.Path(holder.name)

    def argv(self, *more, also=True):
        directories = ["--also", self.b, "--also", self.c, "--same-disk"] if also else []
        return [*scenario.init_argv(self.main), *directories, *more]

    def smesher(self, *args, status=0):
        result = run([OPTIONS.smesher, *args], env=self.env)
        self.assertEqual(result.status, status, result)
        return result

    def make(self):
        result = run(self.argv(), env=self.env)
        self.assertEqual(result.status, 0, result)

    def must_be_right(self):
        self.assertEqual(labels_of(self.main), self.right)
        self.assertEqual((self.main / "postdata_metadata.json").read_bytes(), self.metadata)
        info = self.smesher("info", "--dir", self.main, "--json").json()
        self.assertTrue(info["consistent"], info)
        shares = [d["files"] for d in self.smesher("disks", "--dir", self.main, "--json").json()["directories"]]
        self.assertEqual(sum(shares), scenario.FILES)
        self.assertLessEqual(max(shares) - min(shares), 1, shares)

    def test_killed_again_and_again(self):
        rng = random.Random(OPTIONS.seed)
        measured = run(self.argv(), faults_below=self.tmp, env=self.env)
        self.assertEqual(measured.status, 0, measured)
        self.must_be_right()
        kills, before = 0, 0
        for _ in range(OPTIONS.kills or 4):
            for directory in (self.main, self.b, self.c):
                shutil.rmtree(directory)
            for _ in range(rng.randint(1, 4)):
                result = run(self.argv(), faults_below=self.tmp, env=self.env, kill_at=rng.randint(1, measured.stats.calls),
                             tear=rng.randint(0, 100))
                kills += result.killed
                stored = scenario.bytes_on_disk(self.main) if self.main.is_dir() else 0
                self.assertGreaterEqual(stored, before if result.killed else stored, "labels were lost")
                before = stored if result.killed else 0
                if not result.killed:
                    break
            before = 0
            result = run(self.argv(also=rng.random() < 0.5 and (self.main / "smesher-disks.json").exists()), env=self.env)
            self.assertEqual(result.status, 0, result)
            if (self.main / "smesher-disks.json").exists():
                self.must_be_right()
            else:  # killed before the plan was on disk, and then called without it
                self.assertEqual(labels_of(self.main), self.right)
        print(f"{kills} kills")
        self.assertGreater(kills, 0)

    def test_a_full_disk_is_named_and_the_rest_goes_elsewhere(self):
        self.c.mkdir()
        result = run(self.argv(), faults_below=self.c, env=self.env, match="postdata_", fail="write:ENOSPC:3")
        self.assertEqual(result.status, 1, result)
        self.assertIn(str(self.c), result.json()["error"]["message"])
        stored = scenario.bytes_on_disk(self.main)
        self.assertGreater(stored, 0)
        d = self.tmp / "disk-d"
        files = sum(1 for p in self.c.glob("postdata_*.bin"))
        result = run(self.argv("--also", f"{self.c}={files * scenario.MAX_FILE_SIZE}", "--also", d, "--same-disk",
                               also=False), env=self.env)
        self.assertEqual(result.status, 0, result)
        self.assertEqual(labels_of(self.main), self.right)
        self.assertEqual(sum(1 for p in self.c.glob("postdata_*.bin")), files, "nothing more on the full disk")
        self.assertGreater(sum(1 for p in d.glob("postdata_*.bin")), 0)

    def test_everything_reads_it(self):
        self.make()
        self.must_be_right()
        self.smesher("verify", "--dir", self.main, "--all", *scenario.NETWORK, "--device", "cpu")
        self.smesher("nonce", "--dir", self.main, "--dry-run", *scenario.NETWORK)
        proofs = []
        for directory in (self.main, self.root / "one"):
            out = self.tmp / f"{directory.name}.json"
            self.smesher("prove", "--dir", directory, *scenario.NETWORK, "--challenge", "21" * 32, "--out", out,
                         "--nonces", "16", "--threads", "2", "--randomx", "light", "--state-dir", self.tmp / "state")
            self.smesher("verify-proof", out, *scenario.NETWORK, "--randomx", "light")
            proofs.append(json.loads(out.read_text()))
        self.assertEqual(proofs[0], proofs[1], "the proof does not tell on how many disks the labels are")

    def test_a_missing_disk_is_named_and_its_place_left_alone(self):
        self.make()
        away = self.b.parent / "away"
        self.b.rename(away)
        self.b.mkdir()  # the empty mount point
        for command in (["verify", "--all"], ["nonce"], ["prove", "--challenge", "21" * 32], ["shrink", "--num-units", "1"],
                        ["grow", "--num-units", "8", "--device", "cpu"], ["init", "--device", "cpu"]):
            network = [] if command[0] == "shrink" else scenario.NETWORK
            result = self.smesher(*command, "--dir", self.main, *network, status=1)
            self.assertIn(str(self.b), result.err)
            self.assertIn("mounted", result.err)
        self.assertIn(str(self.b), self.smesher("info", "--dir", self.main, status=4).out)
        self.assertEqual(list(self.b.iterdir()), [])

        self.assertEqual(self.smesher("disks", "--dir", self.main, "--json", "--moved", f"{self.b}={away}").json()
                         ["links_changed"], sum(1 for p in away.glob("postdata_*.bin")))
        self.assertEqual(self.smesher("info", "--dir", self.main).status, 0)
        self.assertEqual(labels_of(self.main), self.right)

    def test_two_writers(self):
        self.make()
        result = run([OPTIONS.smesher, "init", "--dir", self.tmp / "other", *scenario.NETWORK, "--node-id", "99" * 32,
                      "--commitment-atx-id", "88" * 32, "--num-units", "1", "--device", "cpu", "--also", self.b,
                      "--same-disk"], env=self.env)
        self.assertEqual(result.status, 3, result)
        self.assertIn("another data set", result.err)
        self.assertFalse((self.tmp / "other").exists())


if __name__ == "__main__":
    harness.main()
