# SPDX-License-Identifier: Apache-2.0
"""A daemon whose files are recorded, clients that note all that they do and hear, and what is known of what it keeps.
Moments are places in the record, see crash_record.py."""
import bisect
import http.client
import json
import os

import edged
from edged import BUILD
from mqtt_wire import CONNACK, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, Wire, serve, take_packet

RECORDER = os.path.join(BUILD, "tests", "recorder.so")


class Message:
    def __init__(self, publisher, number, id, qos, topic, payload, place, receivers):
        self.publisher, self.number, self.id, self.qos, self.topic, self.payload = publisher, number, id, qos, topic, payload
        self.place, self.receivers = place, receivers  # receivers: name -> QoS it comes with
        self.taken = self.done = None  # places: of PUBACK or PUBREC, of PUBACK or PUBCOMP


class Register:
    """Something with one value at a time, which a client changes and hears that it has changed."""

    def __init__(self):
        self.changes = [[None, 0, 0]]  # value, asked at, acknowledged at

    def allowed(self, place):
        first = max(i for i, (_, _, heard) in enumerate(self.changes) if heard is not None and heard <= place)
        return [value for value, asked, _ in self.changes[first:] if asked <= place]


class Client:
    """A client with what a real one would keep; everything that it did and heard is noted with its place."""

    def __init__(self, world, name, version=4, durable=True):
        self.world, self.name, self.version, self.durable = world, name, version, durable
        self.wire, self.present, self.id = None, None, 0
        self.open = {}  # id -> Message that was published and is not done
        self.held = {}  # id -> payload of QoS 2
        self.silent = set()  # kinds of packets that it does not answer
        self.heard = []  # Packets of this connection
        self.said = []  # (place, kind, id, payload)
        self.first = None  # place of its first CONNECT

    def connect(self, clean=False):
        self.close()
        self.present, self.heard = None, []
        place = self.world.place()
        self.first = place if self.first is None else self.first
        self.wire = Wire(self.world.node.address("mqtt"), self.name, self.version, clean or not self.durable,
                         86400 if self.durable else 0)
        self.world.connections.append((place, self.wire.port, self))
        self.wire.send(self.wire.hello)
        self.world.serve(lambda: self.present is not None)
        for message in list(self.open.values()):
            self.send(message, True)

    def close(self):
        if self.wire:
            self.wire.close()
        self.wire = None

    def send(self, message, again=False):
        if again and message.qos == 2 and message.taken is not None:
            self.wire.ack(PUBREL, message.id)
        else:
            self.wire.publish(message.topic, message.payload, message.qos, message.id, dup=again)

    def publish(self, topic, qos, size=0, receivers=None):
        self.id += 1
        number = len(self.world.messages)
        payload = b"%d %s " % (number, self.name.encode()) + b"x" * size
        message = Message(self, number, self.id, qos, topic, payload, self.world.place(),
                          {name: min(qos, most) for name, most in (receivers or {}).items()})
        self.world.messages.append(message)
        self.open[self.id] = message
        self.send(message)

    def subscribe(self, filter, qos):
        self.id += 1
        change = self.world.ask(("sub", self.name, filter), qos)
        session = self.world.ask(("session", self.name), True)
        self.world.answers[self.name, SUBACK, self.id] = [change, session]
        self.wire.subscribe(filter, qos, self.id)
        self.wait(SUBACK)

    def unsubscribe(self, filter):
        self.id += 1
        self.world.answers[self.name, UNSUBACK, self.id] = [self.world.ask(("sub", self.name, filter), None)]
        self.wire.unsubscribe(filter, self.id)
        self.wait(UNSUBACK)

    def wait(self, kind):
        self.world.serve(lambda: any(p.kind == kind and p.id == self.id for p in self.heard))

    def answer(self, kind, id, payload):
        if kind in self.silent:
            return
        self.said.append((self.world.place(), kind, id, payload))
        self.wire.ack(kind, id)

    def handle(self, p):
        self.heard.append(p)
        if p.kind == CONNACK:
            assert p.reason == 0, f"{self.name}: CONNACK {p.reason}"
            self.present = p.present
        elif p.kind == PUBLISH and p.qos == 1:
            self.answer(PUBACK, p.id, p.payload)
        elif p.kind == PUBLISH and p.qos == 2:
            self.held[p.id] = p.payload
            self.answer(PUBREC, p.id, p.payload)
        elif p.kind == PUBREL:
            self.answer(PUBCOMP, p.id, self.held.pop(p.id, None))
        elif p.kind == PUBREC and p.id in self.open:
            self.open[p.id].taken = True
            if PUBREL not in self.silent:
                self.wire.ack(PUBREL, p.id)
        elif p.kind in (PUBACK, PUBCOMP):
            self.open.pop(p.id, None)


