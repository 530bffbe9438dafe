#!/usr/bin/env python3
"""`smesher rig` against `smesher hub`: many identities, hubs and rigs that die, and that no proof is made twice.
Scenarios: post-service.md 2.8, 2.9 (OUR-3 … OUR-14), 3.4.

usage: rig.py --smesher PROGRAM
"""
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import harness

WATCHDOG_S = 300  # only a test that hangs gets here
ATX = "ab" * 32
A, B = "77" * 32, "88" * 32  # challenges


def node(i):
    return f"{i:02x}" * 32


class Data:
    """Data sets of the tiny network, made once; node ID i is node(i)."""
    _holder = None

    @classmethod
    def get(cls, i):
        if not cls._holder:
            cls._holder = tempfile.TemporaryDirectory(prefix="smesher-rig-data-")
        path = pathlib.Path(cls._holder.name) / f"set{i}"
        if not path.exists():
            done = harness.run([harness.OPTIONS.smesher, "init", "--dir", path, "--network", "tiny", "--node-id", node(i),
                                "--commitment-atx-id", ATX, "--device", "cpu"])
            assert done.status == 0, str(done)
        return path


class Process:
    """A program whose lines are waited for."""

    def __init__(self, test, *argv, env=None):
        environment = {**os.environ, "SM_NETWORK": "", "SM_LOG_LEVEL": "", **(env or {})}
        self.process = subprocess.Popen([str(a) for a in (harness.OPTIONS.smesher, *argv)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines, self.all = queue.Queue(), []
        self.threads = [threading.Thread(target=self._read, args=(pipe,), daemon=True)
                        for pipe in (self.process.stdout, self.process.stderr)]
        for t in self.threads:
            t.start()
        test.addCleanup(self.kill)

    def _read(self, pipe):
        for line in pipe:
            self.lines.put(line)
        self.lines.put(None)

    def wait(self, *texts):
        """The next line with all of these texts; earlier ones are skipped."""
        ends = 0
        while True:
            try:
                line = self.lines.get(timeout=WATCHDOG_S)
            except queue.Empty:
                raise AssertionError(f"no line with {texts} in\n{''.join(self.all)}") from None
            if line is None:
                ends += 1
                if ends == 2:
                    raise AssertionError(f"it ended without a line with {texts}:\n{''.join(self.all)}")
                continue
            self.all.append(line)
            if all(t in line for t in texts):
                return line

    def end(self, sig=None):
        """The exit status; the rest of the lines go to `all`."""
        if sig is not None:
            self.process.send_signal(sig)
        status = self.process.wait(timeout=WATCHDOG_S)
        for t in self.threads:
            t.join()
        while not self.lines.empty():
            line = self.lines.get()
            if line is not None:
                self.all.append(line)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()

    def count(self, *texts):
        return sum(all(t in line for t in texts) for line in self.all)

    def text(self):
        return "".join(self.all)


class RigTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="smesher-rig-")
        self.addCleanup(holder.cleanup)
        self.tmp = pathlib.Path(holder.name)
        self.out = self.tmp / "out"
        self.out.mkdir()

    def hub(self, *requests, listen="127.0.0.1:0", once=True, tls=()):
        args = [x for i, challenge in requests for x in ("--request", f"{node(i)}:{challenge}")]
        hub = Process(self, "hub", "--json", "--listen", listen, "--network", "tiny", "--out-dir", self.out,
                      *(["--once"] if once else []), *tls, *args)
        hub.address = json.loads(hub.wait('"listening"'))["address"]
        return hub

    def rig(self, hub, *ids, name="rig", options=(), **kwargs):
        """A rig with a state directory of its own, over links to the data sets."""
        root = self.tmp / name / "data"
        root.mkdir(parents=True, exist_ok=True)
        for i in ids:
            if not (root / f"set{i}").exists():
                (root / f"set{i}").symlink_to(Data.get(i))
        return Process(self, "rig", "--network", "tiny", "--root", root, "--state-dir", self.tmp / name / "state",
                       "--address", hub if isinstance(hub, str) else hub.address, "--reconnect-interval", "1s",
                       "--threads", 1, *options, **kwargs)

    def proof(self, i, challenge):
        return self.out / f"{node(i)}-{challenge}.json"

    def assert_verifies(self, *requests):
        for i, challenge in requests:
            path = self.proof(i, challenge)
            document = json.loads(path.read_text())
            self.assertIn("proof", document)
            done = harness.run([harness.OPTIONS.smesher, "verify-proof", "--network", "tiny", "--mode", "strict", path])
            self.assertEqual(done.status, 0, str(done))


class Fleet(RigTest):
    def test_three_rigs_nine_identities(self):
        requests = [(i, A) for i in range(1, 10)]
        hub = self.hub(*requests)
        rigs = [self.rig(hub, *range(first, first + 3), name=f"rig{first}", options=["--one-shot"])
                for first in (1, 4, 7)]
        self.assertEqual(hub.end(), 0, hub.text())
        for rig in rigs:
            self.assertEqual(rig.end(), 0, rig.text())
            self.assertEqual(rig.count("starting proof generation"), 3, rig.text())
            self.assertEqual(rig.count("proof is valid and stored"), 3)
            self.assertEqual(rig.count("the node has fetched the proof"), 3)
        self.assert_verifies(*requests)

    def registered(self, hub, n):
        """The addresses that the next n registrations come from."""
        addresses = set()
        while n:
            event = json.loads(hub.wait('"event"'))
            self.assertNotEqual(event["event"], "refused", event)
            if event["event"] == "registered":
                addresses.add(event["address"])
                n -= 1
        return addresses

    def test_identities_share_a_connection_unless_told_otherwise(self):
        hub = self.hub(once=False)
        rig = self.rig(hub, 1, 2, 3)
        self.assertEqual(len(self.registered(hub, 3)), 1)
        self.assertEqual(rig.end(signal.SIGTERM), 0, rig.text())
        self.rig(hub, 1, 2, 3, options=["--no-share-connection"])
        self.assertEqual(len(self.registered(hub, 3)), 3)

    def test_a_rig_that_hangs_is_replaced_with_all_its_identities(self):
        """One connection, and one PING on it that nobody answers, for three registrations that wait."""
        hub = self.hub(once=False)
        rig = self.rig(hub, 1, 2, 3)
        first = self.registered(hub, 3)
        for i in (1, 2, 3):
            shutil.copytree(Data.get(i), self.tmp / "other" / "data" / f"set{i}")
        rig.process.send_signal(signal.SIGSTOP)
        try:
            self.rig(hub, 1, 2, 3, name="other")
            self.assertEqual(len(self.registered(hub, 3) - first), 1)
        finally:
            rig.process.send_signal(signal.SIGCONT)


class Deaths(RigTest):
    def test_hub_dies_in_the_middle_of_a_proof(self):
        hub = self.hub((1, A))
        rig = self.rig(hub, 1, options=["--one-shot"])
        rig.wait("calculating proof of work")
        hub.kill()
        again = self.hub((1, A), listen=hub.address)
        self.assertEqual(again.end(), 0, again.text())
        self.assertEqual(rig.end(), 0, rig.text())
        self.assertEqual(rig.count("starting proof generation"), 1, rig.text())
        self.assert_verifies((1, A))

    def test_rig_dies_in_the_middle_of_a_proof(self):
        hub = self.hub((1, A), (2, A))
        rig = self.rig(hub, 1, 2)
        rig.wait("finished k2pow")
        rig.kill()
        again = self.rig(hub, 1, 2, options=["--one-shot"])
        self.assertEqual(hub.end(), 0, hub.text())
        self.assertEqual(again.end(), 0, again.text())
        self.assert_verifies((1, A), (2, A))

    def test_a_finished_proof_is_delivered_and_not_made_again(self):
        hub = self.hub((1, A))
        rig = self.rig(hub, 1)
        rig.wait("calculating proof of work")
        hub.kill()
        rig.wait("proof is valid and stored")
        rig.kill()
        stored = list((self.tmp / "rig/state/proofs").glob("*.json"))
        self.assertEqual(len(stored), 1)
        made = json.loads(stored[0].read_text())
        self.assertFalse(made["fetched"])
        hub = self.hub((1, A), listen=hub.address)
        rig = self.rig(hub, 1, options=["--one-shot"])
        self.assertEqual(hub.end(), 0, hub.text())
        self.assertEqual(rig.end(), 0, rig.text())
        self.assertEqual(rig.count("the stored proof answers"), 1, rig.text())
        self.assertEqual(rig.count("starting proof generation"), 0, rig.text())
        self.assertEqual(json.loads(self.proof(1, A).read_text())["proof"], made["proof"])
        self.assertTrue(json.loads(stored[0].read_text())["fetched"])
        self.proof(1, A).unlink()
        hub = self.hub((1, A))  # a node that lost it
        rig = self.rig(hub, 1, options=["--one-shot"])
        self.assertEqual(hub.end(), 0, hub.text())
        self.assertEqual(rig.end(), 0, rig.text())
        self.assertEqual(rig.count("starting proof generation"), 0, rig.text())

    def test_a_damaged_stored_proof_is_made_again(self):
        hub = self.hub((1, A))
        rig = self.rig(hub, 1, options=["--one-shot"])
        self.assertEqual((hub.end(), rig.end()), (0, 0), rig.text())
        stored, = (self.tmp / "rig/state/proofs").glob("*.json")
        text = stored.read_text()
        at = text.index('"indices":"') + len('"indices":"')
        stored.write_text(text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1:])
        self.proof(1, A).unlink()
        hub = self.hub((1, A))
        rig = self.rig(hub, 1, options=["--one-shot"])
        self.assertEqual((hub.end(), rig.end()), (0, 0), rig.text())
        self.assertEqual(rig.count("stored proof is damaged"), 1, rig.text())
        self.assertEqual(rig.count("starting proof generation"), 1)
        self.assert_verifies((1, A))

    def test_terminated_while_proving_goes_on_where_it_was(self):
        hub = self.hub((1, A))
        rig = self.rig(hub, 1)
        rig.wait("calculating proof of work")
        self.assertEqual(rig.end(signal.SIGTERM), 0, rig.text())
        again = self.rig(hub, 1, options=["--one-shot"])
        self.assertEqual((hub.end(), again.end()), (0, 0), again.text())


