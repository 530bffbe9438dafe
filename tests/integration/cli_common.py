"""What the tests of the command line share."""
import json
import pathlib
import re
import shutil
import tempfile
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE = "11" * 32
ATX = "22" * 32
CHALLENGE = "33" * 32


def smesher(*args, **kwargs):
    env = {"SM_CACHE_DIR": CACHE.name, "NO_COLOR": "", "SM_NETWORK": "", "SM_LOG_LEVEL": "", **kwargs.pop("env", {})}
    return harness.run([harness.OPTIONS.smesher, *args], env=env, **kwargs)


CACHE = tempfile.TemporaryDirectory(prefix="smesher-cache-")


class CliTest(unittest.TestCase):
    """Each test gets an empty directory, self.tmp."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="smesher-cli-")
        self.addCleanup(holder.cleanup)
        self.tmp = pathlib.Path(holder.name)

    def ok(self, *args, **kwargs):
        result = smesher(*args, **kwargs)
        self.assertEqual(result.status, 0, f"{args}: {result}")
        return result

    def document(self, *args, status=0, **kwargs):
        """Runs with --json; the whole of stdout is one document."""
        result = smesher(*args, "--json", **kwargs)
        self.assertEqual(result.status, status, f"{args}: {result}")
        try:
            return json.loads(result.out)
        except json.JSONDecodeError as e:
            self.fail(f"{args}: not one JSON document ({e}): {result}")

    def refused(self, status, wants, *args, **kwargs):
        """Fails with `status`, one sentence on stderr that holds all of `wants`, and an error document with --json."""
        result = smesher(*args, **kwargs)
        self.assertEqual(result.status, status, f"{args}: {result}")
        sentences = [line for line in result.err.splitlines() if line.startswith("smesher")]
        self.assertEqual(len(sentences), 1, f"{args}: one sentence is expected: {result}")
        for want in [wants] if isinstance(wants, str) else wants:
            self.assertIn(want, sentences[0], f"{args}: {result}")
        document = self.document(*args, status=status, **kwargs)
        self.assertEqual(document["error"]["exit"], status)
        message, sentence = (re.sub("[0-9.]+", "#", text) for text in (document["error"]["message"], sentences[0]))
        self.assertIn(message, sentence)  # numbers aside: the second run may find other sizes and process ids
        return result

    def init(self, directory, *args, network="tiny", **kwargs):
        return self.ok("init", "--dir", directory, "--network", network, "--node-id", NODE, "--commitment-atx-id", ATX,
                       "--device", "cpu", *args, **kwargs)


_tiny = None


def tiny_copy(to):
    """A finished tiny data set, made once per process."""
    global _tiny
    if _tiny is None:
        _tiny = tempfile.TemporaryDirectory(prefix="smesher-tiny-")
        made = smesher("init", "--dir", f"{_tiny.name}/data", "--network", "tiny", "--node-id", NODE,
                       "--commitment-atx-id", ATX, "--device", "cpu")
        assert made.status == 0, str(made)
    shutil.copytree(f"{_tiny.name}/data", to)
    return pathlib.Path(to)
