#!/usr/bin/env python3
"""`smesher top` against rigs that answer, that do not, and on a terminal.

usage: cli_top.py --smesher PATH
"""
import copy
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import unittest

import harness
from cli_common import ROOT, CliTest

DOCUMENT = json.loads((ROOT / "tests/corpus/status_document/usual.json").read_text())
TOKEN = "0123456789abcdef-secret"


class Rig:
    """A rig as HTTP sees it. Pauses what it is told to."""

    def __init__(self, test, token=None, port=0):
        rig = self
        self.document = copy.deepcopy(DOCUMENT)
        self.orders = []
        self.answer = None  # (status, body) instead of the document
        self.asked = threading.Semaphore(0)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def allowed(self):
                if token and self.headers.get("Authorization") != f"Bearer {token}":
                    self.reply(401, b"no")
                    return False
                return True

            def do_GET(self):
                if self.allowed():
                    if self.path != "/v1/status":
                        self.reply(404, b"what?")
                    else:
                        self.reply(*(rig.answer or (200, json.dumps(rig.document).encode())))
                    rig.asked.release()

            def do_POST(self):
                if self.allowed():
                    rig.orders.append(self.path)
                    order, which = re.fullmatch(r"/v1/(\w+)\?identity=(\w+)", self.path).groups()
                    for identity in rig.document["identities"]:
                        if identity["node_id"] == which:
                            identity["paused"] = order == "pause"
                    self.reply(200, b"{}")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):  # the program breaks off what is under way when it ends
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        test.addCleanup(self.stop)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Once(CliTest):
    def test_frame(self):
        rig = Rig(self)
        lines = self.ok("top", "--once", "--url", rig.url).out.splitlines()
        self.assertRegex(lines[0], r"^rig-7  smesher 0\.1\.0  mainnet  up 1h00m  1/2 registered")
        self.assertTrue(any(line.startswith(" alpha ") and " reading " in line and "25%" in line for line in lines), lines)
        self.assertTrue(any("quarantined: computed a wrong label" in line for line in lines), lines)
        self.assertNotIn("\x1b", "".join(lines))

    def test_json_is_the_document(self):
        rig, other = Rig(self), Rig(self)
        rig.document["identities"][0]["new_member"] = [1]
        self.assertEqual(self.document("top", "--url", rig.url + "/"), rig.document)
        both = self.document("top", "--url", rig.url, "--url", other.url)
        self.assertEqual(both, [{"url": rig.url, "status": rig.document}, {"url": other.url, "status": DOCUMENT}])

    def test_token(self):
        rig = Rig(self, token=TOKEN)
        file = self.tmp / "token"
        file.write_text(TOKEN + "\n")
        file.chmod(0o600)
        self.ok("top", "--once", "--url", rig.url, "--token-file", file)
        result = self.refused(1, "--token-file", "top", "--once", "--url", rig.url)
        self.assertNotIn(TOKEN, result.out + result.err)

    def test_rigs_that_do_not_answer(self):
        rig, gone = Rig(self), Rig(self)
        gone.stop()
        self.refused(1, gone.url.removeprefix("http://"), "top", "--once", "--url", gone.url)
        rig.answer = (200, b'{"schema": 9}')
        self.refused(3, "schema 9", "top", "--once", "--url", rig.url)
        rig.answer = (200, b"<html>")
        self.refused(3, "status document", "top", "--once", "--url", rig.url)
        rig.answer = (503, b"later")
        self.refused(1, "503", "top", "--once", "--url", rig.url)

    def test_command_line(self):
        self.refused(2, "--url", "top", "--once")
        self.refused(2, "--url", "top", "--once", "--url", "ftp://x")
        result = harness.run([harness.OPTIONS.smesher, "top", "--url", "http://127.0.0.1:9"])
        self.assertEqual(result.status, 2)
        self.assertIn("--once", result.err)


