#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Device shadows with real clients: the same tables over MQTT and over REST, and what each has of its own."""
import http.client
import json
import queue
import struct
import threading
import urllib.parse

import paho.mqtt.client as mqtt

import edged
import mqtt_wire

PREFIX = "$aws/things/{}/shadow"


class Device:
    """An MQTT 3.1.1 client that keeps what comes on its filters, in order."""

    def __init__(self, node, name="", filters=(), will=None):
        self.mqtt = mqtt.Client(name)
        self.got, self.granted, self.connected = queue.Queue(), set(), threading.Event()
        self.mqtt.on_connect = lambda *args: self.connected.set()
        self.mqtt.on_message = lambda c, u, m: self.got.put((m.topic, json.loads(m.payload) if m.payload else None))
        self.mqtt.on_subscribe = lambda c, u, mid, *rest: self.granted.add(mid)
        if will:
            self.mqtt.will_set(*will)
        self.mqtt.connect(*node.address("mqtt"), 60)
        self.mqtt.loop_start()
        assert self.connected.wait(10), "no CONNACK"
        for filter in filters:
            mid = self.mqtt.subscribe(filter, 1)[1]
            edged.wait_for(lambda: mid in self.granted, "SUBACK")

    def publish(self, topic, payload=""):
        self.mqtt.publish(topic, payload if isinstance(payload, (str, bytes)) else json.dumps(payload), 1)

    def next(self, suffix=None):
        """The next message, or the next one whose topic ends so."""
        while True:
            topic, body = self.got.get(timeout=60)
            if suffix is None or topic.endswith(suffix):
                return topic, body

    def nothing(self, node):
        """Nothing came: a message that goes the same way arrives first."""
        topic = "fence/" + str(id(self))
        mid = self.mqtt.subscribe(topic, 1)[1]
        edged.wait_for(lambda: mid in self.granted, "SUBACK")
        self.publish(topic, "1")
        assert self.got.get(timeout=60)[0] == topic


class Mqtt:
    """Requests over MQTT: (0 or the code, document)."""

    def __init__(self, node, thing, name=""):
        self.prefix = PREFIX.format(thing) + (f"/name/{name}" if name else "")
        self.device = Device(node, filters=[f"{self.prefix}/{verb}/+" for verb in ("get", "update", "delete")])

    def ask(self, verb, payload=""):
        self.device.publish(f"{self.prefix}/{verb}", payload)
        while True:
            topic, body = self.device.next()
            if topic == f"{self.prefix}/{verb}/accepted":
                return 0, body
            if topic == f"{self.prefix}/{verb}/rejected":
                return body["code"], body

    def close(self):
        self.device.mqtt.disconnect()


class Rest:
    """The same over REST."""

    def __init__(self, node, thing, name=""):
        self.node, self.path = node, f"/things/{thing}/shadow" + (f"?name={name}" if name else "")

    def ask(self, verb, payload=""):
        method = {"get": "GET", "update": "POST", "delete": "DELETE"}[verb]
        body = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        status, headers, answer = self.node.http(method, self.path, body if verb == "update" else None)
        if status == 200:
            return 0, answer
        assert headers["x-amzn-errortype"].endswith("Exception") and set(answer) == {"message", "traceId"}, answer
        return status, answer

    def close(self):
        pass


WAYS = (Mqtt, Rest)


def state(desired=None, reported=None):
    given = {"desired": desired, "reported": reported}
    return {"state": {key: value for key, value in given.items() if value is not None}}


