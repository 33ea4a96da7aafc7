#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""MQTT over a WebSocket to a node through another one: wss://A/nodes/B/mqtt."""
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import threading
import time

import paho.mqtt.client as mqtt

import edged
import mqtt_wire
from edged import Node, wait_for

QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine
MIB = 1 << 20


def pair(*settings, first=Node, **second):
    """A node, and one that it asks, of one account."""
    args = QUIET + [word for setting in settings for word in ("--set", setting)]
    a = first(cluster=True, args=args)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, args=args + ["--set", f"cluster.seeds={seeds}"], **second)
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, "A reaches B")
    wait_for(lambda: b.http("GET", f"/nodes/{a.id}/edge/v1/node")[0] == 200, "B reaches A")
    return a, b


def figure(node, name):
    return sum(int(line.rsplit(" ", 1)[1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith(name) and line[len(name)] in " {")


def resident(node):
    with open(f"/proc/{node.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def clients(node):
    return {client["clientId"]: client for client in node.get("/pubsub/v1/clients?limit=1000")["data"]
            if client.get("connected", True)}


class Client:
    """Paho's, over a WebSocket."""

    def __init__(self, node, path, name, listener="http", tls=None, user=None):
        self.mqtt = mqtt.Client(name, transport="websockets")
        self.messages, self.codes, self.granted = [], [], []
        self.ended = threading.Event()
        self.mqtt.on_connect = lambda c, u, f, code: self.codes.append(code)
        self.mqtt.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload))
        self.mqtt.on_subscribe = lambda c, u, mid, qos: self.granted.append(mid)
        self.mqtt.on_disconnect = lambda *args: (self.ended.set(), self.mqtt.disconnect())
        self.mqtt.ws_set_options(path=path)
        if tls:
            self.mqtt.tls_set_context(tls)
        if user:
            self.mqtt.username_pw_set(*user)
        self.mqtt.connect("localhost" if tls else "127.0.0.1", node.port(listener), 60)
        self.mqtt.loop_start()
        wait_for(lambda: self.codes, "CONNACK")

    def subscribe(self, filter, qos):
        _, mid = self.mqtt.subscribe(filter, qos)
        wait_for(lambda: mid in self.granted, "SUBACK")

    def end(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def handshake(node, path, version=13, protocol="mqtt", more=""):
    """A socket, and the head of the answer."""
    stream = node.connect()
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {version}\r\n"
                   f"Sec-WebSocket-Protocol: {protocol}\r\n{more}\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        more = stream.recv(65536)
        assert more, got
        got += more
    return stream, got


def frame(payload, opcode=2):
    """One of a client, masked with zeros."""
    n = len(payload)
    head = struct.pack(">BB", 0x80 | opcode, 0x80 | n) if n < 126 else struct.pack(">BBH", 0x80 | opcode, 0xFE, n) \
        if n < 65536 else struct.pack(">BBQ", 0x80 | opcode, 0xFF, n)
    return head + b"\0\0\0\0" + payload


def hello(name):
    return mqtt_wire.packet(mqtt_wire.CONNECT, 0, mqtt_wire.text("MQTT") + b"\4\2\0\0" + mqtt_wire.text(name))


def all_of(stream):
    got = b""
    try:
        while more := stream.recv(65536):
            got += more
    except ConnectionResetError:
        pass
    return got


def test_messages_go_there_and_back():
    a, b = pair()
    # by id, a part of it, and by itself; over one node and over three
    for i, path in enumerate((f"/nodes/{b.id}/mqtt", f"/nodes/{b.id[:10]}/mqtt?x=y", "/nodes/self/mqtt",
                              f"/nodes/{b.id}/nodes/{a.id}/nodes/{b.id}/mqtt")):
        where = a if "self" in path else b
        client = Client(a, path, f"c{i}")
        assert client.codes == [0] and f"c{i}" in clients(where), (path, clients(where))
        client.subscribe("there/#", 1)
        sizes = (0, 1, 125, 126, 65535, 65536, 200000)
        for size in sizes:
            client.mqtt.publish("there/and/back", bytes([size % 251]) * size, qos=1)
        wait_for(lambda: len(client.messages) == len(sizes), f"all come back: {path}")
        assert [len(payload) for _, payload in client.messages] == list(sizes)
        assert all(payload == bytes([size % 251]) * size for size, (_, payload) in zip(sizes, client.messages))
        client.end()
        wait_for(lambda: f"c{i}" not in clients(where), "the broker hears that it went")
    wait_for(lambda: figure(a, "edged_proxy_websockets_open") == figure(b, "edged_proxy_websockets_open") == 0, "all are let go")
    assert figure(a, "edged_link_requests_open") == 0


def test_either_side_may_end_it():
    a, b = pair()
    stream, answer = handshake(a, f"/nodes/{b.id}/mqtt", protocol="x, mqtt")
    assert answer.startswith(b"HTTP/1.1 101 ") and b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"Sec-WebSocket-Protocol: mqtt\r\n" in answer, answer
    # the client, in order: its close frame is answered by the far broker
    stream.sendall(frame(hello("polite")))
    wait_for(lambda: "polite" in clients(b), "B has it")
    stream.sendall(frame(struct.pack(">H", 1000), 8))
    assert all_of(stream) == b"\x82\x04\x20\2\0\0" + b"\x88\2" + struct.pack(">H", 1000)
    wait_for(lambda: "polite" not in clients(b), "B lets it go")
    # the client, by breaking off
    stream, _ = handshake(a, f"/nodes/{b.id}/mqtt")
    stream.sendall(frame(hello("rude")))
    wait_for(lambda: "rude" in clients(b), "B has it")
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()
    wait_for(lambda: "rude" not in clients(b), "B lets it go")
    # the broker, for what is no MQTT, and for a text frame: with the code that says so
    stream, _ = handshake(a, f"/nodes/{b.id}/mqtt")
    stream.sendall(frame(hello("first")) + frame(hello("first")))
    assert b"\x88\2" in all_of(stream)
    stream, _ = handshake(a, f"/nodes/{b.id}/mqtt")
    stream.sendall(frame(b"text", 1))
    assert all_of(stream).endswith(b"\x88\2" + struct.pack(">H", 1003))
    wait_for(lambda: figure(a, "edged_proxy_websockets_open") == 0, "A lets all go")
    # the other node stops in order, and is killed
    stream, _ = handshake(a, f"/nodes/{b.id}/mqtt")
    stream.sendall(frame(hello("stays")))
    wait_for(lambda: "stays" in clients(b), "B has it")
    b.kill()
    all_of(stream)
    wait_for(lambda: figure(a, "edged_proxy_websockets_open") == 0, "A lets it go")


def test_refusals_are_answers_that_say_why():
    a, b = pair("cluster.websockets=1")
    for path, options, status, type in (
            ("/nodes/nobody/mqtt", {}, 404, "node-unknown"),
            (f"/nodes/{b.id}/nothing", {}, 404, "no-route"),
            (f"/nodes/{b.id}/edge/v1/node", {}, 400, "no-websocket"),
            ("/edge/v1/node", {}, 400, "no-websocket"),
            (f"/nodes/{b.id}/mqtt", {"protocol": "soap"}, 400, "websocket-handshake"),
            (f"/nodes/{b.id}/mqtt", {"version": 12}, 426, "websocket-version"),
            (f"/nodes/{b.id}/mqtt", {"more": "Origin: http://elsewhere.example\r\n"}, 403, "forbidden")):
        stream, answer = handshake(a, path, **options)
        while b"}" not in answer:
            answer += stream.recv(65536)
        assert answer.startswith(b"HTTP/1.1 %d " % status) and type.encode() in answer, (path, answer)
    assert a.http("GET", f"/nodes/{b.id}/mqtt")[0] == 400  # it is no path for others
    # no more than may be; what ends makes room
    first, answer = handshake(a, f"/nodes/{b.id}/mqtt")
    assert answer.startswith(b"HTTP/1.1 101 ")
    second, answer = handshake(a, f"/nodes/{b.id}/mqtt")
    while b"}" not in answer:
        answer += second.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"cluster.websockets" in answer, answer
    first.close()
    wait_for(lambda: handshake(a, f"/nodes/{b.id}/mqtt")[1].startswith(b"HTTP/1.1 101 "), "there is room again")


def test_any_broker_will_do():
    plugins = edged.folder()
    shutil.copy(os.path.join(edged.PLUGINS, "hello.so"), plugins)
    a, b = pair(first=lambda **options: Node(plugins=plugins, **options))
    wait_for(lambda: handshake(a, "/any/broker/mqtt")[1].startswith(b"HTTP/1.1 101 "), "A knows that B has one")
    client = Client(a, "/any/broker/mqtt", "whoever")
    assert client.codes == [0] and "whoever" in clients(b)
    client.end()
    client = Client(b, "/any/broker/mqtt", "own")
    assert client.codes == [0] and "own" in clients(b)
    client.end()
    assert figure(b, "edged_proxy_websockets_open") == 0


def test_a_node_without_broker_and_no_node():
    plugins = edged.folder()
    shutil.copy(os.path.join(edged.PLUGINS, "hello.so"), plugins)
    a, b = pair(plugins=plugins)
    stream, answer = handshake(a, f"/nodes/{b.id}/mqtt")
    while b"}" not in answer:
        answer += stream.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"no-broker" in answer, answer
    b.kill()
    stream, answer = handshake(a, f"/nodes/{b.id}/mqtt")
    while b"}" not in answer:
        answer += stream.recv(65536)
    assert answer.startswith(b"HTTP/1.1 502 ") and b.id.encode() in answer, answer


def test_who_does_not_read_holds_little_and_holds_nobody_up():
    a, b = pair()
    stream, _ = handshake(a, f"/nodes/{b.id}/mqtt")
    stream.sendall(frame(hello("slow")) + frame(b"\x82\x0a\0\1\0\5flood\0"))
    wait_for(lambda: b.http("GET", "/pubsub/v1/clients?clientId=slow")[2]["data"], "B has it")
    quick = Client(a, f"/nodes/{b.id}/mqtt", "quick")
    before = resident(a)
    for _ in range(300):
        b.http("POST", "/topics/flood", b"x" * 100000)
    if "address" not in edged.BUILD and "thread" not in edged.BUILD:
        assert resident(a) - before < 4 * MIB, (before, resident(a))
    window = 128 << 10
    assert figure(a, "edged_link_held_bytes") <= window
    assert a.get(f"/nodes/{b.id}/edge/v1/node")["id"] == b.id
    quick.subscribe("calm", 0)
    b.http("POST", "/topics/calm", b"still here")
    wait_for(lambda: quick.messages == [("calm", b"still here")], "others go on")
    quick.end()
    # it is there still, and reads on
    assert "slow" in clients(b)
    taken = 0
    while taken < MIB:
        more = stream.recv(65536)
        assert more, taken
        taken += len(more)
    stream.close()


def test_who_sends_more_than_is_read_is_held_back():
    a, b = pair()
    stream, _ = handshake(a, f"/nodes/{b.id}/mqtt")
    stream.sendall(frame(hello("fast")))
    wait_for(lambda: "fast" in clients(b), "B has it")
    message = frame(mqtt_wire.packet(mqtt_wire.PUBLISH, 0, mqtt_wire.text("t") + b"x" * 60000))
    before = resident(a)
    b.process.send_signal(signal.SIGSTOP)
    stream.setblocking(False)
    sent, last = 0, time.monotonic()
    while time.monotonic() - last < 0.5 and sent < 100 * MIB:  # the other node is not missed so soon
        try:
            sent += stream.send((message * 20)[sent % len(message):])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    grown = resident(a) - before
    b.process.send_signal(signal.SIGCONT)
    assert MIB / 4 < sent < 20 * MIB, sent  # it is in the kernel's buffers, mostly
    if "address" not in edged.BUILD and "thread" not in edged.BUILD:
        assert grown < 4 * MIB, grown


def test_who_is_not_trusted_here_is_judged_there():
    listen = (*edged.LISTEN, "https=127.0.0.1:0")
    a, b = pair(first=lambda **options: Node(listen=listen, **options))
    assert b.http("PUT", "/pubsub/v1/users/ann", {"password": "secret"})[0] == 204
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    path = f"/nodes/{b.id}/mqtt"
    right = Client(a, path, "right", "https", context, ("ann", "secret"))
    assert right.codes == [0]
    assert clients(b)["right"]["address"].startswith("127.0.0.1:"), clients(b)
    for user in ("ann", "wrong"), None:
        wrong = Client(a, path, "wrong", "https", context, user)
        assert wrong.codes[0] != 0, wrong.codes
        wrong.end()
    right.end()
    # for anything else it is a stranger at A's door
    connection = context.wrap_socket(socket.create_connection(a.address("https"), timeout=60), server_hostname="localhost")
    connection.sendall(f"GET /nodes/{b.id}/edge/v1/node HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


if __name__ == "__main__":
    edged.main()