class Screen:
    """What a terminal shows after what was written to it: as much of xterm as ncurses uses."""

    SEQUENCE = re.compile(r"\x1b(?:\[([0-9;?]*)([A-Za-z@`])|[()].|[=>78DEM])")

    def __init__(self, rows, columns):
        self.rest = ""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows, self.columns, self.at = rows, columns, (0, 0)
        self.cells = [[" "] * columns for _ in range(rows)]

    def feed(self, text):
        text = self.rest + text
        self.rest = ""
        position = 0
        while position < len(text):
            if text[position] != "\x1b":
                self.put(text[position])
                position += 1
                continue
            match = self.SEQUENCE.match(text, position)
            if not match:  # the rest of it comes later
                self.rest = text[position:]
                return
            if match[2]:
                self.obey(match[2], [int(n or 0) for n in match[1].strip("?").split(";")])
            position = match.end()

    def put(self, c):
        row, column = self.at
        if c == "\r":
            self.at = (row, 0)
        elif c == "\n":
            self.at = (min(row + 1, self.rows - 1), column)
        elif c == "\b":
            self.at = (row, max(column - 1, 0))
        elif c >= " ":
            if column < self.columns:
                self.cells[row][column] = self.last = c
            self.at = (row, min(column + 1, self.columns))

    def obey(self, command, numbers):
        row, column = self.at
        n = max(numbers[0], 1)
        line = self.cells[row]
        if command == "H":
            row, column = n - 1, max(numbers[1] if len(numbers) > 1 else 1, 1) - 1
        elif command == "d":
            row = n - 1
        elif command in "G`":
            column = n - 1
        elif command in "ABCD":
            row += {"A": -n, "B": n}.get(command, 0)
            column += {"C": n, "D": -n}.get(command, 0)
        elif command == "J":
            if numbers[0] == 2:
                self.resize(self.rows, self.columns)
            else:
                line[column:] = [" "] * (self.columns - column)
                self.cells[row + 1:] = [[" "] * self.columns for _ in range(self.rows - row - 1)]
        elif command == "K":
            if numbers[0] == 1:
                line[:column + 1] = [" "] * (column + 1)
            else:
                line[column:] = [" "] * (self.columns - column)
        elif command == "X":
            line[column:column + n] = [" "] * len(line[column:column + n])
        elif command == "P":
            line[column:] = (line[column + n:] + [" "] * n)[:self.columns - column]
        elif command == "@":
            line[column:] = ([" "] * n + line[column:])[:self.columns - column]
        elif command == "b":
            for _ in range(n):
                self.put(self.last)
            return
        elif command == "L":
            self.cells[row:] = ([[" "] * self.columns for _ in range(n)] + self.cells[row:])[:self.rows - row]
        elif command == "M":
            self.cells[row:] = (self.cells[row + n:] + [[" "] * self.columns for _ in range(n)])[:self.rows - row]
        self.at = (min(max(row, 0), self.rows - 1), min(max(column, 0), self.columns))

    def __str__(self):
        return "\n".join("".join(line).rstrip() for line in self.cells)


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, test, *args, term="xterm", size=(24, 80)):
        self.master, slave = pty.openpty()
        self.screen = Screen(*size)
        self.size(*size)
        env = {**os.environ, "TERM": term, "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen([harness.OPTIONS.smesher, *args], stdin=slave, stdout=slave,
                                        stderr=subprocess.PIPE, env=env, start_new_session=True)
        os.close(slave)
        self.test, self.all = test, ""
        test.addCleanup(self.close)

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            return False
        self.all += got
        self.screen.feed(got)
        return bool(got)

    def wait(self, pattern):
        end = time.monotonic() + 60
        while not re.search(pattern, str(self.screen)):
            if time.monotonic() > end or (not self.read(1) and self.process.poll() is not None):
                self.test.fail(f"no {pattern!r} on\n{self.screen}")

    def ended(self):
        while self.read(0 if self.process.poll() is not None else 1) or self.process.poll() is None:
            pass
        return self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        os.close(self.master)


class OnTerminal(CliTest):
    def test_look_select_pause_leave(self):
        rig = Rig(self)
        t = Terminal(self, "top", "--url", rig.url, "--interval", "1")
        t.wait(r"\A ?rig-7  smesher")
        t.wait(r">alpha  .*\[##\.\.\.\.\.\.\]  25%")
        t.wait(r"q quit .*\Z")
        t.type("?")
        t.wait("page up, page down")
        t.type("?")
        t.wait(">alpha")
        t.type("\x1bOB")
        t.wait(">beta")
        t.wait("again in|rejected .duplicate")
        t.type("\x1bOA")
        t.wait(">alpha")
        t.type("p")
        t.wait(r"pause alpha\?")
        t.type("n")
        t.wait(r"q quit .*\Z")
        self.assertEqual(rig.orders, [])
        t.type("p")
        t.wait(r"pause alpha\?")
        t.type("y")
        t.wait(r">alpha +registered paused")
        self.assertEqual(rig.orders, ["/v1/pause?identity=" + "ab" * 32])
        t.type("p")
        t.wait(r"resume alpha\?")
        t.type("y")
        t.wait(r">alpha +registered reading")
        self.assertEqual(rig.orders[1:], ["/v1/resume?identity=" + "ab" * 32])
        t.type("s")
        t.wait("s sort: deadline")
        t.type("q")
        self.assertEqual(t.ended(), 0)

    def test_rig_comes_back(self):
        rig = Rig(self)
        t = Terminal(self, "top", "--url", rig.url, "--interval", "1")
        t.wait("rig-7  smesher")
        rig.answer = (503, b"")
        t.wait("answers 503")
        t.wait(">alpha")  # its last state stays
        rig.answer = None
        t.wait("rig-7  smesher")
        t.type("q")
        self.assertEqual(t.ended(), 0)

    def test_resize_monochrome_and_small(self):
        rig = Rig(self)
        t = Terminal(self, "top", "--url", rig.url, "--interval", "1", term="vt100")
        t.wait("alpha")
        for rows, columns in ((5, 20), (1, 1), (50, 200), (24, 80)):
            t.size(rows, columns)
            os.kill(t.process.pid, signal.SIGWINCH)
            t.type("r")
            self.assertTrue(rig.asked.acquire(timeout=60))
        t.wait("alpha")
        self.assertNotRegex(t.all, "\x1b\\[3[0-9]m")
        t.type("q")
        self.assertEqual(t.ended(), 0)

    def test_interrupt_leaves_the_terminal_usable(self):
        rig = Rig(self)
        t = Terminal(self, "top", "--url", rig.url)
        t.wait("alpha")
        t.process.send_signal(signal.SIGTERM)
        t.ended()
        self.assertIn("\x1b[?1049l", t.all)  # back from the alternate screen

    def test_unknown_terminal(self):
        t = Terminal(self, "top", "--url", "http://127.0.0.1:9", term="no-such-terminal")
        status = t.ended()
        self.assertEqual(status, 1)
        self.assertIn("--once", t.process.stderr.read().decode())


if __name__ == "__main__":
    harness.main()
