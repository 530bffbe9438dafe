#!/usr/bin/env python3
"""What is installed, and the Debian packages made of it.

usage: packages.py --smesher PROGRAM --build BUILD-DIR

SM_TEST_CHROOT=1 also compiles the packages from the source and installs them in a new minimal Debian system; this needs
root, debootstrap and the package mirror that this machine's apt uses.
"""
import gzip
import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

import harness
import harness_zsh
from cli_common import ROOT, CliTest

BUILD = None
SHELLS = ("bash", "zsh", "fish")
PRESETS = ["mainnet", "testnet", "standalone", "fastnet", "tiny"]

INSTALLED = sorted([
    "etc/smesher/k2pow.env.example",
    "etc/smesher/rig.yaml.example",
    "etc/smesher/signer.env.example",
    "usr/bin/smesher",
    "usr/lib/systemd/system/smesher-k2pow.service",
    "usr/lib/systemd/system/smesher-rig.service",
    "usr/lib/systemd/system/smesher-signer.service",
    "usr/lib/sysusers.d/smesher.conf",
    "usr/share/bash-completion/completions/smesher",
    "usr/share/doc/smesher/CHANGELOG.md",
    "usr/share/doc/smesher/README.md",
    *[f"usr/share/doc/smesher/{path.name}" for path in ROOT.glob("docs/*.md")],
    "usr/share/doc/smesher/examples/smesher-alerts.yaml",
    "usr/share/doc/smesher/examples/smesher-rig.json",
    "usr/share/fish/vendor_completions.d/smesher.fish",
    "usr/share/man/man1/smesher.1",
    *[f"usr/share/smesher/{name}.yaml" for name in [*PRESETS, "jobs", "rig", "tuning"]],
    "usr/share/zsh/site-functions/_smesher",
])


def need(*tools):
    for tool in tools:
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise unittest.SkipTest(f"no {tool} here")


