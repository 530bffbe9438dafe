#!/usr/bin/env python3
"""Checks that includes between the folders of src/ only point downwards, and that nobody includes a .c file.

usage: include_direction.py SOURCE_ROOT
"""
import pathlib
import re
import sys

# cli -> {rig libpost} -> {bench config postsvc powsvc} -> {post poet keys status} -> {rpc http gpu codec eligibility} -> crypto -> util; folders of one rank do not include each other.
RANK = {"util": 0, "crypto": 1, "codec": 2, "gpu": 2, "eligibility": 2, "rpc": 2, "http": 2, "post": 3, "poet": 3, "keys": 3, "status": 3, "bench": 4, "config": 4, "postsvc": 4, "powsvc": 4, "libpost": 5, "rig": 5, "cli": 6}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    bad, seen = [], 0
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        if folder.name not in RANK:
            bad.append(f"src/{folder.name}: unknown folder; give it a rank in {__file__}")
            continue
        for path in sorted(folder.rglob("*.[ch]")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                seen += 1
                target = match.group(1)
                where = f"{path.relative_to(root)}:{number}"
                first = target.split("/")[0]
                if target.startswith("kernels/"):
                    continue
                if first not in RANK:
                    bad.append(f'{where}: "{target}": include paths start at src/')
                elif first != folder.name and RANK[first] >= RANK[folder.name]:
                    bad.append(f'{where}: "{target}": {folder.name} must not include {first}')
                elif not (root / "src" / target).is_file():
                    bad.append(f'{where}: "{target}" does not exist')
                elif not target.endswith(".h"):
                    bad.append(f'{where}: "{target}" is not a header')
    for line in bad:
        print(line)
    print(f"{seen} includes checked, {len(bad)} wrong")
    return 1 if bad or not seen else 0


sys.exit(main())
