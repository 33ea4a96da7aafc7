#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every line of the README's first five minutes, typed in as it stands, in a copy of this tree and on a network of its
own, where the ports of the README are free."""
import json
import os
import re
import shutil
import socket
import subprocess

import edged
from edged import Skip, need, wait_for
from netspace import enter

ROOT = os.path.abspath(os.path.join(edged.HERE, "..", ".."))
MAKE_VARIABLES = ("BUILD", "CFLAGS", "CROSS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "RUNNER", "SANITIZE")

# What a line brings, in order: its beginning, and a pattern of what it prints. All lines must be here.
EXPECTED = [
    ("make run", r"ready after \d+ ms"),
    ("curl localhost:8083/edge/v1/node", r'"id":"[a-z2-7]{56}"'),
    ("curl localhost:8083/edge/v1/services", r'"name":"shadow"'),
    ("curl localhost:8083/openapi.json", r'"openapi":"3\.1'),
    ("mosquitto_sub -t 'sensors/#' -v", r'sensors/a 21\nsensors/a {"t":21}\n'),
    ("curl -N 'localhost:8083/pubsub/v1/subscribe", r'data:\s*{.*"topic":"sensors/a".*\n(.*\n)*.*data:\s*{.*"t'),
    ("mosquitto_pub -t sensors/a -m 21", r"^$"),
    ("curl -d '{\"t\":21}'", r'{.*}'),
    ("mosquitto_sub -t '$aws/things/lamp/shadow/update/delta'", r'"state":{"led":"on"}'),
    ("curl -X POST -d '{\"state\"", r'"version":1'),
    ("mosquitto_pub -t '$aws/things/lamp/shadow/update'", r"^$"),
    ("curl localhost:8083/things/lamp/shadow", r'"reported":{"led":"on"}'),
    ("aws ", r'"reported":{"led":"on"}'),
    ("curl -d '{\"name\":\"lamp\"}'", r'"name":"lamp"'),
    ("curl -d '{\"id\":\"update-7\"", r'"status":"IN_PROGRESS"'),
    ("curl -X PUT 'localhost:8083/things/lamp/jobs/$next'", r'"status":"IN_PROGRESS"'),
    ("curl -d '{\"status\":\"SUCCEEDED\"}'", r"^{}$"),
    ("curl localhost:8083/jobs/v1/jobs/update-7", r'"status":"COMPLETED"'),
    ("sudo make install", r""),
    ("cc $(pkg-config", r"^$"),
    ("cp hello.so", r"^$"),
    ("curl localhost:8083/hello/v1/greet/world", r'world'),
    ("rm build/plugins/hello.so", r"^$"),
    ("build/edged --dev", r"ready after"),
    ("curl 'localhost:8083/mds/v1/nodes", r'"self":true.*"self":false'),
    ("curl localhost:8083/edge/v1/cluster/election", r'"reason":"[^"]+ is supernode in epoch'),
    ("build/edgectl --state build/state invite", r"edged1\.\S+"),
    ("build/edgectl --state build/state2 join", r""),
    ("curl localhost:8083/nodes/", r'"id":"\w+".*8084'),
    ("curl localhost:8084/things/lamp", r'"reported":{"led":"on"}'),
]
STREAMS = ("make run", "mosquitto_sub", "curl -N", "build/edged")


def commands():
    """The lines of the shell blocks that a user of a clone types, without comments; continued lines are one."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read()
    minutes = text.split("## The first five minutes")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", minutes, re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    lines = [re.sub(r"\s+#[^'\"]*$", "", line).strip() for line in lines]
    return ["make run"] + [line for line in lines if line]


def copy_tree():
    tree = os.path.join(edged.folder(), "edged")
    other = shutil.ignore_patterns(".git", "build*", "__pycache__")
    shutil.copytree(ROOT, tree, ignore=other, symlinks=True)
    shutil.copytree(edged.BUILD, os.path.join(tree, "build"), ignore=lambda path, names: [
        name for name in names if path == edged.BUILD and name in ("node", "state", "state2", "tests")])
    return tree