class Interface(RigTest):
    def open(self, rig, path, method="GET"):
        request = urllib.request.Request(rig.url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WATCHDOG_S) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()

    def served(self, hub, *ids, **kwargs):
        rig = self.rig(hub, *ids, options=["--operator-address", "127.0.0.1:0"], **kwargs)
        rig.url = rig.wait("status interface").split("url=")[1].strip()
        rig.wait("ready")
        return rig

    def test_status_orders_and_counts(self):
        hub = self.hub((2, A), once=False)
        rig = self.served(hub, 1, 2)
        for path in ("/v1/pause", "/v1/resume"):
            self.assertEqual(self.open(rig, f"{path}?identity={node(1)}", "POST")[0], 200)
        self.assertEqual(self.open(rig, "/v1/pause?identity=nobody", "POST")[0], 404)
        self.assertEqual(self.open(rig, f"/v1/cancel?identity={node(1)}", "POST")[0], 409)
        self.assertEqual(self.open(rig, "/nothing")[0], 404)
        hub.wait('"proof"', node(2))
        rig.wait("the node has fetched the proof")
        status, text = self.open(rig, "/v1/status")
        self.assertEqual(status, 200)
        document = json.loads(text)
        self.assertEqual(document["counts"]["proofs_made"], 1)
        self.assertEqual(document["counts"]["proofs_delivered"], 1)
        by_id = {i["node_id"]: i for i in document["identities"]}
        self.assertEqual(by_id[node(1)]["phase"], "idle")
        self.assertEqual(by_id[node(2)]["phase"], "done")
        self.assertTrue(by_id[node(2)]["last_proof"]["fetched"])
        self.assertEqual(by_id[node(2)]["link"]["state"], "registered")
        self.assertEqual(by_id[node(2)]["challenge"], A)
        status, text = self.open(rig, "/metrics")
        self.assertEqual(status, 200)
        self.assertIn(node(2), text)
        self.assertEqual(json.loads(self.open(rig, f"/status?identity={node(1)}")[1]), "Idle")

    def test_a_paused_identity_goes_on_when_it_is_resumed(self):
        hub = self.hub((1, A))
        rig = self.rig(hub, 1, options=["--operator-address", "127.0.0.1:0", "--one-shot"])
        rig.url = rig.wait("status interface").split("url=")[1].strip()
        rig.wait("calculating proof of work")
        self.assertEqual(self.open(rig, "/v1/pause?identity=all", "POST")[0], 200)
        rig.wait("proving stopped")
        identity, = json.loads(self.open(rig, "/v1/status")[1])["identities"]
        self.assertTrue(identity["paused"])
        self.assertEqual(identity["challenge"], A)
        self.assertEqual(self.open(rig, "/v1/resume?identity=all", "POST")[0], 200)
        self.assertEqual((hub.end(), rig.end()), (0, 0), rig.text())


