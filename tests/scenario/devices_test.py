#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Devices as services: real MQTT clients that are called over REST, their properties and events, from other nodes, too."""
import http.client
import json
import os
import re
import shutil
import subprocess
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import edged
from edged import Node, need, wait_for

LONG = "?timeout=20"
REFUSED = 0x87  # MQTT 5: not authorized


def figure(node, name):
    found = re.search(rf"^edged_{re.escape(name)} (\d+)", node.http("GET", "/metrics")[2].decode(), re.M)
    return int(found.group(1)) if found else 0


class Device:
    """A paho client that answers calls: MQTT 5 by response topic and correlation data, 3.1.1 by the topic of the call."""

    def __init__(self, node, name, version=mqtt.MQTTv311, silent=False, listen=True):
        self.name, self.version, self.silent = name, version, silent
        self.calls, self.granted, self.connected = [], threading.Event(), threading.Event()
        self.mqtt = mqtt.Client(name, protocol=version, reconnect_on_failure=False)
        self.mqtt.on_connect = lambda *args: self.connected.set()
        self.mqtt.on_subscribe = lambda *args: self.granted.set()
        self.mqtt.on_message = lambda client, user, message: self.called(message)
        self.mqtt.connect(*node.address("mqtt"), 60)
        self.mqtt.loop_start()
        assert self.connected.wait(20), "no CONNACK"
        if listen:
            self.mqtt.subscribe(f"devices/{name}/call/#", 1)
            assert self.granted.wait(20), "no SUBACK"

    def called(self, message):
        name = message.topic.split("/")[3]
        self.calls.append(message)
        if self.silent or name == "nothing":
            return
        if name == "leave":
            self.drop()
        elif name == "broken":
            self.answer(message, json.dumps({"why": "the fuse"}), "/409")
        elif name == "empty":
            self.answer(message, "")
        else:
            self.answer(message, json.dumps({"did": name, "with": message.payload.decode()}))

    def answer(self, message, payload, status=""):
        properties = None
        if self.version == mqtt.MQTTv5:
            topic = message.properties.ResponseTopic
            properties = Properties(PacketTypes.PUBLISH)
            properties.CorrelationData = message.properties.CorrelationData
        else:
            topic = message.topic.split("/call/")[0] + "/answer/" + message.topic.split("/")[4]
        self.mqtt.publish(topic + status, payload, 1, properties=properties)

    def drop(self):
        """The connection breaks, without a DISCONNECT."""
        self.mqtt._sock.close()

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def make(node, *names, **more):
    for name in names:
        status, _, body = node.http("POST", "/things/v1/things", {"name": name, **more})
        assert status == 201, body


def call(node, thing, name, body=None, query=LONG, path=""):
    return node.http("POST", f"{path}/devices/v1/{thing}/call/{name}{query}", body, seconds=40)


def problem(answer, status, kind):
    got, headers, body = answer
    assert got == status and headers["content-type"] == "application/problem+json", answer
    assert body["type"] == f"urn:edged:problem:{kind}", body
    return headers, body


