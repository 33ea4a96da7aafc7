#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a device shadow costs: CPU of an update over MQTT, durable, with its three answers; memory and start with many.

Prints one line for each figure with its target. THINGS sets how many shadows of 1 kB there are (default 20,000; the
target is for 100,000), UPDATES how many updates are timed.
"""
import json
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import edged  # noqa: E402
from gateway_bench import cpu_seconds, pss_kib  # noqa: E402

THINGS = int(os.environ.get("THINGS", "20000"))
UPDATES = int(os.environ.get("UPDATES", "20000"))
BUSY, WINDOW = 100, 400  # things that are updated in turn; updates on the way at once


def text(value):
    value = value.encode()
    return struct.pack("!H", len(value)) + value


def packet(kind, body):
    head, n = bytearray([kind]), len(body)
    while True:
        head.append(n % 128 | (128 if n > 127 else 0))
        n //= 128
        if not n:
            return bytes(head) + body


class Client:
    """Just enough MQTT 3.1.1: raw sockets, so that the load costs little beside what is measured."""

    def __init__(self, node, name):
        self.socket, self.name = node.connect("mqtt"), name
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.count = b"", 0
        self.send(packet(0x10, text("MQTT") + b"\x04\x02\x00\x00" + text(name)))
        assert self.socket.recv(4) == b"\x20\x02\x00\x00"

    def send(self, data):
        self.socket.sendall(data)

    def subscribe(self, filter):
        self.send(packet(0x82, b"\x00\x01" + text(filter) + b"\x00"))
        assert self.socket.recv(5)[0] == 0x90

    def drain(self, kind):
        """Reads what is there and counts packets of a kind."""
        data = self.socket.recv(1 << 18)
        assert data, f"{self.name}: the connection ended"
        self.buffer += data
        at = 0
        while True:
            length, shift, i = 0, 0, at + 1
            while i < len(self.buffer):
                length |= (self.buffer[i] & 127) << shift
                shift += 7
                i += 1
                if not self.buffer[i - 1] & 128:
                    break
            else:
                break
            if i + length > len(self.buffer):
                break
            self.count += self.buffer[at] >> 4 == kind
            at = i + length
        self.buffer = self.buffer[at:]

    def count_in_background(self, kind):
        def run():
            try:
                while True:
                    self.drain(kind)
            except (OSError, AssertionError):
                pass
        threading.Thread(target=run, daemon=True).start()


def document(i, size):
    reported = {f"value{k}": i * 7 + k for k in range(8)}
    reported["text"] = "x" * max(0, size - len(json.dumps(reported)) - 60)
    return {"state": {"desired": {"led": "on", "level": i % 100}, "reported": reported}}


def update(i, thing, body):
    topic = text(f"$aws/things/{thing}/shadow/update")
    return packet(0x32, topic + struct.pack("!H", i % 60000 + 1) + body.encode())


def update_cost(node, listen):
    """CPU microseconds of the daemon for one update that changes one value of a document of 300 bytes."""
    for i in range(BUSY):
        status = node.http("POST", f"/things/busy{i}/shadow", document(i, 200))[0]
        assert status == 200, status
    listeners = [Client(node, f"listener-{kind}") for kind in listen]
    for client, kind in zip(listeners, listen):
        client.subscribe(f"$aws/things/+/shadow/update/{kind}")
        client.count_in_background(3)
    device, refused = Client(node, "device"), Client(node, "refused")
    refused.subscribe("$aws/things/+/shadow/update/rejected")
    refused.count_in_background(3)
    before, sent = cpu_seconds(node.process.pid), 0
    begin = time.monotonic()
    while device.count < UPDATES:
        room = min(UPDATES - sent, WINDOW - (sent - min([c.count for c in listeners] + [device.count])))
        if room > 0:
            device.send(b"".join(update(k, f"busy{k % BUSY}", '{"state":{"reported":{"value0":%d}}}' % k)
                                 for k in range(sent, sent + room)))
            sent += room
        if device.count < sent:
            device.drain(4)
        else:
            time.sleep(0.0002)
    edged.wait_for(lambda: all(c.count >= UPDATES for c in listeners), "all answers", 60)
    seconds = time.monotonic() - begin
    assert refused.count == 0, f"{refused.count} rejected"
    return (cpu_seconds(node.process.pid) - before) / UPDATES * 1e6, UPDATES / seconds


def many(node):
    """Makes THINGS shadows of 1 kB: memory that they cost, and the start with them."""
    empty = pss_kib(node.process.pid)
    device = Client(node, "maker")
    listener = Client(node, "made")
    listener.subscribe("$aws/things/+/shadow/update/accepted")
    listener.count_in_background(3)
    device.count_in_background(4)
    sent = 0
    while sent < THINGS:
        edged.wait_for(lambda: sent - listener.count < 100, "room", 60)
        device.send(b"".join(update(k, f"thing{k}", json.dumps(document(k, 1000)))
                             for k in range(sent, min(sent + 100, THINGS))))
        sent += 100
    edged.wait_for(lambda: listener.count >= THINGS, "all shadows", 120)
    used = pss_kib(node.process.pid)
    node.stop()
    begin = time.monotonic()
    node.start()
    ready = time.monotonic() - begin
    first = time.monotonic()
    body = node.get("/things/thing7/shadow")
    assert body["version"] == 1
    return used - empty, ready * 1000, (time.monotonic() - first) * 1000, pss_kib(node.process.pid)


def main():
    node = edged.Node()
    try:
        cost, rate = update_cost(node, ("accepted", "delta", "documents"))
        print(f"shadow update, accepted + delta + documents  {cost:8.1f} us CPU  (target 60)  {rate:8.0f}/s", flush=True)
        cost, rate = update_cost(node, ("accepted",))
        print(f"shadow update, accepted only                 {cost:8.1f} us CPU               {rate:8.0f}/s", flush=True)
        more, ready, first, after = many(node)
        print(f"{THINGS} shadows of 1 kB                     {more / 1024:8.1f} MiB more     (target 40, 100,000)", flush=True)
        print(f"start with them                              {ready:8.0f} ms           (target 1,000)")
        print(f"first GET after it                           {first:8.1f} ms")
        print(f"memory after the start                       {after / 1024:8.1f} MiB")
    finally:
        edged.clean()


if __name__ == "__main__":
    main()
