#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bridges to other brokers: Debian's mosquitto and another edged, through restarts and kill -9 of either side.

EDGED_BRIDGE_MESSAGES: messages of the long runs in each direction (default 400).
"""
import json
import os
import select
import signal
import socket
import subprocess
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

import edged
import mqtt_wire
from edged import Node, wait_for
from mqtt_wire import Wire

MESSAGES = int(os.environ.get("EDGED_BRIDGE_MESSAGES", "400"))


class Mosquitto:
    """Debian's broker, with a store of its own."""

    def __init__(self, *lines):
        self.folder = edged.folder()
        os.chmod(self.folder, 0o777)
        self.port = edged.free_port()
        config = ["persistence true", f"persistence_location {self.folder}/", "max_queued_messages 0",
                  "max_inflight_messages 100", "allow_anonymous true", f"listener {self.port} 127.0.0.1", *lines]
        if os.getuid() == 0:
            config.append("user root")
        with open(os.path.join(self.folder, "mosquitto.conf"), "w") as file:
            file.write("\n".join(config) + "\n")
        self.start()

    def start(self):
        path = os.path.join(self.folder, "log")
        log = open(path, "a")
        before = log.tell()
        self.process = subprocess.Popen([edged.need("mosquitto"), "-c", os.path.join(self.folder, "mosquitto.conf")],
                                        stdout=log, stderr=log)
        log.close()
        edged._processes.append(self.process)

        def runs():
            with open(path, errors="replace") as file:
                file.seek(before)
                text = file.read()
            assert self.process.poll() is None, text
            return " running" in text
        wait_for(runs, "mosquitto runs")

    def stop(self):
        """In order: it writes its sessions down."""
        self.process.terminate()
        self.process.wait(20)

    def kill(self):
        self.process.kill()
        self.process.wait(20)


def bridge(port, topics, **more):
    return {"address": f"127.0.0.1:{port}", "topics": topics, "backoff_min": "20ms", "backoff_max": "200ms", **more}


def configured(bridges, state=None, **options):
    """A node with these bridges in a file that can be changed."""
    state = state or edged.folder()
    path = os.path.join(state, "bridges.conf")
    write(path, bridges)
    node = Node(state=state, args=["--config", path], start=False, **options)
    node.conf = path
    return node


def write(path, bridges):
    with open(path, "w") as file:
        json.dump({"plugins": {"bridge": {"bridges": bridges}, "broker": {"limits": {"queue_messages": 100000}}}}, file)


def state(node, name="b"):
    return node.get(f"/bridge/v1/bridges/{name}")


def connected(node, name="b"):
    try:
        return wait_for(lambda: state(node, name)["state"] == "connected" and state(node, name), f"{name} is connected")
    except AssertionError as error:
        raise AssertionError(f"{error}: {state(node, name)}") from error


class Client:
    """A subscriber that keeps its session over everything, and what it heard; also publishes."""

    def __init__(self, port, name, filters=(), clean=False, v5=False):
        self.heard, self.messages = [], []
        self.ready = threading.Event()
        self.filters = filters
        self.port = port
        self.client = mqtt.Client(name, clean_session=None if v5 else clean, protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311)
        self.client.max_inflight_messages_set(50)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self.on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_for(self.ready.is_set, f"{name} is subscribed")

    def on_connect(self, *_):
        if self.filters:
            self.client.subscribe([(f, 1) for f in self.filters])
        else:
            self.ready.set()

    def on_message(self, _client, _data, message):
        self.heard.append(message.payload.decode())
        self.messages.append(message)

    def again(self, port):
        """After the broker has come back, maybe on another port."""
        self.ready.clear()
        self.client.disconnect()
        self.client.loop_stop()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_for(self.ready.is_set, "subscribed again")

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def first_times(heard):
    return list(dict.fromkeys(heard))


def in_order(what, heard, expected):
    got = first_times(heard)
    missing = set(expected) - set(got)
    assert not missing, f"{what}: {len(missing)} of {len(expected)} lost: {sorted(missing)[:10]}"
    assert got == list(expected), f"{what}: out of order at {next(i for i, (a, b) in enumerate(zip(got, expected)) if a != b)}"
    return len(heard) - len(got)