def run(*argv, status=0, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kwargs)
    if done.returncode != status:
        raise AssertionError(f"{argv}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def files_below(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if not p.is_dir())


class PackageTest(CliTest):
    def install(self, prefix="/usr"):
        tree = self.tmp / "tree"
        run("cmake", "--install", BUILD, "--prefix", prefix, env={**os.environ, "DESTDIR": str(tree)})
        return tree

    def debs(self, out, **kwargs):
        """{package: path}"""
        made = run("sh", ROOT / "packaging/deb/build", "--from", BUILD, "--out", out, **kwargs)
        return {pathlib.Path(line).name.split("_")[0]: pathlib.Path(line) for line in made.stdout.splitlines()}


class Installation(PackageTest):
    def test_exactly_these_files(self):
        tree = self.install()
        self.assertEqual(files_below(tree), INSTALLED)
        for path in tree.rglob("*"):
            mode = stat.S_IMODE(path.lstat().st_mode)
            self.assertEqual(mode & 0o7022, 0, f"{path}: {mode:o}")
        self.assertEqual(run(tree / "usr/bin/smesher", "--man").stdout, (tree / "usr/share/man/man1/smesher.1").read_text())

    def test_another_prefix(self):
        tree = self.install("/opt/smesher")
        self.assertEqual(files_below(tree), sorted(
            "opt/smesher/" + name.removeprefix("usr/") for name in INSTALLED))
        for unit in tree.rglob("*.service"):
            text = unit.read_text()
            self.assertIn("ExecStart=/opt/smesher/bin/smesher ", text)
            self.assertNotIn("/usr/bin/smesher", text)
            self.assertNotIn(" /etc/smesher", text)
            self.assertRegex(text, "(?m)^ConditionPathExists=/opt/smesher/etc/smesher/[a-z0-9.]+$")

    def test_every_unit_waits_for_its_configuration(self):
        for unit in (self.install() / "usr/lib/systemd/system").iterdir():
            wanted = re.search("(?m)^ConditionPathExists=(/etc/smesher/.*)$", unit.read_text())[1]
            self.assertNotIn(wanted.lstrip("/"), INSTALLED)
            self.assertIn(wanted.lstrip("/") + ".example", INSTALLED, f"{unit.name}: nothing to copy {wanted} from")


class Completion(PackageTest):
    def test_installed_is_what_the_program_writes(self):
        tree = self.install()
        for shell, path in zip(SHELLS, ("bash-completion/completions/smesher", "zsh/site-functions/_smesher",
                                        "fish/vendor_completions.d/smesher.fish")):
            self.assertEqual((tree / "usr/share" / path).read_text(), self.ok("--completion", shell).out)
        self.refused(2, ["--completion", "bash, zsh, fish"], "--completion", "csh")

    def complete(self, line):
        """What bash offers at the end of the line; words are cut as bash cuts them."""
        words = [w for part in line.split(" ") for w in (re.split("(=)", part) if "=" in part else [part])]
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _smesher || exit 9\n'
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = run("bash", "--norc", "-c", script, "bash", self.script, *words, cwd=self.tmp)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split("\n")) - {""}

    def test_bash(self):
        need("bash")
        self.script = self.tmp / "smesher.bash"
        self.script.write_text(self.ok("--completion", "bash").out)
        run("bash", "-n", self.script)
        (self.tmp / "data").mkdir()
        (self.tmp / "data dir").mkdir()
        (self.tmp / "proof.json").touch()
        directories = {"data", "data dir"}
        names = set(re.findall(r'(?m)^\.SS "([a-z0-9-]+)', self.ok("--man").out.replace("\\-", "-")))
        self.assertGreater(len(names), 12)
        self.assertEqual(self.complete("smesher "), names | {"help"})
        for line, wants in [
            ("smesher ver", {"verify", "verify-proof", "version"}),
            ("smesher help ver", {"verify", "verify-proof", "version"}),
            ("smesher --log-level warn ver", {"verify", "verify-proof", "version"}),
            ("smesher --log-level=warn ver", {"verify", "verify-proof", "version"}),
            ("smesher keys ", {"new", "import", "list", "show", "export-journal", "import-journal"}),
            ("smesher config d", {"dump"}),
            ("smesher config dump --par", {"--param"}),
            ("smesher init --commit", {"--commitment-atx-id"}),
            ("smesher init --dir ", directories),
            ("smesher init --dir=", directories),
            ("smesher init --dir=dat", directories),
            ("smesher init --num-units ", set()),
            ("smesher init --num-units 4 --net", {"--network"}),
            ("smesher prove --randomx ", {"light", "fast"}),
            ("smesher prove --randomx=f", {"fast"}),
            ("smesher prove --log-level ", {"error", "warn", "info", "debug"}),
            ("smesher prove --network tes", {"testnet"}),
            ("smesher verify-proof pr", {"proof.json"}),
            ("smesher verify-proof --mode ", {"all", "one", "subset", "strict"}),
            ("smesher merge d", directories),
            ("smesher version x", set()),
            ("smesher nonsense --js", {"--json"}),
            ("smesher --ma", set()),
        ]:
            with self.subTest(line):
                self.assertEqual(self.complete(line), wants)

    def test_bash_offers_every_option_of_every_command(self):
        need("bash")
        self.script = self.tmp / "smesher.bash"
        self.script.write_text(self.ok("--completion", "bash").out)
        blocks = self.ok("--man").out.replace("\\-", "-").split('.SS "')[1:]
        for block in blocks:
            name = block.split(" [OPTIONS]")[0]
            options = set(re.findall(r"(?m)^\\fB(--[a-z0-9-]+)", block.split(".SH ")[0]))
            self.assertLessEqual(options, self.complete(f"smesher {name} --"), name)

    def test_zsh(self):
        need("zsh")
        script = self.tmp / "_smesher"
        script.write_text(self.ok("--completion", "zsh").out)
        run("zsh", "-f", "-n", script)
        for line, wanted in harness_zsh.LINES.items():
            self.assertEqual(harness_zsh.completed(line, more=f"source {script}"), wanted)

    def test_fish(self):
        need("fish")
        script = self.tmp / "smesher.fish"
        script.write_text(self.ok("--completion", "fish").out)
        run("fish", "--no-config", "--no-execute", script)
        done = run("fish", "--no-config", "-c", f"source {script}; complete --do-complete 'smesher keys imp'")
        self.assertEqual({line.split("\t")[0] for line in done.stdout.splitlines()}, {"import", "import-journal"})


