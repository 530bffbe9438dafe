#!/usr/bin/env python3
"""Kills processes that sign, at random times and at every kind of file call, and makes their disk fail at each of its
calls; compares what they released with what the journal holds: never two hashes for one slot, never a signature without
its row, never a lost key.

usage: journal_kill.py --writer PROGRAM --shim OBJECT [--kills N] [--seed N]
"""
import argparse
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--writer", required=True)
PARSER.add_argument("--shim", required=True)
PARSER.add_argument("--kills", type=int, default=100)
PARSER.add_argument("--seed", type=int, default=None)
ARGS = PARSER.parse_args()
SEED = ARGS.seed if ARGS.seed is not None else random.SystemRandom().randrange(1 << 32)
RANDOM = random.Random(SEED)


def start(directory, *args, kill_at=None):
    env = dict(os.environ)
    if kill_at:
        env.update(LD_PRELOAD=ARGS.shim, FAULTIO_DIR=os.path.realpath(directory), FAULTIO_KILL_AT=str(kill_at),
                   FAULTIO_TEAR=str(RANDOM.choice([0, 50, 100])))
    return subprocess.Popen([ARGS.writer, *map(str, args)], env=env, stderr=subprocess.PIPE, text=True)


def watched(name):
    """The directory whose file calls count; what we learn is written beside it."""
    directory = pathlib.Path(name) / "data"
    directory.mkdir()
    return directory


def start_faulty(directory, log, fault, stats):
    """A signer whose disk fails as `fault` says; how often it did so is written to `stats`."""
    stats.write_bytes(bytes(11 * 8))
    env = dict(os.environ, LD_PRELOAD=ARGS.shim, FAULTIO_DIR=os.path.realpath(directory), FAULTIO_MATCH="journal.db",
               FAULTIO_STATS=str(stats), **fault)
    args = [ARGS.writer, "sign", str(directory), str(log), str(RANDOM.randrange(1 << 32))]
    return subprocess.run(args, env=env, stderr=subprocess.PIPE, text=True, timeout=120)


def end(process, kill_after_s=None):
    """True when it was killed. Any other failure ends the test."""
    try:
        _, err = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"seed {SEED}: status {process.returncode}: {err}")
    return process.returncode != 0


def state(directory):
    done = subprocess.run([ARGS.writer, "check", str(directory)], capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"seed {SEED}: after a kill: {done.stderr}")
    return json.loads(done.stdout)


def rows(document):
    found = {}
    for subject in document["journal"]["data"]:
        for row in subject["signed"]:
            key = (subject["subject"], row["slot"], row["round"])
            assert key not in found, f"seed {SEED}: two rows for {key}"
            found[key] = row["hash"]
    return found


def compare(directory, log):
    """What was released against what is recorded."""
    held, released = rows(state(directory)), {}
    text = log.read_text() if log.exists() else ""
    for line in text.splitlines():
        identity, layer, rnd, digest, sig = line.split()
        key = (identity, int(layer), int(rnd))
        assert released.setdefault(key, (digest, sig)) == (digest, sig), f"seed {SEED}: two signatures for {key}"
        assert held.get(key) == digest, f"seed {SEED}: signature without its row: {key}"
    return len(text.splitlines())


def kill_signers(kills):
    """Directories are renewed now and then, so that free slots remain to be fought over."""
    done = signatures = 0
    while done < kills:
        with tempfile.TemporaryDirectory(prefix="smesher-journal-") as name:
            directory, log = watched(name), pathlib.Path(name) / "released"
            for key in ("a.key", "b.key"):
                assert not end(start(directory, "new", directory, key, pathlib.Path(name) / "made"))
            for _ in range(20):
                if done >= kills:
                    break
                at = [RANDOM.randrange(1, 120) if RANDOM.random() < 0.5 else None for _ in range(2)]
                pair = [start(directory, "sign", directory, log, RANDOM.randrange(1 << 32), kill_at=k) for k in at]
                for process, k in zip(pair, at):
                    done += end(process, None if k else RANDOM.random() * 0.08)
                compare(directory, log)
            signatures += compare(directory, log)
    return done, signatures


def faults_injected(stats):
    return struct.unpack("<11Q", stats.read_bytes())[10]


def one_fault(fault):
    """Signs on a failing disk, then on a sound one. True when the disk failed, and with it the process."""
    with tempfile.TemporaryDirectory(prefix="smesher-journal-") as name:
        directory, log, stats = watched(name), pathlib.Path(name) / "released", pathlib.Path(name) / "stats"
        assert not end(start(directory, "new", directory, "a.key", pathlib.Path(name) / "made"))
        assert not end(start(directory, "sign", directory, log, RANDOM.randrange(1 << 32)))
        done = start_faulty(directory, log, fault, stats)
        injected = faults_injected(stats)
        assert done.returncode == 0 or (done.returncode == 1 and injected), f"seed {SEED}: {fault}: {done}"
        assert done.returncode == 0 or "journal" in done.stderr, f"seed {SEED}: {fault}: {done.stderr}"
        compare(directory, log)
        assert not end(start(directory, "sign", directory, log, RANDOM.randrange(1 << 32)))
        compare(directory, log)
        return injected, done.returncode != 0


def fail_signers():
    """Each write and flush in turn fails, alone or with all after it; then disks with little room and short writes."""
    runs = refused = 0
    for op in ("write", "sync"):
        for code, count in (("EIO", 1), ("EIO", 0), ("ENOSPC", 0)):
            for k in (1, 2, 3, 4, 5, 7, 10, 14, 20):
                injected, failed = one_fault({"FAULTIO_FAIL": f"{op}:{code}:{k}:{count}"})
                runs, refused = runs + bool(injected), refused + failed # one that only met the last checkpoint has signed
    for room in (0, 100, 5000, 20000):
        injected, failed = one_fault({"FAULTIO_SPACE": str(room)})
        runs, refused = runs + bool(injected), refused + failed
    injected, failed = one_fault({"FAULTIO_SHORT": str(SEED)})
    assert injected and not failed, f"seed {SEED}: short transfers"
    return runs + 1, refused


def kill_makers():
    """Every file call of making a key, in turn."""
    for k in range(1, 300):
        with tempfile.TemporaryDirectory(prefix="smesher-keys-") as name:
            directory, made = watched(name), pathlib.Path(name) / "made"
            assert not end(start(directory, "new", directory, "first.key", made))
            killed = end(start(directory, "new", directory, "second.key", made, kill_at=k))
            lost = set(made.read_text().split()) - set(state(directory)["keys"])
            assert not lost, f"killed at file call {k}: lost {lost}"
            if not killed:
                return k - 1
    sys.exit("making a key never finished")


POINTS = kill_makers()
DONE, SIGNATURES = kill_signers(ARGS.kills)
FAULTS, REFUSED = fail_signers()
assert SIGNATURES > 0 and POINTS > 3 and FAULTS > 20 and REFUSED > 15
print(f"seed {SEED}: {DONE} kills while signing, {SIGNATURES} signatures released and all recorded; "
      f"{POINTS} kills while making keys; {FAULTS} failing disks, which ended {REFUSED} signers")
