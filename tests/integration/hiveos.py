#!/usr/bin/env python3
"""The HiveOS archive: what is in it, that it runs where no library is installed, and what its scripts do.

usage: hiveos.py --smesher PROGRAM --build BUILD-DIR
"""
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import types
import unittest

import harness
from cli_common import ROOT, CliTest

BUILD = None
SCRIPTS = ("h-config.sh", "h-run.sh", "h-stats.sh")


def bash(script, **kwargs):
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, **kwargs)


class HiveTest(CliTest):
    def archive(self, out, **kwargs):
        done = subprocess.run(["sh", ROOT / "packaging/hiveos/build", "--from", BUILD, "--out", out], capture_output=True,
                              text=True, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return pathlib.Path(done.stdout.strip())

    shared = None  # made once; nobody writes there

    def first(self):
        """The archive; unpacked, it is the folder smesher beside it."""
        if HiveTest.shared is None:
            HiveTest.shared = tempfile.TemporaryDirectory(prefix="smesher-hive-")
            HiveTest.path = self.archive(pathlib.Path(HiveTest.shared.name))
            with tarfile.open(HiveTest.path) as tar:
                tar.extractall(HiveTest.path.parent)
        return HiveTest.path

    def unpacked(self):
        return self.first().parent / "smesher"


class Archive(HiveTest):
    def test_contents(self):
        path = self.first()
        version = self.document("version")["version"]
        self.assertEqual(path.name, f"smesher-{version}.tar.gz", "HiveOS finds name and version in the file name")
        self.assertNotIn("-", version)
        with tarfile.open(path) as tar:
            members = {m.name: m for m in tar}
        for name, member in members.items():
            self.assertTrue(name == "smesher" or name.startswith("smesher/"), name)
            self.assertEqual((member.uid, member.gid, member.uname), (0, 0, "root"))
            self.assertTrue(member.isdir() or member.isreg(), name)
        for name in [*SCRIPTS, "bin/smesher", "lib/ld.so"]:
            self.assertEqual(members[f"smesher/{name}"].mode, 0o755, name)
        for name in ("h-manifest.conf", "doc/LICENSE", "doc/copyright.libc6", "lib/libpthread.so.0", "lib/libdl.so.2"):
            self.assertIn(f"smesher/{name}", members)
        self.assertFalse([name for name in members if "OpenCL" in name], "the OpenCL loader is the system's")

    def test_the_same_bytes_again(self):
        one = self.first()
        two = self.archive(self.tmp / "two", umask=0o077, env={**os.environ, "TZ": "Asia/Tokyo", "GZIP": "", "LC_ALL": "C.UTF-8"})
        self.assertEqual(one.read_bytes(), two.read_bytes())

    def test_runs_in_an_empty_root(self):
        root = self.unpacked()
        enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "chroot"]
        argv = [*enter, root, "/lib/ld.so", "--argv0", "smesher", "--library-path", "/lib", "/bin/smesher", "version"]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0 and re.search("unshare|cannot change root|Operation not permitted", done.stderr):
            self.skipTest("cannot change the root directory here: " + done.stderr.strip())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("smesher "), done.stdout)

    def test_manifest(self):
        root = self.unpacked()
        said = bash(". ./h-manifest.conf; echo $CUSTOM_NAME,$CUSTOM_VERSION,$CUSTOM_CONFIG_FILENAME,$CUSTOM_LOG_BASENAME",
                    cwd=root)
        self.assertEqual(said.stdout.strip(), f'smesher,{self.document("version")["version"]},'
                         "/hive/miners/custom/smesher/rig.yaml,/var/log/miner/custom/smesher")


