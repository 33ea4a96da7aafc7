#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator sees and ends over REST and with edgectl: listings with filters, kick, purge, traces."""
import http.client
import json
import threading
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import edged


class Client:
    """An MQTT 5 client with a session that stays."""

    def __init__(self, node, name, filters=(), version=mqtt.MQTTv5, expiry=3600, will=None):
        options = {} if version == mqtt.MQTTv5 else {"clean_session": False}
        self.mqtt = mqtt.Client(name, protocol=version, **options)
        self.messages, self.granted, self.reason = [], set(), None
        self.connected, self.ended = threading.Event(), threading.Event()
        self.mqtt.on_connect = lambda *args: self.connected.set()
        self.mqtt.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload))
        self.mqtt.on_subscribe = lambda c, u, mid, *rest: self.granted.add(mid)
        self.mqtt.on_disconnect = self.on_disconnect
        if will:
            self.mqtt.will_set(*will)
        more = {}
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            more = {"clean_start": False, "properties": properties}
        self.mqtt.connect(*node.address("mqtt"), 60, **more)
        self.mqtt.loop_start()
        assert self.connected.wait(10), "no CONNACK"
        for filter in filters:
            mid = self.mqtt.subscribe(filter, 1)[1]
            edged.wait_for(lambda: mid in self.granted, "SUBACK")

    def on_disconnect(self, client, user, reason, *rest):
        self.reason = self.reason or getattr(reason, "value", reason)
        client.disconnect()  # do not connect again
        self.ended.set()

    def publish(self, topic, payload, qos=1, retain=False):
        info = self.mqtt.publish(topic, payload, qos, retain)
        info.wait_for_publish(10)

    def leave(self):
        self.mqtt.disconnect()
        assert self.ended.wait(10)


class Events:
    """An answer of server-sent events, read in a thread."""

    def __init__(self, node, path):
        self.connection = http.client.HTTPConnection(*node.address("http"), timeout=60)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self.got, self.over = [], threading.Event()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        name = None
        for line in self.answer:
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                self.got.append((name, json.loads(line[6:])))
        self.over.set()

    def wait(self, count):
        edged.wait_for(lambda: len(self.got) >= count, f"{count} events")
        return self.got


def names(node, path, member="clientId"):
    return [line[member] for line in node.get(path)["data"]]


def node_with(loops):
    return edged.Node(args=("--set", f"net.loops={loops}"))


def listings(loops):
    n = node_with(loops)
    Client(n, "sensor-1", ["a/+", "$share/g/b/#"])
    Client(n, "sensor-2", ["a/#"])
    away = Client(n, "away", ["b/1"])
    away.leave()
    Client(n, "lamp", ["c"])
    edged.wait_for(lambda: names(n, "/pubsub/v1/clients") == ["lamp", "sensor-1", "sensor-2"], "clients")
    assert names(n, "/pubsub/v1/clients?clientId=sensor") == ["sensor-1", "sensor-2"]
    assert names(n, "/pubsub/v1/clients?topic=a/x") == ["sensor-1", "sensor-2"]
    assert names(n, "/pubsub/v1/clients?topic=a/x/y") == ["sensor-2"]
    assert names(n, "/pubsub/v1/clients?address=127.0.0.1:") == ["lamp", "sensor-1", "sensor-2"]
    assert names(n, "/pubsub/v1/clients?address=192.0.2.") == []
    assert names(n, "/pubsub/v1/clients?user=nobody") == []
    assert names(n, "/pubsub/v1/sessions?connected=false") == ["away"]
    assert names(n, "/pubsub/v1/sessions?connected=true&clientId=l") == ["lamp"]
    assert names(n, "/pubsub/v1/sessions?topic=b/1") == ["away", "sensor-1"]
    assert names(n, "/pubsub/v1/subscriptions?topic=b/1", "filter") == ["b/1", "$share/g/b/#"]
    assert names(n, "/pubsub/v1/subscriptions?clientId=sensor-1", "filter") == ["$share/g/b/#", "a/+"]
    page = n.get("/pubsub/v1/subscriptions?clientId=sensor&limit=2")
    rest = n.get("/pubsub/v1/subscriptions?clientId=sensor&cursor=" + urllib.parse.quote(page["cursor"]))
    assert [line["filter"] for line in page["data"] + rest["data"]] == ["$share/g/b/#", "a/+", "a/#"]
    for wrong in ("clients?connected=maybe", "subscriptions?topic=a/%23", "retained?filter=a/%23/b"):
        n.get("/pubsub/v1/" + wrong, status=400)
    parameters = n.get("/openapi.json")["paths"]["/pubsub/v1/sessions"]["get"]["parameters"]
    assert {p["name"] for p in parameters} == {"limit", "cursor", "clientId", "connected", "user", "address", "topic"}


