#!/usr/bin/env python3
"""The systemd units: systemd's own opinion of them, the commands they run, and the program under their system call filter.

usage: units.py --smesher PROGRAM
"""
import ctypes
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import unittest
import urllib.request

import harness
from cli_common import CHALLENGE, ROOT, CliTest

# The most that `systemd-analyze security` may say, in tenths.
EXPOSURE = {"smesher-rig": 20, "smesher-k2pow": 16, "smesher-signer": 10}


def need_systemd():
    if not shutil.which("systemd-analyze"):
        raise unittest.SkipTest("no systemd-analyze here")


def run(*argv, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise AssertionError(f"{argv}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


class UnitTest(CliTest):
    def units(self):
        """Copies of the units with this build's program, which exists, in place of the installed one."""
        for source in sorted((ROOT / "packaging/systemd").glob("*.service")):
            unit = self.tmp / source.name
            unit.write_text(source.read_text().replace("/usr/bin/smesher", harness.OPTIONS.smesher))
            yield unit


class Units(UnitTest):
    def test_verify(self):
        need_systemd()
        if not pathlib.Path("/lib/systemd/system/sysinit.target").exists():
            self.skipTest("no systemd units here")
        for unit in self.units():
            said = run("systemd-analyze", "verify", "--man=no", unit)
            self.assertEqual([line for line in said.splitlines() if "smesher" in line], [])

    def test_exposure(self):
        need_systemd()
        if "--offline" not in run("systemd-analyze", "--help"):
            self.skipTest("this systemd-analyze judges running services only")
        for unit in self.units():
            with self.subTest(unit.name):
                run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE[unit.stem]}", unit)

    def test_options_exist(self):
        """The units call commands and options that the program has."""
        for unit in self.units():
            lines = re.findall("(?m)^Exec[A-Za-z]*=(\\S*smesher .*)$", unit.read_text())
            self.assertTrue(lines, unit.name)
            for line in lines:
                words = line.split()
                self.assertEqual(words[0], harness.OPTIONS.smesher)
                text = self.ok(words[1], "--help").out
                for option in [w for w in words[2:] if w.startswith("--")]:
                    self.assertRegex(text, f"(?m)^  {option}( |$)", unit.name)


# ---- the program under the filter of its unit ----

SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
EPERM = 1


def numbers():
    """{system call: number} of this machine, from the C library's headers."""
    done = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                          capture_output=True, text=True)
    found = {name: int(value) for name, value in re.findall(r"(?m)^#define __NR_(\w+) (\d+)$", done.stdout)}
    if not found:
        raise unittest.SkipTest("no compiler to ask for the numbers of the system calls")
    return found


def members(name):
    """The system calls of a filter set of systemd, or the call itself."""
    if not name.startswith("@"):
        return {name}
    lines = run("systemd-analyze", "syscall-filter", "--no-pager", name).splitlines()[1:]
    words = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return set().union(*(members(word) for word in words))


def allowed(unit):
    """Numbers that the unit's filter lets through. It has to be a list of what is allowed, and the rest EPERM."""
    text = unit.read_text()
    words = " ".join(re.findall("(?m)^SystemCallFilter=(.*)$", text)).split()
    assert words and not any(word.startswith("~") for word in words), unit
    assert re.search("(?m)^SystemCallErrorNumber=EPERM$", text), unit
    known = numbers()
    # systemd itself lets @default through in a list of what is allowed.
    return {known[name] for word in [*words, "@default"] for name in members(word) if name in known}


def fence(calls):
    """A preexec function that makes the kernel refuse all other calls."""
    rules = [(0x20, 0, 0, 0)]  # load the number
    for call in sorted(calls):
        rules += [(0x15, 0, 1, call), (0x06, 0, 0, SECCOMP_RET_ALLOW)]
    rules.append((0x06, 0, 0, SECCOMP_RET_ERRNO | EPERM))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    program = struct.pack("@HP", len(rules), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(keep=code):
        # PR_SET_NO_NEW_PRIVS, then PR_SET_SECCOMP with a filter
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program, 0, 0) != 0:
            os._exit(99)
    return enter


