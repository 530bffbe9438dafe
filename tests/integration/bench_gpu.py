#!/usr/bin/env python3
"""bench/gpu: packed, then run on this machine's OpenCL device; and what it makes of the answers of other machines.

usage: bench_gpu.py --smesher PROGRAM
"""
import glob
import json
import os
import pathlib
import subprocess
import sys
import textwrap
import unittest

import harness
from cli_common import ROOT, CliTest

SCRIPT = ROOT / "bench/gpu"


def rows(report):
    """The table: what -> (result, bound, share, how)."""
    table = {}
    for line in report.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[0] not in ("what", "---"):
            table[cells[0]] = tuple(cells[1:])
    return table


class BenchGpuTest(CliTest):
    def script(self, *args, script=SCRIPT, **env):
        return subprocess.run(["sh", script, *map(str, args)], capture_output=True, text=True, timeout=900,
                              env={**os.environ, "SM_CACHE_DIR": str(self.tmp / "cache"), **env})


class Here(BenchGpuTest):
    def test_packed_and_run_by_a_driver_alone(self):
        icds = glob.glob("/etc/OpenCL/vendors/*.icd")
        if not icds:
            self.skipTest("no OpenCL driver")
        pack = self.tmp / "pack"
        done = self.script("pack", "--out", pack, "--from", pathlib.Path(harness.OPTIONS.smesher).parent)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, str(pack)), done.stderr)
        self.assertTrue([path for path in (pack / "lib").iterdir() if path.name.startswith("libsodium")])
        self.assertTrue((pack / "libc/libc.so.6").exists() and not (pack / "lib/libc.so.6").exists())
        driver = pathlib.Path(icds[0]).read_text().split()[0]
        device = self.document("devices", env={"SM_OPENCL_LIBRARY": driver})["opencl"]["devices"][0]
        out = self.tmp / "table"
        done = self.script("run", "--device", device["id"], "--seconds", "0.05", "--tune-seconds", "0.1",
                           "--labels", "64", "--out", out,
                           script=pack / "gpu", SM_OPENCL_LIBRARY=driver)
        self.assertEqual(done.stdout, out.read_text(), done.stderr)
        table = rows(done.stdout)
        failed = {what for what, row in table.items() if row[0] == "failed"}
        self.assertEqual(failed, set(), done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"## GPU: {device['name']}\n", done.stdout)
        self.assertIn(f"driver {device['driver']},", done.stdout)
        self.assertEqual(table["labels and a proof, against the processor's"][0], "equal")
        for what in ("labels/s, N = 8192", "labels/s of the baseline kernel", "times the baseline"):
            self.assertGreater(float(table[what][0]), 0, what)
        for nonces in (128, 288):
            self.assertRegex(table[f"scan from host memory, {nonces} nonces"][1], r"^[0-9.]+ [MG]iB/s \(bus\)$")
        again = self.script("pack", "--out", pack, "--from", pathlib.Path(harness.OPTIONS.smesher).parent)
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_refusals(self):
        for args, status in (((), 2), (("walk",), 2), (("run", "--walk"), 2), (("run", "--device"), 2),
                             (("pack", "--from", self.tmp / "no"), 3), (("run", "--smesher", "/bin/false"), 3)):
            done = self.script(*args)
            self.assertEqual(done.returncode, status, (args, done))
            self.assertTrue(done.stderr.startswith("bench/gpu: "), done)
        (self.tmp / "mine").mkdir()
        (self.tmp / "mine/file").write_text("x")
        done = self.script("pack", "--out", self.tmp / "mine", "--from", pathlib.Path(harness.OPTIONS.smesher).parent)
        self.assertEqual(done.returncode, 2, done)
        self.assertEqual([path.name for path in (self.tmp / "mine").iterdir()], ["file"])


