#!/usr/bin/env python3
"""The Debian packages, installed in a new minimal Debian system.

usage: packages_chroot.py --smesher PROGRAM --build BUILD-DIR

Needs root, debootstrap and the package mirror that this machine's apt uses. SM_TEST_CHROOT=1 compiles the packages from the
source, as for a release, instead of packing the build; SM_TEST_CHROOT=0 leaves the test out.
"""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

import harness
import harness_zsh
from cli_common import ATX, NODE, ROOT

BUILD = None
FROM_SOURCE = os.environ.get("SM_TEST_CHROOT") == "1"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(*argv, status=0, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, **kwargs)
    if done.returncode != status:
        raise AssertionError(f"{argv}: status {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def os_release():
    text = pathlib.Path("/etc/os-release").read_text()
    return dict(re.findall(r'(?m)^([A-Z_]+)="?([^"\n]*)"?$', text))


def apt_sources():
    """(address, suites, components, keyring or None) of every binary source of this machine."""
    directory = pathlib.Path("/etc/apt/sources.list.d")
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(directory.glob("*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else []:
            match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$", line)
            if match:
                keyring = re.search(r"signed-by=(\S+)", match[1] or "")
                yield match[2], [match[3]], match[4].split(), keyring[1] if keyring else None
    for path in sorted(directory.glob("*.sources")):
        for block in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", path.read_text())):
            field = {k.lower(): v.strip() for k, v in re.findall(r"(?m)^([\w-]+):(.*)$", block)}
            if "deb" in field.get("types", "").split() and field.get("enabled", "yes") != "no":
                for uri in field.get("uris", "").split():
                    yield uri, field.get("suites", "").split(), field.get("components", "").split(), field.get("signed-by")


def mirror():
    """(suite, address, keyring) from which this machine's own release comes."""
    suite = os_release().get("VERSION_CODENAME", "")
    for uri, suites, components, keyring in apt_sources():
        if suite in suites and "main" in components and uri.startswith(("http", "file:")):
            return suite, uri, keyring
    raise unittest.SkipTest(f"apt has no source of {suite or 'this system'}")


class Chroot(unittest.TestCase):
    def setUp(self):
        if os.environ.get("SM_TEST_CHROOT") == "0":
            self.skipTest("SM_TEST_CHROOT=0")
        if os.geteuid() != 0:
            self.skipTest("only root can install the packages in a new Debian system")
        if not shutil.which("debootstrap", path=PATH):
            self.skipTest("debootstrap is not there to install the packages in a new Debian system")
        suite, uri, keyring = mirror()
        holder = tempfile.TemporaryDirectory(prefix="smesher-chroot-")
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name) / "root"
        made = subprocess.run(["debootstrap", "--variant=minbase", *([f"--keyring={keyring}"] if keyring else []), suite,
                               str(self.root), uri], capture_output=True, text=True, env={**os.environ, "PATH": PATH})
        if made.returncode != 0:
            self.skipTest(f"debootstrap cannot make {suite} from {uri}: {made.stdout.strip().splitlines()[-1:]}")
        (self.root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (self.root / "usr/sbin/policy-rc.d").chmod(0o755)
        # The libraries that the package was made with may be later than the release: updates, security.
        (self.root / "etc/apt/sources.list").write_text("".join(
            f"deb {uri} {name} main\n" for uri, suites, components, _ in apt_sources() for name in suites
            if name.split("-")[0] == suite and "main" in components))
        out = pathlib.Path(holder.name) / "out"
        run("sh", ROOT / "packaging/deb/build", "--out", out, *([] if FROM_SOURCE else ["--from", BUILD]))
        for deb in out.glob("*.deb"):
            shutil.copy(deb, self.root / "root")
        self.deb = "/root/" + next(out.glob("smesher_*.deb")).name
        # Everything is fetched at once: what fails later is ours, not the network's.
        self.fetched("apt-get", "-q", "update")
        self.install("--simulate", self.deb)  # its dependencies exist
        self.fetched("apt-get", "-y", "-q", "--no-install-recommends", "--download-only", "install", self.deb,
                     "systemd", "zsh", "fish")

    def fetched(self, *argv):
        try:
            self.inside(*argv)
        except AssertionError as e:
            self.skipTest(f"the package mirror is not to be had: {str(e).strip().splitlines()[-1:]}")

    def inside(self, *argv, user=None, status=0):
        env = {"PATH": PATH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive",
               **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}}
        return run("chroot", *([f"--userspec={user}:{user}"] if user else []), self.root, *argv, status=status, env=env)

    def install(self, *names):
        return self.inside("apt-get", "-y", "-q", "--no-install-recommends", "install", *names)

    def assert_user(self):
        ids = self.inside("id", "smesher")
        for group in ("smesher", "video", "render"):
            self.assertIn(f"({group})", ids)
        line = self.inside("getent", "passwd", "smesher")
        self.assertIn(":/var/lib/smesher:/usr/sbin/nologin", line)
        uid = int(line.split(":")[2])
        self.assertLess(uid, 1000)
        state = (self.root / "var/lib/smesher").stat()
        self.assertEqual((state.st_uid, stat.S_IMODE(state.st_mode)), (uid, 0o750))

    def test_life_of_an_installation(self):
        data = "/var/lib/smesher/post"
        self.assertIn("/etc/smesher/signer.env.example", self.install(self.deb) and self.inside("dpkg", "-L", "smesher"))
        self.assert_user()
        self.assertEqual(self.inside("dpkg", "--verify", "smesher"), "")
        if FROM_SOURCE:
            self.assertNotIn(str(ROOT).encode(), (self.root / "usr/bin/smesher").read_bytes())
        init = ("smesher", "init", "--dir", data, "--network", "tiny", "--node-id", NODE, "--commitment-atx-id", ATX)
        self.inside(*init, user="smesher")
        self.inside("smesher", "verify", "--all", "--dir", data, "--network", "/usr/share/smesher/tiny.yaml", user="smesher")
        before = harness.digests(self.root / data[1:])
        self.assertGreater(len(before), 1)
        env = self.root / "etc/smesher/signer.env"
        env.write_text("GENESIS_ID=mine\n")

        with self.subTest("again over itself"):
            self.inside("dpkg", "-i", self.deb)
            self.assert_user()

        with self.subTest("purge"):
            said = self.inside("dpkg", "-P", "smesher")
            self.assertIn("/var/lib/smesher", said)
            self.assertFalse((self.root / "usr/bin/smesher").exists())
            self.assertEqual(sorted(p.name for p in env.parent.iterdir()), ["signer.env"])
            self.assertEqual(harness.digests(self.root / data[1:]), before)
            self.inside("id", "smesher")

        with self.subTest("systemd makes the user"):
            self.inside("deluser", "--quiet", "smesher")
            shutil.rmtree(self.root / "var/lib/smesher")
            self.install("systemd")
            self.inside("dpkg", "-i", self.deb)
            self.assert_user()
            enabled = self.inside("find", "/etc/systemd", "-name", "smesher*")
            self.assertEqual(enabled, "", "nothing is enabled")
            for unit in (self.root / "usr/lib/systemd/system").glob("smesher-*.service"):
                said = self.inside("systemd-analyze", "verify", "--man=no", f"/usr/lib/systemd/system/{unit.name}")
                self.assertNotIn("smesher", said)

        with self.subTest("completion in the other shells"):
            self.install("zsh", "fish")
            for line, wanted in harness_zsh.LINES.items():
                self.assertEqual(harness_zsh.completed(line, ("chroot", self.root)), wanted)
            said = self.inside("fish", "-c", "complete --do-complete 'smesher keys imp'")
            self.assertEqual({line.split("\t")[0] for line in said.splitlines()}, {"import", "import-journal"})
            said = self.inside("fish", "-c", "complete --do-complete 'smesher prove --randomx '")
            self.assertEqual({line.split("\t")[0] for line in said.splitlines()}, {"light", "fast"})


if __name__ == "__main__":
    at = sys.argv.index("--build")
    BUILD = pathlib.Path(sys.argv.pop(at + 1)).resolve()
    sys.argv.pop(at)
    harness.main()