class RemoteK2pow(RigTest):
    def test_proofs_of_work_come_from_a_worker(self):
        worker = Process(self, "k2pow", "--listen", "127.0.0.1:0", "--randomx", "light", "--threads", 1)
        url = worker.wait("url=").split("url=")[1].split()[0]
        hub = self.hub((1, A))
        rig = self.rig(hub, 1, options=["--remote-k2pow", url, "--one-shot"])
        self.assertEqual((hub.end(), rig.end()), (0, 0), rig.text())
        with urllib.request.urlopen(url + "/metrics", timeout=WATCHDOG_S) as reply:
            metrics = reply.read().decode()
        self.assertRegex(metrics, r'jobs_total\{event="done"\} [1-9]', rig.text())
        self.assert_verifies((1, A))


@unittest.skipUnless(shutil.which("openssl"), "no openssl program here")
class Tls(RigTest):
    def certificate(self, name, ca, san):
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
               f"/CN={name}", "-keyout", f"{name}.key"]
        if ca is None:
            commands = [[*new, "-x509", "-days", "30", "-out", f"{name}.pem"]]
        else:
            (self.tmp / "ext").write_text(f"subjectAltName={san}")
            commands = [[*new, "-out", "csr"], ["openssl", "x509", "-req", "-in", "csr", "-CA", f"{ca}.pem", "-CAkey",
                        f"{ca}.key", "-CAcreateserial", "-days", "30", "-extfile", "ext", "-out", f"{name}.pem"]]
        for command in commands:
            subprocess.run(command, cwd=self.tmp, check=True, capture_output=True)

    def test_certificates_are_read_again(self):
        self.certificate("ca", None, "")
        self.certificate("other", None, "")
        self.certificate("node", "ca", "IP:127.0.0.1")
        self.certificate("rig", "other", "DNS:rig")  # of a CA that the hub does not know
        hub = self.hub((1, A), tls=[x for name, file in (("ca", "ca.pem"), ("cert", "node.pem"), ("key", "node.key"))
                                    for x in (f"--tls-{name}", self.tmp / file)])
        rig = self.rig(f"https://{hub.address}", 1,
                       options=["--one-shot", "--ca-cert", self.tmp / "ca.pem", "--cert", self.tmp / "rig.pem", "--key",
                                self.tmp / "rig.key"])
        rig.wait("identity=", "reason=tls")
        self.certificate("rig", "ca", "DNS:rig")
        rig.process.send_signal(signal.SIGHUP)
        self.assertEqual((hub.end(), rig.end()), (0, 0), rig.text())
        self.assert_verifies((1, A))