# (desired, reported, the delta between them)
DELTAS = [
    ({"online": True}, {"online": False}, {"online": True}),
    ({"enabled": True}, {"online": False, "enabled": True}, None),
    (None, {"online": False}, None),
    ({"enabled": True}, None, {"enabled": True}),
    ({"enabled": True}, {"other": 1}, {"enabled": True}),
    ({"list": ["v1"]}, {"list": ["v1", "v2"]}, {"list": ["v1"]}),
    ({"list": [["v1"]]}, {"list": [["v1"], ["v2"]]}, {"list": [["v1"]]}),
    ({"a": {"b": ["c", "d"]}}, {"a": {"b": ["d"]}}, {"a": {"b": ["c", "d"]}}),
    ({"a": {"b": {"c": "d2"}}}, {"a": {"b": {"c": "d", "e": "f"}}}, {"a": {"b": {"c": "d2"}}}),
    ({"a": {"b1": {"c": "d"}, "b2": "s"}}, {"a": {"b1": {"c": "d"}}}, {"a": {"b2": "s"}}),
    ({"d": {}}, {"other": 1}, {"d": {}}),
    ({"n": 1}, {"n": 1.0}, None),
    ({"n": 1}, {"n": "1"}, {"n": 1}),
    ({"a": {"b": 1}}, {"a": 2}, {"a": {"b": 1}}),
]

# (state at first, an update of it, the state after)
MERGES = [
    ({"desired": {"a": 1}}, {"desired": {"b": 2}}, {"desired": {"a": 1, "b": 2}}),
    ({"desired": {"a": 1, "b": 2}}, {"desired": {"b": None}}, {"desired": {"a": 1}}),
    ({"desired": {"a": 1}}, {"desired": {"missing": None}}, {"desired": {"a": 1}}),
    ({"desired": {"a": 1}}, {"desired": {"a": None}}, {}),  # a section without keys is gone
    ({"desired": {"a": {"x": 1}}}, {"desired": {"a": {"x": None}}}, {"desired": {"a": {}}}),
    ({"desired": {"d": {}}}, {}, {"desired": {"d": {}}}),
    ({"desired": {"a": 1}}, {"desired": {"new": {"x": {"y": None}}}}, {"desired": {"a": 1}}),
    ({"desired": {"a": [1, 2]}}, {"desired": {"a": [3]}}, {"desired": {"a": [3]}}),
    ({"desired": {"a": 1}}, {"desired": {"a": {"b": 2}}}, {"desired": {"a": {"b": 2}}}),
    ({"desired": {"a": {"b": 2}}}, {"desired": {"a": "s"}}, {"desired": {"a": "s"}}),
    ({"desired": {"a": 1}, "reported": {"b": 1}}, {"desired": None}, {"reported": {"b": 1}}),
    ({"desired": {"a": 1}, "reported": {"b": 1}}, None, {}),
]

DEEP = {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}}

# (request, code, text of the refusal)
REFUSED = [
    ("", 400, "Invalid JSON"),
    ("{", 400, "Invalid JSON"),
    ("[]", 400, "Invalid JSON"),
    ({}, 400, "Missing required node: state"),
    ({"state": 1}, 400, "State node must be an object"),
    ({"state": {"desired": 1}}, 400, "Desired node must be an object"),
    ({"state": {"reported": []}}, 400, "Reported node must be an object"),
    ({"state": {"delta": {}}}, 400, "State contains an invalid node: 'delta'"),
    ({"state": {"desired": {"a": [1, None]}}}, 400, None),
    ({"state": {}, "version": "1"}, 400, "Invalid version"),
    ({"state": {}, "clientToken": "x" * 65}, 400, "Invalid clientToken"),
    ({"state": {"desired": {"x": DEEP}}}, 400, "JSON contains too many levels of nesting; maximum is 8"),
    ({"state": {}, "version": 7}, 409, "Version conflict"),
    ({"state": {"desired": {"a": "x" * 8192}}}, 413, "The payload exceeds the maximum size allowed"),
    (b'{"state":{"desired":{"a":"\xff"}}}', 415, "Unsupported documented encoding; supported encoding is UTF-8"),
]


def fresh(node, way, label, i):
    return way(node, f"{way.__name__}-{label}-{i}")