def test_listings():
    listings(1)
    listings(3)


def endings(loops):
    n = node_with(loops)
    watcher = Client(n, "watcher", ["will"])
    a, b = Client(n, "a/b c", ["x"]), Client(n, "b", ["x"], version=mqtt.MQTTv311)
    path = "/pubsub/v1/clients/a%2Fb%20c"
    assert n.http("DELETE", path)[0] == 204
    assert a.ended.wait(10) and a.reason == 0x98, a.reason
    assert names(n, "/pubsub/v1/sessions?connected=false") == ["a/b c"]  # its session stays
    assert n.http("DELETE", path)[0] == 404
    assert n.http("DELETE", "/pubsub/v1/clients/b?session=true")[0] == 204
    assert b.ended.wait(10)
    assert names(n, "/pubsub/v1/sessions?clientId=b") == []
    for i in range(5):
        watcher.publish("x", str(i))
    assert n.get("/pubsub/v1/sessions?clientId=a")["data"][0]["queued"] == 5
    status, _, body = n.http("DELETE", "/pubsub/v1/sessions/a%2Fb%20c/queue")
    assert (status, body) == (200, {"removed": 5, "more": False})
    watcher.publish("x", "later")
    n.kill()  # what was answered is on the disk
    n.restart()
    assert names(n, "/pubsub/v1/sessions?clientId=b") == []
    a = Client(n, "a/b c")
    edged.wait_for(lambda: a.messages, "the message after the purge")
    assert a.messages == [("x", b"later")], a.messages
    assert n.http("DELETE", "/pubsub/v1/sessions/a%2Fb%20c")[0] == 204
    assert a.ended.wait(10) and a.reason == 0x98
    assert names(n, "/pubsub/v1/sessions?clientId=a") == []
    assert n.http("DELETE", "/pubsub/v1/sessions/nobody")[0] == 404
    watcher = Client(n, "watcher")
    for prevent, wills in (("true", []), ("false", [("will", b"gone")])):
        c = Client(n, "c", will=("will", "gone"))
        assert n.http("DELETE", f"/connections/c?cleanSession=true&preventWillMessage={prevent}")[0] == 200
        assert c.ended.wait(10) and c.reason == 0x98
        watcher.publish("will", "fence")
        edged.wait_for(lambda: ("will", b"fence") in watcher.messages, "the fence")
        assert watcher.messages == wills + [("will", b"fence")], watcher.messages
        watcher.messages.clear()
    status, headers, answer = n.http("DELETE", "/connections/c")
    assert status == 404 and headers["x-amzn-errortype"] == "ResourceNotFoundException", answer
    assert n.http("DELETE", "/connections/c?cleanSession=perhaps")[0] == 400
    for topic in ("r/1", "r/2", "s/1", "s/2"):
        assert n.http("POST", f"/topics/{topic}?retain=true", "x")[0] == 200
    assert names(n, "/pubsub/v1/retained?filter=%2B/2", "topic") == ["r/2", "s/2"]
    assert n.http("DELETE", "/pubsub/v1/retained?filter=r/%23")[2] == {"removed": 2, "more": False}
    assert n.http("DELETE", "/pubsub/v1/retained/s/1")[2] == {"removed": 1, "more": False}
    assert n.http("DELETE", "/pubsub/v1/retained/s/1")[0] == 404
    assert n.http("DELETE", "/pubsub/v1/retained")[0] == 400
    n.kill()
    n.restart()
    assert names(n, "/pubsub/v1/retained", "topic") == ["s/2"]


def test_endings():
    endings(1)
    endings(3)


