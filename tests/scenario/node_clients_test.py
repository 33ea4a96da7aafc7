#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MQTT.js and the AWS IoT Device SDKs for JavaScript (v2, and v1) against the broker and the shadows."""
import fcntl
import functools
import json
import os
import shutil
import subprocess

import edged
from edged import Node, Skip, need

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


def run(program, *args):
    """The line of JSON that a program prints."""
    node = need("node")
    missing = install()
    if missing:
        raise Skip(missing)
    done = subprocess.run([node, os.path.join(SOURCE, program), *map(str, args)], capture_output=True, text=True,
                          timeout=40, env=dict(os.environ, NODE_PATH=os.path.join(MODULES, "node_modules")))
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_mqttjs(url, version):
    got = run("mqttjs.js", url, version)
    assert got["roundTrip"] == {"granted": 2, "got": [[f"m{q}", q, False] for q in (0, 1, 2)]}, got
    assert got["retained"] == ["still here", True], got
    assert got["will"] == "gone", got
    assert got["session"] == {"present": True, "got": ["one", "two", "three"]}, got
    if version == 5:
        assert got["properties"] == {
            "contentType": "application/json", "responseTopic": "answers/to", "correlationData": "0001ff",
            "payloadFormatIndicator": True, "userProperties": {"colour": ["red", "blue"], "size": "9"}}, got


def test_mqttjs_over_tcp():
    url = f"mqtt://127.0.0.1:{Node().port('mqtt')}"
    for version in (4, 5):
        check_mqttjs(url, version)


def test_mqttjs_over_websocket():
    url = f"ws://127.0.0.1:{Node().port('http')}/mqtt"
    for version in (4, 5):
        check_mqttjs(url, version)


def check_awssdk(*args):
    got = run("awssdk.js", *args)
    assert got.get("echo") == ["m0", "m1"], got
    lamp = {"desired": {"led": "on"}, "reported": {"led": "on"}}
    assert got["shadow"] == {"missing": 404, "first": 1, "wanted": {"led": "on"}, "state": lamp, "version": 2,
                             "conflict": 409}, got


def test_the_aws_sdk_and_a_shadow():
    port = Node().port("mqtt")
    for version in (4, 5):
        check_awssdk(port, version)


def test_the_aws_sdk_over_mutual_tls():
    node, credentials = edged.with_credentials()
    for version in (4, 5):
        check_awssdk(node.port("tls"), version, credentials)


def test_the_aws_sdk_with_the_folder_of_edgectl():
    node = Node()
    for version in (4, 5):
        folder = os.path.join(edged.folder(), "device")
        node.edgectl("thing", "create", f"lamp{version}", "--folder", folder)
        check_awssdk(node.port("tls"), version, folder, f"lamp{version}")


def test_the_aws_sdk_v1_over_mutual_tls():
    node, credentials = edged.with_credentials()
    got = run("awssdk1.js", node.port("tls"), credentials)
    assert got.get("delta") == {"led": "on"} and got["status"] == ["accepted", "accepted"], got


edged.main()
