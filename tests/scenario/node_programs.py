# SPDX-License-Identifier: Apache-2.0
"""Runs the programs of the folder node, with the packages of npm that they need."""
import fcntl
import functools
import json
import os
import shutil
import subprocess

import edged
from edged import Skip, need

SOURCE = os.path.join(edged.HERE, "node")
MODULES = os.path.abspath(os.path.join(edged.BUILD, "node"))


@functools.lru_cache
def install():
    """The clients, fetched once per build folder and again when their versions change. What keeps them away, or None."""
    npm = need("npm")
    os.makedirs(MODULES, exist_ok=True)
    with open(os.path.join(SOURCE, "package-lock.json"), encoding="utf-8") as file:
        wanted = file.read()
    with open(os.path.join(MODULES, "installed"), "a+", encoding="utf-8") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        mark.seek(0)
        if mark.read() == wanted:
            return None
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(SOURCE, name), MODULES)
        try:
            done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=MODULES, text=True,
                                  capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            return "npm takes too long to fetch the clients"
        if done.returncode:
            return "npm cannot fetch the clients: " + done.stderr.replace("\n", " ")[-300:]
        mark.truncate(0)
        mark.write(wanted)
    return None


def command(program, *args):
    """The words that run a program, after what it needs has been installed; or Skip."""
    node = need("node")
    missing = install()
    if missing:
        raise Skip(missing)
    return [node, os.path.join(SOURCE, program), *map(str, args)]


def environment(**more):
    return {**os.environ, "NODE_PATH": os.path.join(MODULES, "node_modules"), **more}


def run(program, *args, **more):
    """The line of JSON that a program prints; `more` goes into its environment."""
    done = subprocess.run(command(program, *args), capture_output=True, text=True, timeout=120, env=environment(**more))
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