class Filtered(UnitTest):
    def setUp(self):
        super().setUp()
        need_systemd()
        if platform.machine() not in ("x86_64", "aarch64"):
            self.skipTest("the numbers of the system calls are those of a 64-bit machine")

    def enter(self, name):
        return fence(allowed(next(unit for unit in self.units() if unit.stem == name)))

    def signer(self, **kwargs):
        """The signer's first words, under whatever keeps it."""
        keys, socket = self.tmp / "signer", self.tmp / "socket"
        if not keys.exists():
            keys.mkdir(0o700)
            self.ok("keys", "new", "--data-dir", keys, "--genesis-id", "11" * 20)
        self.tmp.chmod(0o700)
        process = subprocess.Popen([harness.OPTIONS.smesher, "signer", "--data-dir", keys, "--genesis-id", "11" * 20,
                                    "--socket", socket], stderr=subprocess.PIPE, text=True, **kwargs)
        line = process.stderr.readline()
        process.terminate()
        rest = process.communicate()[1]
        self.assertEqual(process.returncode, 0, line + rest)
        return line

    def test_signer_fences_itself_in_as_it_does_without(self):
        free = self.signer()
        self.assertIn("ready", free)
        held = self.signer(preexec_fn=self.enter("smesher-signer"))
        self.assertEqual(re.search("landlock=(yes|no)", held)[1], re.search("landlock=(yes|no)", free)[1])

    def started(self, unit, *argv):
        """Starts a service as its unit does: under the filter, with a socket for what it tells the manager; returns when
        it says that it is ready."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(self.tmp / "notify"))
        manager.settimeout(120)
        log = open(self.tmp / "log", "w+")
        self.addCleanup(log.close)
        process = subprocess.Popen([harness.OPTIONS.smesher, *map(str, argv)], stdout=log, stderr=log,
                                   preexec_fn=self.enter(unit),
                                   env={**os.environ, "NOTIFY_SOCKET": str(self.tmp / "notify")})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.until(manager, "READY=1")
        return process, manager, lambda: (self.tmp / "log").read_text()

    def until(self, manager, wanted):
        """Waits for a line to the manager."""
        said = []
        while wanted not in said:
            said += manager.recv(4096).decode().splitlines()

    def test_k2pow(self):
        """RandomX compiles and runs machine code there."""
        process, manager, log = self.started("smesher-k2pow", "k2pow", "--listen", "127.0.0.1:0", "--state-dir",
                                             self.tmp / "state", "--randomx", "light", "--threads", "1")
        url = re.search(r"url=(\S+)", log())[1]
        job = f"{url}/job/{'11' * 32}/0/{'22' * 8}/{'ff' * 32}"
        answer = None
        while answer is None:  # the service answers 201 as long as it works
            with urllib.request.urlopen(job) as reply:
                if reply.status == 200:
                    answer = reply.read()
        self.assertTrue(answer.strip().isdigit(), answer)
        process.terminate()
        self.assertEqual(process.wait(timeout=60), 0, log())
        self.until(manager, "STOPPING=1")

    def test_rig(self):
        """Ready, told to reload, and ended; then a proof, as its runs make them."""
        data = self.tmp / "post"
        self.init(data)
        config = self.tmp / "rig.yaml"
        config.write_text(f"network: tiny\nstate_dir: {self.tmp}/state\nnode:\n  addresses: [http://127.0.0.1:1]\n"
                          f"data:\n  roots: [{data}]\nprove:\n  randomx: light\nstatus:\n  listen: 127.0.0.1:0\n")
        self.ok("rig", "--config", config, "--check", preexec=self.enter("smesher-rig"))
        process, manager, log = self.started("smesher-rig", "rig", "--config", config)
        process.send_signal(signal.SIGHUP)
        self.until(manager, "RELOADING=1")
        self.until(manager, "READY=1")
        process.terminate()
        self.assertEqual(process.wait(timeout=60), 0, log())
        self.until(manager, "STOPPING=1")
        self.ok("prove", "--dir", data, "--network", "tiny", "--randomx", "light", "--no-state", "--challenge", CHALLENGE,
                "--out", self.tmp / "proof.json", preexec=self.enter("smesher-rig"))

    def test_the_filter_is_one(self):
        """A call that no service needs is refused: the tests above do not pass for want of a filter."""
        done = subprocess.run(["python3", "-c", "import os; os.chroot('/')"], capture_output=True, text=True,
                              preexec_fn=self.enter("smesher-signer"))
        self.assertIn("PermissionError", done.stderr)


if __name__ == "__main__":
    harness.main()