def environment(tree):
    """`sudo make install` goes into a folder beside the tree, and pkg-config finds it there."""
    installed, tools = os.path.join(tree, "..", "installed"), os.path.join(tree, "..", "tools")
    os.makedirs(tools)
    with open(os.path.join(tools, "sudo"), "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\nexec "$@"\n')
    os.chmod(file.name, 0o755)
    ours = {key: value for key, value in os.environ.items() if key not in MAKE_VARIABLES}
    for sanitizer in ("address", "thread"):  # what make builds anew in the copy must fit the rest
        if edged.BUILD.endswith("-" + sanitizer):
            ours.update(SANITIZE=sanitizer, BUILD="build")
    return dict(ours, PATH=tools + ":" + os.environ["PATH"], DESTDIR=installed,
                PKG_CONFIG_PATH=os.path.join(installed, "usr/share/pkgconfig"), PKG_CONFIG_SYSROOT_DIR=installed,
                HOME=os.path.join(tree, ".."))


class Terminal:
    def __init__(self):
        self.tree = copy_tree()
        self.env = environment(self.tree)
        self.outputs, self.count, self.processes = {}, 0, {}

    def output(self, line):
        with open(self.outputs[line], encoding="utf-8", errors="replace") as file:
            return file.read()

    def curl(self, path, port=8083, *args):
        done = subprocess.run(["curl", "-sS", *args, f"localhost:{port}{path}"], capture_output=True, text=True, check=False)
        return done.stdout

    def subscriptions(self):
        found = re.search(r"^edged_broker_subscriptions (\d+)", self.curl("/metrics"), re.M)
        return int(found.group(1)) if found else 0

    def start(self, line):
        """A command that goes on. A subscriber is waited for: nobody types so fast."""
        before = self.subscriptions() if "sub" in line else 0
        self.outputs[line] = os.path.join(self.tree, "..", f"out{self.count}")
        self.count += 1
        unbuffered = ["stdbuf", "-oL"] if "sub" in line else []  # not for the daemon: sanitizers suffer no preloaded library
        with open(self.outputs[line], "w", encoding="utf-8") as out:
            self.processes[line] = subprocess.Popen([*unbuffered, "bash", "-c", line.rstrip("& ")], cwd=self.tree,
                                                    env=self.env, stdout=out, stderr=out, start_new_session=True)
        edged._processes.append(self.processes[line])
        if "sub" in line:
            wait_for(lambda: self.subscriptions() > before, f"{line}: subscribed")

    def run(self, line):
        done = subprocess.run(["bash", "-c", line], cwd=self.tree, env=self.env, capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == 0, f"{line}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def end(self):
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, 9)


def type_all(terminal, lines):
    """Runs each line and compares what it prints; placeholders get what an earlier line printed."""
    other = token = ""
    for line in lines:
        begin, pattern = next(((b, p) for b, p in EXPECTED if line.startswith(b)), (None, None))
        assert begin, f"README shows a line that this test does not know: {line}"
        line = line.replace("TOKEN", token).replace("ID-OF-THE-OTHER", other)
        if line.startswith(STREAMS):
            terminal.start(line)
            if "edged" in line or line == "make run":
                wait_for(lambda: re.search(pattern, terminal.output(line)), f"{line}: {pattern}", 60)
        elif line.startswith("rm "):
            terminal.run(line)
            wait_for(lambda: "hello" in terminal.curl("/hello/v1/greet/world") and
                     "404" in terminal.curl("/hello/v1/greet/world"), "hello is gone")
        elif line.startswith(("curl localhost:8083/hello", "curl 'localhost:8083/mds", "curl localhost:8083/nodes",
                               "curl localhost:8084/things")):
            wait_for(lambda: re.search(pattern, terminal.run(line)), f"{line}: {pattern}")
        elif line.startswith("curl localhost:8083/things/lamp"):  # the device's report is on its way
            wait_for(lambda: re.search(pattern, terminal.run(line)), f"{line}: {pattern}")
        else:
            got = terminal.run(line)
            assert re.search(pattern, got), f"{line} printed {got!r}, not {pattern}"
            if "invite" in line:
                token = re.search(pattern, got).group()
                other = re.search(r'"id":"(\w+)"', terminal.curl("/edge/v1/node", 8084)).group(1)
    for line in lines:
        if line.startswith(STREAMS):
            pattern = next(p for b, p in EXPECTED if line.startswith(b))
            wait_for(lambda: re.search(pattern, terminal.output(line)), f"{line}: {pattern}")


def test_the_first_five_minutes():
    for program in ("mosquitto_sub", "curl", "aws", "pkg-config", "make"):
        need(program)
    try:
        socket.gethostbyname("localhost")
    except OSError:
        raise Skip("this machine does not know the name localhost, which the README uses: it has no /etc/hosts") from None
    lines = commands()
    assert len(lines) >= len(EXPECTED), "the README has lost lines"
    terminal = Terminal()
    try:
        type_all(terminal, lines)
        # "Kill the daemon with kill -9 and start it again"
        shadow = terminal.curl("/things/lamp/shadow")
        with open(os.path.join(terminal.tree, "build/state/run.json"), encoding="utf-8") as file:
            pid = json.load(file)["pid"]
        os.kill(pid, 9)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "it is dead")
        terminal.start("make run")
        wait_for(lambda: "ready after" in terminal.output("make run"), "it runs again", 60)
        assert terminal.curl("/things/lamp/shadow") == shadow
    finally:
        terminal.end()


enter()
edged.main()