class Secure:
    """A device with its certificate, MQTT 5, that answers each call with its name."""

    def __init__(self, node, name, folder):
        self.code, self.codes, self.connected = None, [], threading.Event()
        self.mqtt = mqtt.Client(name, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        self.mqtt.on_connect = self.on_connect
        self.mqtt.on_subscribe = lambda client, user, mid, codes, *rest: self.codes.append(codes[0].value)
        self.mqtt.on_message = lambda client, user, message: self.mqtt.publish(message.properties.ResponseTopic, f'"{name}"', 1)
        self.mqtt.tls_set(*(os.path.join(folder, f"{part}.pem") for part in ("ca", "certificate", "key")))
        self.mqtt.connect("localhost", node.port("tls"), 60)
        self.mqtt.loop_start()
        assert self.connected.wait(20), "no CONNACK"

    def on_connect(self, client, user, flags, code, *rest):
        self.code = code.value
        self.connected.set()

    def subscribe(self, topic_filter):
        """The code of SUBACK."""
        before = len(self.codes)
        self.mqtt.subscribe(topic_filter, 1)
        return wait_for(lambda: self.codes[before:], "SUBACK")[0]


class Events:
    """A reader of server-sent events: (event, data)."""

    def __init__(self, node, path):
        self.connection = http.client.HTTPConnection(*node.address("http"), timeout=60)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def next(self):
        event = data = None
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream has ended"
            if line.startswith("event: "):
                event = line[7:-1]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line == "\n" and event:
                return event, data

    def ended(self):
        return self.answer.read() == b""


def later(function, *args):
    """Runs it in a thread; the result is in the list, once there is one."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function(*args)), daemon=True)
    thread.start()
    return thread, result


def test_both_versions_of_mqtt_answer_calls():
    node = Node()
    make(node, "lamp", "fan")
    for name, version in (("lamp", mqtt.MQTTv311), ("fan", mqtt.MQTTv5)):
        device = Device(node, name, version)
        status, headers, body = call(node, name, "set", "warm")
        assert status == 200 and body == {"did": "set", "with": "warm"}, body
        assert headers["content-type"] == "application/json" and headers["edged-device"] == name, headers.items()
        status, headers, body = call(node, name, "empty")
        assert status == 204 and not body, body
        status, headers, body = call(node, name, "broken")
        assert status == 409 and body == {"why": "the fuse"} and headers["edged-device"] == name, body
        first = device.calls[0]
        assert re.fullmatch(rf"devices/{name}/call/set/[0-9a-f]{{32}}", first.topic) and first.qos == 0, first.topic
        if version == mqtt.MQTTv5:
            assert first.properties.ResponseTopic == f"devices/{name}/answer/{first.topic[-32:]}"
            assert first.properties.CorrelationData == first.topic[-32:].encode()
            assert 0 < first.properties.MessageExpiryInterval <= 20
    assert figure(node, 'devices_calls_total{end="answered"}') == 4 and figure(node, "devices_calls_in_flight") == 0


def test_the_content_type_goes_both_ways():
    node = Node()
    make(node, "cam")
    device = Device(node, "cam", mqtt.MQTTv5)
    seen = []

    def show(client, user, message):
        seen.append((message.properties.ContentType, message.payload))
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "image/png"
        device.mqtt.publish(message.properties.ResponseTopic, b"\x89PNG\0", 1, properties=properties)
    device.mqtt.on_message = show
    status, headers, body = node.http("POST", "/devices/v1/cam/call/picture" + LONG, b"\0\1", {"Content-Type": "x/y"})
    assert (status, body, seen) == (200, b"\x89PNG\0", [("x/y", b"\0\1")]), (status, body, seen)
    assert headers["content-type"] == "image/png" and headers["x-content-type-options"] == "nosniff", headers.items()


def test_who_cannot_be_called_is_told_at_once():
    node = Node()
    make(node, "lamp", "deaf")
    _, body = problem(call(node, "nobody", "set"), 404, "no-such-device")
    assert "nobody" in body["detail"]
    headers, body = problem(call(node, "lamp", "set"), 503, "device-away")
    assert headers["edged-device"] == "lamp" and "lamp" in body["detail"]
    Device(node, "deaf", listen=False)
    problem(call(node, "deaf", "set"), 503, "device-not-listening")
    for name in ("a%20b", "a+b", "x" * 65):
        problem(call(node, "lamp", name), 400, "bad-name")
    for timeout in ("0", "x", "", "21", "1.", ".5", "1.2345", "-1", "99999999999999999999999"):
        problem(call(node, "lamp", "set", query="?timeout=" + timeout), 400, "bad-parameter")


def test_silence_is_504_and_says_what_to_look_at():
    node = Node(args=["--set", 'plugins.devices.call_time="100ms"'])
    make(node, "lamp")
    device = Device(node, "lamp", silent=True)
    headers, body = problem(call(node, "lamp", "set", query=""), 504, "device-timeout")
    assert "100 ms" in body["detail"] and device.calls[0].topic[-32:] in body["detail"], body
    assert headers["edged-device"] == "lamp"
    problem(call(node, "lamp", "set", query="?timeout=0.05"), 504, "device-timeout")
    # an answer that comes too late is nobody's
    device.answer(device.calls[0], "late")
    wait_for(lambda: figure(node, "devices_answers_ignored_total") == 1, "the late answer is counted")
    assert figure(node, 'devices_calls_total{end="late"}') == 2


def test_a_device_that_leaves_ends_its_calls():
    node = Node()
    make(node, "lamp", "fan")
    device, other = Device(node, "lamp"), Device(node, "fan", silent=True)
    thread, result = later(call, node, "fan", "set")
    wait_for(lambda: other.calls, "the call of the other")
    problem(call(node, "lamp", "leave"), 502, "device-left")
    assert device.calls and not result
    other.answer(other.calls[0], '"still here"')
    thread.join(20)
    assert result[0][0] == 200 and result[0][2] == "still here", result


def test_only_the_device_answers_its_calls():
    node = Node()
    make(node, "lamp")
    device, thief = Device(node, "lamp", silent=True), Device(node, "thief")
    thread, result = later(call, node, "lamp", "set")
    wait_for(lambda: device.calls, "the call")
    topic = f"devices/lamp/answer/{device.calls[0].topic[-32:]}"
    thief.mqtt.publish(topic, "mine", 1).wait_for_publish(60)
    for wrong in (topic[:-1] + "x", topic + "/200", topic + "/409/x", topic + "/", "devices/lamp/answer/1"):
        device.mqtt.publish(wrong, "wrong", 1).wait_for_publish(60)
    wait_for(lambda: figure(node, "devices_answers_ignored_total") == 6, "six answers are ignored")
    assert not result
    device.answer(device.calls[0], '"yes"')
    thread.join(20)
    assert result[0][0] == 200 and result[0][2] == "yes", result
    device.answer(device.calls[0], '"again"')
    wait_for(lambda: figure(node, "devices_answers_ignored_total") == 7, "the second answer is ignored")


def test_a_caller_that_leaves_gives_its_place_back():
    node = Node(args=["--set", "plugins.devices.calls_of_a_thing=1"])
    make(node, "lamp")
    device = Device(node, "lamp", silent=True)
    connection = http.client.HTTPConnection(*node.address("http"), timeout=60)
    connection.request("POST", "/devices/v1/lamp/call/set" + LONG)
    wait_for(lambda: device.calls, "the call")
    headers, _ = problem(call(node, "lamp", "set"), 429, "too-many-calls")
    assert headers["retry-after"] == "1"
    connection.close()
    wait_for(lambda: figure(node, "devices_calls_in_flight") == 0, "nothing is in flight")
    assert figure(node, 'devices_calls_total{end="cancelled"}') == 1
    device.silent = False
    assert call(node, "lamp", "set")[0] == 200


def test_a_flood_of_calls_is_bounded():
    node = Node(args=["--set", "plugins.devices.calls_of_a_thing=4", "--set", "plugins.devices.calls=6"])
    make(node, "a", "b")
    devices = [Device(node, "a", silent=True), Device(node, "b", silent=True)]
    callers = [later(call, node, "a", "set") for _ in range(4)]
    wait_for(lambda: len(devices[0].calls) == 4, "four calls")
    for _ in range(20):
        problem(call(node, "a", "set"), 429, "too-many-calls")
    callers += [later(call, node, "b", "set") for _ in range(2)]
    wait_for(lambda: len(devices[1].calls) == 2, "two calls")
    for _ in range(20):
        headers, _ = problem(call(node, "b", "set"), 503, "too-many-calls")
        assert headers["retry-after"] == "1"
    assert figure(node, "devices_calls_in_flight") == 6
    for device in devices:
        for message in list(device.calls):
            device.answer(message, "1")
    for thread, result in callers:
        thread.join(20)
        assert result[0][0] == 200, result
    problem(call(node, "a", "set", "x" * (129 << 10)), 413, "too-large")


def test_properties_are_the_shadow():
    node = Node()
    make(node, "lamp")
    path = "/devices/v1/lamp/properties"
    status, headers, body = node.http("GET", path)
    assert status == 200 and body == {"desired": {}, "reported": {}}, body
    patch = {"Content-Type": "application/merge-patch+json"}
    status, headers, body = node.http("PATCH", path, {"desired": {"led": "on", "hue": 3}}, patch)
    assert status == 200 and body["version"] == 1 and headers["etag"] == '"1"', body
    assert body["desired"] == {"led": "on", "hue": 3} and body["delta"] == body["desired"], body
    assert node.get("/things/lamp/shadow")["state"]["desired"] == {"led": "on", "hue": 3}
    status, headers, body = node.http("PUT", path, {"reported": {"led": "on"}}, {"If-Match": '"1"'})
    assert status == 200 and body["delta"] == {"hue": 3} and headers["etag"] == '"2"', body
    status, _, body = node.http("PUT", path, {"desired": {"led": "on"}}, {"If-Match": "*"})
    assert status == 200 and "delta" not in body and body["desired"] == {"led": "on"}, body
    problem(node.http("PUT", path, {"desired": {}}, {"If-Match": '"1"'}), 412, "precondition-failed")
    problem(node.http("PATCH", path, {"desired": {}}, {**patch, "If-Match": '"1"'}), 412, "precondition-failed")
    problem(node.http("PATCH", path, {"desired": {}}, {"If-Match": "1", **patch}), 400, "bad-request")
    problem(node.http("PATCH", path, "x", {"Content-Type": "text/plain"}), 415, "bad-encoding")
    problem(node.http("PATCH", path, "{", patch), 400, "bad-request")
    problem(node.http("PATCH", path, {"desired": {"x": "y" * 9000}}, patch), 413, "too-large")
    problem(node.http("GET", "/devices/v1/nobody/properties"), 404, "no-such-device")
    problem(node.http("GET", path + "?name="), 400, "bad-name")
    assert node.http("PATCH", path + "?name=night", {"desired": {"led": "off"}}, patch)[0] == 200
    assert node.get(path + "?name=night")["desired"] == {"led": "off"} and node.get(path)["desired"] == {"led": "on"}
    # a device is described, with a summary of them
    make(node, "fan", type="cooler", attributes={"room": "hall"})
    Device(node, "fan")
    fan = node.get("/devices/v1/fan")
    assert (fan["name"], fan["type"], fan["connected"], fan["attributes"], fan["properties"]) == \
        ("fan", "cooler", True, {"room": "hall"}, None), fan
    lamp = node.get("/devices/v1/lamp")
    assert lamp["connected"] is False and lamp["properties"]["version"] == 3 and lamp["properties"]["settled"], lamp
    for link in ("properties", "thing"):
        node.get(lamp["links"][link])


def test_lists_have_pages_and_filters():
    node = Node(args=["--set", "plugins.devices.scan=2"])
    make(node, "a1", "a2", "a3", type="light")
    node.http("PUT", "/things/v1/groups/hall", {})
    make(node, "b1", "b2", groups=["hall"])
    Device(node, "a2")

    def pages(query=""):
        names, cursor = [], ""
        while cursor is not None:
            page = node.get(f"/devices/v1?cursor={cursor}{query}")
            names.append([device["name"] for device in page["data"]])
            cursor = page.get("cursor")
        return names
    assert pages() == [["a1", "a2"], ["a3", "b1"], ["b2"]], pages()
    assert pages("&limit=1") == [["a1"], ["a2"], ["a3"], ["b1"], ["b2"]], pages("&limit=1")
    assert sum(pages("&connected=true"), []) == ["a2"] and sum(pages("&connected=false"), []) == ["a1", "a3", "b1", "b2"]
    assert sum(pages("&type=light"), []) == ["a1", "a2", "a3"] and sum(pages("&group=hall"), []) == ["b1", "b2"]
    entry = node.get("/devices/v1?limit=1")["data"][0]
    assert entry == {"name": "a1", "serviceType": "edged-device-v1", "type": "light", "self": "/devices/v1/a1",
                     "connected": False}, entry
    problem(node.http("GET", "/devices/v1?limit=0"), 400, "bad-parameter")
    problem(node.http("GET", "/devices/v1?connected=maybe"), 400, "bad-parameter")
    services = {service["name"]: service for service in node.get("/edge/v1/services")["data"]}
    assert services["devices"]["self"] == "/devices/v1", services["devices"]


def test_events_tell_what_happens():
    node = Node()
    make(node, "lamp")
    events = Events(node, "/devices/v1/lamp/events")
    assert events.next() == ("device", {"name": "lamp", "serviceType": "edged-device-v1", "self": "/devices/v1/lamp",
                                        "connected": False})
    device = Device(node, "lamp")
    assert events.next()[0] == "connected"
    device.mqtt.publish("devices/lamp/events/temperature", '{"c": 21}', 1)
    assert events.next() == ("event", {"topic": "temperature", "payload": {"c": 21}})
    device.mqtt.publish("devices/lamp/events/a/b", "two\nlines", 1)
    assert events.next() == ("event", {"topic": "a/b", "payload": "two\nlines"})
    device.mqtt.publish("devices/lamp/events/raw", b"\xff\0", 1)
    assert events.next() == ("event", {"topic": "raw", "payloadBase64": "/wA="})
    node.http("PUT", "/devices/v1/lamp/properties", {"desired": {"led": "on"}})
    assert sorted(events.next()[0] for _ in range(2)) == ["delta", "update"]
    only = Events(node, "/devices/v1/lamp/events?only=disconnected,event")
    assert only.next()[0] == "device"
    node.http("PUT", "/devices/v1/lamp/properties", {"desired": {"led": "off"}})
    device.close()
    assert only.next()[0] == "disconnected"
    problem(node.http("GET", "/devices/v1/lamp/events?only=x"), 400, "bad-parameter")
    # and with the thing, its streams end
    assert node.http("DELETE", "/things/v1/things/lamp")[0] == 204
    assert only.ended()
    problem(node.http("GET", "/devices/v1/lamp/events"), 404, "no-such-device")



def test_what_waits_is_answered_when_the_plugin_or_the_node_stops():
    path = os.path.join(edged.folder(), "plugins")
    shutil.copytree(edged.PLUGINS, path)
    node = Node(plugins=path)
    make(node, "lamp")
    device = Device(node, "lamp", silent=True)
    events = Events(node, "/devices/v1/lamp/events")
    events.next()
    thread, result = later(call, node, "lamp", "set")
    wait_for(lambda: device.calls, "the call")
    os.rename(os.path.join(path, "things.so"), os.path.join(path, "..", "things.so"))
    thread.join(20)
    problem(result[0], 503, "stopping")
    assert events.ended()
    wait_for(lambda: node.http("GET", "/devices/v1")[0] == 404, "devices have gone with things")
    os.rename(os.path.join(path, "..", "things.so"), os.path.join(path, "things.so"))
    wait_for(lambda: node.http("GET", "/devices/v1")[0] == 200, "they are back")
    Events(node, "/devices/v1/lamp/events").next()
    thread, result = later(call, node, "lamp", "set")
    wait_for(lambda: len(device.calls) == 2, "the second call")
    assert node.stop(30) == 0, node.log()
    thread.join(20)
    problem(result[0], 503, "stopping")
    assert "devices left" not in node.log() and "ERROR" not in node.log(), node.log()


README = os.path.join(edged.HERE, "..", "..", "plugins", "devices", "README.md")


def readme(kind):
    """The first block of that kind in the plugin's README."""
    with open(README, encoding="utf-8") as file:
        return re.search(rf"```{kind}\n(.*?)```", file.read(), re.S).group(1)


def test_the_readme_does_what_it_says():
    need("curl")
    node, path = Node(), edged.folder()
    with open(os.path.join(path, "lamp.py"), "w", encoding="utf-8") as file:
        file.write(readme("python").replace('"localhost")', f'"localhost", {node.port("mqtt")})'))
    lines = [line for line in readme("sh").replace("\\\n", " ").splitlines() if line]
    printed = {}
    for line in lines:
        command = line.replace("localhost:8083", f"localhost:{node.port('http')}").replace("curl ", "curl -sS ", 1)
        command = command.replace("python3", "/usr/bin/python3")
        if line.endswith("&"):
            with open(os.path.join(path, str(len(printed))), "w+", encoding="utf-8") as file:
                printed[line] = file.name
                edged._processes.append(subprocess.Popen(["bash", "-c", "exec " + command.rstrip("& ")], cwd=path, stdout=file,
                                                         stderr=file))
            want = "event: device" if line.startswith("curl") else None
            if want:
                wait_for(lambda: want in open(printed[line]).read(), line)
            else:
                wait_for(lambda: node.get("/devices/v1/lamp")["connected"], line)
                wait_for(lambda: '"topic":"started"' in open(printed[lines[1]]).read(), "it has subscribed")
        else:
            done = subprocess.run(["bash", "-c", command], cwd=path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            printed[line] = done.stdout
    expected = [r'"name":"lamp"', None, None, r'"data":\[{"name":"lamp".*"connected":true', r'"connected":true.*"links":{',
                r'^{"led": "on"}$', r'"delta":{"led":"on"}.*"version":1', r'"version":2', r'"reported":{"led":"on"}.*"version":2']
    assert len(expected) == len(lines), lines
    for line, pattern in zip(lines, expected):
        assert not pattern or re.search(pattern, printed[line]), f"{line} printed {printed[line]!r}, not {pattern}"
    with open(printed[lines[1]], encoding="utf-8") as file:
        assert re.findall(r"event: (\w+)", file.read())[:3] == ["device", "connected", "event"]


def test_a_policy_keeps_each_device_to_itself():
    node = Node()
    assert node.http("PUT", "/things/v1/policies/device", readme("json"))[0] in (200, 201)
    folders = {}
    for name in ("lamp", "thief"):
        folders[name] = os.path.join(edged.folder(), name)
        node.edgectl("thing", "create", name, "--folder", folders[name])
        node.http("PUT", f"/things/v1/policies/device/targets/things/{name}")
    devices = {}
    for client_id, name in (("lamp", "lamp"), ("thief", "thief"), ("lamp", "thief")):
        devices[client_id, name] = Secure(node, client_id, folders[name])
    lamp, thief = devices["lamp", "lamp"], devices["thief", "thief"]
    assert (lamp.code, thief.code, devices["lamp", "thief"].code) == (0, 0, REFUSED)
    assert lamp.subscribe("devices/lamp/call/#") == 1 and thief.subscribe("devices/lamp/call/#") == REFUSED
    status, _, body = call(node, "lamp", "set")
    assert status == 200 and body == "lamp", body


def family(*settings):
    """Two nodes of one account; the second one has a stranger's view of what the first one has."""
    quiet = ["--set", 'cluster.discovery="off"', *settings]  # other tests run on this machine
    a = Node(cluster=True, args=quiet)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, args=quiet + ["--set", f"cluster.seeds={seeds}"])
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])

    def known():
        nodes = {n["id"]: n for n in b.get("/mds/v1/nodes?clusters=account")["data"]}
        return a.id in nodes and any(s["name"] == "devices" for s in nodes[a.id].get("services") or [])
    wait_for(known, "the other node lists the service")
    return a, b