def traces(loops):
    n = node_with(loops)
    one, all_x = Events(n, "/pubsub/v1/trace?client=one&payload=3"), Events(n, "/pubsub/v1/trace?topic=x/%23")
    other = Client(n, "other", ["x/+"], version=mqtt.MQTTv311)
    client = Client(n, "one", ["x/1"])
    client.publish("x/1", "hello")
    edged.wait_for(lambda: client.messages and other.messages, "messages")
    assert n.http("POST", "/topics/x/2", "by plugin")[0] == 200
    client.leave()
    got = [e for _, e in one.wait(9)]
    steps = sorted((e["direction"], e["packet"]) for e in got)
    assert steps == sorted([("in", "CONNECT"), ("out", "CONNACK"), ("in", "SUBSCRIBE"), ("out", "SUBACK"),
                            ("in", "PUBLISH"), ("out", "PUBLISH"), ("out", "PUBACK"), ("in", "PUBACK"),
                            ("in", "DISCONNECT")]), steps
    by = {(e["direction"], e["packet"]): e for e in got}
    assert by["in", "CONNECT"]["version"] == 5 and by["out", "CONNACK"]["reason"] == 0
    assert by["in", "SUBSCRIBE"]["filters"] == [{"filter": "x/1", "qos": 1}]
    assert by["out", "SUBACK"]["reasons"] == [1]
    message = by["out", "PUBLISH"]
    assert (message["topic"], message["qos"], message["size"]) == ("x/1", 1, 5)
    assert message["payload"] == "hel" and message["truncated"], message
    assert message["packetId"] == by["in", "PUBACK"]["packetId"]
    events = [(e["direction"], e.get("clientId"), e["topic"], e["payload"]) for _, e in all_x.wait(5)]
    assert sorted(events, key=str) == sorted(
        [("in", "one", "x/1", "hello"), ("out", "one", "x/1", "hello"), ("out", "other", "x/1", "hello"),
         ("in", None, "x/2", "by plugin"), ("out", "other", "x/2", "by plugin")], key=str), events
    # Bounded in time and in rate.
    few = Events(n, "/pubsub/v1/trace?topic=x/1&rate=1&for=1")
    for i in range(20):
        other.publish("x/1", str(i))
    assert few.over.wait(20)
    assert few.got[-1] == ("end", {"why": "time"})
    assert len([name for name, _ in few.got if name == "packet"]) <= 4, few.got
    for wrong in ("", "?client=a&topic=b", "?topic=a%23", "?client=a&for=0", "?client=a&payload=5000"):
        n.get("/pubsub/v1/trace" + wrong, status=400)


def test_traces():
    traces(1)
    traces(3)


def test_dropped_messages_are_shown():
    n = edged.Node(args=("--set", "plugins.broker.limits.queue_messages=2"))
    Client(n, "away", ["q"]).leave()
    events = Events(n, "/pubsub/v1/trace?client=away")
    other = Client(n, "other")
    for i in range(3):
        other.publish("q", str(i))
    (_, event), = events.wait(1)
    assert (event["direction"], event["why"], event["payload"]) == ("dropped", "queue-full", "2"), event


def test_a_slow_reader_of_events_is_bounded():
    """The in-process bus waits for it, within the limits of a client, and says what was lost."""
    n = edged.Node(args=("--set", "plugins.broker.limits.queue_messages=50"))
    slow = n.connect("http")
    slow.sendall(b"GET /pubsub/v1/subscribe?filter=big HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = b""
    while b"subscribed" not in head:
        more = slow.recv(1000)
        assert more, head
        head += more
    other, payload = Client(n, "other"), "x" * 100000
    for i in range(400):  # 40 MB: more than sockets and bounds hold
        other.publish("big", payload, qos=0)
    edged.wait_for(lambda: b'broker_messages_dropped_total{reason="slow"} 0\n' not in n.get("/metrics"), "drops")
    held = [line for line in n.get("/metrics").decode().splitlines() if line.startswith("edged_broker_queued_bytes ")]
    assert int(held[0].split()[1]) <= 1 << 20, held
    seen = b""
    while b"event: lost" not in seen:
        more = slow.recv(1 << 20)
        assert more, "it ended"
        seen = seen[-20:] + more
        other.publish("big", "end", qos=0)


def test_edgectl():
    n = edged.Node()
    trace = edged.spawn(edged.EDGECTL, "--state", n.state, "trace", "client", "lamp", "--for", "30s")
    edged.wait_for(lambda: b"edged_broker_traces 1\n" in n.get("/metrics"), "the trace")
    lamp = Client(n, "lamp", ["led"])
    table = n.edgectl("clients").splitlines()
    assert table[0].split()[0] == "CLIENT" and table[1].split()[0] == "lamp", table
    n.edgectl("pub", "led", "on")
    line = trace.stdout.readline()
    while "PUBLISH" not in line:
        assert line, "the trace ended"
        line = trace.stdout.readline()
    assert " out lamp PUBLISH " in line and line.endswith(" led on\n"), line
    n.edgectl("kick", "lamp", "--session")
    assert lamp.ended.wait(10) and lamp.reason == 0x98, lamp.reason
    assert n.edgectl("clients") == "no clients\n"
    n.edgectl("kick", "lamp", status=1)
    n.edgectl("trace", "thing", "lamp", status=2)


if __name__ == "__main__":
    edged.main()
