#!/usr/bin/env python3
"""The whole cycle by the command line: init, info, verify, nonce, prove, verify-proof, merge, grow, shrink.

usage: cli_cycle.py --smesher PROGRAM
"""
import json
import os
import pathlib
import shutil
import stat

import harness
from cli_common import ATX, CHALLENGE, NODE, CliTest, smesher, tiny_copy


class Cycle(CliTest):
    def test_tiny_from_init_to_a_verified_proof(self):
        data, proof = self.tmp / "data", self.tmp / "proof.json"
        plan = self.document("init", "--dir", data, "--network", "tiny", "--node-id", NODE, "--commitment-atx-id", ATX,
                             "--dry-run")
        self.assertEqual((plan["labels"], plan["files_total"], plan["need_bytes"]), (8192, 8, 131072))
        self.assertGreater(plan["labels_per_s"], 0)
        self.assertFalse(data.exists(), "a dry run wrote something")

        made = self.document("init", "--dir", data, "--network", "tiny", "--node-id", NODE, "--commitment-atx-id", ATX)
        self.assertTrue(made["complete"])
        self.assertEqual(made["labels_written"], 8192)
        self.assertEqual(stat.S_IMODE(data.stat().st_mode), 0o700)
        again = self.document("init", "--dir", data)
        self.assertEqual((again["labels_written"], again["nonce"]), (0, made["nonce"]))

        info = self.document("info", "--dir", data)
        self.assertTrue(info["consistent"], info)
        self.assertEqual((info["status"], info["scrypt_n"], info["problems"]), ("complete", 16, []))
        self.assertEqual(info["metadata"]["node_id"], NODE)
        self.assertTrue(info["metadata"]["nonce_valid"] and info["metadata"]["nonce_value_matches"])
        self.assertIn("complete and consistent", self.ok("info", "--dir", data).out)

        checked = self.document("verify", "--dir", data, "--all")
        self.assertEqual((checked["labels_checked"], checked["labels_bad"], checked["valid"]), (8192, 0, True))
        self.assertEqual(self.document("verify", "--dir", data)["labels_bad"], 0)
        nonce = self.document("nonce", "--dir", data)
        self.assertEqual((nonce["found"], nonce["changed"], nonce["nonce"]), (True, False, made["nonce"]))

        self.ok("prove", "--dir", data, "--network", "tiny", "--challenge", CHALLENGE, "--out", proof)
        document = json.loads(proof.read_text())
        self.assertEqual(set(document), {"proof", "metadata"})
        out = self.ok("verify-proof", "--network", "tiny", "--mode", "strict", "--challenge", CHALLENGE, proof).out
        self.assertIn(": valid", out)

        # The same command again finds its proof; what is something else is not overwritten.
        before = (proof.stat().st_mtime_ns, proof.read_bytes())
        again = ["prove", "--dir", data, "--network", "tiny", "--out", proof, "--challenge"]
        self.assertIn("was there already", self.ok(*again, CHALLENGE).out)
        recalled = self.document(*again, CHALLENGE)
        self.assertEqual((recalled["statistics"]["passes"], recalled["proof"]), (0, document["proof"]))
        self.refused(3, ["proof.json", "not a proof", "left as it is"], *again, "44" * 32)
        self.assertEqual((proof.stat().st_mtime_ns, proof.read_bytes()), before)
        forged = json.loads(before[1])
        forged["proof"]["pow"] += 1 << 56  # strict verification refuses its top byte
        for content, why in ((json.dumps(forged), "does not verify"), ("notes of mine", "not a proof")):
            proof.write_text(content)
            self.refused(3, why, *again, CHALLENGE)
            self.assertEqual(proof.read_text(), content)
        proof.write_text("")
        self.ok(*again, CHALLENGE)
        self.assertEqual(json.loads(proof.read_text()), document)

    def test_fastnet_proof_on_stdout_and_every_mode(self):
        data = self.tmp / "data"
        self.init(data, network="fastnet")
        first = self.document("prove", "--dir", data, "--network", "fastnet", "--challenge", CHALLENGE, "--no-state")
        self.assertEqual(len(first["indices"]), 4)
        text = self.ok("prove", "--dir", data, "--network", "fastnet", "--challenge", "44" * 32, "--threads", "1").out
        good, other, bad, bare = (self.tmp / n for n in ("good.json", "other.json", "bad.json", "bare.json"))
        good.write_text(json.dumps(first))
        other.write_text(text)
        forged = json.loads(text)
        forged["proof"]["pow"] += 1
        bad.write_text(json.dumps(forged))
        bare.write_text(json.dumps(first["proof"]))

        judge = ["verify-proof", "--network", "fastnet"]
        document = self.document(*judge, good, other, bad, status=4)
        self.assertEqual([p["valid"] for p in document["proofs"]], [True, True, False])
        self.assertFalse(document["valid"])
        self.assertIn(document["proofs"][2]["verdict"], ("pow", "msb"))  # one k2pow in two is good by chance
        self.assertTrue(self.document(*judge, "--mode", "subset", "--k3", "2", "--seed", "0011", good)["valid"])
        self.assertTrue(self.document(*judge, "--mode", "one", "--index", "3", good)["valid"])
        ids = ["--node-id", NODE, "--commitment-atx-id", ATX, "--challenge", CHALLENGE, "--num-units", "2"]
        self.assertTrue(self.document(*judge, bare, *ids)["valid"])
        self.refused(2, ["bare.json", "--node-id is required"], *judge, bare)
        self.refused(3, ["good.json", "challenge"], *judge, good, "--challenge", "44" * 32)
        self.refused(3, ["good.json", "128 labels per unit", "mainnet"], "verify-proof", good)
        self.refused(2, "--seed", *judge, good, "--seed", "abc")
        bad.write_text("{")
        self.refused(3, "bad.json", *judge, good, bad)
        self.refused(1, "missing.json", *judge, self.tmp / "missing.json")

    def test_parts_merge_into_the_whole(self):
        whole, parts = self.tmp / "whole", [self.tmp / n for n in ("a", "b", "c")]
        tiny_copy(whole)
        for part, (first, last) in zip(parts, [(0, 2), (3, 5), (6, 7)]):
            self.init(part, "--from-file", str(first), "--to-file", str(last))
        early = self.document("merge", "--target", self.tmp / "merged", *parts[:2])
        self.assertEqual((early["complete"], early["files_missing"]), (False, 2))
        merged = self.document("merge", "--target", self.tmp / "merged", "--move", *parts)
        self.assertEqual((merged["complete"], merged["files_missing"]), (True, 0))
        self.document("init", "--dir", self.tmp / "merged")
        self.assertEqual(harness.digests(self.tmp / "merged", ("smesher.lock", "smesher.json")).items()
                         >= {k: v for k, v in harness.digests(whole).items() if k.endswith(".bin")}.items(), True)
        info = self.document("info", "--dir", self.tmp / "merged")
        self.assertEqual(info["metadata"]["nonce"], self.document("info", "--dir", whole)["metadata"]["nonce"])
        self.refused(1, "absent", "merge", "--target", self.tmp / "m2", self.tmp / "absent")

    def test_grow_and_shrink(self):
        data = tiny_copy(self.tmp / "data")
        before = harness.digests(data)
        self.refused(3, ["2 units", "shrink"], "grow", "--dir", data, "--num-units", "1")
        self.refused(3, "grow", "init", "--dir", data, "--num-units", "3")
        self.assertEqual(before, harness.digests(data))
        grown = self.document("grow", "--dir", data, "--num-units", "3")
        self.assertEqual((grown["complete"], grown["labels_written"]), (True, 4096))
        self.assertTrue(self.document("info", "--dir", data)["consistent"])
        self.assertTrue(self.document("verify", "--dir", data, "--all")["valid"])

        now = harness.digests(data)
        plan = self.document("shrink", "--dir", data, "--num-units", "1")
        self.assertEqual((plan["done"], plan["from_units"], plan["to_units"]), (False, 3, 1))
        self.assertEqual((plan["files_removed"], plan["bytes_removed"]), (8, 131072))
        self.assertIn("add --yes", self.ok("shrink", "--dir", data, "--num-units", "1").out)
        self.assertEqual(now, harness.digests(data), "a plan removed something")
        self.assertTrue(self.document("shrink", "--dir", data, "--num-units", "1", "--yes")["done"])
        info = self.document("info", "--dir", data)
        self.assertEqual((info["consistent"], info["metadata"]["num_units"], len(info["files"])), (True, 1, 4))
        self.assertTrue(self.document("verify", "--dir", data, "--all")["valid"])

    def test_bad_labels_are_listed_and_repaired(self):
        data = tiny_copy(self.tmp / "data")
        ignore = ("smesher.lock", "smesher.json")  # the side file forgets how far the nonce search went
        good = harness.digests(data, ignore)
        with open(data / "postdata_3.bin", "r+b") as f:
            f.seek(160)
            f.write(bytes(48))
        with open(data / "postdata_7.bin", "r+b") as f:
            f.seek(1023 * 16)
            f.write(b"\xff")
        found = self.document("verify", "--dir", data, "--all", status=4)
        self.assertEqual(found["bad"], [{"file": 3, "offset": 160, "labels": 3},
                                        {"file": 7, "offset": 16368, "labels": 1}])
        out = smesher("verify", "--dir", data, "--all").out
        self.assertIn("postdata_3.bin: 3 bad labels from byte 160", out)
        fixed = self.document("verify", "--dir", data, "--repair")
        self.assertEqual((fixed["labels_bad"], fixed["labels_repaired"], fixed["valid"]), (4, 4, True))
        self.assertEqual(good, harness.digests(data, ignore))

    def test_nonce_is_found_again(self):
        data = tiny_copy(self.tmp / "data")
        path = data / "postdata_metadata.json"
        metadata = json.loads(path.read_text())
        lost = {k: v for k, v in metadata.items() if not k.startswith("Nonce")}
        path.write_text(json.dumps(lost))
        self.assertFalse(self.document("info", "--dir", data, status=4)["consistent"])
        self.refused(1, "VRF nonce", "prove", "--dir", data, "--network", "tiny", "--challenge", CHALLENGE)
        dry = self.document("nonce", "--dir", data, "--dry-run")
        self.assertEqual((dry["found"], dry["changed"], dry["nonce"]), (True, True, metadata["Nonce"]))
        self.assertEqual(json.loads(path.read_text()), lost)
        self.assertEqual(self.document("nonce", "--dir", data)["nonce"], metadata["Nonce"])
        self.assertEqual(json.loads(path.read_text())["NonceValue"], metadata["NonceValue"])
        self.assertTrue(self.document("info", "--dir", data)["consistent"])

    def test_a_new_identity(self):
        data = self.tmp / "data"
        made = self.document("init", "--dir", data, "--network", "fastnet", "--commitment-atx-id", ATX, "--generate-key")
        key = data / "identity.key"
        text = key.read_bytes()
        self.assertRegex(text, rb"\A[0-9a-f]{128}\Z")
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertEqual(made["node_id"], text[64:].decode())
        self.assertEqual(self.document("info", "--dir", data)["key"], "matches")
        self.refused(2, "--generate-key", "init", "--dir", data, "--generate-key")
        self.assertEqual(key.read_bytes(), text)

        alone = self.tmp / "alone"
        alone.mkdir()
        shutil.copy(key, alone)
        self.refused(3, "identity.key", "init", "--dir", alone, "--network", "fastnet", "--commitment-atx-id", ATX,
                     "--generate-key")
        self.refused(3, ["identity.key", NODE], "init", "--dir", alone, "--network", "fastnet", "--commitment-atx-id",
                     ATX, "--node-id", NODE)
        taken = self.document("init", "--dir", alone, "--network", "fastnet", "--commitment-atx-id", ATX)
        self.assertEqual(taken["node_id"], made["node_id"])

    def test_symlinked_data(self):
        real, link = tiny_copy(self.tmp / "real"), self.tmp / "link"
        os.symlink(real, link)
        (self.tmp / "elsewhere").mkdir()
        shutil.move(real / "postdata_2.bin", self.tmp / "elsewhere" / "two.bin")
        os.symlink(self.tmp / "elsewhere" / "two.bin", real / "postdata_2.bin")
        self.assertTrue(self.document("info", "--dir", link)["consistent"])
        self.assertTrue(self.document("verify", "--dir", link, "--all")["valid"])
        self.assertEqual(self.document("init", "--dir", link)["labels_written"], 0)
        self.assertTrue((real / "postdata_2.bin").is_symlink())
        self.ok("prove", "--dir", link, "--network", "tiny", "--challenge", CHALLENGE, "--out", self.tmp / "p.json")

    def test_several_devices_and_throttle(self):
        """The labels are the same whoever computes them, and however slowly."""
        whole = (tiny_copy(self.tmp / "whole") / "postdata_0.bin").read_bytes()
        common = ("--network", "tiny", "--node-id", NODE, "--commitment-atx-id", ATX)
        for number, more in enumerate((("--device", "all"), ("--device", "cpu", "--throttle", "60"),
                                       ("--device", "cpu", "--threads", "3", "--throttle", "1", "--throttle", "cpu=80"))):
            data = self.tmp / f"data{number}"
            self.ok("init", "--dir", data, *common, *more)
            self.assertEqual((data / "postdata_0.bin").read_bytes(), whole, more)
        new = ("init", "--dir", self.tmp / "new", *common)
        self.refused(2, "--device cpu is given twice", *new, "--device", "cpu,cpu")
        self.refused(2, ["--device none", "does not exist"], *new, "--device", "cpu,none")
        for wrong in ("0", "101", "x", "", "50%", "-5", "cpu=", "cpu=0"):
            self.refused(2, ["--throttle", "PERCENT"], *new, "--device", "cpu", "--throttle", wrong)
        self.refused(2, "not among those that compute", *new, "--device", "cpu", "--throttle", "gpu=50")
        self.assertFalse((self.tmp / "new").exists())

    def test_a_device_that_lies_is_left_out(self):
        """One bit of its last label is flipped: log, result and exit status say so, and the labels are right."""
        shim = pathlib.Path(harness.OPTIONS.smesher).parent / "tests" / "libsm_opencl_shim.so"
        usable = [d for d in self.document("devices")["opencl"]["devices"] if d["usable"]]
        if not shim.exists() or not usable:
            self.skipTest("no OpenCL device, or no loader that lies")
        whole = (tiny_copy(self.tmp / "whole") / "postdata_0.bin").read_bytes()
        for name, rule in (("liar", "clEnqueueReadBuffer:8+=corrupt"), ("lost", "clEnqueueReadBuffer:8+=-5")):
            with self.subTest(name):
                data = self.tmp / name
                result = smesher("init", "--dir", data, "--network", "tiny", "--node-id", NODE, "--commitment-atx-id", ATX,
                                 "--device", usable[0]["id"], "--batch", "256", "--json",
                                 env={"SM_OPENCL_LIBRARY": str(shim), "SM_SHIM_RULES": rule})
                self.assertEqual(result.status, 6, result)
                bad = [e for e in result.json()["engines"] if e["quarantined"]]
                self.assertEqual([e["device"] for e in bad], [usable[0]["id"]])
                self.assertIn("its chunk goes to another", result.err)
                self.assertEqual((data / "postdata_0.bin").read_bytes(), whole)

    def test_devices_by_name(self):
        self.init(self.tmp / "cpu", "--variant", "ref", "--threads", "2", network="fastnet")
        self.refused(2, "ref", "init", "--dir", self.tmp / "x", "--network", "fastnet", "--node-id", NODE,
                     "--commitment-atx-id", ATX, "--device", "cpu", "--variant", "mmx")
        self.refused(2, ["pci-none", "cpu"], "init", "--dir", self.tmp / "x", "--network", "fastnet", "--node-id", NODE,
                     "--commitment-atx-id", ATX, "--device", "pci-none")
        self.assertFalse((self.tmp / "x").exists())
        usable = [d for d in self.document("devices")["opencl"]["devices"] if d["usable"]]
        if not usable:
            self.skipTest("no OpenCL device here; the CPU part passed")
        self.ok("init", "--dir", self.tmp / "gpu", "--network", "fastnet", "--node-id", NODE, "--commitment-atx-id", ATX,
                "--device", usable[0]["id"])
        self.assertEqual(pathlib.Path(self.tmp / "cpu/postdata_0.bin").read_bytes(),
                         pathlib.Path(self.tmp / "gpu/postdata_0.bin").read_bytes())


if __name__ == "__main__":
    harness.main()
