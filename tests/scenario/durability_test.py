#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged is there after kill -9: retained messages, shadows, sessions and their queued messages."""
import glob
import os
import random
import threading
import time

import edged
import mqtt_wire
from edged import PLUGINS, Skip, wait_for

COUNT = 1000


def start_node(**options):
    for name in ("broker.so", "shadow.so"):
        if not os.path.exists(os.path.join(PLUGINS, name)):
            raise Skip(f"{name} was not built")
    return edged.Node(**options)


class Client:
    """paho-mqtt in its own thread; every wait has a limit."""

    def __init__(self, node, client_id="", clean=True):
        try:
            import paho.mqtt.client as paho
        except ImportError:
            raise Skip("python3-paho-mqtt is not installed") from None
        self.messages, self.acknowledged, self.present = [], [], None
        self.subscribed = threading.Event()
        self.closed = threading.Event()
        self.paho = paho.Client(client_id, clean_session=clean)
        self.paho.max_inflight_messages_set(100)
        self.paho.on_connect = self.on_connect
        self.paho.on_disconnect = lambda *rest: self.closed.set()
        self.paho.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload.decode(), m.retain))
        self.paho.on_subscribe = lambda *rest: self.subscribed.set()
        self.paho.on_publish = lambda c, u, mid: self.acknowledged.append(mid)
        self.paho.connect(*node.address("mqtt"), 60)
        self.paho.loop_start()
        wait_for(lambda: self.present is not None, "CONNACK")

    def on_connect(self, _client, _user, flags, code, *_rest):
        assert code == 0, f"CONNACK {code}"
        self.present = bool(flags["session present"])

    def subscribe(self, topic, qos):
        self.subscribed.clear()
        self.paho.subscribe(topic, qos)
        assert self.subscribed.wait(20), "no SUBACK"

    def publish(self, topic, payload, qos=1, retain=False):
        """Does not wait. Returns the number that shows up in .acknowledged."""
        return self.paho.publish(topic, payload, qos, retain).mid

    def publish_and_wait(self, topic, payload, qos=1, retain=False):
        mid = self.publish(topic, payload, qos, retain)
        wait_for(lambda: mid in self.acknowledged, "PUBACK")

    def wait_messages(self, count):
        wait_for(lambda: len(self.messages) >= count, f"{count} messages")
        return self.messages

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def abandon(self):
        """For a client whose broker was killed: no attempt to come back."""
        self.paho.loop_stop()


def offline_session(node, name, topic):
    client = Client(node, name, clean=False)
    client.subscribe(topic, 1)
    client.close()


def test_retained_messages_survive():
    node = start_node()
    client = Client(node)
    for i in range(20):
        client.publish_and_wait(f"kept/{i}", f"v{i}", 1, True)
    client.publish_and_wait("kept/3", "", 1, True)
    client.publish_and_wait("kept/4", "newer", 2, True)
    node.kill()
    client.abandon()
    node.start()
    reader = Client(node)
    reader.subscribe("kept/#", 1)
    got = {topic: payload for topic, payload, retain in reader.wait_messages(19) if retain}
    expected = {f"kept/{i}": f"v{i}" for i in range(20) if i != 3}
    expected["kept/4"] = "newer"
    assert got == expected, got
    reader.close()


def test_shadows_survive():
    node = start_node()
    for i in range(20):
        status, _, body = node.http("POST", f"/things/lamp{i}/shadow", {"state": {"desired": {"n": i}}})
        assert status == 200, (status, body)
    status, _, _ = node.http("POST", "/things/lamp7/shadow", {"state": {"desired": {"n": 700}}})
    assert status == 200
    status, _, _ = node.http("DELETE", "/things/lamp8/shadow")
    assert status == 200
    node.kill()
    node.start()
    for i in range(20):
        if i == 8:
            node.get("/things/lamp8/shadow", 404)
            continue
        shadow = node.get(f"/things/lamp{i}/shadow")
        assert shadow["state"]["desired"] == {"n": 700 if i == 7 else i}, shadow
        assert shadow["version"] == (2 if i == 7 else 1), shadow


def test_queued_messages_survive():
    node = start_node()
    offline_session(node, "sleeper", "work/#")
    publisher = Client(node)
    for i in range(COUNT):
        publisher.publish("work/a", str(i))
    wait_for(lambda: len(publisher.acknowledged) == COUNT, f"{COUNT} acknowledgements", 60)
    node.kill()
    publisher.abandon()
    node.start()
    sleeper = Client(node, "sleeper", clean=False)
    assert sleeper.present, "the session is gone"
    got = [int(payload) for _, payload, _ in sleeper.wait_messages(COUNT)]
    assert got == list(range(COUNT)), f"{len(set(range(COUNT)) - set(got))} lost, or out of order"
    sleeper.close()


