#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MQTT.js and the AWS IoT Device SDKs for JavaScript (v2, and v1) against the broker and the shadows."""
import json
import os

import edged
from edged import Node
from node_programs import run


def check_mqttjs(url, version, *folder):
    got = run("mqttjs.js", url, version, *folder)
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


def test_mqttjs_over_websocket_through_another_node():
    alone = ["--set", 'cluster.discovery="off"']
    a = Node(cluster=True, args=alone)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, args=alone + ["--set", f"cluster.seeds={seeds}"])
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])
    edged.wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, "A reaches B")
    for version in (4, 5):
        check_mqttjs(f"ws://127.0.0.1:{a.port('http')}/nodes/{b.id}/mqtt", version)


def test_mqttjs_over_mutual_tls():
    node, credentials = edged.with_credentials()
    for version in (4, 5):
        check_mqttjs(f"mqtts://localhost:{node.port('tls')}", version, credentials)


def test_mqttjs_over_secure_websocket():
    node, credentials = edged.with_credentials()
    for version in (4, 5):
        check_mqttjs(f"wss://localhost:{node.port('tls')}/mqtt", version, credentials)


def check_awssdk(*args):
    got = run("awssdk.js", *args)
    assert got.get("echo") == ["m0", "m1"], got
    lamp = {"desired": {"led": "on"}, "reported": {"led": "on"}}
    assert got["shadow"] == {"missing": 404, "first": 1, "wanted": {"led": "on"}, "state": lamp, "version": 2,
                             "conflict": 409}, got


def test_the_aws_sdk_and_a_shadow():
    port = Node().port("mqtt")
    for version in (4, 5):
        check_awssdk(port, version, "tcp")


def test_the_aws_sdk_over_websocket():
    port = Node().port("http")
    for version in (4, 5):
        check_awssdk(port, version, "ws")


def test_the_aws_sdk_over_mutual_tls():
    node, credentials = edged.with_credentials()
    for version in (4, 5):
        check_awssdk(node.port("tls"), version, "tls", credentials)


def test_the_aws_sdk_over_secure_websocket():
    node, credentials = edged.with_credentials()
    for version in (4, 5):
        check_awssdk(node.port("tls"), version, "wss", credentials)


def test_the_aws_sdk_with_the_folder_of_edgectl():
    node = Node()
    for version in (4, 5):
        folder = os.path.join(edged.folder(), "device")
        node.edgectl("thing", "create", f"lamp{version}", "--folder", folder)
        check_awssdk(node.port("tls"), version, "tls", folder, f"lamp{version}")


def test_the_aws_sdk_v1_over_mutual_tls():
    node, credentials = edged.with_credentials()
    got = run("awssdk1.js", node.port("tls"), credentials)
    assert got.get("delta") == {"led": "on"} and got["status"] == ["accepted", "accepted"], got


edged.main()