def test_devices_are_reached_through_another_node():
    a, b = family()
    make(a, "lamp")
    device, path = Device(a, "lamp"), f"/nodes/{a.id}"
    assert [d["name"] for d in b.get(path + "/devices/v1")["data"]] == ["lamp"]
    status, headers, body = call(b, "lamp", "set", "on", path=path)
    assert status == 200 and body == {"did": "set", "with": "on"} and headers["edged-device"] == "lamp", body
    problem(call(b, "lamp", "nothing", query="?timeout=0.05", path=path), 504, "device-timeout")
    events = Events(b, path + "/devices/v1/lamp/events")
    assert events.next()[0] == "device"
    status, headers, body = b.http("PUT", path + "/devices/v1/lamp/properties", {"desired": {"led": "on"}})
    assert status == 200 and headers["etag"] == '"1"', body
    assert sorted(events.next()[0] for _ in range(2)) == ["delta", "update"]
    # a caller at the other node that leaves gives its place back here
    device.silent = True
    connection = http.client.HTTPConnection(*b.address("http"), timeout=60)
    connection.request("POST", path + "/devices/v1/lamp/call/set" + LONG)
    wait_for(lambda: figure(a, "devices_calls_in_flight") == 1, "the call")
    connection.close()
    wait_for(lambda: figure(a, "devices_calls_in_flight") == 0, "nothing is in flight")


