#!/usr/bin/env python3
"""k2pow on other machines: our worker under a foreign client, our client against foreign workers, both together.

usage: k2pow.py --smesher PROGRAM
"""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings

import harness
from cli_common import CACHE, CHALLENGE, NODE, CliTest, tiny_copy

DEADLINE_S = 120
EASY = "ff" * 32
HARD = "00" * 16 + "ff" * 16  # nobody finds this one
MINER = "be" * 32
CHALLENGE8 = "aa" * 8


def job(group=0, difficulty=EASY, miner=MINER):
    return f"/job/{miner}/{group}/{CHALLENGE8}/{difficulty}"


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not in time"
        time.sleep(0.02)  # polling another process; nothing is assumed about its speed


class Worker:
    """smesher k2pow on a port of its own choice, or on `port`."""

    def __init__(self, directory, *args, port=0, env=None):
        self.log = pathlib.Path(directory) / f"worker-{os.urandom(4).hex()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [harness.OPTIONS.smesher, "k2pow", "--listen", f"127.0.0.1:{port}", "--randomx", "light", "--threads", "1",
                 *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "SM_CACHE_DIR": CACHE.name, **(env or {})})
        self.url = wait_for(self.find_url, "the worker is ready")
        self.port = int(self.url.rsplit(":", 1)[1])

    def find_url(self):
        assert self.process.poll() is None, self.log.read_text()
        match = re.search(r"k2pow: ready url=(\S+)", self.log.read_text())
        return match and match[1]

    def ask(self, path, method="GET", headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers or {}, body=body)
            reply = connection.getresponse()
            return reply.status, reply.read().decode(), reply

    def result(self, path):
        def done():
            status, body, _ = self.ask(path)
            assert status in (200, 201), (status, body)
            return (body,) if status == 200 else None
        return wait_for(done, path)[0]

    def status(self):
        return json.loads(self.ask("/status")[1])

    def kill(self):
        if self.process.stdout.closed:
            return
        self.process.kill()
        self.process.communicate()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out