def test_deltas():
    n = edged.Node()
    for way in WAYS:
        for i, (desired, reported, delta) in enumerate(DELTAS):
            shadow = fresh(n, way, "delta", i)
            assert shadow.ask("update", state(desired, reported))[0] == 0
            code, document = shadow.ask("get")
            assert code == 0 and document["state"].get("delta") == delta, (i, document)
            if delta is not None:
                assert set(document["metadata"]["delta"]) == set(delta), document
            shadow.close()


def test_merges():
    n = edged.Node()
    for way in WAYS:
        for i, (first, second, after) in enumerate(MERGES):
            shadow = fresh(n, way, "merge", i)
            assert shadow.ask("update", {"state": first})[1]["version"] == 1
            code, accepted = shadow.ask("update", {"state": second, "clientToken": "token"})
            assert code == 0 and accepted["state"] == second and accepted["version"] == 2, accepted
            assert accepted["clientToken"] == "token"
            document = shadow.ask("get")[1]
            document["state"].pop("delta", None)
            assert document["state"] == after and document["version"] == 2, (i, document)
            assert set(document["metadata"]) - {"delta"} == set(after), document
            shadow.close()


def test_refusals():
    n = edged.Node()
    for way in WAYS:
        shadow = fresh(n, way, "refused", 0)
        assert shadow.ask("get")[0] == 404 and shadow.ask("delete")[0] == 404
        for request, code, text in REFUSED:
            got, answer = shadow.ask("update", request)
            assert got == code, (request, got, answer)
            assert text is None or answer["message"] == text, answer
        assert shadow.ask("get")[0] == 404  # nothing of it came to be
        shadow.close()


def test_versions_outlive_deletion_and_restart():
    n = edged.Node()
    for way in WAYS:
        shadow = fresh(n, way, "version", 0)
        assert shadow.ask("update", {"state": {}, "version": 0 if way is Mqtt else 1})[1]["version"] == 1
        assert shadow.ask("update", {"state": {"desired": {"a": 1}}, "version": 1})[1]["version"] == 2
        assert shadow.ask("update", {"state": {"desired": {"a": 2}}, "version": 1})[0] == 409
        code, deleted = shadow.ask("delete")
        assert code == 0 and set(deleted) == {"version", "timestamp"} and deleted["version"] >= 2
        assert shadow.ask("get")[0] == 404
        shadow.close()
    n.kill()
    n.restart()
    for way in WAYS:
        shadow = fresh(n, way, "version", 0)
        assert shadow.ask("get")[0] == 404
        assert shadow.ask("update", {"state": {}})[1]["version"] > 2
        code, document = shadow.ask("get")
        assert (code, document["state"], document["metadata"]) == (0, {}, {})
        shadow.close()


def test_answers_go_to_who_listens():
    n = edged.Node()
    everything = Device(n, filters=[PREFIX.format("lamp") + "/#"])
    status, _, _ = n.http("POST", "/things/lamp/shadow", dict(state({"led": "on"}, {"led": "off"}), clientToken="t"))
    assert status == 200
    got = [everything.next() for _ in range(3)]
    assert [topic.split("/shadow/")[1] for topic, _ in got] == ["update/accepted", "update/delta", "update/documents"]
    delta, documents = got[1][1], got[2][1]
    stamp = delta["metadata"]["led"]["timestamp"]
    assert delta == {"version": 1, "timestamp": stamp, "state": {"led": "on"}, "clientToken": "t",
                     "metadata": {"led": {"timestamp": stamp}}}, delta
    assert documents["previous"] is None and documents["current"]["version"] == 1
    assert documents["current"]["state"] == {"desired": {"led": "on"}, "reported": {"led": "off"}}
    # An update of something else, while the difference is still there, tells it again.
    n.http("POST", "/things/lamp/shadow", state(reported={"other": 1}))
    assert [everything.next()[0].rsplit("/", 1)[1] for _ in range(3)] == ["accepted", "delta", "documents"]
    # No difference, no delta; the former document is told.
    n.http("POST", "/things/lamp/shadow", state(reported={"led": "on"}))
    (accepted, _), (topic, documents) = everything.next(), everything.next()
    assert accepted.endswith("update/accepted") and topic.endswith("update/documents")
    assert documents["previous"]["state"]["reported"] == {"led": "off", "other": 1}
    assert (documents["previous"]["version"], documents["current"]["version"]) == (2, 3)
    # Refusals over REST are not told on topics.
    assert n.http("POST", "/things/lamp/shadow", "{")[0] == 400
    assert n.http("GET", "/things/lamp/shadow")[0] == 200
    assert n.http("DELETE", "/things/lamp/shadow")[0] == 200
    assert everything.next()[0].endswith("delete/accepted")
    # The SDK's filter: a wildcard below the prefix.
    sdk = Device(n, filters=[PREFIX.format("lamp") + "/get/+"])
    sdk.publish(PREFIX.format("lamp") + "/get", {"clientToken": "mine"})
    topic, body = sdk.next()
    assert topic.endswith("/get/rejected") and body["code"] == 404 and body["clientToken"] == "mine", body


