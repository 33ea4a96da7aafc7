#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The broker with clients that others wrote: mosquitto's and paho, over TCP and WebSocket, with one loop and with three."""
import socket
import subprocess
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import edged

LOOPS = (1, 3)


def node(loops=1, **options):
    return edged.Node(args=("--set", f"net.loops={loops}"), **options)


class Client:
    """A paho client that notes what happens."""

    def __init__(self, node, name="", transport="tcp", version=mqtt.MQTTv311, clean=True, expiry=None, will=None):
        options = {} if version == mqtt.MQTTv5 else {"clean_session": clean}
        self.mqtt = mqtt.Client(name, transport=transport, protocol=version, **options)
        self.messages, self.acked, self.granted = [], set(), set()
        self.connected, self.ended = threading.Event(), threading.Event()
        self.present = None
        self.mqtt.on_connect = self.on_connect
        self.mqtt.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload, m.qos, m.retain))
        self.mqtt.on_publish = lambda c, u, mid: self.acked.add(mid)
        self.mqtt.on_subscribe = lambda c, u, mid, *rest: self.granted.add(mid)
        self.mqtt.on_disconnect = lambda *args: self.ended.set()
        if will:
            self.mqtt.will_set(*will)
        more = {}
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            if expiry is not None:
                properties.SessionExpiryInterval = expiry
            more = {"clean_start": clean, "properties": properties}
        if transport == "websockets":
            self.mqtt.ws_set_options(path="/mqtt")
        self.mqtt.connect(*node.address("http" if transport == "websockets" else "mqtt"), 60, **more)
        self.mqtt.loop_start()
        assert self.connected.wait(10), "no CONNACK"

    def on_connect(self, client, user, flags, code, *rest):
        self.present, self.code = flags["session present"], code
        self.connected.set()

    def subscribe(self, filter, qos=0):
        mid = self.mqtt.subscribe(filter, qos)[1]
        edged.wait_for(lambda: mid in self.granted, "SUBACK")

    def publish(self, topic, payload, qos=0, retain=False):
        info = self.mqtt.publish(topic, payload, qos, retain)
        info.wait_for_publish(10)
        assert info.is_published(), "not acknowledged"

    def expect(self, count, seconds=60):
        edged.wait_for(lambda: len(self.messages) >= count, f"{count} messages, have {len(self.messages)}", seconds)
        return self.messages

    def vanish(self):
        """Ends without DISCONNECT."""
        self.mqtt.loop_stop()
        self.mqtt._sock_close()

    def leave(self):
        self.mqtt.disconnect()
        self.ended.wait(10)
        self.mqtt.loop_stop()


def test_mosquitto_clients():
    n = node()
    port = str(n.port("mqtt"))
    for version in "mqttv31", "mqttv311", "5":
        sub = edged.spawn("mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-V", version, "-q", "2", "-C", "3", "-v", "-t", "m/+")
        edged.wait_for(lambda: n.get("/pubsub/v1/subscriptions")["data"], "a subscription")
        for qos in "012":
            subprocess.run(("mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-V", version, "-q", qos, "-t", f"m/{qos}", "-m", "hi"),
                           check=True, timeout=60)
        out, _ = sub.communicate(timeout=60)
        assert all(f"m/{qos} hi" in out for qos in "012"), out


def everything_once(loops, transport, version):
    n = node(loops)
    a, b = (Client(n, name, transport, version) for name in ("a", "b"))
    a.subscribe("x/#", 2)
    for qos in 0, 1, 2:
        for size in 0, 100, 20000:
            b.publish(f"x/{qos}/{size}", "p" * size, qos)
    got = a.expect(9)
    assert sorted((t, len(p), q) for t, p, q, _ in got) == sorted(
        (f"x/{q}/{s}", s, q) for q in (0, 1, 2) for s in (0, 100, 20000)), got
    b.publish("kept", "1", 1, True)
    b.publish("kept", "2", 1, True)
    late = Client(n, "late", transport, version)
    late.subscribe("+", 1)
    assert late.expect(1) == [("kept", b"2", 1, True)]
    for client in a, b, late:
        client.leave()
    assert n.stop() == 0


def test_tcp():
    for loops in LOOPS:
        for version in mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5:
            everything_once(loops, "tcp", version)


def test_websocket():
    for loops in LOOPS:
        for version in mqtt.MQTTv311, mqtt.MQTTv5:
            everything_once(loops, "websockets", version)


def test_will_and_take_over():
    for loops in LOOPS:
        n = node(loops)
        watcher = Client(n, "watcher")
        watcher.subscribe("will/#", 1)
        Client(n, "one", will=("will/one", "gone", 1)).vanish()
        watcher.expect(1)
        polite = Client(n, "two", will=("will/two", "gone", 1))
        polite.leave()
        old = Client(n, "three", will=("will/three", "gone", 1))
        old.mqtt.reconnect_delay_set(100, 100)
        new = Client(n, "three")
        assert old.ended.wait(10)
        got = watcher.expect(2)
        assert [t for t, *_ in got] == ["will/one", "will/three"], got
        new.leave()