class Scripts(HiveTest):
    """The scripts with the paths of HiveOS moved into self.tmp."""

    def moved(self):
        root = self.tmp / "hive/miners/custom/smesher"
        root.mkdir(parents=True)
        for name in (*SCRIPTS, "h-manifest.conf"):
            text = (ROOT / "packaging/hiveos" / name).read_text()
            (root / name).write_text(text.replace("=/hive", f"={self.tmp}/hive").replace("=/var", f"={self.tmp}/var"))
            (root / name).chmod(0o755)
        return root

    def test_syntax(self):
        for name in SCRIPTS:
            done = subprocess.run(["bash", "-n", ROOT / "packaging/hiveos" / name], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)

    def configure(self, root, text):
        return bash(". ./h-manifest.conf; . ./h-config.sh", cwd=root, env={**os.environ, "CUSTOM_USER_CONFIG": text})

    def test_config(self):
        root = self.moved()
        yaml = 'identities:\n  - dir: "/data/$HOME `id` \\n"\n'
        self.assertEqual(self.configure(root, yaml).stderr, "")
        self.assertEqual((root / "rig.yaml").read_text(), yaml + "\n")
        self.assertIn("no extra config", self.configure(root, "").stderr)
        self.assertEqual((root / "rig.yaml").read_text(), yaml + "\n", "an empty flight sheet keeps the last configuration")
        self.assertIn("updates delete", self.configure(root, "dir: /hive/miners/custom/smesher/data").stderr)
        self.assertFalse((root / "rig.yaml").exists())

    def test_run_without_configuration(self):
        done = subprocess.run([self.moved() / "h-run.sh"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertIn("no configuration", done.stderr)

    def run_until(self, sig):
        """h-run.sh with a loader that plays the rig: a FIFO tells when it is ready."""
        root = self.moved()
        (root / "rig.yaml").write_text("x\n")
        (root / "lib").mkdir()
        os.mkfifo(self.tmp / "ready")
        (root / "lib/ld.so").write_text(
            "#!/bin/bash\n"
            "trap 'echo reloaded' HUP\n"
            "trap 'echo saved; kill $!; exit 5' TERM\n"
            "sleep infinity >/dev/null 2>&1 &\n"
            f"echo \"$@\"; echo >{self.tmp}/ready\n"
            "while :; do wait; done\n")
        (root / "lib/ld.so").chmod(0o755)
        process = subprocess.Popen([root / "h-run.sh", "--extra"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True)
        with open(self.tmp / "ready") as ready:
            ready.read()
        os.killpg(process.pid, sig)  # as a terminal does that goes away
        out, _ = process.communicate(timeout=60)
        return root, process.returncode, out

    def test_run_ends_the_rig_in_order(self):
        for sig in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            with self.subTest(sig.name):
                root, status, out = self.run_until(sig)
                self.assertEqual(status, 5, out)
                self.assertIn(f"bin/smesher rig --config {root}/rig.yaml --extra", out)
                self.assertIn("saved\n", out)
                self.assertNotIn("reloaded", out)
                log = self.tmp / "var/log/miner/custom/smesher.log"
                self.assertEqual(log.read_text(), out)
                shutil.rmtree(self.tmp / "hive")
                shutil.rmtree(self.tmp / "var")
                (self.tmp / "ready").unlink()


def identity(phase, bytes_per_s):
    return {"phase": phase, "reading": {"bytes_per_s": {"10s": bytes_per_s, "60s": 1.0, "15min": 2.0}}}


# What h-stats.sh reads of GET /v1/status (src/status/fields.c).
STATUS = {
    "rig": {"version": "9.8.7", "now_unix_s": 1764004242, "started_unix_s": 1764000000},
    "counts": {"proofs_made": 3, "proofs_failed": 1},
    "identities": [identity("reading", 1600000.0), identity("k2pow", 5500.0), identity("idle", 0),
                   identity("reading", 320008)],
}


class Stats(HiveTest):
    """h-stats.sh as the agent sources it, against a server that plays the rig."""

    def serve(self, body, status=200):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.server.seen.append((self.path, self.headers["Authorization"]))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        server.seen = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def stats(self, server, cards="null", token=""):
        for tool in ("curl", "jq"):
            if not shutil.which(tool):
                self.skipTest(f"no {tool} here")
        config = self.tmp / "rig.yaml"
        config.write_text(f"# listen: 1.2.3.4:1\nprove:\n  listen: 5.6.7.8:1\nstatus:\n  token_file: \"{token}\"\n"
                          f"  listen: \"127.0.0.1:{server.server_port}\" # here\nnode:\n  listen: 5.6.7.8:2\n")
        done = bash(f"gpu_stats='{cards}'; . {ROOT}/packaging/hiveos/h-stats.sh; echo \"$khs\"; echo \"$stats\"; "
                    "compgen -v smesher_; compgen -A function smesher_",
                    env={**os.environ, "CUSTOM_CONFIG_FILENAME": str(config), "http_proxy": "http://127.0.0.1:1"})
        self.assertEqual(done.stderr, "")
        khs, stats, *left = done.stdout.splitlines()
        self.assertEqual(left, [], "variables left in the agent")
        return float(khs), json.loads(stats)

    def test_rates(self):
        server = self.serve(json.dumps(STATUS))
        khs, stats = self.stats(server, cards='{"temp": ["61", "58"], "fan": ["40", "45"], "power": []}')
        self.assertEqual(server.seen, [("/v1/status", None)])
        self.assertAlmostEqual(khs, 120.0)
        self.assertEqual(stats, {
            "hs": [100000, 0, 0, 20000], "hs_units": "hs", "temp": ["61", "58"], "fan": ["40", "45"], "uptime": 4242,
            "ver": "9.8.7", "ar": [3, 1], "algo": "spacemesh"})

    def test_token(self):
        (self.tmp / "token").write_text("open-sesame-0123456789\n")
        server = self.serve(json.dumps(STATUS))
        self.assertEqual(self.stats(server, token="token")[0], 120.0)
        self.assertEqual(server.seen, [("/v1/status", "Bearer open-sesame-0123456789")])

    def test_no_identities_and_no_cards(self):
        khs, stats = self.stats(self.serve(json.dumps({**STATUS, "identities": []})))
        self.assertEqual((khs, stats["hs"], stats["temp"], stats["fan"]), (0, [], [], []))

    def test_no_answer_that_helps(self):
        for body, status in (("", 200), ("{", 200), ("<html>", 404), ("[]", 200), (json.dumps(STATUS), 500)):
            with self.subTest(body=body, status=status):
                self.assertEqual(self.stats(self.serve(body, status)), (0, None))
        with socket.socket() as nobody:  # bound, and not listening
            nobody.bind(("127.0.0.1", 0))
            self.assertEqual(self.stats(types.SimpleNamespace(server_port=nobody.getsockname()[1])), (0, None))


if __name__ == "__main__":
    at = sys.argv.index("--build")
    BUILD = pathlib.Path(sys.argv.pop(at + 1)).resolve()
    sys.argv.pop(at)
    harness.main()