def test_wills_and_retained_requests_do_nothing():
    n = edged.Node()
    watcher = Device(n, filters=[PREFIX.format("+") + "/#"])
    update = PREFIX.format("lamp") + "/update"
    dying = Device(n, "lamp", will=(update, json.dumps(state({"led": "on"})), 1))
    dying.mqtt._sock_close()  # without DISCONNECT
    topic, _ = watcher.next()
    assert topic == update  # others see it
    dying.mqtt.disconnect()
    watcher.nothing(n)
    assert n.http("GET", "/things/lamp/shadow")[0] == 404


def test_named_shadows():
    n = edged.Node()
    names = [f"n{i}" for i in range(7)]
    for name in names:
        assert Rest(n, "lamp", name).ask("update", state({"of": name}))[0] == 0
    over = Mqtt(n, "lamp", "n3")
    assert over.ask("get")[1]["state"]["desired"] == {"of": "n3"}
    assert Rest(n, "lamp").ask("update", state({"classic": True}))[0] == 0
    assert Rest(n, "lamp", "n6").ask("delete")[0] == 0
    path, seen = "/api/things/shadow/ListNamedShadowsForThing/lamp?pageSize=4", []
    page = n.get(path)
    while True:
        seen += page["results"]
        if "nextToken" not in page:
            break
        page = n.get(path + "&nextToken=" + page["nextToken"])
    assert seen == names[:6], seen
    for wrong in ("pageSize=0", "pageSize=101", "pageSize=x"):
        n.get("/api/things/shadow/ListNamedShadowsForThing/lamp?" + wrong, status=400)
    assert n.http("GET", "/things/lamp/shadow?name=")[0] == 400
    assert n.http("GET", "/things/" + "x" * 129 + "/shadow")[0] == 400


def test_limits_are_configured():
    n = edged.Node(args=("--set", "plugins.shadow.depth=3", "--set", "plugins.shadow.document=1k",
                         "--set", "plugins.shadow.in_flight=2"))
    shadow = Rest(n, "lamp")
    code, answer = shadow.ask("update", state({"a": {"b": {"c": 1}}}))
    assert code == 0
    code, answer = shadow.ask("update", state({"a": {"b": {"c": {"d": 1}}}}))
    assert (code, answer["message"]) == (400, "JSON contains too many levels of nesting; maximum is 3")
    assert shadow.ask("update", state({"x": "y" * 1024}))[0] == 413
    device = Device(n, filters=[PREFIX.format("+") + "/update/+"])
    # In one write, so that they come together: the third is refused while the first two are on their way to the disk.
    wire = mqtt_wire.Wire(n.address("mqtt"), "busy")
    requests = [mqtt_wire.text(PREFIX.format("busy") + "/update") + struct.pack(">H", i + 1) +
                json.dumps(dict(state({"n": i}), clientToken=str(i))).encode() for i in range(4)]
    wire.send(wire.hello + b"".join(mqtt_wire.packet(mqtt_wire.PUBLISH, 2, request) for request in requests))
    codes = {}
    while len(codes) < 4:
        topic, body = device.next()
        if topic.endswith(("/accepted", "/rejected")):
            codes[body["clientToken"]] = body.get("code")
    assert codes == {"0": None, "1": None, "2": 429, "3": 429}, codes


