#!/usr/bin/env python3
"""What the real program needs of memory, at its peak: no more than a MiB per label in flight and 64 MiB to fill a disk, at
the main network's N, and 256 MiB beside RandomX to prove.

usage: memory.py --smesher PATH
"""
import json
import sys

import harness
from cli_common import ATX, CHALLENGE, NODE, CliTest, smesher

MIB = 1 << 20
LABELS_IN_FLIGHT_MAX = 128  # of one thread: more would mean that the bound below grew with the program
RANDOMX_LIGHT = 256 * MIB

# Prints the largest resident set of the program that it runs, as the kernel counted it.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(status)
"""


class Memory(CliTest):
    def peak(self, *args):
        """(bytes, what --json gave)"""
        env = {"SM_CACHE_DIR": str(self.tmp / "cache"), "SM_NETWORK": ""}
        result = harness.run([sys.executable, "-c", MEASURE, harness.OPTIONS.smesher, *args, "--json"], env=env)
        self.assertEqual(result.status, 0, f"{args}: {result}")
        return int(result.err.splitlines()[-1]), json.loads(result.out)

    def variants(self):
        rows = json.loads(smesher("bench", "init", "--device", "cpu", "--network", "tiny", "--seconds", "0.05",
                                  "--tune-seconds", "0", "--json").out)["results"]
        return [row["variant"] for row in rows]

    def test_filling(self):
        for variant in self.variants():
            with self.subTest(variant=variant):
                peak, told = self.peak("init", "--dir", self.tmp / variant, "--network", "mainnet", "--param",
                                       "labels_per_unit=256", "--num-units", "4", "--node-id", NODE,
                                       "--commitment-atx-id", ATX, "--device", "cpu", "--threads", "2", "--variant",
                                       variant)
                in_flight = [engine["labels_in_flight"] for engine in told["engines"]]
                self.assertEqual(len(in_flight), 2)
                self.assertGreater(min(in_flight), 0)
                self.assertLessEqual(max(in_flight), LABELS_IN_FLIGHT_MAX)
                self.assertLessEqual(peak, (sum(in_flight) + 64) * MIB, f"{peak / MIB:.0f} MiB, {in_flight} labels")
                # and the measurement sees it at all: rows of every label were written
                self.assertGreater(peak, min(in_flight) * MIB)

    def test_proving(self):
        data = self.tmp / "data"
        self.init(data, "--num-units", "1", "--param", "labels_per_unit=262144")
        for nonces in ("64", "288", "4096"):
            with self.subTest(nonces=nonces):
                peak, _ = self.peak("prove", "--dir", data, "--network", "tiny", "--param", "labels_per_unit=262144",
                                    "--challenge", CHALLENGE, "--nonces", nonces, "--randomx", "light", "--no-state",
                                    "--out", self.tmp / f"proof-{nonces}")
                self.assertLessEqual(peak, RANDOMX_LIGHT + 256 * MIB, f"{peak / MIB:.0f} MiB")
                self.assertGreater(peak, RANDOMX_LIGHT)


if __name__ == "__main__":
    harness.main()
