#!/usr/bin/env python3
"""Adds up the test results of several ctest runs.

usage: junit_total.py [--broken "STAGE..."] NAME=RESULTS.xml...

A ctest entry is one executable; where its output tells how many cases it ran (Criterion, Python's unittest), cases are
counted instead. A stage in --broken did not build or gave no results: one failure each. The last line is the total;
exit status 1 when anything failed or nothing ran.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
CRITERION = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
CRITERION_SKIP = re.compile(r"^\[SKIP\] (.*)$", re.M)
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.M)
UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.M)


def cases(text):
    """(passed, failed, skipped, names of the skipped), or None when the output does not tell."""
    criterion = CRITERION.findall(text)
    if criterion:
        skipped = CRITERION_SKIP.findall(text)
        tested, passing, failing, _ = map(int, criterion[-1])
        return passing, max(failing, tested - passing), len(skipped), skipped
    ran, end = UNITTEST.findall(text), UNITTEST_END.findall(text)
    if ran and end:
        words = dict(part.split("=") for part in end[-1].split(", ") if "=" in part)
        failed = int(words.get("failures", 0)) + int(words.get("errors", 0))
        skipped = int(words.get("skipped", 0))
        names = re.findall(r"^(\S+ \(.*\)) .*\.\.\. skipped (.*)$", text, re.M)
        return int(ran[-1]) - failed - skipped, failed, skipped, [f"{name}: {why}" for name, why in names]
    return None


def suite(name, path):
    total = [0, 0, 0]
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        text = ESCAPES.sub("", case.findtext("system-out") or "")
        status = case.get("status")
        counted = cases(text)
        if status == "notrun" or case.find("skipped") is not None:
            total[2] += 1
            print(f"skipped: {name}: {case.get('name')}")
            continue
        if counted is None:
            counted = (1, 0, 0, []) if status == "run" else (0, 1, 0, [])
        passed, failed, skipped, names = counted
        if status == "fail":
            failed = max(failed, 1)  # for example a time-out, or a leak report at exit
            print(f"FAILED: {name}: {case.get('name')}")
        for why in names:
            print(f"skipped: {name}: {case.get('name')}: {why}")
        total = [total[0] + passed, total[1] + failed, total[2] + skipped]
    print(f"{name}: passed {total[0]}, failed {total[1]}, skipped {total[2]}")
    return total


def main(arguments):
    broken = []
    if arguments[:1] == ["--broken"]:
        broken, arguments = arguments[1].split(), arguments[2:]
    total = [0, len(broken), 0]
    for argument in arguments:
        name, path = argument.split("=", 1)
        total = [a + b for a, b in zip(total, suite(name, path))]
    for name in broken:
        print(f"FAILED: {name}: did not build or gave no results")
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


sys.exit(main(sys.argv[1:]))
