#!/usr/bin/env python3
"""libpost.so as programs meet it: what it exports, a program linked with another libpost, a program in another language.

usage: libpost_abi.py --library libpost.so --foreign PROGRAM --stub libpost.so --build DIR [--sanitized]
"""
import argparse
import base64
import ctypes as c
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLISHED = """version set_logging_callback get_providers_count get_providers new_initializer initialize
    free_initializer verify_pos recommended_pow_flags generate_proof free_proof new_verifier free_verifier verify_proof
    verify_proof_index verify_proof_subset""".split()  # post.md §9.2

VERSION = "LIBPOST_0.7"

parser = argparse.ArgumentParser()
for name in ("library", "foreign", "stub", "build"):
    parser.add_argument("--" + name, required=True, type=pathlib.Path)
parser.add_argument("--sanitized", action="store_true")
ARGS, rest = parser.parse_known_args()
sys.argv[1:] = rest


def vectors(name):
    return json.loads((ROOT / "tests" / "vectors" / name).read_text())


def output(*command):
    return subprocess.run([str(x) for x in command], check=True, capture_output=True, text=True).stdout


class Scratch(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sm-libpost-"))
        self.addCleanup(shutil.rmtree, self.dir)


class Exports(unittest.TestCase):
    def test_exactly_the_published_symbols(self):
        symbols = [line.split() for line in output("nm", "-D", "--defined-only", ARGS.library).splitlines()]
        functions = [name for _, kind, name in symbols if kind != "A"]  # A: the version itself
        self.assertEqual(sorted(functions), sorted(name + "@@" + VERSION for name in PUBLISHED))
        self.assertEqual({kind for _, kind, _ in symbols}, {"T", "A"})
        self.assertEqual([name for _, kind, name in symbols if kind == "A"], [VERSION])

    def test_name_and_needs(self):
        dynamic = output("readelf", "-d", ARGS.library)
        self.assertIn("Library soname: [libpost.so]", dynamic)
        self.assertNotIn("OpenCL", dynamic, "the loader is opened when it is there")


class Header(Scratch):
    SOURCE = """#include <post.h>
        static Proof p; int main(void) { (void)p; return version()[0] == '0' ? 0 : 1; }"""

    def compile(self, compiler, *flags, before=()):
        source = self.dir / "program.c"
        source.write_text(self.SOURCE)
        return subprocess.run([compiler, *map(str, before), str(source), *map(str, flags)], capture_output=True, text=True, cwd=self.dir)

    def test_alone_in_c_and_cxx(self):
        flags = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", ROOT / "src" / "libpost"]
        languages = {"cc": ["-std=c11", "-pedantic"], "c++": ["-x", "c++"]}
        for compiler, language in languages.items():
            with self.subTest(compiler):
                if not shutil.which(compiler):
                    self.skipTest(f"no {compiler} here")
                done = self.compile(compiler, *flags, before=language)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_program_of_the_installed_files(self):
        if ARGS.sanitized:
            self.skipTest("the sanitizer's runtime would have to be linked too")
        prefix = self.dir / "prefix"
        output("cmake", "--install", ARGS.build, "--component", "libpost", "--prefix", prefix)
        library, header = next(prefix.glob("lib/**/libpost.so")), prefix / "include" / "post.h"
        self.assertTrue(header.is_file())
        pc = next(prefix.glob("lib/**/pkgconfig/post.pc"))
        self.assertEqual(output("pkg-config", "--modversion", pc).strip(), "0.7.13")
        done = self.compile("cc", "-o", "program", "-I", header.parent, "-L", library.parent, "-lpost")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"version@{VERSION}", output("nm", "-D", "--undefined-only", self.dir / "program"))
        done = subprocess.run([self.dir / "program"], capture_output=True, text=True,
                              env={"LD_LIBRARY_PATH": str(library.parent)})
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class ForeignProgram(Scratch):
    """It was linked with another libpost.so, whose symbols have no version, and is not linked again."""

    def test_it_asks_for_no_version(self):
        wanted = output("nm", "-D", "--undefined-only", ARGS.foreign)
        self.assertNotIn("LIBPOST", wanted)
        for name in PUBLISHED:
            self.assertRegex(wanted, rf"(?m)\bU {name}$")

    def run_with(self, **environment):
        keep = {k: v for k, v in os.environ.items() if not k.startswith("LD_")}
        return subprocess.run([ARGS.foreign, self.dir], capture_output=True, text=True, env={**keep, **environment})

    def test_with_the_library_it_was_linked_with(self):
        done = self.run_with(LD_LIBRARY_PATH=str(ARGS.stub.parent))
        self.assertEqual(done.stdout, "0.7.0-stub\n")
        self.assertEqual(done.returncode, 1, "the stub can do nothing")

    def test_with_ours_by_path(self):
        done = self.run_with(LD_LIBRARY_PATH=str(ARGS.library.parent))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "0.7.13\n", ""))

    def test_with_ours_preloaded(self):
        if ARGS.sanitized:
            self.skipTest("the sanitizer's runtime must come first")
        done = self.run_with(LD_LIBRARY_PATH=str(ARGS.stub.parent), LD_PRELOAD=str(ARGS.library))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "0.7.13\n", ""))