def test_nothing_acknowledged_is_lost_by_kill_9():
    for loops in LOOPS:
        n = node(loops)
        for name in "s1", "s2":
            sub = Client(n, name, clean=False)
            sub.subscribe("d/#", 2)
            sub.vanish()
        v5 = Client(n, "s5", version=mqtt.MQTTv5, expiry=3600)
        v5.subscribe("d/#", 1)
        v5.vanish()
        pub = Client(n, "pub")
        for i in range(200):
            pub.publish(f"d/{i % 3}", str(i), 1 + i % 2)
        pub.publish("d/kept", "kept", 1, True)
        n.kill()
        pub.vanish()
        n.restart()
        wanted = sorted([str(i).encode() for i in range(200)] + [b"kept"])
        for name, version in ("s1", mqtt.MQTTv311), ("s2", mqtt.MQTTv311), ("s5", mqtt.MQTTv5):
            sub = Client(n, name, version=version, clean=False, expiry=3600)
            assert sub.present
            got = sub.expect(201)
            assert sorted(p for _, p, *_ in got) == wanted
            for topic in "d/0", "d/1", "d/2":
                for qos in 1, 2:
                    order = [int(p) for t, p, q, _ in got if t == topic and q == qos]
                    assert order == sorted(order) or name == "s5", order
            sub.leave()
        late = Client(n, "late")
        late.subscribe("d/kept", 0)
        assert late.expect(1)[0][1] == b"kept"


def test_keep_alive_and_silence():
    n = node()
    raw = n.connect("mqtt")
    raw.sendall(b"\x10\x0d\0\4MQTT\4\2\0\1\0\1k")  # one second
    assert raw.recv(4) == b"\x20\2\0\0"
    raw.settimeout(60)
    assert raw.recv(1) == b""
    mute = n.connect("mqtt")
    mute.sendall(b"\x10")
    mute.settimeout(60)
    assert mute.recv(1) == b""


def test_garbage_disturbs_nobody():
    n = node()
    good = Client(n, "good")
    good.subscribe("g", 1)
    for bytes in b"\0" * 100, b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x7f", b"\x30\0":
        raw = n.connect("mqtt")
        raw.sendall(bytes)
        raw.settimeout(60)
        try:
            while raw.recv(100):
                pass
        except ConnectionResetError:
            pass
    good.publish("g", "still here", 1)
    good.expect(1)


def own_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return None


def test_users():
    """Passwords open the broker to who is neither of this machine nor has a certificate; they survive and they end."""
    address = own_address()
    if not address:
        print("no address but loopback: skipped")
        return
    n = node(listen=(*edged.LISTEN, f"mqtt={address}:0"))

    def port():
        return next(int(item["address"].rpartition(":")[2]) for item in n.run["listeners"]
                    if item["protocol"] == "mqtt" and item["address"].startswith(address))

    def publish(*words):
        return subprocess.run(["mosquitto_pub", "-h", address, "-p", str(port()), "-t", "t", "-m", "x", "-q", "1", *words],
                              capture_output=True, timeout=60).returncode
    assert n.http("PUT", "/pubsub/v1/users/ann", {"password": ""})[0] == 400
    assert n.http("PUT", "/pubsub/v1/users/ann", {"pass": "x"})[0] == 400
    assert publish("-u", "ann", "-P", "secret") == 5
    assert n.http("PUT", "/pubsub/v1/users/ann", {"password": "secret"})[0] == 204
    assert n.get("/pubsub/v1/users")["data"] == [{"name": "ann"}]
    assert publish("-u", "ann", "-P", "secret") == 0
    assert publish("-u", "ann", "-P", "wrong") == 4
    n.kill()
    n.start()
    assert publish("-u", "ann", "-P", "secret", "-V", "5") == 0
    client = mqtt.Client("watch")
    client.username_pw_set("ann", "secret")
    connected, ended = threading.Event(), threading.Event()
    client.on_connect = lambda *args: connected.set()
    client.on_disconnect = lambda *args: ended.set()
    client.connect(address, port())
    client.loop_start()
    assert connected.wait(10)
    assert n.http("DELETE", "/pubsub/v1/users/ann")[0] == 204
    assert ended.wait(10)
    client.loop_stop()
    assert publish("-u", "ann", "-P", "secret") != 0
    assert n.http("DELETE", "/pubsub/v1/users/ann")[0] == 404


def test_rest():
    n = node()
    client = Client(n, "c", clean=False)
    client.subscribe("r/#", 1)
    status, _, body = n.http("POST", "/topics/r/1?qos=1&retain=true", b"\x00\xff")
    assert status == 200 and body["message"] == "OK", body
    assert client.expect(1) == [("r/1", b"\x00\xff", 1, False)]
    assert n.http("POST", "/topics/r/%23", b"x")[0] == 400
    assert n.http("POST", "/topics/r/1?qos=2", b"x")[0] == 400
    assert n.get("/retainedMessage/r/1")["payload"] == "AP8="
    assert [c["clientId"] for c in n.get("/pubsub/v1/clients")["data"]] == ["c"]
    assert n.get("/pubsub/v1/subscriptions")["data"][0]["filter"] == "r/#"
    assert n.get("/pubsub/v1/sessions")["data"][0]["durable"] is True
    assert [m["topic"] for m in n.get("/pubsub/v1/retained")["data"]] == ["r/1"]
    raw = n.connect()
    raw.sendall(b"GET /pubsub/v1/subscribe?filter=r/%2B HTTP/1.1\r\nHost: localhost\r\n\r\n")
    seen = b""

    def read_until(text):
        nonlocal seen
        while text not in seen:
            more = raw.recv(1000)
            assert more, seen
            seen += more
    read_until(b"AP8=")
    client.publish("r/2", "h\u00e9")
    read_until("h\u00e9".encode())
    assert b"event: message\ndata: {" in seen, seen


if __name__ == "__main__":
    edged.main()
