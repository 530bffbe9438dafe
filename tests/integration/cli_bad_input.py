#!/usr/bin/env python3
"""The bad-input table: every broken directory or contradicting option is refused with one clear sentence and leaves the
data untouched.

usage: cli_bad_input.py --smesher PROGRAM
"""
import base64
import contextlib
import fcntl
import json
import os
import subprocess

import harness
from cli_common import ATX, CHALLENGE, NODE, CliTest, smesher, tiny_copy

OTHER = "ab" * 32


class BadInput(CliTest):
    def setUp(self):
        super().setUp()
        self.data = tiny_copy(self.tmp / "data")
        self.meta = self.data / "postdata_metadata.json"
        for name in ("postdata_metadata.json.bak",):
            (self.data / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def untouched(self):
        before = harness.digests(self.data)
        yield
        self.assertEqual(before, harness.digests(self.data), "a refused command changed the directory")

    def everywhere(self, status, wants, commands=("info", "init", "verify", "nonce", "prove", "grow", "shrink")):
        """Every command that reads the directory refuses it alike."""
        extra = {"prove": ["--network", "tiny", "--challenge", CHALLENGE], "grow": ["--num-units", "3"],
                 "shrink": ["--num-units", "1"]}
        for command in commands:
            with self.subTest(command=command), self.untouched():
                self.refused(status, wants, command, "--dir", self.data, *extra.get(command, []))

    def test_metadata(self):
        good = json.loads(self.meta.read_text())
        short = base64.b64encode(bytes(31)).decode()
        for wants, text in [
            ("postdata_metadata.json", ""),
            ("postdata_metadata.json", "\0" * 100),
            ("postdata_metadata.json", "not json"),
            ("postdata_metadata.json", "[1, 2]"),
            ("postdata_metadata.json", json.dumps(good)[:-1]),
            (["postdata_metadata.json", "NodeId"], json.dumps({**good, "NodeId": short})),
            (["postdata_metadata.json", "NodeId"], json.dumps({**good, "NodeId": "%%%%"})),
            (["postdata_metadata.json", "NodeId"], json.dumps({k: v for k, v in good.items() if k != "NodeId"})),
            (["postdata_metadata.json", "CommitmentAtxId"], json.dumps({**good, "CommitmentAtxId": 5})),
            (["postdata_metadata.json", "NumUnits"], json.dumps({**good, "NumUnits": 0})),
            (["postdata_metadata.json", "NumUnits"], json.dumps({**good, "NumUnits": 1 << 32})),
            (["postdata_metadata.json", "NumUnits"], json.dumps({**good, "NumUnits": -1})),
            (["postdata_metadata.json", "NumUnits"], json.dumps({**good, "NumUnits": "2"})),
            (["postdata_metadata.json", "LabelsPerUnit"], json.dumps({**good, "LabelsPerUnit": 0})),
            (["postdata_metadata.json"], json.dumps({**good, "LabelsPerUnit": (1 << 64) - 1})),
            (["postdata_metadata.json", "MaxFileSize"], json.dumps({**good, "MaxFileSize": 0})),
            ("postdata_metadata.json", "x" * 100000),
        ]:
            with self.subTest(text[:60]):
                self.meta.write_text(text)
                self.everywhere(3, wants, ("info", "init", "verify", "prove", "shrink"))

    def test_no_metadata(self):
        self.meta.unlink()
        self.everywhere(1, "postdata_metadata.json", ("verify", "nonce", "prove", "grow"))
        info = self.document("info", "--dir", self.data, status=4)
        self.assertIn("postdata_metadata.json is missing", info["problems"])
        with self.untouched():
            refused = smesher("init", "--dir", self.data, "--network", "tiny", "--node-id", NODE, "--commitment-atx-id",
                              ATX)
            self.assertEqual(refused.status, 1, str(refused))
            self.assertIn("postdata_metadata.json", refused.err)

    def test_contradicting_options(self):
        for wants, options in [
            ([NODE[:10], OTHER[:10]], ["--node-id", OTHER]),
            (["ommitment", OTHER[:10]], ["--commitment-atx-id", OTHER]),
            (["4096", "1024"], ["--labels-per-unit", "1024"]),
            (["16384", "2048"], ["--max-file-size", "2048"]),
            (["2", "1", "shrink"], ["--num-units", "1"]),
            (["2", "3", "grow"], ["--num-units", "3"]),
            (["16", "32"], ["--scrypt-n", "32"]),
            (["fastnet", "16", "2"], ["--network", "fastnet"]),
        ]:
            with self.subTest(options), self.untouched():
                self.refused(3, wants, "init", "--dir", self.data, *options)
                self.refused(3, "data", "init", "--dir", self.data, *options, "--dry-run")
        with self.untouched():
            self.refused(3, ["4096 labels per unit", "mainnet"], "prove", "--dir", self.data,
                         "--challenge", CHALLENGE)
            self.refused(3, ["16", "32"], "verify", "--dir", self.data, "--scrypt-n", "32")
            self.refused(2, ["--scrypt-n", "power of two"], "verify", "--dir", self.data, "--scrypt-n", "17")
            self.refused(2, ["--nonces", "multiple of 16"], "prove", "--dir", self.data, "--network", "tiny",
                         "--challenge", CHALLENGE, "--nonces", "24")
            self.refused(2, "--cores", "prove", "--dir", self.data, "--network", "tiny", "--challenge", CHALLENGE,
                         "--cores", "0,0")
            self.refused(2, "--cores", "prove", "--dir", self.data, "--network", "tiny", "--challenge", CHALLENGE,
                         "--cores", "0,,1")
            self.refused(2, "--to-file", "verify", "--dir", self.data, "--to-file", "8")
            self.refused(2, "from", "verify", "--dir", self.data, "--from-file", "3", "--to-file", "2")

    def test_new_data_sets(self):
        new = ["init", "--dir", self.tmp / "new", "--network", "tiny", "--node-id", NODE, "--commitment-atx-id", ATX]
        for status, wants, options in [
            (2, ["--scrypt-n", "power of two"], ["--scrypt-n", "100"]),
            (2, ["--scrypt-n", "outside"], ["--scrypt-n", "1"]),
            (2, ["--max-file-size", "minimum of 1024"], ["--max-file-size", "1000"]),
            (2, "128", ["--max-file-size", "1040"]),
            (2, "outside", ["--num-units", "0"]),
            (3, ["4294967295", "64"], ["--num-units", "4294967295"]),
            (2, ["--to-file", "7"], ["--to-file", "8"]),
            (2, ["--from-file", "--to-file"], ["--from-file", "5", "--to-file", "4"]),
        ]:
            with self.subTest(options):
                self.refused(status, wants, *new, *options)
                self.refused(status, wants, *new, *options, "--dry-run")
                self.refused(status, wants, *new[:5], *new[7:], "--generate-key", *options)
                self.assertFalse((self.tmp / "new").exists(), "a refused init left a directory")
        self.refused(2, "--commitment-atx-id HEX is required", "init", "--dir", self.tmp / "new", "--network", "tiny",
                     "--node-id", NODE)
        self.refused(2, ["--node-id", "--generate-key"], "init", "--dir", self.tmp / "new", "--network", "tiny",
                     "--commitment-atx-id", ATX)
        self.refused(2, ["--num-units", "at least 4"], "init", "--dir", self.tmp / "new", "--node-id", NODE,
                     "--commitment-atx-id", ATX)
        self.refused(1, "no-parent", "init", "--dir", self.tmp / "no-parent" / "new", *new[3:])
        self.assertFalse((self.tmp / "no-parent").exists())

    def test_not_enough_space(self):
        absurd = ["init", "--dir", self.tmp / "new", "--network", "mainnet", "--node-id", NODE, "--commitment-atx-id", ATX,
                  "--num-units", "1000000", "--device", "cpu"]
        self.refused(1, "space", *absurd)
        plan = self.document(*absurd, "--dry-run", status=4)
        self.assertFalse(plan["fits"])
        self.assertFalse(list((self.tmp / "new").glob("*.bin")) if (self.tmp / "new").exists() else [])

    def test_file_sizes(self):
        first, last, middle = (self.data / f"postdata_{n}.bin" for n in (0, 7, 3))
        whole = middle.read_bytes()
        for name, change, problem in [
            ("short", lambda: middle.write_bytes(whole[:-160]), "postdata_3.bin"),
            ("odd", lambda: middle.write_bytes(whole[:-7]), "postdata_3.bin"),
            ("empty", lambda: middle.write_bytes(b""), "postdata_3.bin"),
            ("missing", middle.unlink, "postdata_3.bin"),
        ]:
            with self.subTest(name):
                change()
                info = self.document("info", "--dir", self.data, status=4)
                self.assertTrue(any(problem in p for p in info["problems"]), info["problems"])
                self.assertEqual(info["status"], "started")
                found = self.document("verify", "--dir", self.data, status=4)
                self.assertTrue(any(problem in p for p in found["problems"]), found)
                with self.untouched():
                    refused = smesher("prove", "--dir", self.data, "--network", "tiny", "--challenge", CHALLENGE)
                    self.assertIn(refused.status, (1, 3), str(refused))
                    self.assertIn(problem, refused.err)
                middle.write_bytes(whole)
        with open(last, "ab") as f:
            f.write(bytes(1600))
        info = self.document("info", "--dir", self.data, status=4)
        self.assertEqual(info["status"], "oversized")
        self.everywhere(3, "postdata_7.bin", ("init",))

    def test_foreign_names(self):
        (self.data / "postdata_8.bin").write_bytes(bytes(16))
        (self.data / "postdata_03.bin").write_bytes(bytes(16))
        info = self.document("info", "--dir", self.data, status=4)
        self.assertTrue(any("postdata_8.bin" in p for p in info["problems"]), info["problems"])
        self.assertTrue(any("postdata_03.bin" in p for p in info["problems"]), info["problems"])
        self.everywhere(3, "postdata_8.bin", ("init",))

    def test_no_directory(self):
        self.refused(1, "absent", "info", "--dir", self.tmp / "absent")
        self.refused(1, "absent", "verify", "--dir", self.tmp / "absent")
        file = self.tmp / "file"
        file.write_text("x")
        for command in ("info", "verify"):
            self.refused(1, "file", command, "--dir", file)
        self.refused(1, "file", "init", "--dir", file, "--network", "tiny", "--node-id", NODE, "--commitment-atx-id", ATX)
        empty = self.tmp / "empty"
        empty.mkdir()
        self.assertEqual(self.document("info", "--dir", empty, status=4)["status"], "not started")

    def as_nobody(self):
        """Keyword arguments for running as a user who may not read everything."""
        if os.geteuid() != 0:
            return {}
        nobody = 65534
        for path in [self.tmp, *self.tmp.rglob("*")]:
            os.chown(path, nobody, nobody)
        try:
            smesher("version", preexec=lambda: os.setuid(nobody))
        except OSError as e:
            self.skipTest(f"the program cannot be run as another user here: {e}")
        return {"preexec": lambda: os.setuid(nobody)}

    def test_an_unreadable_directory(self):
        user = self.as_nobody()
        self.data.chmod(0)
        self.addCleanup(self.data.chmod, 0o700)
        for command in ("info", "verify", "init"):
            self.refused(1, "Permission denied", command, "--dir", self.data, **user)

    def test_an_unreadable_file(self):
        user = self.as_nobody()
        (self.data / "postdata_2.bin").chmod(0)
        found = self.document("verify", "--dir", self.data, status=4, **user)
        self.assertTrue(any("postdata_2.bin" in p and "Permission denied" in p for p in found["problems"]), found)
        self.refused(1, ["postdata_2.bin", "Permission denied"], "prove", "--dir", self.data, "--network", "tiny",
                     "--challenge", CHALLENGE, **user)

    def test_a_read_only_disk(self):
        """A read-only mount in a namespace of our own."""
        mount = ["unshare", "--map-root-user", "--mount", "sh", "-c",
                 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"', str(self.data)]
        probe = subprocess.run([*mount, "true"], capture_output=True, text=True)
        if probe.returncode != 0:
            self.skipTest(f"no mount namespaces here: {probe.stderr.strip()}")

        def inside(*args):
            return subprocess.run([*mount, harness.OPTIONS.smesher, *map(str, args)], capture_output=True, text=True)

        with self.untouched():
            self.assertEqual(inside("info", "--dir", self.data).returncode, 0)
            self.assertEqual(inside("verify", "--dir", self.data).returncode, 0)
            for line in (["init", "--dir", self.data], ["grow", "--dir", self.data, "--num-units", "3"],
                         ["verify", "--dir", self.data, "--repair"]):
                done = inside(*line)
                self.assertEqual(done.returncode, 1, f"{line}: {done}")
                self.assertIn("Read-only file system", done.stderr)

    def test_two_processes(self):
        with open(self.data / "smesher.lock", "a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for line in (["init"], ["grow", "--num-units", "3"], ["shrink", "--num-units", "1", "--yes"],
                         ["verify", "--repair"], ["nonce"]):
                with self.subTest(line), self.untouched():
                    self.refused(1, "in use", *line, "--dir", self.data)
        self.assertEqual(self.document("init", "--dir", self.data)["labels_written"], 0)

    def test_proof_output_that_cannot_be_written(self):
        self.refused(1, "no-dir", "prove", "--dir", self.data, "--network", "tiny", "--challenge", CHALLENGE, "--out",
                     self.tmp / "no-dir" / "p.json")

    def test_broken_keys(self):
        for text in ["", "00" * 63, "00" * 64 + "\n", "zz" * 64, "00" * 64]:
            with self.subTest(text[:10]):
                (self.data / "identity.key").write_text(text)
                (self.data / "identity.key").chmod(0o600)
                info = self.document("info", "--dir", self.data, status=4)
                self.assertEqual(info["key"], "broken", info)
                self.refused(3, "identity.key", "init", "--dir", self.data)
        self.assertNotIn("00" * 16, json.dumps(info), "a key leaked")


if __name__ == "__main__":
    harness.main()