class Events:
    """Server-sent events of a path."""

    def __init__(self, node, path):
        self.connection = http.client.HTTPConnection(*node.address("http"), timeout=60)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def next(self):
        name = None
        for line in self.answer:
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
        raise AssertionError("the events ended")


def test_events():
    n = edged.Node()
    events = Events(n, "/shadow/v1/things/lamp/events")
    assert events.next()[0] == "absent"
    shadow = Rest(n, "lamp")
    shadow.ask("update", state({"led": "on"}))
    assert [events.next()[0], events.next()[0]] == ["delta", "update"]
    later = Events(n, "/shadow/v1/things/lamp/events")
    name, document = later.next()
    assert name == "document" and document["version"] == 1
    shadow.ask("update", state(reported={"led": "on"}))
    for stream in events, later:
        name, documents = stream.next()
        assert name == "update" and documents["current"]["version"] == 2, (name, documents)
    shadow.ask("delete")
    assert events.next()[0] == "delete"
    device = Device(n, "lamp")
    name, presence = events.next()
    assert name == "connected" and presence["clientId"] == "lamp" and presence["ipAddress"] == "127.0.0.1", presence
    device.mqtt.disconnect()
    name, end = events.next()
    assert name == "disconnected" and end["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT", end
    assert (end["sessionIdentifier"], end["versionNumber"]) == (presence["sessionIdentifier"], presence["versionNumber"])
    named = Events(n, "/shadow/v1/things/lamp/events?name=n1")
    assert named.next()[0] == "absent"


def test_conditions_and_merge_patch():
    n = edged.Node()
    status, headers, _ = n.http("POST", "/things/lamp/shadow", state({"led": "on"}))
    assert status == 200 and headers["ETag"] == '"1"'
    post = lambda match, body: n.http("POST", "/things/lamp/shadow", body, {"If-Match": match})
    status, headers, answer = post('"7"', state({"led": "off"}))
    assert status == 412 and headers["x-amzn-errortype"] == "PreconditionFailedException", answer
    assert post('"1"', state({"led": "off"}))[0] == 200
    assert post("*", state({"n": 1}))[0] == 200
    assert post("seven", state({}))[0] == 400
    merge = {"Content-Type": "application/merge-patch+json"}
    path = "/shadow/v1/things/lamp"
    status, headers, document = n.http("PATCH", path, {"desired": {"n": None}, "reported": {"led": "off"}}, merge)
    assert status == 200 and headers["ETag"] == '"4"', document
    assert document["state"] == {"desired": {"led": "off"}, "reported": {"led": "off"}}
    assert document["thing"] == "lamp" and document["connected"] is False
    assert n.http("PATCH", path, {"desired": {}}, dict(merge, **{"If-Match": '"3"'}))[0] == 412
    assert n.http("PATCH", path, {"state": {}}, merge)[0] == 400
    status, headers, problem = n.http("PATCH", path, "x=1", {"Content-Type": "text/plain"})
    assert status == 415 and headers["Accept-Patch"] == "application/merge-patch+json", problem
    assert n.http("DELETE", "/things/lamp/shadow", None, {"If-Match": '"1"'})[0] == 412
    assert n.http("DELETE", "/things/lamp/shadow", None, {"If-Match": '"4"'})[0] == 200
    assert n.http("PATCH", path, {"desired": {}}, dict(merge, **{"If-Match": "*"}))[0] == 412


def connectivity(loops):
    n = edged.Node(args=("--set", f"net.loops={loops}", "--set", "plugins.shadow.scan=5"))
    for i in range(12):
        shadow = Rest(n, f"sensor-{i:02}")
        assert shadow.ask("update", state(reported={"battery": i * 5, "site": "a" if i % 2 else "b"}))[0] == 0
        Rest(n, f"sensor-{i:02}", "extra").ask("update", state())
    Rest(n, "sensor-11").ask("delete")
    devices = [Device(n, f"sensor-{i:02}") for i in (1, 2, 3)]

    def things(**query):
        """All pages, and how many there were."""
        found, pages = [], 0
        while True:
            page = n.get("/shadow/v1/things?" + urllib.parse.urlencode(query))
            found, pages = found + [t["thing"][-2:] for t in page["data"]], pages + 1
            if "cursor" not in page:
                return found, pages
            query["cursor"] = page["cursor"]
    every = [f"{i:02}" for i in range(11)]
    assert things()[0] == every
    assert things(limit=4)[0] == every
    assert things(filter="connected=true")[0] == ["01", "02", "03"]
    found, pages = things(filter="connected=false,reported.battery<20")
    assert found == ["00"] and pages > 3, (found, pages)  # so many rows for one page
    assert things(filter="reported.site=a,reported.battery>=25")[0] == ["05", "07", "09"]
    assert things(filter="thing=sensor-0*,version=1", limit=3)[0] == every[:10]
    assert things(name="extra")[0] == every + ["11"]
    page = n.get("/shadow/v1/things?limit=1&state=true")["data"][0]
    assert page["state"] == {"reported": {"battery": 0, "site": "b"}} and page["version"] == 1
    for wrong in ("filter=colour%3Dred", "limit=0", "state=maybe", "cursor=%2F"):
        n.get("/shadow/v1/things?" + wrong, status=400)
    assert n.get("/shadow/v1/things/sensor-01")["connected"] is True
    devices[0].mqtt.disconnect()
    edged.wait_for(lambda: not n.get("/shadow/v1/things/sensor-01")["connected"], "the disconnect")


def test_connectivity():
    connectivity(1)
    connectivity(3)


def test_strict_mode_has_the_limits_of_aws():
    deep = {"a": 1}
    for _ in range(9):
        deep = {"b": deep}
    settings = ("plugins.broker.strict=aws", "plugins.shadow.strict=aws", "plugins.shadow.depth=20")
    strict = edged.Node(args=[word for setting in settings for word in ("--set", setting)])
    usual = edged.Node(args=("--set", "plugins.shadow.depth=20"))
    assert strict.http("POST", "/things/lamp/shadow", {"state": {}})[2]["message"] == "Thing not found"
    assert strict.http("GET", "/api/things/shadow/ListNamedShadowsForThing/lamp")[0] == 404
    assert Mqtt(strict, "lamp").ask("get")[1]["code"] == 404
    assert strict.http("POST", "/things/v1/things", {"name": "lamp"})[0] == 201
    assert strict.http("GET", "/api/things/shadow/ListNamedShadowsForThing/lamp")[0] == 200
    for node, status in ((strict, 400), (usual, 200)):
        assert node.http("POST", "/things/lamp/shadow", {"state": {"reported": {"a": 1}}})[0] == 200
        assert node.http("POST", "/things/lamp/shadow", {"state": {"reported": deep}})[0] == status
        device = Mqtt(node, "lamp")
        assert device.ask("get")[0] == 0
        device.device.mqtt.publish("r/a", "1", 1, retain=True).wait_for_publish()
    Device(strict, filters=["r/+"]).nothing(strict)
    assert Device(strict, filters=["r/a"]).next() == ("r/a", 1)
    assert Device(usual, filters=["r/+"]).next() == ("r/a", 1)


if __name__ == "__main__":
    edged.main()
