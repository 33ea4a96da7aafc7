#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that are too fast, one by one and together for one user, and a broker that is short of memory: they wait or are
refused, others do not notice, and nothing that was acknowledged is lost."""
import socket
import struct
import threading

import edged
from edged import wait_for

HEADER = b"PROXY TCP4 %s 192.0.2.1 4242 1883\r\n"


def text(value):
    return struct.pack(">H", len(value)) + value


def connect_packet(name, user=None, version=4, clean=True):
    flags = (2 if clean else 0) | (0xc0 if user else 0)
    body = text(b"MQTT") + bytes([version, flags]) + struct.pack(">H", 0) + (b"\0" if version == 5 else b"") + text(name.encode())
    if user:
        body += text(user[0].encode()) + text(user[1].encode())
    return bytes([0x10, len(body)]) + body


def dial(node, address=b"192.0.2.7"):
    """A connection through a proxy, from an address that is not this machine's."""
    s = node.connect("mqtt+proxy")
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(HEADER % address)
    return s


def take(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        assert piece, f"ended after {data!r}"
        data += piece
    return data


def take_packet(s):
    head = take(s, 2)
    return head + take(s, head[1])


def join(node, name, address=b"192.0.2.7", **options):
    s = dial(node, address)
    s.sendall(connect_packet(name, **options))
    got = take_packet(s)
    assert got[:4:3] == b"\x20\0", got
    return s


def figure(node, name):
    return sum(int(line.split()[-1]) for line in node.get("/metrics").decode().splitlines() if line.startswith(name))


def place(*settings, loops=2):
    words = [word for setting in settings for word in ("--set", "plugins.broker." + setting)]
    node = edged.Node(listen=(*edged.LISTEN, "mqtt+proxy=127.0.0.1:0"),
                      args=("--set", 'net.proxies=["127.0.0.1"]', "--set", "net.connections_per_source=1000",
                            "--set", "net.accepts_per_second=1000", "--set", f"net.loops={loops}", *words))
    for user in "ann", "bob":
        assert node.http("PUT", f"/pubsub/v1/users/{user}", {"password": "secret"})[0] == 204
    return node


def publish_all(clients, count):
    """QoS 1 from all at once; returns when all is acknowledged."""
    def run(s):
        messages = b"".join(b"\x32\x06\0\1t" + struct.pack(">H", i + 1) + b"x" for i in range(count))
        sender = threading.Thread(target=s.sendall, args=(messages,))
        sender.start()
        acks = take(s, 4 * count)
        sender.join()
        assert acks == b"".join(b"\x40\2" + struct.pack(">H", i + 1) for i in range(count))
    threads = [threading.Thread(target=run, args=(s,)) for s in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_rates():
    node = place("rates.messages=50", "rates.user_messages=60")
    ann, bob = ("ann", "secret"), ("bob", "secret")
    own = join(node, "one", user=bob)
    publish_all([own], 40)
    assert figure(node, "edged_broker_pauses_total") == 0
    publish_all([own], 150)
    alone = figure(node, "edged_broker_pauses_total")
    assert alone > 0
    own.close()
    together = [join(node, f"c{i}", user=ann) for i in range(4)]
    publish_all(together, 45)  # none of them is too fast
    assert figure(node, "edged_broker_pauses_total") > alone
    assert figure(node, 'edged_broker_messages_received_total{qos="1"}') == 40 + 150 + 180
    here = node.connect("mqtt")  # a program of this machine waits for nobody
    here.sendall(connect_packet("here"))
    assert take(here, 4) == b"\x20\2\0\0"
    before = figure(node, "edged_broker_pauses_total")
    publish_all([here], 1000)
    assert figure(node, "edged_broker_pauses_total") == before
    wait_for(lambda: figure(node, "edged_broker_clients_paused") == 0, "nobody is paused")


def test_connects():
    """MQTT 5 clients hear why; another address is none of their business."""
    node = place("rates.connects=1")
    clients = [dial(node) for _ in range(20)]
    for i, s in enumerate(clients):
        s.sendall(connect_packet(f"c{i}", version=5))
    codes = [take(s, 4)[3] for s in clients]
    refused = codes.count(0x9f)
    assert refused and codes.count(0x87) + refused == 20, codes  # the others lack a password only
    assert figure(node, "edged_broker_connects_too_fast_total") == refused
    join(node, "other", address=b"192.0.2.8", user=("ann", "secret")).close()


def test_memory():
    """What was acknowledged when there was room is there when its client comes back."""
    # with several loops a publisher does not hear what became of its message on another one
    node = place("limits.memory=1M", "limits.queue_messages=100000", "limits.queue_bytes=100M", loops=1)
    ann = ("ann", "secret")
    away = join(node, "away", user=ann, clean=False)
    away.sendall(b"\x82\6\0\1\0\1t\1")
    assert take(away, 5) == b"\x90\3\0\1\1"
    away.close()
    wait_for(lambda: figure(node, "edged_broker_connections") == 0, "it is away")
    sender = join(node, "sender", user=ann, version=5)
    kept, body = 0, b"\0\1t\0\1\0" + b"x" * 4000
    for _ in range(1000):
        sender.sendall(b"\x32" + bytes([len(body) & 127 | 128, len(body) >> 7]) + body)
        answer = take_packet(sender)
        if len(answer) > 4:
            break
        kept += 1
    assert answer[:5] == b"\x40\3\0\1\x97" and 100 < kept < 262, (kept, answer)
    assert figure(node, 'edged_broker_shed_total{step="keep"}') == 1
    with dial(node) as late:
        late.sendall(connect_packet("late", user=ann))
        assert take(late, 4) == b"\x20\2\0\3"
    node.kill()
    node.start()
    with dial(node) as late:  # as full as before
        late.sendall(connect_packet("late", user=ann))
        assert take(late, 4) == b"\x20\2\0\3"
    assert node.http("DELETE", "/pubsub/v1/sessions/away/queue")[0] == 200
    join(node, "late", user=ann).close()


def test_who_does_not_read_pays_alone():
    """One that does not read what it subscribed to loses that; one that does not read its answers is closed."""
    node = place()
    before = figure(node, "edged_process_resident_bytes")

    def deaf(name, words):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(60)
        s.connect(node.address("mqtt"))
        s.sendall(connect_packet(name) + words)
        assert take(s, 4) == b"\x20\2\0\0"
        return s

    def good(name, words=b""):
        s = node.connect("mqtt")
        s.settimeout(60)
        s.sendall(connect_packet(name) + words)
        assert take(s, 4) == b"\x20\2\0\0"
        return s
    slow = deaf("slow", b"\x82\6\0\1\0\1t\0")
    reader = good("reader", b"\x82\6\0\1\0\1t\1")
    assert take(reader, 5) == b"\x90\3\0\1\1"
    assert take(slow, 5) == b"\x90\3\0\1\0"
    rude, ended = deaf("rude", b""), threading.Event()

    def ping():
        try:
            for _ in range(5000):  # 20 MB of answers
                rude.sendall(b"\xc0\0" * 2000)
        except (ConnectionResetError, BrokenPipeError):
            ended.set()
    pinging = threading.Thread(target=ping)
    pinging.start()
    sender = good("sender")
    for i in range(1000):
        packet = b"\0\1t" + struct.pack(">H", i + 1) + b"x" * 8002
        sender.sendall(b"\x32" + bytes([len(packet) & 127 | 128, len(packet) >> 7]) + packet)
        assert take(sender, 4) == b"\x40\2" + struct.pack(">H", i + 1)
        got = take(reader, len(packet) + 3)
        assert got[0] == 0x32 and got[3:6] == b"\0\1t" and got[8:] == b"x" * 8002, got[:10]
        reader.sendall(b"\x40\2" + got[6:8])
    pinging.join()
    assert ended.is_set(), "who does not read its answers stays"
    assert figure(node, 'edged_broker_messages_dropped_total{reason="slow"}') > 0
    assert {c["clientId"] for c in node.get("/pubsub/v1/clients")["data"]} >= {"slow", "reader", "sender"}
    grown = figure(node, "edged_process_resident_bytes") - before
    assert grown < 24e6 or edged.BUILD.endswith("-address"), f"{grown} bytes more"


edged.main()
