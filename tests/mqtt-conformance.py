#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds docs/mqtt-conformance.md against the tests: each statement is there once, each test named there exists, and each
statement that binds a server has a test. Prints what is wrong, one line each, or the counts.

usage: mqtt-conformance.py [-v]    exit code 1 when something is wrong
"""
import glob
import re
import sys

COUNTS = {"3.1.1": 141, "5.0": 251}  # statements of each specification
ROW = re.compile(r"\| MQTT-([\d.]+-\d+) \| (server|client|both) \| ([^|]+) \| ([^|]*) \|$")
NAME = re.compile(r"^static void (\w+)\(void \*\*state\)|^SCRIPT\((\w+)\)|^def (test_\w+)\(", re.M)


def tests_there_are():
    names = set()
    for path in glob.glob("plugins/broker/*_test.c") + glob.glob("tests/unit/io/*_test.c") + ["tests/scenario/mqtt_test.py"]:
        with open(path, encoding="utf-8") as f:
            names |= {a or b or c for a, b, c in NAME.findall(f.read())}
    return names


def main():
    there, wrong, seen, version, tested = tests_there_are(), [], {v: [] for v in COUNTS}, None, 0
    with open("docs/mqtt-conformance.md", encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("## MQTT "):
                version = line.split()[2]
            if not line.startswith("| MQTT-"):
                continue
            row = ROW.match(line)
            if not row or not version:
                wrong.append(f"line {number}: not a row of four columns")
                continue
            statement, side, _, tests = row.groups()
            names = re.findall(r"`(\w+)`", tests)
            if statement in seen[version]:
                wrong.append(f"line {number}: {statement} a second time")
            seen[version].append(statement)
            wrong += [f"line {number}: no test is called {name}" for name in names if name not in there]
            if side != "client" and not names:
                wrong.append(f"line {number}: {statement} binds the server and has no test")
            tested += side != "client" and bool(names)
    for version, count in COUNTS.items():
        if len(seen[version]) != count:
            wrong.append(f"MQTT {version} has {count} statements, {len(seen[version])} are listed")
    for line in wrong:
        print(f"docs/mqtt-conformance.md: {line}")
    if not wrong:
        print(f"{sum(COUNTS.values())} statements, {tested} of them bind a server, all with tests")
    return bool(wrong)


sys.exit(main())