class World:
    """The recorded daemon, its clients, and what is known about what it keeps."""

    def __init__(self, loops):
        self.loops = loops
        self.folder, self.record = edged.folder(), os.path.join(edged.folder(), "record")
        self.clients, self.connections, self.messages = {}, [], []
        self.registers, self.answers, self.requests = {}, {}, []
        preload = {"LD_PRELOAD": RECORDER, "EDGED_RECORD": self.record, "EDGED_RECORD_FOLDER": self.folder}
        self.node = edged.Node(self.folder, args=self.args(), start=False, env={**preload, **without_order()})

    def args(self):
        return ("--set", f"net.loops={self.loops}")

    def place(self):
        return os.stat(self.record).st_size

    def client(self, name, version=4, durable=True):
        self.clients[name] = client = Client(self, name, version, durable)
        client.connect()
        return client

    def serve(self, until):
        owner = {c.wire: c for c in self.clients.values() if c.wire}
        serve(list(owner), lambda wire, packet: owner[wire].handle(packet), until)

    def ask(self, key, value):
        change = [value, self.place(), None]
        self.registers.setdefault(key, Register()).changes.append(change)
        return change

    def http(self, method, path, body=None, key=None, value=None):
        """A request that, when its answer is 2xx, has given the register its value."""
        change = self.ask(key, value)
        connection = http.client.HTTPConnection(*self.node.address("http"), timeout=60)
        connection.connect()
        self.requests.append((self.place(), connection.sock.getsockname()[1], change))
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status // 100 == 2, (method, path, answer.status, text)
        connection.close()

    def forget_clients(self):
        for client in self.clients.values():
            client.close()

    # --- what was sent when, from the record

    def resolve(self, records):
        """Gives everything that waits for an answer the place of that answer."""
        self.heard = {name: [] for name in self.clients}  # (place, Packet)
        starts = {}
        for start, port, client in self.connections:
            starts.setdefault(port, []).append((start, client, bytearray()))
        requests = sorted(self.requests, key=lambda r: r[0])
        for r in [r for r in records if r.kind == "N"]:
            at = bisect.bisect_right(starts.get(r.port, []), r.place - 1, key=lambda s: s[0]) - 1
            if at >= 0:
                _, client, buffer = starts[r.port][at]
                buffer += r.data
                while (packet := take_packet(buffer, client.version)):
                    self.heard[client.name].append((r.place, packet))
            for place, port, change in requests:
                if port == r.port and place < r.place and change[2] is None and r.data.startswith(b"HTTP/1.1 2"):
                    change[2] = r.place
        for name, heard in self.heard.items():
            for place, p in heard:
                for change in self.answers.get((name, p.kind, p.id), []):
                    if change[2] is None and place > change[1]:
                        change[2] = place
            mine = {m.id: m for m in self.messages if m.publisher.name == name}
            for m in mine.values():
                m.taken = m.done = None
            for place, p in heard:
                m = mine.get(p.id)
                if m and p.kind in (PUBACK, PUBREC, PUBCOMP):
                    m.taken = place if m.taken is None else m.taken
                    if p.kind != PUBREC and m.done is None:
                        m.done = place


def without_order():
    """The recorder comes before the runtime of the address sanitizer."""
    return {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
