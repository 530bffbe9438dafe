#!/usr/bin/env python3
"""The Register stream over TLS: identities bound to certificates, names, reloading.

usage: postsvc_tls.py --smesher PROGRAM --rig PROGRAM
"""
import hashlib
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import unittest

import postsvc  # first: it finds the Python that has grpcio
import grpc
import harness


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@unittest.skipUnless(shutil.which("openssl"), "no openssl program here")
class Tls(postsvc.HubTest):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(prefix="smesher-postsvc-tls-")
        cls.addClassCleanup(holder.cleanup)
        cls.dir = d = pathlib.Path(holder.name)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 30,
                "-subj", "/CN=ca", "-keyout", d / "ca.key", "-out", d / "ca.pem")
        for name, san in (("node", "DNS:node,IP:127.0.0.1"), ("post", "DNS:post"), ("other", "DNS:other")):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    f"/CN={name}", "-keyout", d / f"{name}.key", "-out", d / f"{name}.csr")
            (d / "ext").write_text(f"subjectAltName={san}")
            openssl("x509", "-req", "-in", d / f"{name}.csr", "-CA", d / "ca.pem", "-CAkey", d / "ca.key",
                    "-CAcreateserial", "-days", 30, "-extfile", d / "ext", "-out", d / f"{name}.pem")

    def fingerprint(self, name):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert((self.dir / f"{name}.pem").read_text())).hexdigest()

    def tls_hub(self, *args):
        return self.hub("--tls-ca", self.dir / "ca.pem", "--tls-cert", self.dir / "node.pem", "--tls-key",
                        self.dir / "node.key", *args)

    def foreign(self, hub, name):
        read = lambda file: (self.dir / file).read_bytes()
        return postsvc.ForeignRig(self, hub.address, grpc.ssl_channel_credentials(
            read("ca.pem"), read(f"{name}.key"), read(f"{name}.pem")))

    def our_rig(self, hub, name, *args):
        return self.rig("--node-id", postsvc.NODE.hex(), "--ca", self.dir / "ca.pem", "--cert", self.dir / f"{name}.pem",
                        "--key", self.dir / f"{name}.key", *args, f"https://{hub.address}")

    def test_identities_are_bound_to_certificates(self):
        allow = self.tmp / "allow"
        second = b"\x77" * 32
        allow.write_text(f"{postsvc.NODE.hex()} name=post0.key fingerprint={self.fingerprint('post')}\n"
                         f"{second.hex()} san=DNS:other\n")
        hub = self.tls_hub("--allow", allow)
        stranger = self.foreign(hub, "other")
        stranger.register()
        self.assertEqual(stranger.ends_with()[0], grpc.StatusCode.PERMISSION_DENIED)
        self.foreign(hub, "other").register(node_id=second)
        hub.wait("registered", node_id=second.hex())
        self.foreign(hub, "post").register()
        event = hub.wait("registered", node_id=postsvc.NODE.hex())
        self.assertEqual((event["name"], event["known"]), ("post0.key", True))
        unlisted = self.foreign(hub, "post")
        unlisted.register(node_id=b"\x99" * 32)
        self.assertEqual(unlisted.ends_with()[0], grpc.StatusCode.PERMISSION_DENIED)

    def test_our_rig_registers_over_tls(self):
        hub = self.tls_hub()
        self.our_rig(hub, "post")
        hub.wait("registered", node_id=postsvc.NODE.hex())

    def test_a_name_that_the_certificate_lacks_is_a_tls_failure(self):
        hub = self.tls_hub()
        rig = self.our_rig(hub, "post", "--domain", "elsewhere")
        rig.wait("state", phase="waiting", reason="tls")

    def test_a_certificate_of_another_authority_is_a_tls_failure(self):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 30,
                "-subj", "/CN=stranger", "-keyout", self.dir / "stranger.key", "-out", self.dir / "stranger.pem")
        rig = self.our_rig(self.tls_hub(), "stranger")
        rig.wait("state", phase="waiting", reason="tls")

    def test_certificates_are_read_again(self):
        hub = self.tls_hub()
        hub.process.send_signal(signal.SIGHUP)
        self.our_rig(hub, "post")
        hub.wait("registered", node_id=postsvc.NODE.hex())
        self.assertEqual(hub.end(signal.SIGTERM), 0)
        self.assertIn("certificates read again", "".join(hub.log))

    def test_options_that_do_not_fit(self):
        for args, want in ((["--tls-ca", "a"], "go together"), (["--request", "12"], "64 hex digits"),
                           (["--listen", "nowhere"], "nowhere")):
            done = harness.run([harness.OPTIONS.smesher, "hub", "--network", "tiny", "--out-dir", self.out, *args])
            self.assertEqual(done.status, 2, str(done))
            self.assertIn(want, done.err)


if __name__ == "__main__":
    postsvc.main()
