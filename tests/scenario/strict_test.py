#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A broker in strict mode, and devices that come back to it: what AWS IoT Core makes them wait for, and forget."""
import time

import paho.mqtt.client as mqtt

import edged
from mqtt_test import Client
from mqtt_wire import CONNACK, PUBACK, PUBLISH, SUBACK, Wire, serve


def node(*settings):
    return edged.Node(args=[word for setting in ("strict=aws", *settings) for word in ("--set", f"plugins.broker.{setting}")])


class Device:
    """One that acknowledges, or not; .came has the messages of its connection."""

    def __init__(self, node, name, version=4, clean=False, ack=True):
        self.wire = Wire(node.address("mqtt"), name, version, clean, 600)
        self.ack, self.came, self.answer, self.granted = ack, [], None, False
        self.wire.send(self.wire.hello)
        self.until(lambda: self.answer)
        assert self.answer.reason == 0, self.answer.reason

    def until(self, condition):
        serve([self.wire], self.handle, condition)

    def handle(self, wire, packet):
        if packet.kind == CONNACK:
            self.answer = packet
        elif packet.kind == SUBACK:
            self.granted = True
        elif packet.kind == PUBLISH:
            self.came.append((time.monotonic(), packet))
            if self.ack:
                wire.ack(PUBACK, packet.id)

    def subscribe(self, filter):
        self.wire.subscribe(filter, 1, 1)
        self.until(lambda: self.granted)

    def expect(self, count):
        self.until(lambda: len(self.came) >= count)
        return [packet.payload.decode() for _, packet in self.came]


def back(node, name, **options):
    """It comes back as soon as it may: again and again, as a device does that is not let in."""
    def attempt():
        try:
            return Device(node, name, **options)
        except AssertionError:
            return None
    return edged.wait_for(attempt, "CONNACK")


def publish(node, topic, payload):
    assert node.http("POST", f"/topics/{topic}?qos=1", payload)[0] == 200


def test_a_client_id_connects_once_a_second():
    n = node()

    def refused():
        # The second follows at once, unless this machine is busy with other things.
        name = f"d{time.monotonic_ns()}"
        first = Device(n, name)
        again = Wire(n.address("mqtt"), name)
        again.send(again.hello)
        while not again.ended and not again.buffer:
            again.read()
        if again.buffer:
            return False
        first.subscribe("x")  # it is still there
        return True
    edged.wait_for(refused, "a CONNECT that comes too soon")


def test_stored_messages_are_paced_and_new_ones_are_not():
    n = node()
    device = Device(n, "d")
    device.subscribe("t")
    device.wire.close()
    for i in range(25):
        publish(n, "t", str(i).encode())
    device = back(n, "d")
    assert device.answer.present
    device.expect(1)
    publish(n, "t", b"new")
    got = device.expect(26)
    assert sorted(got) == sorted([*map(str, range(25)), "new"]), got
    assert [p for p in got if p != "new"] == list(map(str, range(25))), got
    assert got.index("new") < 24, got
    times = [at for (at, _), payload in zip(device.came, got) if payload != "new"]
    # Never more than ten in a second, of which only the sender knows when it begins.
    assert times[10] - times[0] > 0.9 and times[20] - times[0] > 1.8, times


def test_what_was_not_acknowledged_comes_under_another_id():
    n = node()
    device = Device(n, "d", ack=False)
    device.subscribe("t")
    publish(n, "t", b"x")
    device.expect(1)
    first = device.came[0][1]
    device.wire.close()
    device = back(n, "d")
    device.expect(1)
    second = device.came[0][1]
    assert (second.payload, second.dup) == (b"x", False) and second.id != first.id, (first.id, second.id)


def test_versions_do_not_share_sessions():
    n = node()
    for first, then in (4, 5), (5, 4):
        name = f"d{first}"
        device = Device(n, name, version=first)
        device.subscribe("t")
        device.wire.close()
        assert not back(n, name, version=then).answer.present
        assert back(n, name, version=then).answer.present
        assert not back(n, name, version=first).answer.present


def test_a_websocket_ends():
    n = node("websocket_lifetime=2s")
    tcp = Client(n, "tcp")
    for version in mqtt.MQTTv311, mqtt.MQTTv5:
        web = Client(n, f"web{version}", "websockets", version)
        assert web.ended.wait(20)
        web.mqtt.loop_stop()
    assert not tcp.ended.is_set()
    tcp.leave()


def test_ids_with_wildcards_make_no_events():
    n = node()
    watcher = Client(n, "watcher")
    watcher.subscribe("$aws/events/presence/connected/+", 1)
    for name in "a+b", "a#b", "ab":
        Client(n, name).leave()
    assert [topic.rpartition("/")[2] for topic, *_ in watcher.expect(1)] == ["ab"]


if __name__ == "__main__":
    edged.main()