# ---- another language ----

B32 = c.c_uint8 * 32


class Bytes(c.Structure):
    _fields_ = [("ptr", c.POINTER(c.c_uint8)), ("len", c.c_size_t), ("cap", c.c_size_t)]


class Proof(c.Structure):
    _fields_ = [("nonce", c.c_uint32), ("indices", Bytes), ("pow", c.c_uint64)]


class ProofMetadata(c.Structure):
    _fields_ = [("node_id", B32), ("commitment_atx_id", B32), ("challenge", B32), ("num_units", c.c_uint32)]


class ProofConfig(c.Structure):
    _fields_ = [("k1", c.c_uint32), ("k2", c.c_uint32), ("pow_difficulty", B32)]


class ScryptParams(c.Structure):
    _fields_ = [("n", c.c_size_t), ("r", c.c_size_t), ("p", c.c_size_t)]


class InitConfig(c.Structure):
    _fields_ = [("min_num_units", c.c_uint32), ("max_num_units", c.c_uint32), ("labels_per_unit", c.c_uint64),
                ("scrypt", ScryptParams)]


class Provider(c.Structure):
    _fields_ = [("name", c.c_char * 64), ("id", c.c_uint32), ("class_", c.c_int32)]


class VerifyResult(c.Structure):
    _fields_ = [("tag", c.c_int32), ("index_id", c.c_size_t)]


class VerifyPosResult(c.Structure):
    _fields_ = [("tag", c.c_int32), ("file", c.c_size_t), ("offset", c.c_uint64)]


def load():
    lib = c.CDLL(str(ARGS.library))
    lib.version.restype = c.c_char_p
    lib.get_providers_count.restype = c.c_size_t
    lib.new_initializer.restype = c.c_void_p
    lib.new_initializer.argtypes = [c.c_uint32, c.c_size_t, c.c_char_p, c.c_char_p]
    lib.initialize.argtypes = [c.c_void_p, c.c_uint64, c.c_uint64, c.c_void_p, c.POINTER(c.c_uint64)]
    lib.free_initializer.argtypes = lib.free_verifier.argtypes = [c.c_void_p]
    lib.generate_proof.restype = c.POINTER(Proof)
    lib.generate_proof.argtypes = [c.c_char_p, c.c_char_p, ProofConfig, c.c_size_t, c.c_size_t, c.c_uint32]
    lib.free_proof.argtypes = [c.POINTER(Proof)]
    lib.verify_pos.restype = VerifyPosResult
    lib.verify_pos.argtypes = [c.c_char_p, c.POINTER(c.c_uint32), c.POINTER(c.c_uint32), c.c_double, ScryptParams]
    for name in ("verify_proof", "verify_proof_index", "verify_proof_subset"):
        getattr(lib, name).restype = VerifyResult
    return lib


def verifying(case, indices_hex=None):
    """(proof, metadata, proof config, init config) of a case of post_proofs.json; the bytes live as long as the proof."""
    data = bytes.fromhex(indices_hex or case["proof"]["indices_hex"])
    kept = (c.c_uint8 * len(data)).from_buffer_copy(data)
    proof = Proof(case["proof"]["nonce"], Bytes(c.cast(kept, c.POINTER(c.c_uint8)), len(data), len(data)),
                  int(case["proof"]["pow"]))
    proof.kept = kept
    meta = ProofMetadata(*(B32(*bytes.fromhex(case[k + "_hex"])) for k in ("node_id", "commitment_atx_id", "challenge")),
                         case["num_units"])
    cfg = ProofConfig(case["k1"], case["k2"], B32(*bytes.fromhex(case["pow_difficulty_hex"])))
    return proof, meta, cfg, InitConfig(1, 100, case["labels_per_unit"], ScryptParams(case["scrypt"]["n"], 1, 1))


