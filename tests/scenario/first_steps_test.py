#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a new user does in the first five minutes, with the clients that a new user has."""
import json
import os
import shutil
import subprocess

import edged
from edged import Node, need, spawn, wait_for


def curl(*args):
    return subprocess.run(["curl", "-sS", *args], capture_output=True, text=True, timeout=30, check=True).stdout


def url(node, path):
    return f"http://127.0.0.1:{node.port('http')}{path}"


def next_line(process):
    line = process.stdout.readline()
    assert line, "the client ended"
    return line.rstrip("\n")


def subscribe(node, *args):
    """mosquitto_sub that is known to be subscribed: it has printed its SUBACK."""
    process = spawn("stdbuf", "-oL", need("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(node.port("mqtt")), "-d", *args)
    while "Subscribed" not in next_line(process):
        pass
    return process


def message(process):
    """The next line that is no debug output."""
    while True:
        line = next_line(process)
        if not line.startswith("Client "):
            return line


def publish(node, *args):
    subprocess.run([need("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(node.port("mqtt")), *args], check=True, timeout=30)


def test_curl_sees_the_node():
    node = Node()
    assert json.loads(curl(url(node, "/edge/v1/node")))["id"] == node.id
    services = json.loads(curl(url(node, "/edge/v1/services")))["data"]
    assert {"broker", "shadow", "hello"} <= {s["name"] for s in services}, services
    assert all(p["state"] == "running" for p in json.loads(curl(url(node, "/edge/v1/plugins")))["data"])
    assert json.loads(curl(url(node, "/healthz")))["status"] == "ok"
    assert json.loads(curl(url(node, "/readyz")))["status"] == "ready"
    assert "# TYPE edged_connections gauge" in curl(url(node, "/metrics"))
    api = json.loads(curl(url(node, "/openapi.json")))
    assert api["openapi"].startswith("3.1") and "/things/{thing}/shadow" in api["paths"], api["paths"].keys()


def test_messages_between_mqtt_and_rest():
    node = Node()
    sub = subscribe(node, "-t", "sensors/#", "-v")
    publish(node, "-t", "sensors/a", "-m", "hello")
    assert message(sub) == "sensors/a hello"
    curl("-d", '{"t":21}', url(node, "/topics/sensors/a?qos=1"))
    assert message(sub) == 'sensors/a {"t":21}'
    stream = spawn("curl", "-sSN", url(node, "/pubsub/v1/subscribe?filter=sensors/%23"))
    assert next_line(stream).startswith(":"), "a comment says that the subscription stands"
    publish(node, "-t", "sensors/b", "-m", "streamed", "-q", "1")
    while True:
        line = next_line(stream)
        if line.startswith("data:"):
            break
    event = json.loads(line[5:])
    assert (event["topic"], event["payload"]) == ("sensors/b", "streamed"), event


def test_a_lamp_and_its_shadow():
    node = Node()
    sub = subscribe(node, "-t", "$aws/things/lamp/shadow/update/delta")
    curl("-X", "POST", "-d", '{"state":{"desired":{"led":"on"}}}', url(node, "/things/lamp/shadow"))
    assert json.loads(message(sub))["state"] == {"led": "on"}
    accepted = subscribe(node, "-t", "$aws/things/lamp/shadow/update/accepted")
    publish(node, "-t", "$aws/things/lamp/shadow/update", "-m", '{"state":{"reported":{"led":"on"}}}')
    assert json.loads(message(accepted))["state"] == {"reported": {"led": "on"}}
    shadow = node.get("/things/lamp/shadow")
    assert shadow["state"] == {"desired": {"led": "on"}, "reported": {"led": "on"}}, shadow
    publish(node, "-r", "-q", "1", "-t", "kept", "-m", "still here")
    node.kill()
    node.restart()
    assert node.get("/things/lamp/shadow") == shadow
    assert message(subscribe(node, "-t", "kept")) == "still here"


def test_the_aws_cli_reads_a_shadow():
    aws = need("aws")
    node = Node()
    node.http("POST", "/things/lamp/shadow", {"state": {"desired": {"led": "on"}}})
    out = os.path.join(edged.folder(), "out.json")
    environment = dict(os.environ, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_DEFAULT_REGION="eu-west-1")
    subprocess.run([aws, "iot-data", "get-thing-shadow", "--endpoint-url", url(node, ""), "--thing-name", "lamp", out],
                   check=True, env=environment, timeout=60, capture_output=True)
    with open(out) as file:
        assert json.load(file)["state"]["desired"] == {"led": "on"}
    failed = subprocess.run([aws, "iot-data", "get-thing-shadow", "--endpoint-url", url(node, ""), "--thing-name", "none", out],
                            env=environment, timeout=60, capture_output=True, text=True)
    assert "ResourceNotFoundException" in failed.stderr, failed.stderr


def test_a_plugin_dropped_into_the_folder():
    plugins = edged.folder()
    for name in ("broker.so", "shadow.so"):
        shutil.copy(os.path.join(edged.PLUGINS, name), plugins)
    node = Node(plugins=plugins)
    assert node.http("GET", "/hello/v1/greet/world")[0] == 404
    shutil.copy(os.path.join(edged.PLUGINS, "hello.so"), os.path.join(plugins, "hello.so"))
    wait_for(lambda: node.http("GET", "/hello/v1/greet/world")[0] == 200, "hello answers")
    assert "/hello/v1/greet/{name}" in node.get("/openapi.json")["paths"]
    os.unlink(os.path.join(plugins, "hello.so"))
    wait_for(lambda: node.http("GET", "/hello/v1/greet/world")[0] == 404, "hello has gone")
    status, headers, problem = node.http("GET", "/hello/v1/greet/world")
    assert headers["content-type"] == "application/problem+json" and "hello" in json.dumps(problem), problem


edged.main()