def publish(port, topic, texts, qos=1):
    """Each is acknowledged when it returns."""
    subprocess.run([edged.need("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(port), "-t", topic, "-q", str(qos), "-l"],
                   input="".join(t + "\n" for t in texts), text=True, check=True, timeout=60)


def test_topics_and_properties_cross():
    remote = Mosquitto()
    node = configured({"b": bridge(remote.port, [
        {"filter": "up/#", "direction": "out", "qos": 2, "remote_prefix": "site/"},
        {"filter": "down/+", "direction": "in", "local_prefix": "cloud/"}])}).start()
    connected(node)
    there = Client(remote.port, "there", ["site/#"], v5=True)
    here = Client(node.port("mqtt"), "here", ["cloud/#", "$SYS/broker/connection/b/state"], v5=True)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "text/plain"
    properties.ResponseTopic = "answers/1"
    properties.CorrelationData = b"\0c"
    properties.MessageExpiryInterval = 100
    properties.PayloadFormatIndicator = 1
    properties.UserProperty = [("a", "1"), ("a", "2")]
    here.client.publish("up/x", "out", qos=2, retain=True, properties=properties)
    there.client.publish("down/y", "in", qos=1, properties=properties)
    wait_for(lambda: "out" in there.heard and "in" in here.heard, "both have come")
    for message, topic in ((there.messages[0], "site/up/x"), (here.messages[-1], "cloud/down/y")):
        p = message.properties
        assert message.topic == topic, message.topic
        assert (p.ContentType, p.ResponseTopic, p.CorrelationData) == ("text/plain", "answers/1", b"\0c"), p
        assert p.PayloadFormatIndicator == 1 and 0 < p.MessageExpiryInterval <= 100, p
        assert p.UserProperty[:2] == [("a", "1"), ("a", "2")], p
    assert here.heard[0] == "1" and here.messages[0].retain, here.heard
    late = Client(remote.port, "late", ["site/up/x"], v5=True)
    wait_for(lambda: late.heard, "it is retained over there")
    assert late.messages[0].retain
    now = state(node)
    assert now["out"]["delivered"] == 1 and now["in"]["delivered"] == 1, now
    assert "edged_bridge_connected{bridge=\"b\"} 1" in node.http("GET", "/metrics")[2].decode()
    assert node.http("POST", "/bridge/v1/bridges/b/pause")[2]["state"] == "paused"
    publish(node.port("mqtt"), "up/x", ["paused"])
    assert state(node)["out"]["waiting"] == 1
    assert node.http("POST", "/bridge/v1/bridges/b/resume")[0] == 200
    wait_for(lambda: "paused" in there.heard, "what waited has come")
    assert node.http("POST", "/bridge/v1/bridges/other/pause")[0] == 404
    # An operator may take its session away: it begins anew.
    connects = lambda: state(node)["attempts"]
    before = connects()
    assert node.http("DELETE", "/pubsub/v1/sessions/%24plugin%2Fbridge%2Fb")[0] == 204
    wait_for(lambda: connects() > before, "it connects again")
    connected(node)
    publish(node.port("mqtt"), "up/x", ["anew"])
    wait_for(lambda: "anew" in there.heard, "it works again")
    for client in (here, there, late):
        client.end()


class Publisher:
    """Publishes numbered messages at QoS 1, strictly in order, with 20 on the way at once; comes back when its broker does."""

    def __init__(self, port, name, topic):
        self.port, self.name, self.topic = port, name, topic
        self.sent, self.acked, self.over = [], 0, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over:
            try:
                wire = Wire(("127.0.0.1", self.port), self.name, clean=False)
            except OSError:
                edged.time.sleep(0.02)  # it is down
                continue
            wire.send(wire.hello)
            self.talk(wire)
            wire.close()

    def talk(self, wire):
        welcome, next = False, self.acked
        while not self.over and not wire.ended:
            while welcome and next < len(self.sent) and next < self.acked + 20:
                wire.publish(self.topic, self.sent[next].encode(), 1, next + 1)
                next += 1
            if select.select([wire.socket], [], [], 0.02)[0]:
                wire.read()
            while (found := wire.take()):
                welcome |= found.kind == mqtt_wire.CONNACK
                if found.kind == mqtt_wire.PUBACK and found.id == self.acked + 1:
                    self.acked += 1

    def send(self, count):
        for _ in range(count):
            self.sent.append(f"{self.topic} {len(self.sent)}")

    def acknowledged(self):
        return self.acked == len(self.sent)

    def end(self):
        self.over = True
        self.thread.join()


def both_ways(node, remote_port, disturb):
    """Messages in both directions while disturb(i) restarts something; how many came more than once."""
    there = Client(remote_port, "there", ["up/#"])
    here = Client(node.port("mqtt"), "here", ["down/#"])
    up, down = Publisher(node.port("mqtt"), "up", "up/t"), Publisher(remote_port, "down", "down/t")
    for i in range(4):
        part = MESSAGES // 8
        up.send(part), down.send(part)
        wait_for(lambda: len(there.heard) > i * part or len(here.heard) > i * part, "some have come")
        disturb(i)
        up.send(part), down.send(part)
    wait_for(lambda: up.acknowledged() and down.acknowledged(), "all are acknowledged", 60)
    wait_for(lambda: set(there.heard) >= set(up.sent), "all have gone out", 60)
    wait_for(lambda: set(here.heard) >= set(down.sent), "all have come in", 60)
    twice = in_order("out", there.heard, up.sent) + in_order("in", here.heard, down.sent)
    for client in (there, here, up, down):
        client.end()
    return twice


RULES = [{"filter": "up/#", "direction": "out"}, {"filter": "down/#", "direction": "in"}]


def fixed():
    """Listeners whose MQTT port stays over a restart."""
    return ("http=127.0.0.1:0", f"mqtt=127.0.0.1:{edged.free_port()}")


def test_nothing_is_lost_through_restarts_of_either_side():
    for version in ("5", "3.1.1"):
        remote = Mosquitto()
        node = configured({"b": bridge(remote.port, RULES, mqtt=version)}, listen=fixed()).start()
        connected(node)

        def disturb(i):
            if i % 2:
                node.kill()
                node.start()
            else:
                remote.stop()
                remote.start()
        twice = both_ways(node, remote.port, disturb)
        assert state(node)["out"]["dropped"] == state(node)["in"]["dropped"] == 0, state(node)
        print(f"      MQTT {version}: {twice} of {2 * MESSAGES} came more than once")
        assert node.stop() == 0
        remote.stop()


def test_nothing_is_lost_through_kill_9_of_two_nodes():
    remote = Node(listen=fixed(), args=["--set", "plugins.broker.limits.queue_messages=100000"])
    port = remote.port("mqtt")
    node = configured({"b": bridge(port, RULES)}, listen=fixed()).start()
    connected(node)

    def disturb(i):
        for one in ((node,), (remote,), (node, remote), (remote, node))[i]:
            one.kill()
        for one in (remote, node):
            if one.process.poll() is not None:
                one.start()
    twice = both_ways(node, port, disturb)
    print(f"      {twice} of {2 * MESSAGES} came more than once")


def hear(connection, buffer, kind):
    """The next packet of that kind from a bridge; None: the connection has ended."""
    while True:
        while (found := mqtt_wire.take_packet(buffer, 4)):
            if found.kind == kind:
                return found
        bytes = connection.recv(65536)
        if not bytes:
            return None
        buffer += bytes


def test_what_it_acknowledged_to_the_remote_is_safe():
    """The other broker is this test, which kills the node with the first PUBACK."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(60)
    node = configured({"b": bridge(server.getsockname()[1], RULES, mqtt="3.1.1")}, listen=fixed()).start()
    here = Client(node.port("mqtt"), "here", ["down/#"])
    here.end()
    sent, acked = [f"down {i}" for i in range(400)], set()
    for i in range(4):
        connection, _ = server.accept()
        connection.settimeout(60)
        buffer = bytearray()
        hear(connection, buffer, mqtt_wire.CONNECT)
        connection.sendall(b"\x20\2\1\0")
        hear(connection, buffer, mqtt_wire.SUBSCRIBE)
        connection.sendall(b"\x90\3\0\1\1")
        for id in range(1, 100 * (i + 1) + 1):
            if id not in acked:
                connection.sendall(mqtt_wire.packet(mqtt_wire.PUBLISH, 2, mqtt_wire.text("down/t") + id.to_bytes(2, "big")
                                                    + sent[id - 1].encode()))
        first = True
        while (i < 3 or len(acked) < len(sent)) and (found := hear(connection, buffer, mqtt_wire.PUBACK)):
            acked.add(found.id)
            if first and i < 3:
                node.kill()
            first = False
        connection.close()
        if i < 3:
            node.start()
    here.again(node.port("mqtt"))
    wait_for(lambda: set(here.heard) >= set(sent), "all that was acknowledged is here")
    in_order("in", here.heard, sent)
    here.end()


def test_what_the_remote_cannot_take_waits_within_bounds():
    remote = Mosquitto()
    there = Client(remote.port, "there", ["n/#", "o/#", "q/#"])
    there.end()
    remote.stop()
    rule = lambda topic: [{"filter": topic, "direction": "out", "qos": 2 if topic == "q/#" else 1}]
    node = configured({"all": bridge(remote.port, rule("q/#")),
                       "new": bridge(remote.port, rule("n/#"), queue={"messages": 50}),
                       "old": bridge(remote.port, rule("o/#"), queue={"messages": 50, "when_full": "drop-old"})}).start()
    texts = [str(i) for i in range(200)]
    for topic in ("n/t", "o/t"):
        publish(node.port("mqtt"), topic, [f"{topic} {t}" for t in texts])
    publish(node.port("mqtt"), "q/t", [f"q/t {t}" for t in texts], qos=2)
    assert state(node, "all")["state"] in ("waiting", "connecting") and state(node, "all")["attempts"] >= 1
    assert "cannot be reached" in state(node, "all")["lastError"]["text"], state(node, "all")
    for name, waiting, dropped in (("all", 200, 0), ("new", 50, 150), ("old", 50, 150)):
        assert (state(node, name)["out"]["waiting"], state(node, name)["out"]["dropped"]) == (waiting, dropped), state(node, name)
    node.kill()
    node.start()
    assert state(node, "old")["out"]["waiting"] == 50
    remote.start()
    there.again(remote.port)
    wait_for(lambda: len(there.heard) >= 300, "what waited has come")
    wait_for(lambda: state(node, "all")["out"]["delivered"] == 200, "all of it is acknowledged")
    of = lambda topic: [t for t in there.heard if t.startswith(topic)]
    assert of("q/t") == [f"q/t {t}" for t in texts]  # QoS 2: each once
    in_order("drop-new", of("n/t"), [f"n/t {t}" for t in texts[:50]])
    in_order("drop-old", of("o/t"), [f"o/t {t}" for t in texts[150:]])
    there.end()


def settled(clients, minimum):
    """All have heard as much as they will: a message sent through the same brokers after that has come."""
    wait_for(lambda: all(len(c.heard) >= minimum for c in clients), "all have heard it")
    counts = lambda: [len(c.heard) for c in clients]
    before, since = counts(), edged.time.monotonic()

    def still():
        nonlocal before, since
        if counts() != before:
            before, since = counts(), edged.time.monotonic()
        return edged.time.monotonic() - since > 0.5
    wait_for(still, "nothing goes round")


def test_messages_do_not_go_in_circles():
    both = [{"filter": "t/#", "direction": "both"}]
    remote = Mosquitto()
    for options in ({"mqtt": "5"}, {"mqtt": "3.1.1"}, {"mqtt": "3.1.1", "bridge_bit": False}):
        node = configured({"b": bridge(remote.port, both, **options)}).start()
        connected(node)
        here, there = Client(node.port("mqtt"), "here", ["t/#"], clean=True), Client(remote.port, "there", ["t/#"], clean=True)
        here.client.publish("t/x", "from here", qos=1)
        there.client.publish("t/x", "from there", qos=1)
        settled((here, there), 2)
        for client in (here, there):
            assert sorted(client.heard) == ["from here", "from there"], (options, client.heard)
            client.end()
        assert state(node)["in"]["loops"] == (1 if "bridge_bit" in options else 0), state(node)
        assert node.stop() == 0


def test_two_nodes_that_bridge_to_each_other():
    both = [{"filter": "t/#", "direction": "both"}]
    ports = [edged.free_port(), edged.free_port()]
    nodes = [configured({"b": bridge(ports[1 - i], both)}, listen=("http=127.0.0.1:0", f"mqtt=127.0.0.1:{ports[i]}"))
             for i in range(2)]
    for node in nodes:
        node.start()
    for node in nodes:
        connected(node)
    clients = [Client(port, f"c{port}", ["t/#"], clean=True) for port in ports]
    for i, client in enumerate(clients):
        client.client.publish("t/x", f"from {i}", qos=1)
    settled(clients, 3)
    for i, client in enumerate(clients):
        # Both bridges carry it over, and none carries it back.
        assert sorted(client.heard) == sorted([f"from {i}", f"from {1 - i}", f"from {1 - i}"]), (i, client.heard)
        client.end()


def test_mosquitto_bridges_to_us():
    """The other way round, with mosquitto's own bridge and its defaults: a rule in both directions makes no circle."""
    for version in ("mqttv31", "mqttv311", "mqttv50"):
        node = Node()
        there = Mosquitto("connection up", f"address 127.0.0.1:{node.port('mqtt')}", "remote_clientid up",
                          f"bridge_protocol_version {version}", "restart_timeout 1", "topic both/# both 1")
        wait_for(lambda: any(c["clientId"] == "up" for c in node.get("/pubsub/v1/clients")["data"]), "the bridge is here")
        assert b"\nedged_broker_connects_refused_total 0\n" in node.get("/metrics"), version
        subscribed = lambda: node.get("/pubsub/v1/subscriptions?clientId=up")["data"]
        sub = wait_for(subscribed, "it has subscribed")[0]
        assert sub["noLocal"] and sub["retainAsPublished"], sub
        here = Client(node.port("mqtt"), "here", ["both/#", "$SYS/broker/connection/#"])
        over_there = Client(there.port, "there", ["both/#"])
        publish(there.port, "both/a", [f"from there {i}" for i in range(20)])
        publish(node.port("mqtt"), "both/a", [f"from here {i}" for i in range(20)])
        expected = {f"from there {i}" for i in range(20)} | {f"from here {i}" for i in range(20)}
        for name, client in (("here", here), ("there", over_there)):
            wait_for(lambda: expected <= set(client.heard), f"{name} has all ({version})")
        # What is retained is retained on the other side, too, which a plain subscription would not do.
        subprocess.run([edged.need("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(node.port("mqtt")), "-t", "both/kept",
                        "-m", "kept", "-q", "1", "-r"], check=True, timeout=60)
        wait_for(lambda: "kept" in over_there.heard, "it has come")
        late = Client(there.port, "late", ["both/kept"])
        wait_for(lambda: late.messages, "it was kept")
        assert late.messages[0].retain and late.heard == ["kept"], late.heard
        # A message behind all others has made the way there and back: there was no circle.
        settled([here, over_there], 41)
        for client in (here, over_there):
            heard = [text for text in client.heard if text in expected]
            assert sorted(heard) == sorted(expected), (version, [t for t in heard if heard.count(t) > 1])
        assert [m.payload for m in here.messages if m.topic.startswith("$SYS")][-1:] == [b"1"], here.messages
        there.kill()
        wait_for(lambda: [m.payload for m in here.messages if m.topic.startswith("$SYS")][-1:] == [b"0"], "its will")
        for client in (here, over_there, late):
            client.end()
        assert node.stop() == 0


def make_certificates(folder):
    def openssl(*words):
        subprocess.run([edged.need("openssl"), *words], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=test CA")
    for name in ("server", "client"):
        with open(os.path.join(folder, "ext"), "w") as file:
            file.write("subjectAltName=DNS:localhost\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", f"{name}.pem")
        os.chmod(os.path.join(folder, f"{name}.key"), 0o600)


def test_tls_with_a_certificate_and_a_password():
    folder = edged.folder()
    os.chmod(folder, 0o755)
    make_certificates(folder)
    path = lambda name: os.path.join(folder, name)
    with open(path("users"), "w") as file:
        file.write("me:secret\n")
    subprocess.run([edged.need("mosquitto_passwd"), "-U", path("users")], check=True, capture_output=True)
    with open(path("password"), "w") as file:
        file.write("secret\n")
    os.chmod(path("password"), 0o600)
    plain = edged.free_port()
    remote = Mosquitto(f"cafile {path('ca.pem')}", f"certfile {path('server.pem')}", f"keyfile {path('server.key')}",
                       "require_certificate true", f"listener {plain} 127.0.0.1")
    good = {"ca": path("ca.pem"), "certificate": path("client.pem"), "key": path("client.key")}

    def one(tls, **more):
        return {**bridge(remote.port, RULES, tls=tls, **more), "address": f"localhost:{remote.port}"}
    bad = {
        "anonymous": ({"ca": path("ca.pem")}, "certificate of ours"),
        "stranger": ({**good, "ca": path("client.pem")}, "not signed by a CA"),
        "system": ({k: v for k, v in good.items() if k != "ca"}, "not signed by a CA"),
        "name": ({**good, "server_name": "example.com"}, "for another name"),
        "nofile": ({**good, "ca": path("none.pem")}, "cannot be opened"),
        "alpn": ({**good, "alpn": "x-amzn-mqtt-ca"}, "ALPN"),
    }
    node = configured({"b": one(good, user="me", password_file=path("password")),
                       **{name: one(tls) for name, (tls, _) in bad.items()}}).start()
    connected(node)
    there = Client(plain, "there", ["up/#"])
    publish(node.port("mqtt"), "up/t", ["over TLS"])
    wait_for(lambda: there.heard == ["over TLS"], "it came over TLS")
    there.end()
    for name, (_, text) in bad.items():
        wait_for(lambda: text in (state(node, name)["lastError"] or {"text": ""})["text"], f"{name}: {state(node, name)['lastError']}")
        assert state(node, name)["state"] != "connected"
    os.chmod(path("password"), 0o644)
    remote.stop()
    remote.start()
    wait_for(lambda: "chmod 600" in state(node)["lastError"]["text"], "a password that others may read is not used")
    assert "secret" not in node.log()


def test_a_reload_changes_bridges():
    remote = Mosquitto()
    node = configured({"keep": bridge(remote.port, [{"filter": "k", "direction": "out"}]),
                       "change": bridge(remote.port, [{"filter": "c", "direction": "out"}], paused=True),
                       "go": bridge(remote.port, [{"filter": "g", "direction": "out"}], paused=True)}).start()
    connected(node, "keep")
    since = state(node, "keep")["since"]
    there = Client(remote.port, "there", ["#"])
    publish(node.port("mqtt"), "c", ["waits"])
    assert state(node, "change")["out"]["waiting"] == 1
    write(node.conf, {"keep": bridge(remote.port, [{"filter": "k", "direction": "out"}]),
                      "change": bridge(remote.port, [{"filter": "c", "direction": "out", "remote_prefix": "new/"}]),
                      "come": bridge(remote.port, [{"filter": "n", "direction": "out"}])})
    node.process.send_signal(signal.SIGHUP)
    connected(node, "come")
    connected(node, "change")
    wait_for(lambda: there.messages, "what waited has come")
    assert there.messages[0].topic == "new/c"
    assert node.http("GET", "/bridge/v1/bridges/go")[0] == 404
    assert state(node, "keep")["since"] == since
    assert sorted(b["name"] for b in node.get("/bridge/v1/bridges")["data"]) == ["change", "come", "keep"]
    sessions = [s["clientId"] for s in node.get("/pubsub/v1/sessions")["data"]]
    assert "$plugin/bridge/keep" in sessions and "$plugin/bridge/go" not in sessions, sessions
    # A rule that goes takes its subscription over there with it, also when the bridge was away meanwhile.
    rules = [{"filter": "in/1", "direction": "in"}, {"filter": "in/2", "direction": "in"}]
    write(node.conf, {"keep": bridge(remote.port, rules)})
    node.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(node.get("/bridge/v1/bridges")["data"]) == 1, "the reload is done")
    connected(node, "keep")
    here = Client(node.port("mqtt"), "here", ["in/#"])
    subscribed = lambda: (publish(remote.port, "in/1", ["x"]), here.heard)[1]
    wait_for(subscribed, "it is subscribed")
    assert node.stop() == 0
    write(node.conf, {"keep": bridge(remote.port, rules[1:])})
    node.start()
    connected(node, "keep")

    def gone():
        before = state(node, "keep")["in"]
        publish(remote.port, "in/1", ["y"])
        publish(remote.port, "in/2", ["z"])
        wait_for(lambda: state(node, "keep")["in"]["delivered"] > before["delivered"], "the other rule works")
        return state(node, "keep")["in"]["dropped"] == before["dropped"]
    wait_for(gone, "its subscription has gone")
    here.end()
    write(node.conf, {"bad": {"address": "x"}})
    node.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "bridges.bad" in node.log(), "it says what is wrong")
    assert state(node, "keep")["state"] == "connected"
    there.end()


edged.main()