class Life(RigTest):
    def test_sighup_finds_new_data_and_keeps_what_runs(self):
        hub = self.hub((1, A), (2, A))
        rig = self.rig(hub, 1)
        rig.wait("calculating proof of work")
        (self.tmp / "rig/data/set2").symlink_to(Data.get(2))
        rig.process.send_signal(signal.SIGHUP)
        rig.wait("data set is served", node(2)[:10])
        self.assertEqual(hub.end(), 0, hub.text())
        self.assertEqual(rig.end(signal.SIGTERM), 0, rig.text())
        self.assertEqual(rig.count("starting proof generation", node(1)[:10]), 1, rig.text())
        self.assert_verifies((1, A), (2, A))

    def test_a_disk_that_is_mounted_late_is_served(self):
        hub = self.hub((1, A), (2, A))
        late = self.tmp / "late"
        rig = self.rig(hub, 1, options=["--dir", late, "--rescan", "1s"])
        rig.wait("left out", str(late))
        rig.wait("ready")
        late.symlink_to(Data.get(2))
        rig.wait("data set is served", node(2)[:10])
        self.assertEqual(hub.end(), 0, hub.text())
        self.assertEqual(rig.end(signal.SIGTERM), 0, rig.text())
        self.assertEqual(rig.count("left out"), 1, rig.text())

    def test_sighup_with_a_bad_file_changes_nothing(self):
        hub = self.hub((1, A), once=False)
        config = self.tmp / "rig.yaml"
        good = f"network: tiny\nstate_dir: state\nnode: {{addresses: [\"{hub.address}\"]}}\ndata: {{roots: [data]}}\n"
        (self.tmp / "data").mkdir()
        (self.tmp / "data/set1").symlink_to(Data.get(1))
        config.write_text(good)
        rig = Process(self, "rig", "--config", config)
        rig.wait("registered")
        config.write_text(good + "prove: {nonce: 16}\n")
        rig.process.send_signal(signal.SIGHUP)
        rig.wait("nothing has changed", "rig.yaml:5", "did you mean nonces?")
        hub.wait('"proof"')
        config.write_text(good + "prove: {nonces: 32}\n")
        rig.process.send_signal(signal.SIGHUP)
        rig.wait("configuration reloaded")
        self.assertEqual(rig.end(signal.SIGTERM), 0, rig.text())

    def test_ends_with_the_process_it_watches(self):
        hub = self.hub(once=False)
        with subprocess.Popen(["sleep", "100000"]) as watched:
            rig = self.rig(hub, 1, options=["--watch-pid", watched.pid])
            rig.wait("registered")
            watched.kill()
            self.assertEqual(rig.end(), 0, rig.text())
        self.assertEqual(rig.count("the watched process has ended"), 1)
        gone = self.rig(hub, 1, options=["--watch-pid", watched.pid])
        self.assertEqual(gone.end(), 0, gone.text())

    def test_tells_the_service_manager(self):
        hub = self.hub(once=False)
        path = str(self.tmp / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(WATCHDOG_S)
            rig = self.rig(hub, 1, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"})
            said = ""
            while "READY=1" not in said or "WATCHDOG=1" not in said:
                said += manager.recv(4096).decode() + "\n"
            rig.process.send_signal(signal.SIGHUP)
            while "RELOADING=1" not in said:
                said += manager.recv(4096).decode() + "\n"
            rig.process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in said:
                said += manager.recv(4096).decode() + "\n"
            self.assertEqual(rig.end(), 0, rig.text())

    def test_exit_status(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # nobody listens, and nobody else gets it
            address = "127.0.0.1:%d" % closed.getsockname()[1]
            rig = self.rig(address, 1, options=["--max-retries", 0])
            self.assertEqual(rig.end(), 1, rig.text())
            self.assertIn("max retries (0) reached", rig.text())
            running = self.rig(address, 1)
            running.wait("ready")
            second = self.rig(address, 1)
            self.assertEqual(second.end(), 1, second.text())
            self.assertIn("state_dir of its own", second.text())
            self.assertEqual(running.end(signal.SIGTERM), 0)
            empty = self.rig(address, name="empty")
            self.assertEqual(empty.end(), 1, empty.text())
            self.assertIn("no data set", empty.text())
            for options, want in ((["--nonces", 17], "--nonces"), (["--set", "prove.nonce=16"], "did you mean"),
                                  (["--ca-cert", "x"], "1 of 3"), (["--config", "/nowhere.yaml"], "/nowhere.yaml"),
                                  (["--param", "k9=1"], "k9"), (["--ping-interval", "1s"], "60")):
                bad = self.rig(address, 1, options=options)
                self.assertEqual(bad.end(), 3, bad.text())
                self.assertIn(want, bad.text())
            check = self.rig(address, 1, options=["--check"])
            self.assertEqual(check.end(), 0, check.text())
            self.assertRegex(check.text(), r"served +\S+: .*1.*, \d+ units")

    def test_a_data_set_that_is_there_twice_is_not_served(self):
        hub = self.hub((2, A))
        root = self.tmp / "rig/data"
        root.mkdir(parents=True)
        copy = root / "copy"
        copy.mkdir()
        for path in Data.get(1).iterdir():
            (copy / path.name).symlink_to(path)
        rig = self.rig(hub, 1, 2, options=["--one-shot"])
        line = rig.wait("left out", "set1")
        self.assertIn(str(copy), line + rig.wait("left out"))
        self.assertEqual((hub.end(), rig.end()), (0, 0), rig.text())


if __name__ == "__main__":
    harness.main()
