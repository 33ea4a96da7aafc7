#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trouble: each gives one clear sentence and the right exit code, and everything else goes on working."""
import json
import os
import shutil
import socket
import subprocess

import edged
from edged import Node, Skip


def fails(node, code, *words):
    """Runs a node that must not start; its output has all the words."""
    done = subprocess.run(node.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr, f"{word!r} is not in: {done.stderr}"


def test_port_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fails(Node(listen=[f"http=127.0.0.1:{port}"], start=False), 1, str(port), "in use")


def test_second_daemon_on_one_state_folder():
    node = Node()
    fails(Node(state=node.state, start=False), 1, node.state, str(node.process.pid))
    node.get("/healthz")


def test_state_folder_not_writable():
    if os.geteuid() == 0:
        fails(Node(state="/proc/edged", start=False), 1, "/proc/edged", "--state")
        return
    path = edged.folder()
    os.chmod(path, 0o500)
    fails(Node(state=path, start=False), 1, path, "--state")


def test_usage():
    done = subprocess.run([edged.EDGED, "--pluggins", "x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--plugins" in done.stderr, done


def test_configuration_error():
    config = os.path.join(edged.folder(), "edged.conf")
    with open(config, "w") as file:
        file.write('{\n  // a comment\n  "log": { "levle": "debug" }\n}\n')
    node = Node(args=["--config", config], start=False)
    fails(node, 1, f"{config}:3:", "log.levle", "level")
    checked = subprocess.run([*node.command(), "--check"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 1 and "levle" in checked.stderr, checked


def test_a_file_that_is_no_plugin():
    plugins = edged.folder()
    shutil.copy(os.path.join(edged.PLUGINS, "hello.so"), plugins)
    with open(os.path.join(plugins, "junk.so"), "w") as file:
        file.write("not a plugin")
    node = Node(plugins=plugins)
    listed = {os.path.basename(p["file"]): p for p in node.get("/edge/v1/plugins")["data"]}
    assert listed["hello.so"]["state"] == "running"
    assert listed["junk.so"]["state"] == "refused" and "ELF" in listed["junk.so"]["reason"], listed
    node.get("/hello/v1/greet/you")


def test_garbage_on_every_port():
    node = Node()
    junk = [b"\0" * 70000, b"\xff" * 5000, os.urandom(4096), b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000, b"\x16\x03\x01\xff\xff" * 99]
    for protocol in ("http", "mqtt", "tls"):
        for bytes_ in junk:
            with node.connect(protocol) as client:
                try:
                    client.sendall(bytes_)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(4096):
                        pass
                except OSError:
                    pass
    node.get("/healthz")
    assert node.process.poll() is None


def test_access_key_is_needed_without_dev():
    node = Node(dev=False)
    status, headers, problem = node.http("GET", "/edge/v1/node")
    assert status == 401 and headers["www-authenticate"].startswith("Bearer"), (status, headers.items())
    assert "edgectl" in problem["detail"]
    with open(os.path.join(node.state, "access.key")) as file:
        key = file.read()
    assert os.stat(os.path.join(node.state, "access.key")).st_mode & 0o777 == 0o600
    assert node.http("GET", "/edge/v1/node", headers={"Authorization": f"Bearer {key}"})[0] == 200
    assert node.http("GET", "/edge/v1/node", headers={"Authorization": f"Bearer {key[::-1]}"})[0] == 401
    assert json.loads(node.edgectl("--json", "node"))["id"] == node.id


def test_a_web_page_cannot_use_a_dev_node():
    node = Node()
    assert node.http("GET", "/edge/v1/node", headers={"Host": "evil.example"})[0] == 403


def test_stop_is_quick_and_leaves_no_run_file():
    node = Node()
    assert node.stop(2) == 0
    assert not os.path.exists(os.path.join(node.state, "run.json"))


def test_disk_full():
    if os.geteuid() != 0:
        raise Skip("needs root for a small file system")
    state = edged.folder()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", state], capture_output=True).returncode:
        raise Skip("cannot mount a tmpfs here")
    try:
        node = Node(state=state)
        shadow = {"state": {"desired": {"text": "x" * 6000}}}
        assert node.http("POST", "/things/first/shadow", shadow)[0] == 200
        statuses = {node.http("POST", f"/things/t{i}/shadow", shadow)[0] for i in range(600)}
        assert statuses == {200, 500}, statuses
        assert node.get("/things/first/shadow")["state"]["desired"] == shadow["state"]["desired"]
        node.get("/healthz")
        node.kill()
    finally:
        subprocess.run(["umount", "-l", state], check=True)


edged.main()
