#!/usr/bin/env python3
"""Signals and the terminal: orderly and immediate stops, the progress bar, progress lines.

usage: cli_signals.py --smesher PROGRAM
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import harness
from cli_common import ATX, CACHE, CHALLENGE, NODE, CliTest, smesher, tiny_copy

DEADLINE_S = 60


def slow_init(data, *more):
    """An init that nobody waits for: labels with N = 8192, many of them."""
    return [harness.OPTIONS.smesher, "init", "--dir", str(data), "--network", "tiny", "--param", "labels_per_unit=1000000",
            "--param", "scrypt_n=8192", "--max-file-size", "1MiB", "--node-id", NODE, "--commitment-atx-id", ATX,
            "--device", "cpu", "--threads", "1", "--batch", "64", *more]


def environment(**more):
    return {**os.environ, "SM_CACHE_DIR": CACHE.name, **more}


def wait_for(condition, process=None):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        assert process is None or process.poll() is None, "the program ended early"
        time.sleep(0.01)  # polling another process; nothing is assumed about its speed


class Signals(CliTest):
    def start(self, data):
        process = subprocess.Popen(slow_init(data), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def test_the_first_signal_saves_and_the_next_run_continues(self):
        data, first = self.tmp / "data", self.tmp / "data" / "postdata_0.bin"
        seen = b""
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.start(data)
            wait_for(lambda: first.exists() and first.stat().st_size > len(seen) + 1024, process)
            process.send_signal(sig)
            self.assertEqual(process.wait(DEADLINE_S), 5)
            err = process.stderr.read()
            self.assertIn("run the same command again to continue", err)
            now = first.read_bytes()
            self.assertEqual(len(now) % 16, 0)
            self.assertEqual(now[:len(seen)], seen, "finished labels changed")
            seen = now
        info = self.document("info", "--dir", data, status=4)
        self.assertEqual((info["status"], info["labels"]), ("started", len(seen) // 16))

    def test_a_hot_device_rests(self):
        """The processor of a made-up sysfs: too hot, then cool again; what it says is in `devices` and in the progress lines."""
        hwmon = self.tmp / "sys" / "class" / "hwmon" / "hwmon0"
        hwmon.mkdir(parents=True)
        (hwmon / "name").write_text("k10temp\n")
        (hwmon / "temp1_input").write_text("91000\n")
        (hwmon / "power1_input").write_text("88000000\n")
        env = environment(SM_SYSFS=str(self.tmp / "sys"))
        cpu = self.document("devices", env={"SM_SYSFS": env["SM_SYSFS"]})["cpu"]
        self.assertEqual((cpu["temperature_c"], cpu["power_w"]), (91, 88))
        self.assertIn(", 91 C, 88 W", self.ok("devices", env={"SM_SYSFS": env["SM_SYSFS"]}).out)

        data = self.tmp / "data"
        process = subprocess.Popen(slow_init(data, "--max-temp", "90", "--progress-interval", "1"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, env=env)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        for line in process.stderr:
            if "too hot" in line:
                break
        self.assertIn("temperature=91 limit=90", line)
        self.assertFalse((data / "postdata_0.bin").exists(), "nothing is computed")
        (hwmon / "temp1_input").write_text("84000\n")
        for line in process.stderr:
            if "84 C, 88 W" in line:
                break
        self.assertIn("labels/s", line)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(DEADLINE_S), 5)

    def test_a_proof_is_interrupted(self):
        data = tiny_copy(self.tmp / "data")
        hopeless = "--param", "pow_difficulty=" + "00" * 31 + "01"
        process = subprocess.Popen([harness.OPTIONS.smesher, "prove", "--dir", str(data), "--network", "tiny", *hopeless,
                                    "--challenge", CHALLENGE, "--progress-interval", "1", "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(process.kill)
        for line in process.stderr:
            if "k2pow" in line:
                break
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=DEADLINE_S)
        self.assertEqual(process.returncode, 5)
        self.assertEqual(json.loads(out)["error"]["code"], "SM_E_CANCELLED")

    def test_pause_and_go_on(self):
        """Paused, the program uses next to no processor time; afterwards it does again."""
        data = self.tmp / "data"
        process = self.start(data)

        def ticks():
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        def used_at_most(most, polls):
            """True once `polls` of wait_for in a row have seen so few ticks go by."""
            history = []

            def condition():
                history.append(ticks())
                return len(history) > polls and history[-1] - history[-1 - polls] <= most

            return condition

        wait_for(lambda: (data / "postdata_0.bin").exists(), process)
        process.send_signal(signal.SIGUSR1)
        wait_for(used_at_most(3, 100), process)
        before = ticks()
        process.send_signal(signal.SIGUSR2)
        wait_for(lambda: ticks() > before + 20, process)
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)  # a paused program stops too
        self.assertEqual(process.wait(DEADLINE_S), 5)
        told = [line for line in process.stderr.read().splitlines() if "paused" in line or "going on" in line]
        self.assertEqual(told, ["smesher: paused; SIGUSR2 goes on", "smesher: going on", "smesher: paused; SIGUSR2 goes on"])

    def test_the_second_signal_stops_at_once(self):
        data = self.tmp / "data"
        process = self.start(data)
        wait_for(lambda: (data / "postdata_0.bin").exists(), process)
        process.send_signal(signal.SIGSTOP)  # both are pending before the program runs on
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(DEADLINE_S), 5)
        self.assertIn("stopped at once", process.stderr.read())
        self.assertEqual(self.document("info", "--dir", data, status=4)["status"] in ("started", "not started"), True)


class Terminal(CliTest):
    def on_a_terminal(self, argv, columns, stop_when, resize_to=None):
        """Runs with stderr on a pseudo-terminal; returns what it drew and the exit status."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        set_size = lambda n: fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, n, 0, 0))
        set_size(columns)
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave,
                                   env=environment(TERM="xterm", NO_COLOR="1"))
        os.close(slave)
        self.addCleanup(process.kill)
        drawn, marks, end = b"", [], time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the program closed its side
                    break
                drawn += piece
            if not marks and stop_when(drawn):
                marks.append(len(drawn))
                if resize_to:
                    set_size(resize_to)
                else:
                    process.send_signal(signal.SIGINT)
            if resize_to and len(marks) == 1 and drawn.count(b"\r", marks[0]) > 5:
                marks.append(len(drawn))
                process.send_signal(signal.SIGINT)
        if not marks:
            process.kill()
        out = process.stdout.read()
        process.stdout.close()
        self.assertTrue(marks, f"never drawn: {drawn[-2000:]}")
        return drawn.decode(), out, process.wait(DEADLINE_S), marks

    def test_the_bar(self):
        drawn, out, status, _ = self.on_a_terminal(slow_init(self.tmp / "data", "--log-level", "debug"), 100,
                                                   lambda d: d.count(b"average") > 8)
        self.assertEqual((status, out), (5, b""))
        self.assertRegex(drawn, r"init: writing \d+\.\d\d %")
        self.assertRegex(drawn, r"\[[#.]+\]")
        self.assertRegex(drawn, r"B/s \(average ")
        self.assertRegex(drawn, r"ETA \d+ ")
        self.assertNotRegex(drawn, r"\x1b\[[0-9;]*m", "colours in spite of NO_COLOR")
        for picture in drawn.split("\r"):
            text = re.sub(r"\x1b\[K", "", picture).strip("\n")
            if text.startswith("init: "):
                self.assertLessEqual(len(text.split("\n")[0]), 99)
        # what the terminal keeps: log lines are whole, and no bar is left behind on them
        for line in drawn.split("\n")[:-1]:
            final = re.sub(r"\x1b\[K", "", line.rstrip("\r").rsplit("\r", 1)[-1])
            if re.match(r"\d{4}-\d\d-\d\dT", final):
                self.assertNotIn("init: writing", final)

    def test_the_window_is_resized(self):
        drawn, _, status, marks = self.on_a_terminal(slow_init(self.tmp / "data"), 120,
                                                     lambda d: d.count(b"average") > 3, resize_to=60)
        self.assertEqual(status, 5)
        after = drawn[marks[0]:].split("\r")[3:]  # pictures on their way when the size changed
        self.assertTrue(after)
        for picture in (p for p in after if p.startswith("init: ")):
            self.assertLessEqual(len(re.sub(r"\x1b\[K", "", picture).split("\n")[0]), 59, picture)

    def test_lines_without_a_terminal(self):
        process = subprocess.Popen(slow_init(self.tmp / "data", "--progress-interval", "1"), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(process.kill)
        seen = []
        for line in process.stderr:
            seen.append(line)
            if sum("progress" in s for s in seen) == 2:
                process.send_signal(signal.SIGINT)
        process.stderr.close()
        process.stdout.close()
        self.assertEqual(process.wait(DEADLINE_S), 5)
        lines = [s for s in seen if "progress" in s]
        for line in lines:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info  init: progress writing \d+\.\d\d %")
        self.assertRegex(lines[1], r"labels/s")
        self.assertNotRegex("".join(seen), r"[\r\x1b]")

    def test_shrink_asks_on_a_terminal(self):
        data = tiny_copy(self.tmp / "data")
        for answer, files in ((b"no\n", 8), (b"remove\n", 4)):
            master, slave = pty.openpty()
            process = subprocess.Popen([harness.OPTIONS.smesher, "shrink", "--dir", str(data), "--num-units", "1"],
                                       stdin=slave, stdout=subprocess.PIPE, stderr=slave, text=True, env=environment())
            os.close(slave)
            os.write(master, answer)
            out, _ = process.communicate(timeout=DEADLINE_S)
            os.close(master)
            self.assertEqual(process.returncode, 0, out)
            self.assertEqual(len(list(pathlib.Path(data).glob("postdata_*.bin"))), files, out)
        self.assertEqual(smesher("info", "--dir", data).status, 0)


if __name__ == "__main__":
    harness.main()