def test_any_node_finds_a_device():
    a, b = family()
    make(a, "lamp")
    make(b, "fan")
    device = Device(a, "lamp")
    status, headers, body = b.http("GET", "/devices/v1/lamp")
    assert status == 200 and body["connected"] and headers["edged-node"] == a.id, body
    for path in ("", "/any"):
        status, headers, body = call(b, "lamp", "set", "on", path=path)
        assert status == 200 and body["with"] == "on" and headers["edged-device"] == "lamp", body
    assert figure(b, 'searches_total{end="found"}') == 3
    events = Events(b, "/devices/v1/lamp/events")
    assert events.next()[0] == "device"
    assert b.http("PUT", "/devices/v1/lamp/properties", {"desired": {"led": "on"}})[0] == 200
    assert sorted(events.next()[0] for _ in range(2)) == ["delta", "update"]
    problem(call(b, "lamp", "nothing", query="?timeout=0.05"), 504, "device-timeout")
    # what is here is not looked for, and what is nowhere is 404; a node is asked for what it has itself
    assert b.get("/devices/v1/fan")["name"] == "fan" and b.http("GET", "/devices/v1/fan")[1]["edged-node"] is None
    _, body = problem(b.http("GET", "/devices/v1/nobody"), 404, "no-such-device")
    assert "nobody" in body["detail"]
    problem(a.http("GET", f"/nodes/{b.id}/devices/v1/lamp"), 404, "no-such-device")
    # a caller that leaves gives its place back at the other node
    device.silent = True
    connection = http.client.HTTPConnection(*b.address("http"), timeout=60)
    connection.request("POST", "/devices/v1/lamp/call/set" + LONG)
    wait_for(lambda: figure(a, "devices_calls_in_flight") == 1, "the call")
    connection.close()
    wait_for(lambda: figure(a, "devices_calls_in_flight") == 0, "nothing is in flight")
    assert figure(b, "searches_open") == 0 and figure(b, "proxy_requests_open") == 1  # the events
    # a device of a node that is not there is not unknown
    a.kill()
    wait_for(lambda: b.http("GET", "/devices/v1/lamp")[2]["type"].endswith(":nodes-silent"), "its node is away")


def test_a_killed_node_ends_its_calls_and_knows_its_devices_again():
    a, b = family()
    make(a, "lamp")
    a.http("PUT", "/devices/v1/lamp/properties", {"desired": {"led": "on"}})
    device, path = Device(a, "lamp", silent=True), f"/nodes/{a.id}"
    thread, result = later(call, b, "lamp", "set", None, LONG, path)
    wait_for(lambda: device.calls, "the call")
    a.kill()
    thread.join(20)
    status, headers, body = result[0]
    assert status == 502 and headers["content-type"] == "application/problem+json", result
    assert "edged-device" not in headers, headers.items()
    a.restart(b)
    assert a.get("/devices/v1/lamp")["properties"]["version"] == 1
    problem(call(a, "lamp", "set"), 503, "device-away")
    Device(a, "lamp")
    assert call(a, "lamp", "set")[0] == 200
    assert figure(a, "devices_calls_in_flight") == 0


edged.main()
