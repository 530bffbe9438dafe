#!/usr/bin/env python3
"""Health and reflection as a foreign client (python3-grpcio) meets them: it knows nothing but the reflection protocol, learns
the messages from the descriptors that it is served, and then speaks with them.

usage: rpc_services.py --server ECHO_SERVER [--smesher SMESHER]
"""
import argparse
import json
import signal
import subprocess
import sys
import tempfile
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

OPTIONS = argparse.Namespace()
GUARD_S = 60  # only against hanging; nothing is measured
HEALTH = "/grpc.health.v1.Health/"


def identity(data):
    return data


def field(number, data):
    """One length-delimited field by hand: what is needed before any descriptor is known. data < 128 bytes."""
    return bytes([number << 3 | 2, len(data)]) + data


def fields(data):
    """[(number, bytes or int)] of a message made of varints and bytes."""
    out, at = [], 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        out.append((key >> 3, value))
    return out


class Server(unittest.TestCase):
    """A process that serves, and questions to it."""

    def serve(self, command, address_of):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.channel = grpc.insecure_channel(address_of(self.process.stdout.readline()))
        self.addCleanup(self.channel.close)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.read()
        self.process.stdout.close()
        self.assertEqual(self.process.wait(GUARD_S), 0)

    def reflect(self, version, *questions):
        method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        return list(self.channel.stream_stream(method, identity, identity)(iter(questions), timeout=GUARD_S))

    def messages(self, symbol):
        """A function that makes messages by name, from the file that defines `symbol`."""
        (answer,) = self.reflect("v1", field(4, symbol.encode()))
        pool = descriptor_pool.DescriptorPool()
        files = [descriptor_pb2.FileDescriptorProto.FromString(value) for _, value in fields(dict(fields(answer))[4])]
        for file in reversed(files):  # imports first
            pool.Add(file)
        factory = message_factory.MessageFactory(pool)
        return lambda name: factory.GetPrototype(pool.FindMessageTypeByName(name))()

    def services(self, version):
        (answer,) = self.reflect(version, field(7, b"*"))
        return [dict(fields(row))[1].decode() for _, row in fields(dict(fields(answer))[6])]

    def health(self):
        """Functions that make a request for a service, and read an answer."""
        make = self.messages("grpc.health.v1.Health.Watch")

        def request(service):
            message = make("grpc.health.v1.HealthCheckRequest")
            message.service = service
            return message.SerializeToString()

        def status(data):
            message = make("grpc.health.v1.HealthCheckResponse")
            message.ParseFromString(data)
            return message.DESCRIPTOR.enum_types_by_name["ServingStatus"].values_by_number[message.status].name

        return request, status


class Echo(Server):
    def setUp(self):
        self.serve([OPTIONS.server, "127.0.0.1:0"], lambda line: f"127.0.0.1:{line.split()[1]}")

    def test_services_are_listed(self):
        want = ["test.v1.Echo", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection"]
        for version in ("v1", "v1alpha"):
            self.assertEqual(self.services(version), want)

    def test_reflection_describes_itself(self):
        for version in ("v1", "v1alpha"):
            package = f"grpc.reflection.{version}"
            make = self.messages(f"{package}.ServerReflection")
            question = make(f"{package}.ServerReflectionRequest")
            question.host = "h"
            question.file_by_filename = "no/such.proto"
            answers = self.reflect(version, question.SerializeToString(), question.SerializeToString())
            self.assertEqual(len(answers), 2)
            for data in answers:
                answer = make(f"{package}.ServerReflectionResponse")
                answer.ParseFromString(data)
                self.assertEqual(answer.error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0])
                self.assertEqual(answer.original_request, question)
                self.assertEqual(answer.valid_host, "h")

    def test_health(self):
        request, status = self.health()
        check = self.channel.unary_unary(HEALTH + "Check", identity, identity)
        self.assertEqual(status(check(request(""), timeout=GUARD_S)), "SERVING")
        with self.assertRaises(grpc.RpcError) as caught:
            check(request("test.v1.Missing"), timeout=GUARD_S)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        watch = self.channel.unary_stream(HEALTH + "Watch", identity, identity)(request("test.v1.Echo"), timeout=GUARD_S)
        self.assertEqual(status(next(watch)), "SERVICE_UNKNOWN")
        self.process.send_signal(signal.SIGUSR1)
        self.assertEqual(status(next(watch)), "SERVING")
        self.assertEqual(status(check(request("test.v1.Echo"), timeout=GUARD_S)), "SERVING")
        watch.cancel()


class Hub(Server):
    """The table of `smesher hub`, whose messages import others."""

    def setUp(self):
        if not OPTIONS.smesher:
            self.skipTest("no smesher in this build")
        out = tempfile.TemporaryDirectory()
        self.addCleanup(out.cleanup)
        self.serve([OPTIONS.smesher, "hub", "--json", "--listen", "127.0.0.1:0", "--network", "fastnet", "--out-dir", out.name],
                   lambda line: json.loads(line)["address"])

    def test_reflection_and_health(self):
        self.assertEqual(self.services("v1")[:2], ["spacemesh.v1.PostService", "spacemesh.v1.PostInfoService"])
        make = self.messages("spacemesh.v1.PostInfoService.PostStates")
        call = self.channel.unary_unary("/spacemesh.v1.PostInfoService/PostStates", identity, identity)
        answer = make("spacemesh.v1.PostStatesResponse")
        answer.ParseFromString(call(b"", timeout=GUARD_S))
        self.assertEqual(len(answer.states), 0)
        request, status = self.health()
        check = self.channel.unary_unary(HEALTH + "Check", identity, identity)
        for service in ("", "spacemesh.v1.PostService"):
            self.assertEqual(status(check(request(service), timeout=GUARD_S)), "SERVING")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--smesher")
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


main()
