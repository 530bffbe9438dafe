#!/usr/bin/env python3
"""Our gRPC stack and a foreign one (python3-grpcio), each as client and as server, on loopback: messages as bytes, streams,
deadlines, cancellation, sizes around the limits, status codes and texts, mutual TLS.

usage: rpc_interop.py --server ECHO_SERVER --client ECHO_CLIENT --certs MAKE_CERTS
"""
import argparse
import concurrent.futures
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc

OPTIONS = argparse.Namespace()
MIB = 1024 * 1024
GUARD_S = 60  # only against hanging; nothing is measured
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
TEXTS = ["", "plain", "100% sure", "caf\u00e9 \u2603", "tab\tand\nnewline", "%zz%41", "\U0001f600" * 10]


def identity(data):
    return data


def fnv64(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


class Certificates:
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        subprocess.run([OPTIONS.certs, self.directory.name], check=True)

    def path(self, name):
        return pathlib.Path(self.directory.name) / name

    def read(self, name):
        return self.path(name).read_bytes()


class OurServer:
    """An echo_server process; its lines are collected as they come."""

    def __init__(self, *args, listen="127.0.0.1:0"):
        self.process = subprocess.Popen([OPTIONS.server, listen, *map(str, args)], stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port = int(self.expect("port ").split()[1])

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def expect(self, prefix):
        while True:
            line = self.lines.get(timeout=GUARD_S)
            if line.startswith(prefix):
                return line

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(GUARD_S)
        self.reader.join(GUARD_S)
        self.process.stdout.close()
        return status


class ForeignClient(unittest.TestCase):
    """grpcio calls our server."""

    @classmethod
    def setUpClass(cls):
        cls.server = OurServer()
        cls.channel = grpc.insecure_channel(f"127.0.0.1:{cls.server.port}", options=UNLIMITED)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        assert cls.server.stop() == 0

    def unary(self, method, data, **kwargs):
        return self.channel.unary_unary(f"/test.v1.Echo/{method}", identity, identity)(data, timeout=kwargs.pop("timeout", GUARD_S), **kwargs)

    def failure(self, method, data, **kwargs):
        with self.assertRaises(grpc.RpcError) as caught:
            self.unary(method, data, **kwargs)
        return caught.exception

    def test_messages_come_back(self):
        for n in (0, 1, 5, 16383, 16384, 65535, 65536, MIB, 10 * MIB):
            data = bytes(i * 7 & 0xFF for i in range(min(n, 251))) * (n // 251 + 1)
            self.assertEqual(self.unary("Unary", data[:n]), data[:n], n)

    def test_ten_mib_is_the_limit(self):
        error = self.failure("Unary", bytes(10 * MIB + 1))
        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, error)
        self.assertEqual(self.unary("Unary", b"still there"), b"still there")

    def test_large_answers(self):
        for n in (0, 4 * MIB, 12 * MIB):
            self.assertEqual(len(self.unary("Size", str(n).encode())), n)

    def test_a_stream_in_both_directions(self):
        call = self.channel.stream_stream("/test.v1.Echo/Stream", identity, identity)
        sent = [bytes([i & 0xFF]) * (i * 37 % 5000) for i in range(500)]
        self.assertEqual(list(call(iter(sent), timeout=GUARD_S)), sent)

    def test_a_stream_that_takes_turns(self):
        feed = queue.Queue()
        call = self.channel.stream_stream("/test.v1.Echo/Stream", identity, identity)(iter(feed.get, None), timeout=GUARD_S)
        for i in range(50):
            feed.put(b"turn %d" % i)
            self.assertEqual(next(call), b"turn %d" % i)
        feed.put(None)
        self.assertEqual(list(call), [])
        self.assertEqual(call.code(), grpc.StatusCode.OK)

    def test_many_calls_at_a_time(self):
        futures = [self.channel.unary_unary("/test.v1.Echo/Unary", identity, identity).future(bytes([i & 0xFF]) * 3000, timeout=GUARD_S)
                   for i in range(500)]  # more than 100 at a time must wait in the client
        for i, future in enumerate(futures):
            self.assertEqual(future.result(), bytes([i & 0xFF]) * 3000)

    def test_every_status(self):
        for code in grpc.StatusCode:
            if code is grpc.StatusCode.OK:
                continue
            error = self.failure("Fail", f"{code.value[0]} because".encode())
            self.assertEqual((error.code(), error.details()), (code, "because"))

    def test_texts(self):
        for text in TEXTS:
            error = self.failure("Fail", b"9 " + text.encode())
            self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
            self.assertEqual(error.details(), text)

    def test_unknown_method(self):
        self.assertEqual(self.failure("Nothing", b"").code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_deadline(self):
        self.assertEqual(self.failure("Hang", b"x", timeout=0.2).code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.server.expect("end Hang")

    def test_cancel(self):
        future = self.channel.unary_unary("/test.v1.Echo/Hang", identity, identity).future(b"x", timeout=GUARD_S)
        self.assertEqual(self.unary("Unary", b"between"), b"between")  # the call above is on the wire
        future.cancel()
        self.assertEqual(self.server.expect("end Hang").split()[2], str(grpc.StatusCode.CANCELLED.value[0]))

    def test_compression_is_refused(self):
        error = self.failure("Unary", bytes(100000), compression=grpc.Compression.Gzip)
        self.assertIn(error.code(), (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL))
        self.assertEqual(self.unary("Unary", b"still there"), b"still there")

    def test_metadata_of_all_kinds(self):
        metadata = [("key", "value"), ("key", "again"), ("data-bin", bytes(range(256))), ("long", "x" * 4000)]
        self.assertEqual(self.unary("Unary", b"m", metadata=metadata), b"m")

    def test_too_much_metadata(self):
        try:
            self.unary("Unary", b"m", metadata=[(f"k{i}", "x" * 3000) for i in range(20)])
        except grpc.RpcError as error:
            self.assertIn(error.code(), (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE), error)
        else:
            self.fail("60 KB of headers were taken")
        self.assertEqual(self.unary("Unary", b"still there", wait_for_ready=True), b"still there")

    def test_who_is_calling(self):
        address, tls, subject, sans = self.unary("Peer", b"").decode().split("|")
        self.assertTrue(address.startswith("127.0.0.1:"), address)
        self.assertEqual((tls, subject, sans), ("plain", "", ""))


class Stopping(unittest.TestCase):
    def test_a_call_may_end_within_the_grace(self):
        server = OurServer()
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            feed = queue.Queue()
            call = channel.stream_stream("/test.v1.Echo/Stream", identity, identity)(iter(feed.get, None), timeout=GUARD_S)
            feed.put(b"before")
            self.assertEqual(next(call), b"before")
            server.signal(signal.SIGTERM)
            feed.put(b"after")
            self.assertEqual(next(call), b"after")
            feed.put(None)
            self.assertEqual(list(call), [])
            server.expect("stopped")
        self.assertEqual(server.stop(), 0)

    def test_a_call_that_goes_on_is_cut(self):
        server = OurServer()
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            feed = queue.Queue()
            call = channel.stream_stream("/test.v1.Echo/Stream", identity, identity)(iter(feed.get, None), timeout=GUARD_S)
            feed.put(b"before")
            self.assertEqual(next(call), b"before")
            server.signal(signal.SIGTERM)
            with self.assertRaises(grpc.RpcError) as caught:
                next(call)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
            feed.put(None)
        self.assertEqual(server.stop(), 0)


class ForeignClientTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certs = Certificates()

    @classmethod
    def tearDownClass(cls):
        cls.certs.directory.cleanup()

    def setUp(self):
        self.server = OurServer(self.certs.directory.name, "server")

    def tearDown(self):
        self.assertEqual(self.server.stop(), 0)

    def call(self, ca="ca", client="client", target="127.0.0.1", method="Unary", data=b"hello"):
        pair = (self.certs.read(f"{client}.key"), self.certs.read(f"{client}.pem")) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(self.certs.read(f"{ca}.pem"), *pair)
        with grpc.secure_channel(f"{target}:{self.server.port}", credentials, options=UNLIMITED) as channel:
            return channel.unary_unary(f"/test.v1.Echo/{method}", identity, identity)(data, timeout=GUARD_S)

    def test_mutual(self):
        self.assertEqual(self.call(), b"hello")
        self.assertEqual(self.call(data=bytes(5 * MIB)), bytes(5 * MIB))
        address, fingerprint, subject, sans = self.call(method="Peer").decode().split("|")
        self.assertRegex(fingerprint, "^[0-9a-f]{64}$")
        self.assertEqual((subject, sans), ("/CN=client", "DNS:post"))

    def refused(self, says, **kwargs):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(**kwargs)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn(says, self.server.expect("trouble "))

    def test_no_client_certificate(self):
        self.refused("shows no certificate", client=None)

    def test_client_of_another_ca(self):
        self.refused("not signed by the CA", client="foreign")

    def test_expired_client(self):
        self.refused("certificate of the client expired", client="expired")

    def test_client_that_does_not_trust_us(self):
        self.refused("perhaps it does not accept our certificate", ca="foreign_ca")  # grpcio says no word

    def test_plain_text_to_the_tls_port(self):
        with grpc.insecure_channel(f"127.0.0.1:{self.server.port}") as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                channel.unary_unary("/test.v1.Echo/Unary", identity, identity)(b"", timeout=GUARD_S)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.server.expect("trouble ")

    def test_reload(self):
        other = Certificates()
        live = tempfile.TemporaryDirectory()
        self.addCleanup(live.cleanup)
        self.addCleanup(other.directory.cleanup)
        def put(source, name):
            (pathlib.Path(live.name) / name).write_bytes(source.read(name))
        for name in ("ca.pem", "server.pem", "server.key"):
            put(self.certs, name)
        self.server.stop()
        self.server = OurServer(live.name, "server")
        self.assertEqual(self.call(), b"hello")
        put(other, "server.pem")  # half of the new set
        self.server.signal(signal.SIGHUP)
        self.assertIn("does not belong to the certificate", self.server.expect("kept "))
        self.assertEqual(self.call(), b"hello")
        put(other, "server.key")
        put(other, "ca.pem")
        self.server.signal(signal.SIGHUP)
        self.server.expect("reloaded")
        self.refused("does not accept our certificate")
        self.certs, mine = other, self.certs
        self.assertEqual(self.call(), b"hello")
        self.certs = mine


class Echo(grpc.GenericRpcHandler):
    """The same service, by grpcio."""

    def service(self, details):
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        methods = {
            "Unary": unary(lambda data, context: data),
            "Size": unary(lambda data, context: bytes(int(data))),
            "Fail": unary(self.fail),
            "Early": unary(lambda data, context: context.abort(grpc.StatusCode.ABORTED, "before any message")),
            "Hang": unary(self.hang),
            "Stream": stream(lambda requests, context: requests),
            "Breaks": stream(self.breaks),
            "Metadata": unary(self.metadata),
        }
        return methods.get(details.method.rsplit("/", 1)[1])

    @staticmethod
    def fail(data, context):
        code, text = data.decode().split(" ", 1)
        context.abort(next(c for c in grpc.StatusCode if c.value[0] == int(code)), text)

    @staticmethod
    def hang(data, context):
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(GUARD_S)
        return b""

    @staticmethod
    def breaks(requests, context):
        yield next(requests)
        context.abort(grpc.StatusCode.DATA_LOSS, "in the middle")

    @staticmethod
    def metadata(data, context):
        context.send_initial_metadata((("a", "b"), ("c-bin", b"\0\1")))
        context.set_trailing_metadata((("d", "e"), ("f-bin", b"\xff")))
        return data


class ForeignServer(unittest.TestCase):
    """Our client calls grpcio."""

    @classmethod
    def setUpClass(cls):
        cls.certs = Certificates()
        cls.pool = concurrent.futures.ThreadPoolExecutor(8)
        cls.server = grpc.server(cls.pool, handlers=[Echo()], options=UNLIMITED)
        cls.port = cls.server.add_insecure_port("127.0.0.1:0")
        cls.tls_port = cls.server.add_secure_port("127.0.0.1:0", cls.credentials("server", require=True))
        cls.odd_ports = {name: cls.server.add_secure_port("127.0.0.1:0", cls.credentials(name, require=True))
                         for name in ("wrongname", "expired", "foreign")}
        cls.server.start()

    @classmethod
    def credentials(cls, name, require):
        pairs = [(cls.certs.read(f"{name}.key"), cls.certs.read(f"{name}.pem"))]
        return grpc.ssl_server_credentials(pairs, cls.certs.read("ca.pem"), require)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop(None).wait(GUARD_S)
        cls.pool.shutdown()
        cls.certs.directory.cleanup()

    def run_client(self, method, data=b"", *options, address=None):
        address = address or f"127.0.0.1:{self.port}"
        result = subprocess.run([OPTIONS.client, address, f"/test.v1.Echo/{method}", *map(str, options)], input=data,
                                capture_output=True, timeout=GUARD_S, check=False)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout.decode().split("\n")[:-1]

    def tls(self, client="client"):
        return ["--tls", self.certs.directory.name, client]

    def test_messages_come_back(self):
        for n in (0, 1, 16384, 65536, MIB):
            data = (bytes(range(251)) * (n // 251 + 1))[:n]
            self.assertEqual(self.run_client("Unary", data), ["up", f"message {n} {fnv64(data)}", "end 0 "])

    def test_four_mib_is_the_limit(self):
        n = 4 * MIB
        lines = self.run_client("Size", str(n).encode())
        self.assertEqual((lines[1].split()[:2], lines[2]), (["message", str(n)], "end 0 "))
        lines = self.run_client("Size", str(n + 1).encode())
        self.assertEqual(lines[1].split()[:2], ["end", "8"], lines)
        lines = self.run_client("Size", str(n + 1).encode(), "--limit", 5 * MIB)
        self.assertEqual((lines[1].split()[:2], lines[2]), (["message", str(n + 1)], "end 0 "))

    def test_large_messages_out(self):
        data = bytes(6 * MIB)
        lines = self.run_client("Unary", data, "--limit", 8 * MIB)
        self.assertEqual((lines[1].split()[:2], lines[2]), (["message", str(len(data))], "end 0 "))

    def test_a_stream(self):
        data = b"x" * 30000
        self.assertEqual(self.run_client("Stream", data, "--count", 200),
                         ["up"] + [f"message {len(data)} {fnv64(data)}"] * 200 + ["end 0 "])

    def test_every_status(self):
        for code in grpc.StatusCode:
            if code is not grpc.StatusCode.OK:
                number = code.value[0]
                self.assertEqual(self.run_client("Fail", f"{number} because".encode()), ["up", f"end {number} because"])

    def test_texts(self):
        for text in TEXTS:
            lines = "\n".join(self.run_client("Fail", b"9 " + text.encode()))
            self.assertEqual(lines, f"up\nend 9 {text}")

    def test_ends_before_and_amid_messages(self):
        self.assertEqual(self.run_client("Early"), ["up", "end 10 before any message"])
        self.assertEqual(self.run_client("Breaks", b"x", "--count", 3),
                         ["up", f"message 1 {fnv64(b'x')}", "end 15 in the middle"])

    def test_metadata(self):
        self.assertEqual(self.run_client("Metadata", b"x"), ["up", f"message 1 {fnv64(b'x')}", "end 0 "])

    def test_unknown_method(self):
        self.assertEqual(self.run_client("Nothing")[1].split()[:2], ["end", "12"])

    def test_deadline(self):
        self.assertEqual(self.run_client("Hang", b"", "--deadline-ms", 200)[1].split()[:2], ["end", "4"])

    def test_cancel(self):
        lines = self.run_client("Stream", b"x", "--cancel", "--count", 1000)
        self.assertEqual(lines[1].split()[0], "message")
        self.assertEqual(lines[-1].split()[:2], ["end", "1"], lines)

    def test_localhost(self):
        try:
            socket.getaddrinfo("localhost", None)
        except OSError as e:
            self.skipTest(f"this machine does not know localhost: {e}")
        self.assertEqual(self.run_client("Unary", b"x", address=f"http://localhost:{self.port}")[-1], "end 0 ")

    def test_mutual_tls(self):
        address = f"https://127.0.0.1:{self.tls_port}"
        data = bytes(3 * MIB)
        self.assertEqual(self.run_client("Unary", data, *self.tls(), address=address),
                         ["up", f"message {len(data)} {fnv64(data)}", "end 0 "])
        self.assertEqual(self.run_client("Unary", b"", *self.tls(), "--domain", "node", address=address)[-1], "end 0 ")

    def refused(self, port, says, *options):
        lines = self.run_client("Unary", b"", *options, address=f"https://127.0.0.1:{port}")
        self.assertRegex(lines[-1], f"^down SM_E_(REFUSED|NET) 127.0.0.1:{port}.*{says}", lines)

    def test_tls_refusals(self):
        self.refused(self.tls_port, "not for elsewhere but for DNS:node", *self.tls(), "--domain", "elsewhere")
        self.refused(self.odd_ports["wrongname"], "not for 127.0.0.1 but for DNS:elsewhere", *self.tls())
        self.refused(self.odd_ports["expired"], "certificate of the server expired", *self.tls())
        self.refused(self.odd_ports["foreign"], "not signed by the CA", *self.tls())
        self.refused(self.port, "does not speak TLS", *self.tls())
        self.refused(self.tls_port, "does not accept our certificate", *self.tls("foreign"))


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "client", "certs"):
        parser.add_argument(f"--{name}", required=True)
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


main()