class Foreign(http.server.BaseHTTPRequestHandler):
    """A worker of somebody else's: what it answers comes from server.answer(group, turn)."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        group = int(self.path.split("/job/")[1].split("/")[1])
        with self.server.lock:
            turn = self.server.turns[group] = self.server.turns.get(group, 0) + 1
            self.server.paths.append(self.path)
            self.server.tokens.add(self.headers.get("Authorization"))
        answer = self.server.answer(self.server, group, turn, self.path)
        if answer == "slow":
            self.server.release.wait(1)
            answer = (201, "")
        if answer == "close":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if isinstance(answer, bytes):
            self.wfile.write(answer)
            self.close_connection = True
            return
        status, body = answer
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class ForeignServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Foreign)
        self.answer, self.lock, self.turns, self.paths, self.tokens = answer, threading.Lock(), {}, [], set()
        self.release = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients leave when they are cancelled

    def end(self):
        self.release.set()
        self.shutdown()
        self.server_close()


class K2PowTest(CliTest):
    def worker(self, *args, **kwargs):
        worker = Worker(self.tmp, *args, **kwargs)
        self.addCleanup(worker.kill)
        return worker

    def foreign(self, answer):
        server = ForeignServer(answer)
        self.addCleanup(server.end)
        return server


class TheWorker(K2PowTest):
    def test_published_interface(self):
        worker = self.worker()
        status, body, _ = worker.ask("/")
        self.assertEqual((status, body), (200, "{ 'message': 'ok' }"))
        status, body, _ = worker.ask(job())
        self.assertEqual((status, body), (201, ""))
        self.assertRegex(worker.result(job()), r"\A[0-9]+\Z")
        self.assertEqual(worker.ask(job(1, HARD))[:2], (201, ""))
        self.assertEqual(worker.ask(job(1, HARD))[:2], (201, ""))
        status, body, reply = worker.ask(job(2))
        self.assertEqual((status, body), (429, ""))
        self.assertTrue(1 <= int(reply.headers["Retry-After"]) <= 60)
        self.assertEqual(worker.ask(job())[0], 200)
        self.assertEqual(worker.ask(job(1, HARD), "DELETE")[0], 204)
        self.assertEqual(worker.ask(job(1, HARD), "DELETE")[0], 404)
        self.assertEqual(worker.ask(job(2))[0], 201)
        status, out = worker.terminate()
        self.assertEqual(status, 0, worker.log.read_text())

    def test_bad_input_harms_nobody(self):
        worker = self.worker()
        for path, status in (("/job/x/0/y/z", 400), (job(256), 400), (job("x"), 400), (job(miner="zz" * 32), 400),
                             (job(difficulty="ff" * 31), 400), (job() + "/", 404), ("/job", 404), ("/x", 404),
                             ("/" + "a" * 4000, 404), ("/job/%00/0/y/z", 400), ("//", 404)):
            with self.subTest(path=path[:80]):
                got, body, _ = worker.ask(path)
                self.assertEqual(got, status, body)
                self.assertTrue(body)
        for method, path in (("POST", "/"), ("PUT", job()), ("PATCH", "/status"), ("DELETE", "/")):
            with self.subTest(method=method):
                got, _, reply = worker.ask(path, method, body=b"x")
                self.assertEqual(got, 405)
                self.assertIn("GET", reply.headers["Allow"])
        self.assertEqual(worker.ask("/", "HEAD")[:2], (200, ""))
        for raw in (b"\x00\xff" * 1000, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", worker.port), timeout=DEADLINE_S) as s:
                with contextlib.suppress(ConnectionError):
                    s.sendall(raw)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
        self.assertEqual(worker.ask("/")[0], 200)
        self.assertIsNone(worker.process.poll())

    def test_token(self):
        token = self.tmp / "token"
        token.write_text("0123456789abcdef\n")
        token.chmod(0o600)
        worker = self.worker("--token-file", token)
        self.assertEqual(worker.ask("/")[0], 401)
        self.assertEqual(worker.ask(job(), headers={"Authorization": "Bearer 0123456789abcdeX"})[0], 401)
        self.assertEqual(worker.ask(job(), headers={"Authorization": "Bearer 0123456789abcdef"})[0], 201)
        self.assertNotIn("0123456789abcdef", worker.log.read_text())

    def test_refusals(self):
        self.refused(2, "token", "k2pow", "--listen", "0.0.0.0:0", "--randomx", "light")
        self.refused(2, "not an address", "k2pow", "--listen", "3000", "--randomx", "light")
        self.refused(2, "--cores", "k2pow", "--cores", "0", "--threads", "1")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.refused(1, "cannot listen", "k2pow", "--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--randomx", "light")

    def test_results_survive_a_kill(self):
        state = self.tmp / "state"
        worker = self.worker("--state-dir", state)
        pow_ = worker.result(job(7))
        worker.ask(job(8, HARD))
        worker.kill()
        worker = self.worker("--state-dir", state, port=worker.port)
        self.assertEqual(worker.ask(job(7))[:2], (200, pow_))
        self.assertEqual(worker.ask(job(8, HARD))[0], 201)  # was lost, starts again
        for file in (state / "k2pow").iterdir():  # a day later
            os.utime(file, (1, 1))
        worker.kill()
        worker = self.worker("--state-dir", state)
        self.assertEqual(list((state / "k2pow").iterdir()), [])
        self.assertEqual(worker.ask(job(7))[0], 201)

    def test_queue(self):
        worker = self.worker("--queue", "2")
        self.assertEqual(worker.ask(job(0, HARD))[0], 201)
        self.assertEqual(worker.ask(job(1))[0], 201)
        self.assertEqual(worker.ask(job(2))[0], 429)
        wait_for(lambda: worker.status()["running"], "the first job runs")
        self.assertEqual(worker.ask(job(0, HARD), "DELETE")[0], 204)
        worker.result(job(1))
        self.assertEqual(worker.status()["jobs_given_up"], 1)

    def test_service_manager(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(self.tmp / "notify"))
            manager.settimeout(DEADLINE_S)
            worker = self.worker(env={"NOTIFY_SOCKET": str(self.tmp / "notify"), "WATCHDOG_USEC": "600000"})
            self.assertEqual(manager.recv(256), b"READY=1")
            for _ in range(3):
                self.assertEqual(manager.recv(256), b"WATCHDOG=1")
            worker.terminate()
            seen = set()
            while b"STOPPING=1" not in seen:
                seen.add(manager.recv(256))


class TheClient(K2PowTest):
    """prove --remote-k2pow."""

    def setUp(self):
        super().setUp()
        self.data = tiny_copy(self.tmp / "data")

    def prove(self, *urls, fallback="never", more=()):
        args = ["prove", "--dir", self.data, "--network", "tiny", "--challenge", CHALLENGE, "--out", self.tmp / "proof.json",
                "--randomx", "light", "--remote-k2pow-fallback", fallback, "--remote-k2pow-backoff", "1", *more]
        for url in urls:
            args += ["--remote-k2pow", url]
        return args

    def check_proof(self):
        self.ok("verify-proof", self.tmp / "proof.json", "--network", "tiny")

    def relay(self, then):
        """A foreign worker that misbehaves as `then` says, and else answers what a worker of ours found."""
        worker = self.worker("--queue", "64")

        def answer(server, group, turn, path):
            early = then(server, group, turn)
            return early if early is not None else (200, worker.result(path))
        return self.foreign(answer)

    def test_our_workers(self):
        token = self.tmp / "token"
        token.write_text("0123456789abcdef")
        token.chmod(0o600)
        workers = [self.worker("--token-file", token), self.worker("--token-file", token, "--queue", "4")]
        self.ok(*self.prove(*(w.url for w in workers), more=("--remote-k2pow-token-file", token)))
        self.check_proof()
        auth = {"Authorization": "Bearer 0123456789abcdef"}
        done = [json.loads(w.ask("/status", headers=auth)[1])["jobs_done"] for w in workers]
        self.assertGreater(sum(done), 0)

    def test_foreign_worker_in_bad_weather(self):
        weather = [(500, "boom"), (502, "bad gateway"), (429, ""), (201, ""), (302, ""), b"garbage\r\n\r\n", "close", "slow",
                   (200, "not a number"), (200, "72057594037927935"), (200, "")]
        server = self.relay(lambda s, group, turn: weather[turn - 1 + group % 2] if turn <= 3 else
                            weather[(turn + group) % len(weather)] if turn <= 5 else None)
        self.ok(*self.prove(server.url, more=("--remote-k2pow-parallelism", "16")), timeout_s=600)
        self.check_proof()
        prefix = f"/job/{NODE}/0/{CHALLENGE[:16]}/"
        self.assertTrue(any(p.startswith(prefix) for p in server.paths), server.paths[:3])

    def test_https(self):
        cert, key = self.tmp / "cert.pem", self.tmp / "key.pem"
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                               "-days", "2", "-subj", "/CN=worker", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                               "-out", cert], capture_output=True)
        if made.returncode:
            self.skipTest("openssl(1) makes no certificate here")
        worker = self.worker("--tls-cert", cert, "--tls-key", key, "--queue", "4")
        self.assertTrue(worker.url.startswith("https://127.0.0.1:"), worker.url)
        self.ok(*self.prove(worker.url, more=("--remote-k2pow-ca-file", cert)))
        self.check_proof()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(cert)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", worker.port), timeout=DEADLINE_S) as s:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                old.wrap_socket(s, server_hostname="127.0.0.1")
        # Nobody vouches for it: not asked, and searched here.
        (self.tmp / "proof.json").unlink()
        shutil.rmtree(self.data / "k2pow")
        result = self.ok(*self.prove(worker.url, fallback="1s"))
        self.assertIn("searching here", result.err)

    def test_silent_worker_and_cancel(self):
        server = self.foreign(lambda s, group, turn, path: (s.release.wait(DEADLINE_S), (201, ""))[1])
        with subprocess.Popen([harness.OPTIONS.smesher, *map(str, self.prove(server.url))], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={**os.environ, "SM_CACHE_DIR": CACHE.name}) as process:
            wait_for(lambda: server.paths, "a request")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE_S)  # requests are given 30 s each, and there are many
            self.assertEqual(process.returncode, 5)

    def test_fallback(self):
        server = self.foreign(lambda s, group, turn, path: (201, ""))
        result = self.ok(*self.prove(server.url, fallback="1s"))
        self.assertIn("searching here", result.err)
        self.check_proof()
        with socket.socket() as gone:
            gone.bind(("127.0.0.1", 0))
            port = gone.getsockname()[1]
        (self.tmp / "proof.json").unlink()
        shutil.rmtree(self.data / "k2pow")
        result = self.ok(*self.prove(f"http://127.0.0.1:{port}", fallback="1s"))
        self.assertIn("searching here", result.err)

    def test_wrong_address(self):
        server = self.foreign(lambda s, group, turn, path: (400, "what?"))
        self.refused(1, "400", *self.prove(server.url))
        self.refused(2, "http", *self.prove("worker:3000"))
        self.refused(2, "--remote-k2pow-fallback", *self.prove(server.url, fallback="soon"))

    def test_worker_killed_and_restarted(self):
        """Killed while jobs run and wait; the next one on the same port does them."""
        worker = self.worker("--queue", "64")
        hard = job(0, HARD)  # holds the queue until it is killed
        self.assertEqual(worker.ask(hard)[0], 201)
        with subprocess.Popen([harness.OPTIONS.smesher, *map(str, self.prove(worker.url))], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "SM_CACHE_DIR": CACHE.name}) as process:
            wait_for(lambda: worker.status()["waiting"] > 0, "jobs of the prover")
            worker.kill()
            again = self.worker("--queue", "64", port=worker.port)
            _, err = process.communicate(timeout=DEADLINE_S)
            self.assertEqual(process.returncode, 0, err)
        self.assertGreater(again.status()["jobs_done"], 0)
        self.check_proof()


if __name__ == "__main__":
    harness.main()
