#!/usr/bin/env python3
"""packaging/docker/Dockerfile, read as text: what it starts from, installs, copies, and runs as.

usage: dockerfile.py --smesher PROGRAM

With SM_TEST_DOCKER=1 and a running docker the image is built, too.
"""
import json
import os
import re
import shlex
import subprocess
import unittest

import harness
from cli_common import ROOT, CliTest

DOCKERFILE = ROOT / "packaging/docker/Dockerfile"
KNOWN = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def stages():
    """[(FROM words, [(instruction, text)])]"""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(None, 1)
        if word == "FROM":
            found.append((rest.split(), []))
        else:
            found[-1][1].append((word, rest))
    return found


def installed(instructions):
    """The words of every apt-get install, without options."""
    for word, text in instructions:
        for command in re.split(r"&&|;", text) if word == "RUN" else []:
            words = shlex.split(command)
            if words[:2] == ["apt-get", "install"]:
                assert "--no-install-recommends" in words, command
                yield from (w for w in words[2:] if not w.startswith("-"))


class Dockerfile(CliTest):
    def setUp(self):
        super().setUp()
        (self.build_from, self.build), (self.final_from, self.final) = stages()

    def last(self, word):
        return [text for instruction, text in self.final if instruction == word][-1]

    def test_stages(self):
        self.assertEqual(self.build_from, ["debian:12-slim", "AS", "build"])
        self.assertEqual(self.final_from, ["debian:12-slim"])
        for word, _ in self.build + self.final:
            self.assertIn(word, KNOWN)
        self.assertEqual([text for word, text in self.build if word == "COPY"],
                         ["packaging/quickstart /tmp/quickstart", ". /src"])
        for text in [text for word, text in self.final if word == "COPY"]:
            self.assertTrue(text.startswith("--from=build /out/"), f"only the package leaves the build stage: {text}")

    def test_packages_are_those_of_the_quickstart(self):
        quickstart = (ROOT / "packaging/quickstart").read_text()
        listed = set(re.search(r'(?m)^run_packages="([^"]*)"', quickstart)[1].split())
        self.assertEqual(list(installed(self.build)), ["dpkg-dev", "$(sh", "/tmp/quickstart", "packages)"])
        said = subprocess.run(["sh", ROOT / "packaging/quickstart", "packages"], check=True, capture_output=True, text=True)
        self.assertEqual(set(said.stdout.split()), listed)
        self.assertEqual(list(installed(self.final)), ["ocl-icd-libopencl1", "/tmp/smesher_*.deb"])

    def test_nothing_else_is_fetched(self):
        text = "\n".join(rest for _, rest in self.build + self.final)
        self.assertNotRegex(text, r"\b(curl|wget|git|pip|npm)\b|https?:|\|\s*(ba)?sh\b")
        for word, rest in self.build + self.final:
            if word == "RUN" and "apt-get update" in rest:
                self.assertIn("rm -rf /var/lib/apt/lists/*", rest)

    def test_runs_as_its_own_user(self):
        uid, gid = re.search(r"--gid (\d+) smesher.*--uid (\d+)", self.final[1][1]).groups()
        self.assertEqual(self.last("USER"), f"{uid}:{gid}")
        self.assertNotEqual(uid, "0")
        words = [word for word, _ in self.final]
        self.assertGreater(words.index("USER"), max(i for i, word in enumerate(words) if word in ("RUN", "COPY")))

    def test_commands_exist(self):
        self.assertEqual(json.loads(self.last("ENTRYPOINT")), ["smesher"])
        health = json.loads(self.last("HEALTHCHECK").split("CMD", 1)[1])
        self.ok(*health[1:])
        command = json.loads(self.last("CMD"))
        if f".SS \"{command[0]} " not in self.ok("--man").out:
            self.skipTest(f"this program has no command {command[0]}")
        text = self.ok(command[0], "--help").out
        for option in [word for word in command if word.startswith("--")]:
            self.assertIn(f"  {option} ", text)

    def test_context_leaves_out_what_is_not_source(self):
        ignored = set((ROOT / ".dockerignore").read_text().split())
        self.assertLessEqual({".git", "build*", "out"}, ignored)

    def test_builds(self):
        if os.environ.get("SM_TEST_DOCKER") != "1":
            self.skipTest("the image is built with SM_TEST_DOCKER=1 only, so here it was not")
        subprocess.run(["docker", "build", "-f", DOCKERFILE, "-t", "smesher-test", ROOT], check=True)
        said = subprocess.run(["docker", "run", "--rm", "--network=none", "smesher-test", "version"], check=True,
                              capture_output=True, text=True).stdout
        self.assertTrue(said.startswith("smesher "))


if __name__ == "__main__":
    harness.main()
