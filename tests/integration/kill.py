#!/usr/bin/env python3
"""SIGKILL at random moments of an initialization and of a proof.

Chains: a command is killed, started again, killed again, ..., and at last left to finish. Half of the chains die at a
random file call (the last write may reach the disk in part), half after a random time. What is left must be byte for
byte what an undisturbed run leaves, and no work may be lost beyond one batch (one checkpoint of a proof) per kill.

usage: kill.py --smesher PATH --shim PATH [--seed N] [--kills N]
"""
import concurrent.futures
import itertools
import pathlib
import random
import shutil
import tempfile
import threading
import unittest

import harness
import harness_scenario as scenario
from harness import OPTIONS, run


class Chains(unittest.TestCase):
    """The machinery; a subclass says what is killed."""

    command = None

    @classmethod
    def setUpClass(cls):
        cls.room = tempfile.TemporaryDirectory(prefix="kill-")
        cls.addClassCleanup(cls.room.cleanup)
        cls.root = pathlib.Path(cls.room.name)
        cls.env = {"SM_CACHE_DIR": str(cls.root / "cache")}
        cls.kills = OPTIONS.kills or 200

    # What a subclass provides.
    def fresh(self, name):
        """A directory in which the command can start."""
        raise NotImplementedError

    def argv(self, directory):
        raise NotImplementedError

    def prepare(self, directory, rng):
        pass

    def check_after_kill(self, directory, state):
        pass

    def check_finished(self, directory, result, state):
        raise NotImplementedError

    def setUp(self):
        if not hasattr(self, "undisturbed"):
            type(self).directory, type(self).undisturbed = self.measure()

    def measure(self):
        """Undisturbed: file calls and seconds, the ranges from which the moments are drawn."""
        directory = self.fresh("undisturbed")
        result = run(self.argv(directory), faults_below=directory, env=self.env, match=".bin")
        self.assertEqual(result.status, 0, result)
        return directory, result

    def chain(self, name, how, rng):
        """One directory from the start to the end. Returns how often it was killed."""
        directory = self.fresh(name)
        self.prepare(directory, rng)
        state = {"kills": 0, "bytes_written": 0, "bytes_read": 0}
        for remaining in itertools.chain(range(rng.randint(1, 8), 0, -1), itertools.repeat(0)):
            moment = {}
            if remaining and how == "call":
                moment = {"kill_at": rng.randint(1, self.undisturbed.stats.calls), "tear": rng.randint(0, 100)}
            elif remaining:
                moment = {"kill_after_s": rng.uniform(0, self.undisturbed.seconds)}
            result = run(self.argv(directory), faults_below=directory, env=self.env, match=".bin", **moment)
            state["bytes_written"] += result.stats.bytes_written
            state["bytes_read"] += result.stats.bytes_read
            if result.killed:
                state["kills"] += 1
                self.check_after_kill(directory, state)
                continue
            self.assertEqual(result.status, 0, f"{name}: after {state['kills']} kills: {result}")
            self.check_finished(directory, result, state)
            return state["kills"]

    def kill_many(self, how):
        goal, done, lock = self.kills // 2, 0, threading.Lock()

        def worker(first):
            nonlocal done
            for i in itertools.count(first, 2):
                with lock:
                    if done >= goal:
                        return
                name = f"{how}-{i}"
                kills = self.chain(name, how, random.Random(f"{OPTIONS.seed} {self.command} {name}"))
                with lock:
                    done += kills

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(worker, 0), pool.submit(worker, 1)]:
                future.result()
        self.assertGreaterEqual(done, goal)
        print(f"{self.command}: killed {done} times ({how}) ... ", end="", flush=True)


class Init(Chains):
    command = "init"

    def fresh(self, name):
        directory = self.root / name
        directory.mkdir()
        return directory

    def argv(self, directory):
        return scenario.init_argv(directory)

    def measure(self):
        directory, result = super().measure()
        type(self).expected = harness.digests(directory)
        self.assertEqual(result.json()["labels_written"] * 16, scenario.TOTAL_BYTES)
        self.assertEqual(result.stats.bytes_written, scenario.TOTAL_BYTES, "labels are written once")
        return directory, result

    def check_after_kill(self, directory, state):
        before, now = state.get("on_disk", 0), scenario.bytes_on_disk(directory)
        self.assertGreaterEqual(now, before, f"{directory}: labels were lost")
        state["on_disk"] = now

    def check_finished(self, directory, result, state):
        self.assertEqual(harness.digests(directory), self.expected, f"{directory} after {state['kills']} kills")
        self.assertEqual(result.json()["labels_written"] * 16, scenario.TOTAL_BYTES - state.get("on_disk", 0))
        self.assertLessEqual(state["bytes_written"], scenario.TOTAL_BYTES + state["kills"] * scenario.BATCH * 16)

    def test_killed_at_file_calls(self):
        self.kill_many("call")

    def test_killed_at_random_times(self):
        self.kill_many("time")


class Prove(Chains):
    command = "prove"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = scenario.proving_data(cls.root, cls.env)

    def fresh(self, name):
        shutil.copytree(self.data, self.root / name / "data")
        return self.root / name

    def argv(self, directory):
        return scenario.prove_argv(directory)

    def measure(self):
        directory, result = super().measure()
        type(self).expected = harness.digests(directory)
        self.assertGreater(result.json()["statistics"]["passes"], 1, "choose a challenge that needs more than one pass")
        verdict = run([OPTIONS.smesher, "verify-proof", "--mode", "strict", *scenario.NETWORK, directory / "proof.json"],
                      env=self.env)
        self.assertEqual(verdict.status, 0, verdict)
        return directory, result

    def prepare(self, directory, rng):
        """In most directories k2pow is done already, so that the kills fall into the scan."""
        if rng.random() < 0.75:
            shutil.copytree(self.directory / "data" / "k2pow", directory / "data" / "k2pow")

    def check_after_kill(self, directory, state):
        self.assertIn(scenario.proof_of(directory), (None, scenario.proof_of(self.directory)))

    def check_finished(self, directory, result, state):
        where = f"{directory} after {state['kills']} kills"
        self.assertEqual(scenario.proof_of(directory), scenario.proof_of(self.directory), where)
        self.assertEqual(harness.digests(directory), self.expected, where)
        # A checkpoint waits for the end of a batch, which is a file here; and reading is ahead of it, also at the end.
        ahead = scenario.PROOF_READ_AHEAD * scenario.MAX_FILE_SIZE
        lost = scenario.PROOF_CHECKPOINT + scenario.MAX_FILE_SIZE + ahead
        self.assertLessEqual(state["bytes_read"], self.undisturbed.stats.bytes_read + ahead + state["kills"] * lost, where)

    def test_killed_at_file_calls(self):
        self.kill_many("call")

    def test_killed_at_random_times(self):
        self.kill_many("time")


if __name__ == "__main__":
    harness.main()
