#!/usr/bin/env python3
"""Several data sets, one after the other: `smesher queue`.

usage: cli_queue.py --smesher PROGRAM
"""
import json
import signal
import subprocess

import harness
from cli_common import ATX, CACHE, CliTest, smesher
from cli_signals import DEADLINE_S, environment, wait_for


class Queue(CliTest):
    def put(self, *jobs, defaults=""):
        path = self.tmp / "jobs.yaml"
        path.write_text(f"defaults: {{network: tiny, device: cpu, commitment_atx_id: \"{ATX}\"{defaults}}}\njobs:\n"
                        + "".join(f"  - {{{job}}}\n" for job in jobs))
        return path

    def lines(self, result):
        return [json.loads(line) for line in result.out.splitlines()]

    def states(self, path, *args, status=0):
        result = smesher("queue", path, "--json", *args)
        self.assertEqual(result.status, status, result)
        return {line["job"]: line for line in self.lines(result) if "job" in line}

    def test_one_broken_job_does_not_stop_the_others(self):
        path = self.put(f'name: alpha, dir: a, also: [b], same_disk: yes, node_id: "{"11" * 32}", max_file_size: 16KiB',
                        f'name: broken, dir: none/such, node_id: "{"22" * 32}"',
                        "name: gamma, dir: g, generate_key: yes")
        check = self.document("queue", path, "--check", status=1)
        self.assertEqual([(j["job"], j["state"]) for j in check["jobs"]],
                         [("alpha", "to do"), ("broken", "failed"), ("gamma", "to do")])
        self.assertEqual(sorted(p.name for p in self.tmp.iterdir()), ["jobs.yaml"], "a check writes nothing")

        states = self.states(path, status=1)
        self.assertEqual({name: s["state"] for name, s in states.items()},
                         {"alpha": "done", "broken": "failed", "gamma": "done"})
        self.assertIn("none/such", states["broken"]["problem"])
        for name in ("a", "g"):
            self.assertTrue(self.document("info", "--dir", self.tmp / name)["consistent"])
        self.assertGreater(len(list((self.tmp / "b").glob("postdata_*.bin"))), 0)
        key = (self.tmp / "g" / "identity.key").read_bytes()

        (self.tmp / "none").mkdir()
        states = self.states(path)  # what is complete is left alone, and the key is not made again
        self.assertEqual({name: s["state"] for name, s in states.items()},
                         {"alpha": "complete", "broken": "done", "gamma": "complete"})
        self.assertEqual((self.tmp / "g" / "identity.key").read_bytes(), key)
        self.assertIn("complete", self.ok("queue", path, "--check").out)

    def test_wrong_files(self):
        path = self.put(f'dir: a, num_unit: 4, node_id: "{"11" * 32}"')
        self.refused(3, ["jobs.yaml:3", "num_unit", "num_units"], "queue", path)
        self.refused(3, "nothing.yaml", "queue", self.tmp / "nothing.yaml")
        self.refused(2, "FILE", "queue")

    def test_jobs_that_do_not_fit_together(self):
        """Each alone has room on its disk, both have not."""
        free = self.document("init", "--dir", self.tmp / "x", "--network", "tiny", "--node-id", "11" * 32,
                             "--commitment-atx-id", ATX, "--device", "cpu", "--dry-run")["free_bytes"]
        labels = free * 6 // 10 // 16 // 2
        big = f'network: tiny, param: [labels_per_unit={labels}], max_file_size: 1TiB, num_units: 2, node_id: "{"11" * 32}"'
        path = self.put(f"dir: a, {big}", f"dir: b, {big}")
        check = self.document("queue", path, "--check", status=4)
        self.assertFalse(check["fits"])
        self.assertEqual([j["state"] for j in check["jobs"]], ["to do", "to do"])

    def test_killed_and_continued(self):
        slow = "param: [labels_per_unit=6000, scrypt_n=2048], threads: 1, batch: 64, max_file_size: 64KiB"
        path = self.put(f'name: small, dir: a, node_id: "{"11" * 32}"', f'name: slow, dir: b, {slow}, node_id: "{"22" * 32}"',
                        f'name: last, dir: c, node_id: "{"33" * 32}"')
        for sig, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 5)):
            before = sum(p.stat().st_size for p in self.tmp.glob("b/postdata_*.bin"))
            process = subprocess.Popen([harness.OPTIONS.smesher, "queue", str(path)], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True, env=environment(SM_CACHE_DIR=CACHE.name))
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.kill)
            wait_for(lambda: sum(p.stat().st_size for p in self.tmp.glob("b/postdata_*.bin")) > before, process)
            process.send_signal(sig)
            self.assertEqual(process.wait(DEADLINE_S), status)
            if sig == signal.SIGTERM:
                self.assertIn("stopped", process.stdout.read())
        self.assertFalse((self.tmp / "c").exists())
        states = self.states(path)
        self.assertEqual([s["state"] for s in states.values()], ["complete", "done", "done"])
        self.ok("verify", "--dir", self.tmp / "b", "--network", "tiny", "--param", "labels_per_unit=6000", "--param",
                "scrypt_n=2048", "--all", "--device", "cpu")


if __name__ == "__main__":
    harness.main()
