#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many clients: 10,000 connections with 100,000 subscriptions, and a storm of 1,000 that all come back at once after a crash."""
import resource
import socket
import struct
import time

import edged
from edged import wait_for

CLIENTS = 10000
FILTERS = 10
STORM = 1000


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def packet(first, body):
    length, n = b"", len(body)
    while True:
        length += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return bytes([first]) + length + body


def hello(name, clean=True):
    return packet(0x10, b"\0\4MQTT\4" + (b"\2" if clean else b"\0") + b"\0\0" + text(name))


def subscribe(filters, qos):
    return packet(0x82, b"\0\1" + b"".join(text(f) + bytes([qos]) for f in filters))


def publish(topic, payload, id=0):
    return packet(0x32 if id else 0x30, text(topic) + (struct.pack(">H", id) if id else b"") + payload)


def take(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        assert piece, "the broker has closed the connection"
        data += piece
    return data


def take_packet(s):
    first, n, shift = take(s, 1)[0], 0, 0
    while True:
        byte = take(s, 1)[0]
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, take(s, n)


def figure(node, name):
    return sum(int(line.split()[-1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith((name + " ", name + "{")))


def files(wanted):
    """As many descriptors as this test and its daemon need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        raise edged.Skip(f"no more than {hard} open files are allowed here (ulimit -Hn), {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def place(**options):
    return edged.Node(args=("--set", f"net.connections={CLIENTS + 500}", "--set", f"plugins.broker.limits.clients={CLIENTS + 500}"),
                      **options)


def rss(node):
    return figure(node, "edged_process_resident_bytes")


def test_ten_thousand():
    files(CLIENTS + 500)
    node = place()
    address, clients, sizes = node.address("mqtt"), [], [rss(node)]
    others = figure(node, "edged_broker_subscriptions")  # of plugins
    for i in range(CLIENTS):
        s = socket.create_connection(address, timeout=60)
        s.sendall(hello(f"c{i}") + subscribe([f"c/{i}/{k}" for k in range(FILTERS - 1)] + ["all"], 0))
        clients.append(s)
        if len(clients) in (CLIENTS // 10, CLIENTS):
            for client in clients[-(CLIENTS // 10) if len(clients) == CLIENTS // 10 else CLIENTS // 10:]:
                assert take(client, 4) == b"\x20\2\0\0" and take(client, 4 + FILTERS)[:2] == bytes([0x90, 2 + FILTERS])
            sizes.append(rss(node))
    assert figure(node, "edged_broker_connections") == CLIENTS
    assert figure(node, "edged_broker_subscriptions") == CLIENTS * FILTERS + others
    first, rest = (sizes[1] - sizes[0]) / (CLIENTS / 10), (sizes[2] - sizes[1]) / (CLIENTS * 0.9)
    print(f"{first:.0f} bytes for each of the first {CLIENTS // 10}, {rest:.0f} for each of the others", flush=True)
    if not edged.BUILD.endswith("-address"):  # the sanitizer puts red zones around everything
        assert rest < 6000, rest
    sender = clients[0]
    for i in range(0, CLIENTS, 97):  # one of them each
        sender.sendall(publish(f"c/{i}/3", b"%d" % i))
    sender.sendall(publish("all", b"everybody"))  # and all
    for i, client in enumerate(clients):
        if i % 97 == 0:
            assert take_packet(client) == (0x30, text(f"c/{i}/3") + b"%d" % i)
        assert take_packet(client) == (0x30, text("all") + b"everybody")
    for client in clients:
        client.close()
    wait_for(lambda: figure(node, "edged_broker_connections") == 0, "all have gone")
    assert figure(node, "edged_broker_subscriptions") == others


def test_reconnect_storm():
    """Everybody comes back at once after kill -9: each session is there, and each message that was acknowledged."""
    files(STORM * 2 + 200)
    node = place()
    node.listen = [f"{item['protocol']}={item['address']}" for item in node.run["listeners"]
                   if item["protocol"] in ("http", "mqtt") and not item["address"].startswith("unix:")]
    address = node.address("mqtt")

    def connect(i):
        s = socket.create_connection(address, timeout=60)
        s.sendall(hello(f"s{i}", clean=False))
        return s
    clients = [connect(i) for i in range(STORM)]
    for i, s in enumerate(clients):
        assert take(s, 4) == b"\x20\2\0\0"
        s.sendall(subscribe([f"s/{i}"], 1))
    for s in clients:
        assert take(s, 5) == b"\x90\3\0\1\1"
    sender = socket.create_connection(address, timeout=60)
    sender.sendall(hello("sender"))
    assert take(sender, 4) == b"\x20\2\0\0"
    for i in range(0, STORM, 2):
        clients[i].close()  # half of them are away already, the others get messages and do not acknowledge them
    wanted = {i: [] for i in range(STORM)}
    for turn in range(2):
        for start in range(0, STORM, 50):
            sender.sendall(b"".join(publish(f"s/{i}", b"%d" % turn, i + 1) for i in range(start, start + 50)))
            for i in range(start, start + 50):
                assert take(sender, 4) == b"\x40\2" + struct.pack(">H", i + 1)
                wanted[i].append(b"%d" % turn)
    sender.sendall(b"".join(publish(f"s/{i}", b"late", i + 1) for i in range(STORM)))  # of these some are acknowledged
    for i in range(STORM // 3):
        assert take(sender, 4) == b"\x40\2" + struct.pack(">H", i + 1)
        wanted[i].append(b"late")
    node.kill()
    for s in clients:
        s.close()
    node.start(60)
    begin = time.monotonic()
    clients = [connect(i) for i in range(STORM)]
    for i, s in enumerate(clients):
        assert take(s, 4) == b"\x20\2\1\0", f"the session of s{i} is gone"
        got = []
        while not set(wanted[i]) <= set(got):
            first, body = take_packet(s)
            assert first & 0xf0 == 0x30 and body.startswith(text(f"s/{i}"))
            at = 2 + len(f"s/{i}")
            s.sendall(b"\x40\2" + body[at:at + 2])
            got.append(body[at + 2:])
        assert got[:2] == [b"0", b"1"], got  # in order
    print(f"{STORM} were back with all of theirs after {time.monotonic() - begin:.1f} s", flush=True)
    assert figure(node, "edged_broker_connections") == STORM
    assert figure(node, "edged_store_failures_total") == 0


edged.main()