class Elsewhere(BenchGpuTest):
    """A program that answers as on a machine with an H200, or as it is told."""

    def answers(self, labels=1.5e6, baseline=5e5, bound=1.7e6, scan=40e9, bus=50e9, same=True, broken=""):
        program = self.tmp / "smesher"
        devices = {"opencl": {"devices": [{"id": "pci-1", "type": "gpu", "name": "NVIDIA H200", "driver": "580",
                                           "platform": "CUDA"}]}}
        row = {"labels_per_s": labels, "variant": "kernel=a \"b\" | c", "note": "", "bounds": {"alu": bound * 2, "bandwidth": bound}}
        program.write_text(textwrap.dedent(f"""\
            #!/usr/bin/env python3
            import json, pathlib, sys
            a = sys.argv[1:]
            if {broken!r} and {broken!r} in " ".join(a):
                sys.exit("smesher: the device is lost")
            if a[0] == "devices":
                print(json.dumps({devices!r}, indent=2))
            elif a[0] == "init":
                d = pathlib.Path(a[a.index("--dir") + 1])
                d.mkdir()
                (d / "postdata_0.bin").write_bytes(b"labels" + b"?" * ({same!r} is False and a[-1] != "cpu"))
            elif a[0] == "prove":
                pathlib.Path(a[a.index("--out") + 1]).write_text("proof")
            elif a[:2] == ["bench", "init"]:
                row = {row!r}
                if "baseline" in a:
                    row |= dict(labels_per_s={baseline!r}, variant="kernel=baseline", bounds=dict())
                print(json.dumps(dict(results=[row])))
            elif a[:2] == ["bench", "prove"]:
                print(json.dumps(dict(results=[dict(bytes_per_s={scan!r}, bounds=dict(bus={bus!r}), variant="v", note="n")])))
            """))
        program.chmod(0o755)
        return program

    def run_with(self, **answers):
        done = self.script("run", "--smesher", self.answers(**answers))
        return done.returncode, done.stdout, rows(done.stdout), done.stderr

    def test_all_reached(self):
        status, report, table, err = self.run_with()
        self.assertEqual(status, 0, report + err)
        self.assertEqual(table["labels/s, N = 8192"][:3], ("1500000", "1700000 (bandwidth)", "88.2 %"))
        self.assertEqual(table["bound of labels/s: alu"][0], "3400000")
        self.assertEqual(table["times the baseline"][0], "3.0")
        self.assertEqual(table["scan from host memory, 288 nonces"][:3], ("37.25 GiB/s", "46.57 GiB/s (bus)", "80.0 %"))
        self.assertEqual(report.count(": reached"), 4)

    def test_each_target_can_be_missed(self):
        for answers, what in ((dict(labels=1.39e6, baseline=1e5, bound=1.4e6), "labels/s"),
                              (dict(baseline=7e5), "times the baseline"), (dict(bound=2e6), "tighter bound"),
                              (dict(scan=21e9), "288 nonces"), (dict(scan=17e9, bus=20e9), "288 nonces")):
            status, report, _, _ = self.run_with(**answers)
            missed = [line for line in report.splitlines() if line.endswith("MISSED")]
            self.assertEqual((status, len(missed)), (1, 1), report)
            self.assertIn(what, missed[0])
        status, report, _, _ = self.run_with(scan=19e9, bus=20e9)
        self.assertEqual(status, 0, "the bus allows no more: " + report)

    def test_what_fails_is_reported_and_the_rest_goes_on(self):
        for broken, lost in (("bench init", "labels/s, N = 8192"), ("baseline", "labels/s of the baseline kernel"),
                             ("bench prove", "scan from host memory, 128 nonces"), ("prove --json --dir", "labels and a proof, against the processor's")):
            status, report, table, _ = self.run_with(broken=broken)
            self.assertEqual(status, 1, report)
            self.assertEqual((table[lost][0], table[lost][3]), ("failed", "smesher: the device is lost"), report)
            self.assertTrue([row for row in table.values() if row[0] != "failed"], report)
        status, _, table, _ = self.run_with(same=False)
        self.assertEqual(status, 1)
        self.assertEqual(table["labels and a proof, against the processor's"][0], "failed")

    def test_a_machine_without_a_gpu(self):
        program = self.tmp / "smesher"
        program.write_text("#!/bin/sh\nprintf '{\"opencl\": {\"devices\": []}}'\n")
        program.chmod(0o755)
        done = self.script("run", "--smesher", program)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn("no GPU", done.stderr)


if __name__ == "__main__":
    harness.main()
