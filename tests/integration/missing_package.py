#!/usr/bin/env python3
"""Configuring without one of the libraries must fail with the name of its Debian package, and packaging/quickstart must
install every package that an error can name.

usage: missing_package.py SOURCE_ROOT
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
REQUIRE = re.compile(r"^sm_require\((\w+) DEB (\S+) (?:PKG ([^\s)]+)|HEADER ([^\s)]+))", re.M)


def requirements():
    """{(name, Debian package, pkg-config module or "", header or "")}"""
    found = set()
    for path in [*ROOT.glob("src/*/CMakeLists.txt"), ROOT / "tests/CMakeLists.txt"]:
        found |= set(REQUIRE.findall(path.read_text()))
    return found


def pkg_config_path():
    out = subprocess.run(["pkg-config", "--variable", "pc_path", "pkg-config"], check=True, capture_output=True, text=True)
    return [pathlib.Path(p) for p in out.stdout.strip().split(":")]


class MissingPackage(unittest.TestCase):
    def configure(self, *options, env=None):
        with tempfile.TemporaryDirectory() as build:
            return subprocess.run(["cmake", "-S", ROOT, "-B", build, *options], capture_output=True, text=True,
                                  env={**os.environ, **(env or {})})

    def assert_names(self, result, deb):
        self.assertNotEqual(result.returncode, 0, f"configured without {deb}")
        self.assertRegex(result.stderr, rf"missing: apt install {re.escape(deb)}\b")

    def test_every_library(self):
        self.assertGreaterEqual(len(requirements()), 6)
        for _, deb, module, header in sorted(requirements()):
            with self.subTest(deb), tempfile.TemporaryDirectory() as modules:
                if header:
                    self.assert_names(self.configure(*self.others(header),
                                                     "-DCMAKE_IGNORE_PATH=/usr/include;/usr/local/include"), deb)
                    continue
                for directory in pkg_config_path():
                    for pc in directory.glob("*.pc"):
                        if pc.stem != module and not (pathlib.Path(modules) / pc.name).exists():
                            (pathlib.Path(modules) / pc.name).symlink_to(pc)
                self.assert_names(self.configure(env={"PKG_CONFIG_LIBDIR": modules, "PKG_CONFIG_PATH": ""}), deb)

    @staticmethod
    def others(header):
        """Options that settle the headers not under test: all of them are hidden."""
        return [f"-D{name}_INCLUDE=/usr/include" for name, _, _, other in requirements() if other and other != header]

    def test_no_pkg_config(self):
        self.assert_names(self.configure("-DPKG_CONFIG_EXECUTABLE=/nonexistent"), "pkg-config")

    def test_quickstart_installs_them(self):
        quickstart = (ROOT / "packaging/quickstart").read_text()
        listed = set(re.search(r'^run_packages="([^"]*)"', quickstart, re.M)[1].split())
        listed |= set(re.search(r'^test_packages="([^"]*)"', quickstart, re.M)[1].split())
        named = {deb for _, deb, _, _ in requirements()}
        for path in [ROOT / "CMakeLists.txt", *ROOT.glob("*/**/CMakeLists.txt")]:
            if "build" not in str(path.relative_to(ROOT)).split("/")[0]:
                for command in re.findall(r"missing: apt install ([a-z0-9 .+-]+)\"", path.read_text()):
                    named |= set(command.split())
        self.assertLessEqual(named, listed)


unittest.main(verbosity=2)