def test_kill_while_publishing():
    """Killed at a random moment: what had been acknowledged by then is delivered; what was not may be."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    moment = random.Random(seed)
    node = start_node()
    offline_session(node, "sleeper", "work/#")
    acknowledged, sent = set(), 0
    for _ in range(4):
        publisher = Client(node)
        mids = {}
        for _ in range(150):
            mids[publisher.publish("work/a", str(sent))] = sent
            sent += 1
        wait_for(lambda: publisher.acknowledged, "the first acknowledgement")
        time.sleep(moment.random() * 0.05)
        node.kill()
        assert publisher.closed.wait(20), "the client did not notice"
        publisher.abandon()
        acknowledged |= {mids[mid] for mid in publisher.acknowledged}
        node.start()
    sleeper = Client(node, "sleeper", clean=False)
    assert sleeper.present, "the session is gone"
    wait_for(lambda: acknowledged <= {int(m[1]) for m in list(sleeper.messages)}, "what was acknowledged")
    sleeper.close()


def test_a_session_cut_off_ends_in_time_however_often_the_node_dies():
    """Its time begins when the node is back for the first time, and not anew with each start."""
    expiry = 10
    node = start_node(args=("--set", f"plugins.broker.session_expiry={expiry}s"))
    client = Client(node, "cut-off", clean=False)
    node.kill()
    client.abandon()
    node.start()
    away = time.monotonic()
    assert [s["clientId"] for s in node.get("/pubsub/v1/sessions")["data"]] == ["cut-off"]

    def gone():
        node.kill()
        node.start()
        return not node.get("/pubsub/v1/sessions")["data"]
    wait_for(gone, "the end of the session", expiry + 30)
    assert time.monotonic() - away > expiry - 2, "it ended too early"


def test_stop_loses_nothing():
    node = start_node()
    offline_session(node, "sleeper", "work/#")
    publisher = Client(node)
    publisher.publish_and_wait("work/a", "before")
    assert node.stop(20) == 0
    publisher.abandon()
    node.start()
    sleeper = Client(node, "sleeper", clean=False)
    assert [m[1] for m in sleeper.wait_messages(1)] == ["before"]
    sleeper.close()


def test_a_damaged_store_is_set_aside():
    node = start_node()
    node.http("POST", "/things/lamp/shadow", {"state": {"desired": {"n": 1}}})
    assert node.stop() == 0
    files = glob.glob(os.path.join(node.state, "*.db"))
    assert files, os.listdir(node.state)
    with open(files[0], "r+b") as file:
        file.write(b"\0garbage" * 1000)
    node.start()
    assert glob.glob(files[0] + ".damaged-*"), os.listdir(node.state)
    assert "damaged" in node.log()
    node.get("/things/lamp/shadow", 404)
    status, _, _ = node.http("POST", "/things/lamp/shadow", {"state": {"desired": {"n": 2}}})
    assert status == 200


def test_a_damaged_log_gives_what_can_be_read():
    node = start_node()
    offline_session(node, "sleeper", "work/#")
    publisher = Client(node)
    for i in range(10):
        publisher.publish_and_wait("work/a", str(i))
    assert node.stop() == 0
    publisher.abandon()
    files = glob.glob(os.path.join(node.state, "edged.db.logs", "broker.messages.*"))
    assert len(files) == 1, files
    with open(files[0], "r+b") as file:
        file.seek(5 * 4096 + 40)  # each message came alone: a block for each
        file.write(b"garbage")
    node.start()
    assert "is damaged" in node.log()
    assert glob.glob(files[0] + ".damaged-*"), os.listdir(os.path.dirname(files[0]))
    sleeper = Client(node, "sleeper", clean=False)
    got = [int(payload) for _, payload, _ in sleeper.wait_messages(9)]
    assert len(got) == 9 and got == sorted(got), got
    sleeper.close()


def written(node):
    lines = node.get("/metrics").decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("edged_store_log_written_bytes_total "))


def test_a_thousand_small_messages_a_second_cost_three_times_their_payload():
    """Whether they come evenly or in bursts, and whatever a sync takes here."""
    if not os.path.exists(os.path.join(PLUGINS, "broker.so")):
        raise Skip("broker.so was not built")
    size, count = 64, 3000
    node = edged.Node(args=["--set", f"plugins.broker.limits.queue_messages={10 * count}",
                            "--set", "plugins.broker.limits.queue_bytes=64M"])
    sleeper = mqtt_wire.Wire(node.address("mqtt"), "sleeper", clean=False)
    publisher = mqtt_wire.Wire(node.address("mqtt"), "publisher")
    acknowledged, met = 0, []

    def on_packet(wire, found):
        nonlocal acknowledged
        if found.kind == mqtt_wire.PUBACK:
            acknowledged += 1
        else:
            met.append((wire, found.kind))

    for wire in sleeper, publisher:
        wire.send(wire.hello)
    sleeper.subscribe("work/#", 1, 1)
    mqtt_wire.serve([sleeper, publisher], on_packet, lambda: len(met) == 3)
    sleeper.disconnect()
    for burst in 1, 10:
        before, start, acknowledged = written(node), time.monotonic(), 0
        for i in range(count):
            if i % burst == 0:
                ahead = start + i / 1000 - time.monotonic()
                time.sleep(max(0, ahead))  # the rate is what is tested
            publisher.publish("work/a", os.urandom(size), 1, i + 1)
        seconds = time.monotonic() - start
        mqtt_wire.serve([publisher], on_packet, lambda: acknowledged == count, 60)
        cost = (written(node) - before) / (size * count)
        print(f"bursts of {burst}, {count / seconds:.0f} a second: {cost:.2f} bytes for one")
        assert cost >= 1, "it counts something else"
        assert cost <= 3 * max(1, seconds * 1000 / count), f"bursts of {burst}: {cost:.2f} bytes for one of payload"


edged.main()
