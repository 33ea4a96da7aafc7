#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules that can be seen in the text of the sources: layers, banned calls, licence lines, sizes. One line per breach.

usage: source_rules.py FILE...   exit code 1 when a rule is broken
"""
import os
import re
import subprocess
import sys

# Who may include whom: the layers of ARCHITECTURE.md. `tests/lib` and the layer itself are always allowed in tests.
BELOW = {
    "base": set(),
    "core": {"base"},
    "conf": {"base", "core"},
    "io": {"base", "core"},
    "store": {"base", "core"},
    "plugin": {"base", "core", "conf", "io", "store"},
    "cluster": {"base", "core", "conf", "io", "store"},
    "ctl": {"base", "conf"},
}
PURE = {"base", "core"}  # no I/O libraries
IMPURE = re.compile(r"(event2/|microhttpd|jansson|openssl/|sqlite3|curl/|nghttp2|sodium|wslay|sys/socket|netinet/|arpa/)")
LINES_MAX, FUNCTION_MAX = 1000, 100

BANNED = {
    "strcpy": "memcpy or snprintf", "strcat": "buf_add", "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "stpcpy": "memcpy", "strncat": "buf_add", "gets": "getline", "alloca": "malloc", "strtok": "strcspn",
    "strtok_r": "strcspn", "atoi": "strtol with its checks", "atol": "strtol with its checks",
    "atoll": "strtoll with its checks", "atof": "strtod with its checks", "system": "posix_spawn",
    "popen": "posix_spawn", "tmpnam": "mkstemp", "tempnam": "mkstemp", "mktemp": "mkstemp", "rand": "getrandom",
    "random": "getrandom", "localtime": "localtime_r", "gmtime": "gmtime_r", "asctime": "strftime",
    "ctime": "strftime", "setjmp": "return codes", "longjmp": "return codes",
}
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])(/work/|/home/\w+/|/root/|/Users/)")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)

breaches = []


def breach(path, line, text):
    breaches.append(f"{path}:{line}: {text}")


def code_only(text):
    """Comments and strings blanked, lines kept."""
    return TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def part_of(path):
    """("daemon", layer), ("plugins", name), ("tests", ...) ..."""
    words = path.split("/")
    if words[0] == "daemon":
        return "daemon", words[1] if len(words) > 2 else "app"
    return words[0], words[1] if len(words) > 2 else ""


def check_include(path, line, kind, target):
    root, part = part_of(path)
    first = target.split("/")[0]
    if root == "include" and kind == '"' and not target.startswith("edged/"):
        breach(path, line, f"a public header includes only edged/*.h, not {target}")
    if root == "daemon" and part in PURE and IMPURE.match(target):
        breach(path, line, f"{part}/ does no I/O, so it does not include {target}")
    if root == "daemon" and part in BELOW and kind == '"' and "/" in target:
        if first not in BELOW[part] | {part, "edged"}:
            breach(path, line, f"{part}/ may not use {first}/ (allowed: {' '.join(sorted(BELOW[part]))})")
    if root == "plugins" and kind == '"' and not target.startswith("edged/"):
        beside = os.path.exists(os.path.join(os.path.dirname(path), target))
        test_lib = is_test(path) and os.path.exists(os.path.join("tests/lib", target))
        if not beside and not test_lib:
            breach(path, line, f"a plugin includes edged/*.h and its own headers, not {target}")


def is_test(path):
    return path.startswith("tests/") or path.endswith(("_test.c", "_test.h"))


def check_header_exists(path):
    root, part = part_of(path)
    name = os.path.basename(path)
    if is_test(path) and not path.startswith("tests/lib/"):
        return
    if name == "main.c" or (root == "plugins" and name == f"{part}.c"):
        return  # nobody includes the top of a program or a plugin
    if not os.path.exists(path[:-2] + ".h"):
        breach(path, 1, "has no header of its own")


def check_c(path, text):
    code = code_only(text)
    for m in INCLUDE.finditer(text):
        check_include(path, line_of(text, m.start()), m.group(1), m.group(2))
    for m in BANNED_CALL.finditer(code):
        breach(path, line_of(code, m.start()), f"{m.group(1)}() is banned: use {BANNED[m.group(1)]}")
    if path.endswith(".c"):
        check_header_exists(path)
    elif "#ifndef" not in text:
        breach(path, 1, "has no include guard")


def check_text(path, text):
    lines = text.split("\n")
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:4]):
        breach(path, 1, "has no SPDX line at its top")
    if len(lines) - 1 > LINES_MAX:
        breach(path, len(lines) - 1, f"longer than {LINES_MAX} lines")
    for i, line in enumerate(lines, 1):
        if path != "tests/source_rules.py" and UNFINISHED.search(line):
            breach(path, i, "unfinished: do it, or say in an issue what is missing")
        if path != "tests/source_rules.py" and MACHINE_PATH.search(line):
            breach(path, i, "a path of one machine")
        if line != line.rstrip() and not path.endswith(".md"):
            breach(path, i, "blanks at the end of the line")
    if text and not text.endswith("\n"):
        breach(path, len(lines), "does not end with a newline")


def check_functions(paths):
    """Lengths by ctags, the part of a function between its braces and the name included."""
    tags = subprocess.run(["ctags", "-x", "--_xformat=%{input}\t%{line}\t%{end}\t%{name}", "--kinds-C=f", *paths],
                          capture_output=True, text=True, check=True).stdout
    for line in tags.splitlines():
        path, start, end, name = line.split("\t")
        if end.isdigit() and int(end) - int(start) + 1 > FUNCTION_MAX:
            breach(path, int(start), f"{name}() has {int(end) - int(start) + 1} lines, more than {FUNCTION_MAX}")


def main():
    sources = sys.argv[1:]
    c_files = [p for p in sources if p.endswith((".c", ".h"))]
    for path in sources:
        with open(path, errors="replace") as file:
            text = file.read()
        check_text(path, text)
        if path in c_files:
            check_c(path, text)
    check_functions(c_files)
    print("\n".join(sorted(breaches)), end="\n" if breaches else "")
    sys.exit(1 if breaches else 0)


main()