class Deb(PackageTest):
    def setUp(self):
        super().setUp()
        need("dpkg-deb", "dpkg-shlibdeps")

    def field(self, deb, name):
        return run("dpkg-deb", "-f", deb, name).stdout.strip()

    made = None  # shared: nobody writes there

    def unpacked(self):
        """({package: path}, the installed tree, the control directory)"""
        if Deb.made is None:
            Deb.made = tempfile.TemporaryDirectory(prefix="smesher-debs-")
            top = pathlib.Path(Deb.made.name)
            Deb.debs_made = self.debs(top / "out")
            run("dpkg-deb", "-x", Deb.debs_made["smesher"], top / "x")
            run("dpkg-deb", "-e", Deb.debs_made["smesher"], top / "control")
        top = pathlib.Path(Deb.made.name)
        return Deb.debs_made, top / "x", top / "control"

    def test_contents(self):
        debs, tree, control = self.unpacked()
        self.assertEqual(set(debs), {"smesher", "smesher-dbgsym"})
        wanted = {name for name in INSTALLED if not name.endswith(("CHANGELOG.md", "smesher.1", "_smesher"))}
        wanted |= {"usr/share/man/man1/smesher.1.gz", "usr/share/zsh/vendor-completions/_smesher",
                   *(f"usr/share/doc/smesher/{name}" for name in ("changelog.gz", "changelog.Debian.gz", "copyright"))}
        self.assertEqual(set(files_below(tree)), wanted)
        listing = run("dpkg-deb", "-c", debs["smesher"]).stdout.splitlines()
        for line in listing:
            mode, owner = line.split()[:2]
            self.assertEqual(owner, "root/root", line)
            self.assertIn(mode, ("drwxr-xr-x", "-rwxr-xr-x" if "/bin/" in line else "-rw-r--r--"), line)
        conffiles = (control / "conffiles").read_text().split()
        self.assertEqual(conffiles, sorted("/" + name for name in wanted if name.startswith("etc/")))
        for line in (control / "md5sums").read_text().splitlines():
            digest, name = line.split("  ")
            self.assertEqual(hashlib.md5((tree / name).read_bytes()).hexdigest(), digest)
            wanted.discard(name)
        self.assertEqual({"/" + name for name in wanted}, set(conffiles), "in neither md5sums nor conffiles")

    def test_control(self):
        debs, tree, control = self.unpacked()
        depends = self.field(debs["smesher"], "Depends")
        for library in ("adduser", "libc6 (>= ", "libjansson4", "libsodium23", "libsqlite3-0", "libyaml-0-2", "librandomx0"):
            self.assertIn(library, depends)
        self.assertNotIn("opencl", depends.lower())
        self.assertIn("ocl-icd-libopencl1", self.field(debs["smesher"], "Recommends"))
        version = self.field(debs["smesher"], "Version")
        self.assertIn(f'smesher {version.rsplit("-", 1)[0]}\n', run(tree / "usr/bin/smesher", "version").stdout)
        self.assertEqual(self.field(debs["smesher-dbgsym"], "Depends"), f"smesher (= {version})")
        changelog = gzip.decompress((tree / "usr/share/doc/smesher/changelog.Debian.gz").read_bytes()).decode()
        self.assertTrue(changelog.startswith(f"smesher ({version}) "))
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", control / script)
            self.assertNotRegex((control / script).read_text(), r"\b(rm|rmdir|deluser|userdel|delgroup|shred|truncate)\s",
                                f"{script} must not delete")

    def test_program(self):
        debs, tree, _ = self.unpacked()
        program = tree / "usr/bin/smesher"
        self.assertNotIn("not found", run("ldd", program).stdout)
        sections = run("readelf", "-S", "-W", program).stdout
        self.assertNotIn(".debug_info", sections)
        build_id = re.search("Build ID: ([0-9a-f]+)", run("readelf", "-n", program).stdout)[1]
        run("dpkg-deb", "-x", debs["smesher-dbgsym"], self.tmp / "symbols")
        symbols = self.tmp / f"symbols/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
        self.assertIn(".debug_info", run("readelf", "-S", "-W", symbols).stdout)

    def test_manual_page(self):
        need("man")
        _, tree, _ = self.unpacked()
        page = tree / "usr/share/man/man1/smesher.1.gz"
        done = run("man", "--warnings", "-l", page, env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin", "LC_ALL": "C"})
        self.assertEqual(done.stderr, "")
        self.assertIn("EXIT STATUS", done.stdout)

    def test_the_same_bytes_again(self):
        first = self.unpacked()[0]
        second = self.debs(self.tmp / "two", umask=0o077,
                           env={**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "XZ_OPT": "-0", "HOME": "/"})
        for package, path in first.items():
            self.assertEqual(path.read_bytes(), second[package].read_bytes(), package)
        later = self.debs(self.tmp / "later", env={**os.environ, "SOURCE_DATE_EPOCH": "1800000000"})
        self.assertNotEqual(first["smesher"].read_bytes(), later["smesher"].read_bytes())
        self.assertIn("2027-01-15 08:00", run("dpkg-deb", "-c", later["smesher"], env={**os.environ, "TZ": "UTC"}).stdout)


if __name__ == "__main__":
    at = sys.argv.index("--build")
    BUILD = pathlib.Path(sys.argv.pop(at + 1)).resolve()
    sys.argv.pop(at)
    harness.main()
