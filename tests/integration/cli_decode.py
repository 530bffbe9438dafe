#!/usr/bin/env python3
"""decode and address, against the vectors.

usage: cli_decode.py --smesher PROGRAM
"""
import base64
import json

import harness
from cli_common import ROOT, CliTest

VECTORS = ROOT / "tests" / "vectors"


def vector(name):
    return json.loads((VECTORS / f"wire-{name}.json").read_text())


class Decode(CliTest):
    def setUp(self):
        super().setUp()
        self.hare = vector("hare")
        self.message = self.hare["hare3"][0]["message"]
        self.genesis = self.hare["genesis_id"]

    def test_every_source_gives_the_same(self):
        raw = bytes.fromhex(self.message)
        path = self.tmp / "message"
        path.write_bytes(raw)
        by_hex = self.document("decode", "hare3", "--hex", self.message)
        self.assertEqual(by_hex["bytes"], len(raw))
        self.assertEqual(by_hex, self.document("decode", "hare3", "--base64", base64.b64encode(raw).decode()))
        self.assertEqual(by_hex, self.document("decode", "hare3", "--file", path))
        self.assertEqual(by_hex, json.loads(self.ok("decode", "hare3", "--hex", self.message).out))

    def test_checks(self):
        unknown = self.document("decode", "hare3", "--hex", self.message)
        self.assertEqual(unknown["checks"], {"canonical": "good", "signature": "unknown", "vrf": "unknown"})
        self.assertEqual(set(unknown["checks_need"]), {"signature", "vrf"})
        known = ("--genesis-id", self.genesis, "--beacon", self.hare["beacon"])
        good = self.document("decode", "hare3", "--hex", self.message, *known)
        self.assertEqual(good["checks"], {"canonical": "good", "signature": "good", "vrf": "good"})
        self.assertEqual(good["ids"]["body_hash"], self.hare["hare3"][0]["msg_hash"])
        bad = self.document("decode", "hare3", "--hex", self.message, "--genesis-id", "00" * 20, status=4)
        self.assertEqual(bad["checks"]["signature"], "bad")

    def test_accepted_but_not_canonical(self):
        # the bytes after a compact integer in a mode longer than needed: 8-byte mode of the nonce
        document = self.document("decode", "vrf-beacon", "--hex", "04" + "13" + "0000004000000000" + "04")
        self.assertEqual(document["checks"]["canonical"], "bad")
        self.assertEqual(document["object"]["vrf_nonce"], 1 << 30)

    def test_work_of_a_poet(self):
        v = vector("poet-proof")
        proof = v["poet_proof_encoded"]
        tail = "00" + "00" + v["statement"] + "00" * 64  # nameless service and round, no signature
        good = self.document("decode", "poet-message", "--hex", proof + tail)
        self.assertEqual(good["checks"], {"canonical": "good", "work": "good"})
        self.assertEqual(good["ids"]["poet_ref"], v["ref"])
        alone = self.document("decode", "poet-proof", "--hex", proof)
        self.assertEqual((alone["checks"]["work"], alone["checks_need"]["work"][:13]), ("unknown", "the statement"))
        other = tail.replace(v["statement"], "43" * 32)
        bad = self.document("decode", "poet-message", "--hex", proof + other, status=4)
        self.assertEqual(bad["checks"], {"canonical": "good", "work": "bad"})

    def test_every_listed_type_decodes_or_refuses(self):
        types = self.document("decode", "--list")["types"]
        self.assertGreaterEqual(len(types), 45)
        for entry in types:
            with self.subTest(entry["type"]):
                self.assertIn(entry["type"], self.ok("decode", "--list").out)
                self.refused(3, "byte ", "decode", entry["type"], "--hex", "ff")

    def test_wrong_lines(self):
        for status, wants, line in [
            (2, "TYPE", "decode"),
            (2, "unknown type 'atx'", "decode atx --hex 00"),
            (2, "exactly one of", "decode hare3"),
            (2, "exactly one of", "decode hare3 --hex 00 --base64 AA=="),
            (3, "odd number", "decode hare3 --hex 000"),
            (3, "--hex", "decode hare3 --hex zz"),
            (3, "--base64", "decode hare3 --base64 *"),
            (1, "/nowhere", "decode hare3 --file /nowhere"),
            (2, "--genesis-id", "decode hare3 --hex 00 --genesis-id 00"),
            (2, "--beacon", "decode hare3 --hex 00 --beacon xyz"),
        ]:
            with self.subTest(line):
                self.refused(status, wants, *line.split())


class Address(CliTest):
    def test_of_a_key(self):
        for row in vector("address")["from_public_key"]:
            self.assertEqual(self.ok("address", "--public-key", row["public_key"]).out.strip(), row["bech32_sm"])
            document = self.document("address", "--public-key", row["public_key"], "--hrp", "stest")
            self.assertEqual(document, {"address": row["bech32_stest"], "hrp": "stest", "bytes": row["address"]})
            out = self.ok("address", row["bech32_sm"].upper(), "--to-hrp", "stest").out
            self.assertEqual(out.strip(), row["bech32_stest"])

    def test_verdicts(self):
        rows = vector("address")["parse"]
        self.assertEqual(len(rows), 9)
        for row in rows:
            with self.subTest(row["string"]):
                if row["ok"]:
                    document = self.document("address", row["string"], "--hrp", row["hrp"])
                    self.assertEqual(document["bytes"], row["address"])
                else:
                    self.refused(3, "address", "address", row["string"], "--hrp", row["hrp"])

    def test_wrong_lines(self):
        self.refused(2, "either", "address")
        self.refused(2, "either", "address", "sm1q", "--public-key", "00" * 32)
        self.refused(2, "--hrp", "address", "sm1q", "--hrp", "SM")
        self.refused(2, "no network prefix", "address", "--public-key", "00" * 32, "--to-hrp", "")


if __name__ == "__main__":
    harness.main()
