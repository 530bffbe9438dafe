#!/usr/bin/env python3
"""Help, options, configuration, JSON and exit statuses of the command line; no data directory involved.

usage: cli_basic.py --smesher PROGRAM
"""
import json
import os
import re
import subprocess

import harness
from cli_common import ROOT, CliTest, smesher


def commands():
    """The command names, from the program's own help."""
    text = smesher("--help").out
    block = text.split("Commands:\n")[1].split("\n\n")[0]
    names = []
    for line in block.splitlines():
        match = re.match(r"  (\S+( \S+)?)  ", line + "  ")
        if match:
            names.append(match.group(1))
    return names


class Help(CliTest):
    def test_every_command_explains_itself(self):
        names = commands()
        self.assertGreaterEqual(len(names), 12, names)
        for name in names:
            with self.subTest(name):
                out = self.ok(*name.split(), "--help").out
                self.assertIn(f"usage: smesher {name}", out)
                self.assertIn("Exit status:", out)
                self.assertEqual(out, self.ok("help", *name.split()).out)
                self.assertEqual(out, self.ok(*name.split(), "-h").out)
                for line in out.splitlines():
                    self.assertLessEqual(len(line), 80, line)

    def test_the_manual_page_is_current_and_complete(self):
        page = self.ok("--man").out
        kept = (ROOT / "packaging" / "smesher.1").read_text()
        self.assertEqual(page, kept, "run: smesher --man > packaging/smesher.1")
        plain = page.replace("\\-", "-")
        for name in commands():
            self.assertIn(f'.SS "{name} ', plain)
            for option in re.findall(r"^  (--[a-z0-9-]+)", self.ok(*name.split(), "--help").out, re.M):
                self.assertIn(f"\\fB{option}", plain, f"{option} of {name}")
        for status in range(7):
            self.assertIn(f"\\fB{status}\\fR", plain)

    def test_the_manual_page_renders(self):
        try:
            done = subprocess.run(["man", "--warnings", "-l", "-"], input=self.ok("--man").out, capture_output=True,
                                  text=True, env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin", "LC_ALL": "C"})
        except FileNotFoundError:
            self.skipTest("no man program here")
        if done.returncode != 0 and "No such file" in done.stderr:
            self.skipTest("man without a formatter: " + done.stderr)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("EXIT STATUS", done.stdout)


class Usage(CliTest):
    def test_wrong_lines(self):
        for wants, line in [
            ("no command given", ""),
            (["unknown command 'inti'", "did you mean init?"], "inti"),
            ("unknown command 'zzzzz'", "zzzzz"),
            (["after 'keys' comes one of: new, import, list,", "--help"], "keys"),
            ("after 'config' comes one of: dump;", "config dmp"),
            (["unknown option --numUnits", "did you mean --num-units?"], "init --numUnits=4"),
            (["unknown option -numUnits", "did you mean --num-units?"], "init -numUnits 4"),
            (["unknown option -commitmentAtxId", "--commitment-atx-id"], "init -commitmentAtxId 00"),
            (["unknown option --jsn", "--json"], "--jsn info"),
            ("--dir DIR is required", "info"),
            ("--dir needs a value", "info --dir"),
            (["--num-units", "outside"], "init --dir x --num-units 0"),
            (["--num-units", "outside"], "init --dir x --num-units 99999999999"),
            (["--num-units", "not a whole number"], "init --dir x --num-units four"),
            (["--node-id", "64 hex digits"], "init --dir x --node-id 00"),
            (["--node-id", "not hex"], "init --dir x --node-id " + "z" * 64),
            (["--max-file-size", "not a size"], "init --dir x --max-file-size 4XB"),
            (["--nonces", "outside"], "prove --dir x --challenge " + "00" * 32 + " --nonces 8"),
            (["--nonces", "outside"], "prove --dir x --challenge " + "00" * 32 + " --nonces 4097"),
            ("--challenge HEX is required", "prove --dir x"),
            ("FILE... is missing", "verify-proof"),
            ("PART... is missing", "merge --target x"),
            ("unexpected argument 'y'", "info --dir x y"),
            ("unexpected argument '/data' (did you mean --dir /data?)", "info /data"),
            ("unknown option --dir; a command's options follow its name", "--dir x info"),
            ('no usable label hash variant "avx9"; this machine runs: ref', "bench init --variant avx9"),
            (["--fraction", "outside"], "verify --dir x --fraction 101"),
            (["--log-level", "not one of"], "version --log-level loud"),
            ("--dir is given twice", "info --dir a --dir b"),
            ("--json takes no value", "info --json=1 --dir a"),
        ]:
            with self.subTest(line):
                self.refused(2, wants, *line.split())

    def test_json_is_asked_for_anywhere(self):
        for line in ["--json version", "version --json", "--log-level debug --json version"]:
            self.assertIn("version", json.loads(self.ok(*line.split()).out))

    def test_a_full_disk_below_stdout_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([harness.OPTIONS.smesher, "config", "dump"], stdout=full, stderr=subprocess.PIPE,
                                  text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)

    def test_a_closed_pipe_is_quiet(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([harness.OPTIONS.smesher, "--man"], stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (1, b""))

    def test_version_says_how_it_was_built(self):
        document = self.document("version")
        self.assertRegex(document["version"], r"^\d+\.\d+\.\d+")
        self.assertTrue(document["build"]["compiler"])
        self.assertEqual(self.ok("--version").out, self.ok("version").out)

    def test_devices(self):
        document = self.document("devices")
        variants = {v["name"]: v for v in document["cpu"]["label_variants"]}
        self.assertTrue(variants["ref"]["usable"])
        self.assertEqual(sum(v["selected"] for v in variants.values()), 1)
        self.assertEqual(sum(v["selected"] for v in document["cpu"]["scan_variants"]), 1)
        for device in document["opencl"]["devices"]:
            self.assertTrue(device["id"])
            self.assertEqual(device["usable"], device["problem"] is None)

    def test_no_opencl_is_a_normal_machine(self):
        document = self.document("devices", env={"POST_OCL_PLATFORMS_BLACKLIST": "."})
        self.assertEqual(document["opencl"]["devices"], [])
        document = self.document("devices", env={"OCL_ICD_VENDORS": "/nonexistent"})
        self.assertEqual(document["opencl"]["devices"], [])


class Config(CliTest):
    def dump(self, *args, **kwargs):
        return self.document("config", "dump", *args, **kwargs)["post"]

    def test_presets(self):
        self.assertEqual(self.dump()["labels_per_unit"], 1 << 32)
        self.assertEqual(self.dump("--network", "fastnet")["scrypt_n"], 2)
        for path in (ROOT / "configs").glob("*.yaml"):
            if path.name in ("tuning.yaml", "rig.yaml", "jobs.yaml"):  # not network parameters
                continue
            with self.subTest(path.name):
                self.assertNotIn("://", path.read_text())
                from_file = self.document("config", "dump", "--network", path)
                if path.stem in ("mainnet", "testnet", "standalone", "fastnet", "tiny"):
                    self.assertEqual(from_file, self.document("config", "dump", "--network", path.stem))

    def test_a_dump_reads_back(self):
        out = self.ok("config", "dump", "--network", "testnet", "--param", "k1=20").out
        (self.tmp / "mine.yaml").write_text(out)
        self.assertEqual(out, self.ok("config", "dump", "--network", self.tmp / "mine.yaml").out)

    def test_precedence(self):
        (self.tmp / "mine.yaml").write_text("preset: fastnet\npost:\n  k1: 21\n")
        mine = ["--network", self.tmp / "mine.yaml"]
        self.assertEqual(self.dump("--network", "fastnet")["k1"], 12)
        self.assertEqual(self.dump(*mine)["k1"], 21)
        self.assertEqual(self.dump(*mine, env={"SM_POST_K1": "22"})["k1"], 22)
        self.assertEqual(self.dump(*mine, "--param", "k1=23", env={"SM_POST_K1": "22"})["k1"], 23)
        self.assertEqual(self.dump(env={"SM_NETWORK": "fastnet"})["k1"], 12)
        self.assertEqual(self.dump("--network", "testnet", env={"SM_NETWORK": "fastnet"})["k1"], 26)

    def test_refusals(self):
        path = self.tmp / "bad.yaml"
        for wants, text in [
            (["bad.yaml:3", "labels_per_units", "did you mean labels_per_unit?"],
             "name: x\npost:\n  labels_per_units: 4\n"),
            (["bad.yaml:3", "k1", "not a whole number"], "name: x\npost:\n  k1: many\n"),
            (["bad.yaml:4", "repeated key k1"], "name: x\npost:\n  k1: 1\n  k1: 1\n"),
            (["bad.yaml", "missing", "post.k2"], "name: x\npost:\n  k1: 1\n"),
            ("is empty", ""),
            ("not YAML", "name: [x\n"),
            (["scrypt_n", "power of two"], "preset: tiny\npost:\n  scrypt_n: 100\n"),
            (["nonces", "multiple of 16"], "preset: tiny\npost:\n  nonces: 17\n"),
            (["labels_per_unit", "exceeds"], "preset: tiny\npost:\n  labels_per_unit: 18446744073709551615\n"),
        ]:
            with self.subTest(text):
                path.write_text(text)
                self.refused(3, wants, "config", "dump", "--network", path)
        self.refused(3, "no-such.yaml", "config", "dump", "--network", "./no-such.yaml")
        self.refused(3, "did you mean mainnet?", "config", "dump", "--network", "mainet")
        self.refused(3, ["SM_POST_K9", "did you mean"], "config", "dump", env={"SM_POST_K9": "1"})
        self.refused(2, "KEY=VALUE", "config", "dump", "--param", "k1")
        self.refused(3, ["k9", "did you mean"], "config", "dump", "--param", "k9=1")


if __name__ == "__main__":
    harness.main()
