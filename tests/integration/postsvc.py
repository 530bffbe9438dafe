#!/usr/bin/env python3
"""Both sides of the Register stream against programs of another make (python3-grpcio): a node against our registrations,
post services against `smesher hub`. Scenarios: post-service.md 2.4 to 2.9.

usage: postsvc.py --smesher PROGRAM --rig PROGRAM
"""
import argparse
import base64
import concurrent.futures
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

try:
    import grpc
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):  # Debian's package is for its Python
        os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])
    print("skipped: apt install python3-grpcio")
    sys.exit(0)

import harness
import postsvc_wire as wire
from postsvc_wire import ASK_METADATA, ERROR, IN_PROGRESS, Program

RIG = argparse.Namespace(rig=None)
NODE, ATX, CHALLENGE = b"\x11" * 32, b"\x22" * 32, b"\x33" * 32


class PostTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="smesher-postsvc-")
        self.addCleanup(holder.cleanup)
        self.tmp = pathlib.Path(holder.name)

    def program(self, *argv, **kwargs):
        p = Program(argv, **kwargs)
        self.addCleanup(p.kill)
        return p

    def rig(self, *args):
        return self.program(RIG.rig, "--interval-ms", 50, *args)


def closed_port():
    """A port nobody listens at: it is bound, so nobody else gets it either."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s


class Proof:
    """A proof of the tiny network, made once by the program under test."""
    _made = None

    @classmethod
    def get(cls):
        if not cls._made:
            cls._holder = tempfile.TemporaryDirectory(prefix="smesher-postsvc-proof-")
            d = cls._holder.name
            for args in (["init", "--dir", f"{d}/data", "--node-id", NODE.hex(), "--commitment-atx-id", ATX.hex(),
                          "--device", "cpu"],
                         ["prove", "--dir", f"{d}/data", "--challenge", CHALLENGE.hex(), "--out", f"{d}/proof.json"]):
                done = harness.run([harness.OPTIONS.smesher, *args, "--network", "tiny"])
                assert done.status == 0, str(done)
            cls._made = cls()
            cls._made.path = f"{d}/proof.json"
            document = json.loads(pathlib.Path(cls._made.path).read_text())["proof"]
            cls._made.nonce, cls._made.pow = document["nonce"], document["pow"]
            cls._made.indices = base64.b64decode(document["indices"])
        return cls._made

    def message(self, indices=None, challenge=CHALLENGE, **kwargs):
        return wire.say_proof(self.nonce, indices or self.indices, self.pow, challenge, wire.meta(NODE, ATX, **kwargs))


# ---- a node of another make ----

class Stream:
    """One Register call as the node sees it."""

    def __init__(self, answers, context):
        self.answers, self.context = answers, context
        self.requests, self.ended = queue.Queue(), queue.Queue()

    def ask(self, request):
        self.requests.put(request)
        return next(self.answers)

    def end(self, code, text):
        self.requests.put((code, text))


class Node:
    def __init__(self, test, port=0, with_service=True):
        self.streams = queue.Queue()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16),
                                  options=[("grpc.so_reuseport", 0)])
        if with_service:
            handler = grpc.stream_stream_rpc_method_handler(self.register)
            self.server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("spacemesh.v1.PostService", {"Register": handler}),))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()
        self.address = f"127.0.0.1:{self.port}"
        test.addCleanup(self.stop)

    def stop(self):
        self.server.stop(0).wait()

    def register(self, answers, context):
        s = Stream(answers, context)
        context.add_callback(lambda: s.requests.put(None))
        self.streams.put(s)
        while True:
            request = s.requests.get()
            if request is None:
                return
            if isinstance(request, tuple):
                context.abort(*request)
            yield request

    def stream(self):
        return self.streams.get(timeout=wire.WATCHDOG_S)


class RigAgainstForeignNode(PostTest):
    """Our registrations, a grpcio server."""

    def test_metadata_and_every_answer(self):
        node = Node(self)
        proof = Proof.get()
        rig = self.rig("--proof", proof.path, "--progress", 1, node.address)
        s = node.stream()
        self.assertEqual(s.ask(ASK_METADATA), wire.say_metadata(wire.meta(NODE, ATX)))
        rig.wait("state", phase="registered")
        self.assertEqual(s.ask(b""), ERROR, "a request without kind")
        self.assertEqual(s.ask(wire.ask_proof(b"\x01" * 5)), ERROR, "a challenge of five bytes")
        self.assertEqual(s.ask(wire.ask_proof(CHALLENGE)), IN_PROGRESS)
        self.assertEqual(s.ask(wire.ask_proof(CHALLENGE)), proof.message())
        rig.wait("fetched", challenge=CHALLENGE.hex())  # by the answer to a PING: nobody has asked since
        self.assertEqual(s.ask(wire.ask_proof(CHALLENGE)), proof.message(), "it is served again")
        self.assertEqual(s.ask(wire.ask_proof(bytes(32))), IN_PROGRESS, "the initial challenge")
        self.assertEqual(rig.end(signal.SIGTERM), 0)

    def test_a_failed_proof_is_an_error(self):
        node = Node(self)
        self.rig("--fail", "--node-id", NODE.hex(), node.address)
        s = node.stream()
        s.ask(ASK_METADATA)
        self.assertEqual(s.ask(wire.ask_proof(CHALLENGE)), ERROR)

    def test_weeks_of_polling(self):
        """More bytes than any window that is not updated: at one question in 2 s this is three hours."""
        node = Node(self)
        self.rig("--node-id", NODE.hex(), node.address)
        s = node.stream()
        s.ask(ASK_METADATA)
        for _ in range(6000):
            self.assertEqual(s.ask(wire.ask_proof(CHALLENGE)), IN_PROGRESS)

    def test_a_node_that_restarts_is_found_again(self):
        node = Node(self)
        rig = self.rig("--node-id", NODE.hex(), node.address)
        node.stream().ask(ASK_METADATA)
        rig.wait("state", phase="registered")
        node.stop()
        rig.wait("state", reason="lost")
        again = Node(self, port=node.port)
        again.stream().ask(ASK_METADATA)
        rig.wait("state", phase="registered")

    def test_refusals_are_told_apart(self):
        rows = [(grpc.StatusCode.UNKNOWN, "post service already registered", "duplicate"),
                (grpc.StatusCode.ALREADY_EXISTS, "post service already registered", "duplicate"),
                (grpc.StatusCode.FAILED_PRECONDITION,
                 "connection not allowed: node has no coinbase set in config", "no-coinbase"),
                (grpc.StatusCode.PERMISSION_DENIED, "not this one: é %", "forbidden"),
                (grpc.StatusCode.INVALID_ARGUMENT, "no", "bad-data"),
                (grpc.StatusCode.UNAVAILABLE, "stopping", "lost")]
        for code, text, reason in rows:
            with self.subTest(reason=reason, code=code):
                node = Node(self)
                rig = self.rig("--node-id", NODE.hex(), node.address)
                s = node.stream()
                s.ask(ASK_METADATA)
                s.end(code, text)
                self.assertEqual(rig.wait("state", phase="waiting")["reason"], reason)
                self.assertEqual(rig.seen[-1]["text"], text)
                node.stop()

    def test_a_duplicate_comes_back(self):
        node = Node(self)
        rig = self.rig("--node-id", NODE.hex(), node.address)
        for _ in range(3):
            s = node.stream()
            s.ask(ASK_METADATA)
            s.end(grpc.StatusCode.UNKNOWN, "post service already registered")
            rig.wait("state", phase="waiting", reason="duplicate")

    def test_a_refusal_before_any_question(self):
        node = Node(self)
        rig = self.rig("--node-id", NODE.hex(), node.address)
        node.stream().end(grpc.StatusCode.FAILED_PRECONDITION, "connection not allowed")
        rig.wait("state", phase="waiting", reason="no-coinbase")

    def test_a_grpc_server_that_is_no_node(self):
        node = Node(self, with_service=False)
        rig = self.rig("--node-id", NODE.hex(), node.address)
        rig.wait("state", phase="waiting", reason="wrong-port")

    def test_max_retries(self):
        with closed_port() as s:
            rig = self.rig("--max-retries", 2, "127.0.0.1:%d" % s.getsockname()[1])
            rig.wait("given-up", text="max retries (2) reached")
            self.assertEqual(rig.end(), 1)
            connects = [e for e in rig.seen if e.get("phase") == "connecting"]
            self.assertEqual(len(connects), 3, rig.seen)

    def test_the_next_address_is_tried(self):
        node = Node(self)
        with closed_port() as s:
            rig = self.rig("--node-id", NODE.hex(), "127.0.0.1:%d" % s.getsockname()[1], f"http://{node.address}")
            node.stream().ask(ASK_METADATA)
            rig.wait("state", phase="registered", address=1)

    def test_data_without_nonce_is_not_shown(self):
        node = Node(self)
        rig = self.rig("--node-id", NODE.hex(), "--no-nonce", node.address)
        s = node.stream()
        with self.assertRaises(Exception):
            s.ask(ASK_METADATA)
        rig.wait("state", phase="waiting", reason="no-data")


# ---- post services of another make ----

class ForeignRig:
    """A Register call by grpcio."""

    def __init__(self, test, address, credentials=None):
        options = [("grpc.use_local_subchannel_pool", 1)]  # each has a connection of its own
        self.channel = (grpc.secure_channel(address, credentials, options) if credentials else
                        grpc.insecure_channel(address, options))
        test.addCleanup(self.close)  # which also keeps us: grpcio cancels calls that nobody holds
        self.answers = queue.Queue()
        self.call = self.channel.stream_stream(wire.REGISTER)(iter(self.answers.get, None), wait_for_ready=True,
                                                              timeout=wire.WATCHDOG_S)

    def close(self):
        self.channel.close()

    def question(self):
        return next(self.call)

    def say(self, answer):
        self.answers.put(answer)

    def register(self, node_id=NODE, **kwargs):
        assert self.question() == ASK_METADATA
        self.say(wire.say_metadata(wire.meta(node_id, ATX, **kwargs)))

    def ends_with(self):
        try:
            while True:
                next(self.call)
        except StopIteration:
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as e:
            return e.code(), e.details()


class HubTest(PostTest):
    def setUp(self):
        super().setUp()
        self.out = self.tmp / "out"
        self.out.mkdir()

    def hub(self, *args, listen="127.0.0.1:0", **kwargs):
        hub = self.program(harness.OPTIONS.smesher, "hub", "--json", "--listen", listen, "--network", "tiny",
                           "--out-dir", self.out, *args, **kwargs)
        hub.address = hub.wait("listening")["address"]
        return hub

    def path(self, node_id=NODE, challenge=CHALLENGE):
        return self.out / f"{node_id.hex()}-{challenge.hex()}.json"

    def request(self, node_id=NODE, challenge=CHALLENGE):
        return "--request", f"{node_id.hex()}:{challenge.hex()}"


class HubAgainstForeignRigs(HubTest):
    """`smesher hub`, grpcio clients."""

    def test_a_proof_is_polled_for_verified_and_stored(self):
        hub = self.hub("--once", *self.request())
        rig = ForeignRig(self, hub.address)
        rig.register()
        self.assertEqual(rig.question(), wire.ask_proof(CHALLENGE))
        rig.say(IN_PROGRESS)
        self.assertEqual(rig.question(), wire.ask_proof(CHALLENGE))
        rig.say(Proof.get().message())
        event = hub.wait("proof")
        self.assertEqual((event["node_id"], event["existing"]), (NODE.hex(), False))
        self.assertEqual(rig.ends_with()[0], grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(hub.end(), 0)
        self.assertEqual([p.name for p in self.out.iterdir()], [self.path().name])
        done = harness.run([harness.OPTIONS.smesher, "verify-proof", "--network", "tiny", "--mode", "strict",
                            self.path()])
        self.assertEqual(done.status, 0, str(done))
        again = self.hub("--once", *self.request())  # nobody is asked
        self.assertTrue(again.wait("proof")["existing"])
        self.assertEqual(again.end(), 0)

    def test_a_damaged_proof_is_a_data_problem(self):
        proof = Proof.get()
        hub = self.hub("--once", "--retry-s", 0, *self.request())
        rig = ForeignRig(self, hub.address)
        rig.register()
        rig.question()
        indices = bytearray(proof.indices)
        indices[3] ^= 8
        rig.say(proof.message(bytes(indices)))
        event = hub.wait("failed")
        self.assertEqual((event["reason"], event["retry_s"]), ("data", None))
        self.assertEqual(hub.end(), 4)
        self.assertEqual(list(self.out.iterdir()), [])

    def test_a_proof_about_something_else_is_not_even_verified(self):
        hub = self.hub("--retry-s", 1, *self.request())
        rig = ForeignRig(self, hub.address)
        rig.register()
        for kwargs, want in (({"challenge": b"\x44" * 32}, "another challenge"), ({"units": 65}, "units"),
                             ({"labels": 512}, "labels per unit"), ({"nonce": None}, "VRF nonce")):
            self.assertEqual(rig.question(), wire.ask_proof(CHALLENGE))  # again after a second
            rig.say(Proof.get().message(**kwargs))
            event = hub.wait("failed")
            self.assertEqual((event["reason"], event["retry_s"]), ("data", 1))
            self.assertIn(want, event["text"])
        self.assertEqual(hub.end(signal.SIGTERM), 0)

    def test_an_error_is_asked_about_again(self):
        hub = self.hub("--once", "--retry-s", 1, *self.request())
        rig = ForeignRig(self, hub.address)
        rig.register()
        rig.question()
        rig.say(ERROR)
        self.assertEqual(hub.wait("failed")["reason"], "rig")
        rig.question()
        rig.say(Proof.get().message())
        hub.wait("proof")
        self.assertEqual(hub.end(), 0)

    def test_a_request_survives_its_stream(self):
        hub = self.hub("--once", *self.request())
        first = ForeignRig(self, hub.address)
        first.register()
        first.question()
        first.call.cancel()
        hub.wait("gone", node_id=NODE.hex())
        second = ForeignRig(self, hub.address)
        second.register()
        self.assertEqual(second.question(), wire.ask_proof(CHALLENGE))
        second.say(Proof.get().message())
        hub.wait("proof")

    def test_metadata_is_checked(self):
        hub = self.hub()
        rows = [({"nonce": None}, "nonce"), ({"labels": 4097}, "labels per unit"), ({"units": 65}, "units"),
                ({"node_id": b"\x11" * 31}, "node_id"), ({"units": 0}, "units")]
        for kwargs, want in rows:
            with self.subTest(want=want):
                rig = ForeignRig(self, hub.address)
                rig.register(**kwargs)
                code, text = rig.ends_with()
                self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
                self.assertIn(want, text)
                hub.wait("refused", code="INVALID_ARGUMENT")
        for answer in (b"\xff\xff", field_without_meta(), IN_PROGRESS):
            rig = ForeignRig(self, hub.address)
            rig.question()
            rig.say(answer)
            self.assertEqual(rig.ends_with()[0], grpc.StatusCode.INVALID_ARGUMENT)

    def test_a_nonce_of_zero_is_a_nonce(self):
        hub = self.hub()
        ForeignRig(self, hub.address).register(nonce=0)
        self.assertEqual(hub.wait("registered")["vrf_nonce"], 0)

    def test_a_living_duplicate_is_refused_and_a_dead_one_replaced(self):
        hub = self.hub()
        ours = self.rig("--node-id", NODE.hex(), hub.address)
        hub.wait("registered")
        foreign = ForeignRig(self, hub.address)
        foreign.register()
        self.assertEqual(foreign.ends_with(), (grpc.StatusCode.ALREADY_EXISTS, "post service already registered"))
        ours.process.send_signal(signal.SIGSTOP)  # its kernel still takes what we send: a half-open connection
        try:
            foreign = ForeignRig(self, hub.address)
            foreign.register()
            hub.wait("gone", node_id=NODE.hex())
            hub.wait("registered", node_id=NODE.hex())
        finally:
            ours.process.send_signal(signal.SIGCONT)
        ours.wait("state", phase="waiting", reason="duplicate")

    def test_a_half_closed_stream_ends(self):
        hub = self.hub()
        rig = ForeignRig(self, hub.address)
        rig.register()
        hub.wait("registered")
        rig.say(None)
        self.assertEqual(rig.ends_with()[0], grpc.StatusCode.OK)
        hub.wait("gone")

    def test_states(self):
        other = b"\x55" * 32
        hub = self.hub(*self.request())
        rig = ForeignRig(self, hub.address)
        rig.register(node_id=other)
        hub.wait("registered")
        with grpc.insecure_channel(hub.address) as channel:
            answer = wire.fields(channel.unary_unary(wire.STATES)(b"", timeout=wire.WATCHDOG_S))
        states = {s[1][0]: s[2][0] for s in map(wire.fields, answer[1])}
        self.assertEqual(states, {NODE: 2, other: 1})

    def test_tools_find_out_what_is_served(self):
        hub = self.hub()
        with grpc.insecure_channel(hub.address) as channel:
            for service in (b"", b"spacemesh.v1.PostService"):
                check = channel.unary_unary("/grpc.health.v1.Health/Check")
                answer = check(wire.field(1, service) if service else b"", timeout=wire.WATCHDOG_S)
                self.assertEqual(wire.fields(answer), {1: [1]}, "SERVING")
            ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
            services, file = ask(iter([wire.field(7, b"*"), wire.field(4, b"spacemesh.v1.PostService.Register")]),
                                 timeout=wire.WATCHDOG_S)
        names = [wire.fields(s)[1][0] for s in wire.fields(wire.fields(services)[6][0])[1]]
        self.assertIn(b"spacemesh.v1.PostService", names)
        self.assertIn(b"spacemesh.v1.PostInfoService", names)
        self.assertIn(b"ServiceResponse", file)

    def test_a_deadline_ends_a_request(self):
        hub = self.hub("--once", "--deadline-s", 1, *self.request())
        self.assertEqual(hub.wait("failed")["reason"], "deadline")
        self.assertEqual(hub.end(), 4)

    def test_what_is_in_the_way_is_left_as_it_is(self):
        self.path().write_text("mine")
        hub = self.hub("--once", *self.request())
        self.assertEqual(hub.wait("failed")["reason"], "store")
        self.assertEqual(hub.end(), 4)
        self.assertEqual(self.path().read_text(), "mine")

    def test_commands(self):
        hub = self.hub("--commands", stdin=subprocess.PIPE)
        rig = ForeignRig(self, hub.address)
        rig.register()
        hub.wait("registered")

        def say(line):
            hub.process.stdin.write(line + "\n")
            hub.process.stdin.flush()

        say("list")
        rows = hub.wait("identities")["identities"]
        self.assertEqual([(r["node_id"], r["registered"], r["request"]) for r in rows], [(NODE.hex(), True, "idle")])
        say(f"request {NODE.hex()} {CHALLENGE.hex()}")
        hub.wait("requested")
        self.assertEqual(rig.question(), wire.ask_proof(CHALLENGE))
        say(f"request {NODE.hex()} {CHALLENGE.hex()}")
        self.assertIn("already", hub.wait("error")["text"])
        say(f"cancel {NODE.hex()}")
        hub.wait("cancelled")
        say(f"cancel {NODE.hex()}")
        hub.wait("error")
        for bad in ("dance", "request 12", "x" * 5000):
            say(bad)
            hub.wait("error")
        rig.say(Proof.get().message())  # of the cancelled request: thrown away
        say(f"request {NODE.hex()} {CHALLENGE.hex()}")
        self.assertEqual(rig.question(), wire.ask_proof(CHALLENGE))
        rig.say(Proof.get().message())
        hub.wait("proof")
        say("quit")
        self.assertEqual(hub.end(), 0)

    def test_two_proofs_of_one_identity_come_one_after_the_other(self):
        initial = bytes(32)
        hub = self.hub("--retry-s", 0, "--once", *self.request(), *self.request(challenge=initial))
        rig = ForeignRig(self, hub.address)
        rig.register()
        self.assertEqual(rig.question(), wire.ask_proof(CHALLENGE))
        rig.say(Proof.get().message())
        hub.wait("proof")
        self.assertEqual(rig.question(), wire.ask_proof(initial))
        rig.say(ERROR)
        hub.wait("failed")
        self.assertEqual(hub.end(), 4)


def field_without_meta():
    return wire.field(1, b"")


class HubAndRig(HubTest):
    """Both of ours."""

    def test_a_hub_that_restarts_is_found_again_and_gets_the_proof(self):
        hub = self.hub()
        rig = self.rig("--proof", Proof.get().path, hub.address)
        hub.wait("registered")
        self.assertEqual(hub.end(signal.SIGTERM), 0)
        rig.wait("state", phase="waiting", reason="lost")
        again = self.hub("--once", *self.request(), listen=hub.address)
        again.wait("proof")
        rig.wait("fetched", challenge=CHALLENGE.hex())
        self.assertEqual(again.end(), 0)

    def test_an_impostor_that_speaks_no_grpc(self):
        """A listener that takes connections and says nothing, then garbage: the rig goes on to the next address."""
        hub = self.hub()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            rig = self.rig("--node-id", NODE.hex(), "127.0.0.1:%d" % listener.getsockname()[1], hub.address)
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                rig.wait("state", phase="registered", address=1)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rig", required=True)
    _, rest = parser.parse_known_args(namespace=RIG)
    sys.argv[1:] = rest
    harness.main()


if __name__ == "__main__":
    main()
