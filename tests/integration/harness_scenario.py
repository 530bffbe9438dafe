"""The small data set that the destructive tests make and prove, and the commands that do it."""
import json
import pathlib

from harness import OPTIONS, run

UNITS, LABELS_PER_UNIT, MAX_FILE_SIZE = 4, 16384, 48 * 1024  # 22 files, the last one shorter
TOTAL_BYTES = UNITS * LABELS_PER_UNIT * 16
FILES = -(-TOTAL_BYTES // MAX_FILE_SIZE)
BATCH = 1024  # labels
PROOF_CHECKPOINT = 64 * 1024  # bytes
PROOF_READ_AHEAD = 8  # batches on their way for one scanning and one reading thread: post/prove_ring.c; each is a file here

NETWORK = ["--network", "tiny", "--param", f"labels_per_unit={LABELS_PER_UNIT}", "--param", "scrypt_n=32"]


def init_argv(directory):
    return [OPTIONS.smesher, "init", "--json", "--dir", directory, *NETWORK, "--node-id", "77" * 32,
            "--commitment-atx-id", "88" * 32, "--num-units", UNITS, "--max-file-size", MAX_FILE_SIZE,
            "--device", "cpu", "--threads", "2", "--batch", BATCH, "--checkpoint", "64KiB"]


def bytes_on_disk(directory):
    """Of whole labels."""
    return sum(p.stat().st_size // 16 * 16 for p in pathlib.Path(directory).glob("postdata_*.bin"))


def proving_data(root, env):
    """A finished data directory to copy from."""
    directory = root / "data"
    result = run(init_argv(directory), env=env)
    assert result.status == 0, result
    return directory


def prove_argv(directory):
    """Proves over directory/data into directory/proof.json: one thread, so that every run finds the same proof."""
    return [OPTIONS.smesher, "prove", "--json", "--dir", directory / "data", *NETWORK, "--challenge", "21" * 32,
            "--out", directory / "proof.json", "--nonces", "16", "--threads", "1", "--readers", "1",
            "--randomx", "light", "--aes", "ref", "--checkpoint", PROOF_CHECKPOINT]


def proof_of(directory):
    """The proof that was written, or None."""
    path = directory / "proof.json"
    return json.loads(path.read_text()) if path.exists() else None
