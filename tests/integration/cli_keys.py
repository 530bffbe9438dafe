#!/usr/bin/env python3
"""Identity keys, the signing journal and the signer process from the command line.

usage: cli_keys.py --smesher PROGRAM
"""
import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import stat
import subprocess
import unittest

import harness
from cli_common import CliTest

GENESIS = "9eebff023abb17ccb775c602daade8ed708f0a50"
OTHER = "00" * 20
ASK_NODE_IDS = (35).to_bytes(4, "little") + bytes([1, 0, 0]) + bytes(32)
ONE = "01" * 32 + "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"


class Keys(CliTest):
    def setUp(self):
        super().setUp()
        self.data = self.tmp / "data"
        self.where = ["--data-dir", self.data]
        self.here = [*self.where, "--genesis-id", GENESIS]
        (self.tmp / "pass").write_text("correct horse\n")
        self.sealing = ["--seal", "--passphrase-file", self.tmp / "pass"]

    def names(self, where=None):
        return [k["name"] for k in self.document("keys", "list", "--data-dir", where or self.data)["keys"]]

    def test_new_key_is_the_reference_format(self):
        made = self.document("keys", "new", *self.here)["keys"][0]
        path = self.data / "identities" / "local.key"
        text = path.read_text()
        self.assertRegex(text, r"\A[0-9a-f]{128}\Z")
        self.assertEqual(text[64:], made["node_id"])
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE((self.data / "signing-journal.db").stat().st_mode), 0o600)
        self.refused(3, "never replaced", "keys", "new", *self.here)
        self.assertEqual(path.read_text(), text)
        shown = self.ok("keys", "show", "local.key", *self.where)
        self.assertIn(made["node_id"], shown.out)
        self.assertNotIn(text[:64], shown.out + shown.err)

    def test_sealed_key(self):
        made = self.document("keys", "new", *self.here, "--name", "a.key", *self.sealing)["keys"][0]
        self.assertEqual((self.names(), made["sealed"]), (["a.skey"], True))
        other = self.tmp / "other"
        self.refused(1, "passphrase", "keys", "import", self.data, "--data-dir", other, "--genesis-id", GENESIS)
        self.ok("keys", "import", self.data, "--data-dir", other, "--genesis-id", GENESIS, "--passphrase-file",
                self.tmp / "pass")
        self.assertEqual(self.names(other), ["a.skey"])

    def test_import_of_a_go_spacemesh_directory(self):
        old = self.tmp / "old" / "identities"
        old.mkdir(parents=True)
        (old / "one.key").write_text(ONE.upper() + "\n")
        (old / "one.key").chmod(0o644)
        result = self.ok("keys", "import", self.tmp / "old", *self.here)
        self.assertIn("others may read", result.err)
        self.assertNotIn(ONE[:64], result.out + result.err)
        self.assertEqual((self.data / "identities" / "one.key").read_text(), ONE)
        self.assertIn("there already", self.ok("keys", "import", self.tmp / "old", *self.here).out)
        (old / "one.key").write_text(ONE[:-1] + "0")
        self.refused(3, "do not match", "keys", "import", old / "one.key", *self.here)

    def test_journal_interchange(self):
        self.ok("keys", "new", *self.here)
        row = {"kind": "ballot", "slot": 5, "hash": "01" * 32}
        document = {"metadata": {"interchange_format": "spacemesh-signing-journal", "interchange_format_version": 1,
                                 "genesis_id": GENESIS},
                    "data": [{"subject": "aa" * 32, "minimal_slots": [], "signed": [row]}]}
        file, out = self.tmp / "in.json", self.tmp / "out.json"
        file.write_text(json.dumps(document))
        self.assertEqual(self.document("keys", "import-journal", file, *self.here)["rows"], 1)
        self.ok("keys", "export-journal", "--out", out, *self.here)
        exported = json.loads(out.read_text())
        self.assertEqual(exported["data"][0]["signed"], [row])
        self.assertEqual(exported["data"][0]["minimal_slots"], [{"kind": "ballot", "slot": 6}])
        key = self.data / "identities" / "local.key"
        for kept in (out, key):
            before = kept.read_bytes()
            self.refused(3, "never replaced", "keys", "export-journal", "--out", kept, *self.here)
            self.assertEqual(kept.read_bytes(), before)
        row["hash"] = "02" * 32
        file.write_text(json.dumps(document))
        self.refused(3, ["01" * 32, "02" * 32], "keys", "import-journal", file, *self.here)
        self.refused(3, "genesis ID", "keys", "export-journal", "--out", out, *self.where, "--genesis-id", OTHER)
        self.refused(2, "--genesis-id", "keys", "new", *self.where, "--genesis-id", "00")

    @contextlib.contextmanager
    def signer(self, where=None):
        """A running signer: its socket and its process."""
        path = self.data / "s"
        argv = [harness.OPTIONS.smesher, "signer", "--json", *map(str, where or self.here), "--socket", str(path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                self.assertIn("ready", process.stderr.readline())
                yield path, process
            finally:
                process.send_signal(signal.SIGTERM)

    def test_signer_process(self):
        self.ok("keys", "new", *self.here)
        with self.signer() as (path, process):
            self.refused(1, "in use by another process", "signer", *self.here, "--socket", self.data / "t")
            self.refused(1, "in use by another process", "keys", "export-journal", "--out", self.tmp / "x", *self.here)
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(path))
                s.sendall(ASK_NODE_IDS)
                answer = s.recv(26, socket.MSG_WAITALL)
            self.assertEqual(answer[4:26], bytes([1, 0]) + bytes.fromhex(GENESIS))
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(json.loads(out)["identities"], 1)
        self.assertFalse(path.exists())

    @unittest.skipUnless(os.access("/run/lock", os.W_OK), "/run/lock is not ours to write in")
    def test_a_copy_of_the_directory_starts_no_second_signer(self):
        self.ok("keys", "new", *self.here)
        copy = self.tmp / "copy"
        shutil.copytree(self.data, copy)
        copy.chmod(0o700)
        there = ("--data-dir", copy, "--genesis-id", GENESIS)
        with self.signer() as (_, process):
            self.refused(1, "one signer per identity", "signer", *there, "--socket", copy / "s")
            self.ok("keys", "list", "--data-dir", copy)
            process.kill()
            process.wait()
        for _ in range(2):  # as soon as the first is gone, also when the copy has run before
            with self.signer(there) as (_, process):
                pass

    @unittest.skipIf(os.geteuid() != 0, "only root can be another user")
    def test_signer_answers_no_other_user(self):
        self.ok("keys", "new", *self.here)
        self.tmp.chmod(0o755)
        self.data.chmod(0o755)
        ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
               "s.sendall(bytes.fromhex(sys.argv[2])); print(len(s.recv(26, socket.MSG_WAITALL)))")
        argv = ["python3", "-c", ask]
        with self.signer() as (path, _):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0)
            path.chmod(0o666)  # what the file's mode forbids is refused again inside
            argv += [str(path), ASK_NODE_IDS.hex()]
            ours = subprocess.run(argv, capture_output=True, text=True, timeout=60)
            theirs = subprocess.run(argv, capture_output=True, text=True, timeout=60, user=65534)
        self.assertEqual(ours.stdout, "26\n", ours.stderr)
        self.assertTrue(theirs.stdout == "0\n" or "BrokenPipe" in theirs.stderr or "ConnectionReset" in theirs.stderr,
                        theirs)

    def on_terminal(self, answers, *args):
        """Runs with a terminal of its own, typing an answer at every prompt: what it showed, and the exit status."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(harness.OPTIONS.smesher, [harness.OPTIONS.smesher, *map(str, args)])
        shown, answers = "", list(answers)
        with contextlib.suppress(OSError):  # EIO: the other side has closed
            while part := os.read(fd, 4096).decode():
                shown += part
                if answers and shown.endswith(": "):
                    os.write(fd, answers.pop(0).encode() + b"\n")
        os.close(fd)
        self.assertEqual(answers, [], shown)
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_passphrase_on_the_terminal(self):
        shown, status = self.on_terminal(["correct horse", "correct house"], "keys", "new", *self.here, "--seal")
        self.assertIn("differ", shown)
        self.assertNotIn("correct", shown)
        self.assertEqual((status, (self.data / "identities" / "local.skey").exists()), (3, False))
        shown, status = self.on_terminal(["correct horse"] * 2, "keys", "new", *self.here, "--seal")
        self.assertEqual((status, self.names()), (0, ["local.skey"]), shown)
        self.assertNotIn("correct", shown)
        shown, status = self.on_terminal(["wrong"], "keys", "import", self.data, "--data-dir", self.tmp / "other",
                                         "--genesis-id", GENESIS)
        self.assertIn("passphrase", shown)
        self.assertNotEqual(status, 0)

    def test_signer_refuses_to_start(self):
        self.refused(1, "no signing journal", "signer", *self.here, "--socket", self.data / "s")
        self.ok("keys", "new", *self.here, "--name", "a.key")
        (self.data / "identities" / "one.key").write_text(ONE)
        self.refused(3, "does not belong to identity", "signer", *self.here, "--socket", self.data / "s")
        (self.data / "identities" / "one.key").unlink()
        (self.data / "signing-journal.db").unlink()
        self.refused(1, "no signing journal", "signer", *self.here, "--socket", self.data / "s")
        self.refused(1, "no signing journal", "keys", "new", *self.here, "--name", "b.key")


if __name__ == "__main__":
    harness.main()