@unittest.skipIf(ARGS.sanitized, "the interpreter does not have the sanitizer's runtime")
class AnotherLanguage(Scratch):
    @classmethod
    def setUpClass(cls):
        cls.lib = load()

    def test_sizes(self):
        sizes = {Bytes: 24, Proof: 40, ProofMetadata: 100, ProofConfig: 40, ScryptParams: 24, InitConfig: 40,
                 Provider: 72, VerifyResult: 16, VerifyPosResult: 24}  # post.md §9.1
        self.assertEqual({t: c.sizeof(t) for t in sizes}, sizes)

    def test_version_and_providers(self):
        self.assertRegex(self.lib.version().decode(), r"0\.7\.(\d+)")
        n = self.lib.get_providers_count()
        out = (Provider * n)()
        self.assertEqual(self.lib.get_providers(out, c.c_size_t(n)), 0)
        self.assertEqual((out[n - 1].name, out[n - 1].id, out[n - 1].class_), (b"[CPU] scrypt-jane", 2**32 - 1, 1))

    def test_labels(self):
        for case in vectors("labels.json")[::5]:
            init = self.lib.new_initializer(2**32 - 1, case["n"], bytes.fromhex(case["commitment_hex"]), None)
            out = (c.c_uint8 * 16)()
            self.assertEqual(self.lib.initialize(init, case["index"], case["index"], out, None), 0)
            self.assertEqual(bytes(out).hex(), case["label32_hex"][:32])
            self.lib.free_initializer(init)

    def test_vrf_nonces(self):
        for case in vectors("vrf_nonces.json")[::6]:
            init = self.lib.new_initializer(2**32 - 1, case["scrypt_n"], bytes.fromhex(case["commitment_hex"]),
                                            bytes.fromhex(case["vrf_difficulty_hex"]))
            out, nonce = (c.c_uint8 * 16)(), c.c_uint64(0)
            at = case["vrf_nonce"]
            self.assertEqual(self.lib.initialize(init, at, at, out, c.byref(nonce)), 0)
            self.assertEqual(nonce.value, at)
            self.lib.free_initializer(init)

    def test_data_proof_and_verdicts(self):
        case = next(x for x in vectors("post_proofs.json") if x["name"] == "fastnet-like")
        proof, meta, cfg, net = verifying(case)
        count = case["num_labels"]
        init = self.lib.new_initializer(2**32 - 1, case["scrypt"]["n"], bytes.fromhex(case["commitment_hex"]), None)
        labels = (c.c_uint8 * (16 * count))()
        self.assertEqual(self.lib.initialize(init, 0, count - 1, labels, None), 0)
        self.lib.free_initializer(init)
        (self.dir / "postdata_0.bin").write_bytes(bytes(labels))
        (self.dir / "postdata_metadata.json").write_text(json.dumps({
            "NodeId": base64.b64encode(bytes(meta.node_id)).decode(),
            "CommitmentAtxId": base64.b64encode(bytes(meta.commitment_atx_id)).decode(),
            "LabelsPerUnit": case["labels_per_unit"], "NumUnits": case["num_units"],
            "MaxFileSize": case["max_file_size"], "Nonce": case["vrf_nonce"]}))
        self.assertEqual(self.lib.verify_pos(bytes(self.dir), None, None, 100.0, net.scrypt).tag, 0)
        made = self.lib.generate_proof(bytes(self.dir), bytes(meta.challenge), cfg, case["nonces_per_pass"], 1, 8)
        self.assertTrue(made)
        self.assertEqual((made[0].nonce, made[0].pow), (proof.nonce, proof.pow))
        self.assertEqual(bytes(made[0].indices.ptr[:made[0].indices.len]), bytes(proof.kept))
        self.lib.free_proof(made)

    def test_verdicts_on_several_threads(self):
        verifier = c.c_void_p()
        self.assertEqual(self.lib.new_verifier(c.c_uint32(self.lib.recommended_pow_flags()), c.byref(verifier)), 0)
        wrong = []

        def judge(case):
            proof, meta, cfg, net = verifying(case)
            got = self.lib.verify_proof(verifier, proof, c.byref(meta), cfg, net)
            seed = self.lib.verify_proof_subset(verifier, proof, c.byref(meta), cfg, net, c.c_size_t(3), b"seed",
                                                c.c_size_t(4))
            bad, *rest = verifying(case, case["tampered"]["indices_hex"])
            tampered = self.lib.verify_proof(verifier, bad, c.byref(rest[0]), rest[1], rest[2])
            want = (0, 0, 2, case["tampered"]["position"])
            if (got.tag, seed.tag, tampered.tag, tampered.index_id) != want:
                wrong.append((case["name"], got.tag, seed.tag, tampered.tag, tampered.index_id))

        threads = [threading.Thread(target=judge, args=(case,)) for case in vectors("post_proofs.json")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.lib.free_verifier(verifier)


if __name__ == "__main__":
    unittest.main(verbosity=2)
