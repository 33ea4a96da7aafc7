#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The end of a daemon and of a plugin: everybody is told, in time, and what was begun is answered."""
import os
import shutil
import socket
import struct
import subprocess

import edged

SHUTTING_DOWN = b"\xe0\x01\x8b"  # DISCONNECT with reason 0x8B, MQTT 5 section 3.14


def connect5(node, name):
    """A raw MQTT 5 connection that has its CONNACK."""
    s = node.connect("mqtt")
    body = b"\0\4MQTT\5\2\0\0\0" + struct.pack(">H", len(name)) + name.encode()
    s.sendall(bytes([0x10, len(body)]) + body)
    assert s.recv(2)[0] == 0x20
    s.recv(200)
    return s


def all_of(s):
    """What still comes, up to the orderly end of the stream: a reset would raise."""
    got = b""
    while True:
        more = s.recv(65536)
        if not more:
            return got
        got += more


def stop_in_time(node):
    assert node.stop(20) == 0, node.log()


def test_mqtt_clients_are_told():
    for loops in 1, 3:
        node = edged.Node(args=("--set", f"net.loops={loops}"))
        clients = [connect5(node, f"c{i}") for i in range(20)]
        old = node.connect("mqtt")
        old.sendall(b"\x10\x0d\0\4MQTT\4\2\0\0\0\1o")
        assert old.recv(4) == b"\x20\2\0\0"
        for client in clients[:5]:  # unread bytes at the daemon must not turn the end into a reset
            client.sendall(b"\x30\x05\0\1a\0x" * 1000)
        stop_in_time(node)
        for client in clients:
            got = all_of(client)
            assert got.endswith(SHUTTING_DOWN), got[-20:]
        assert all_of(old) == b"", "an older client cannot be told"


def test_wills_reach_sessions_on_other_loops():
    """Clients end with the daemon; their wills are kept for who is away, on whatever loop that one and they live."""
    node = edged.Node(args=("--set", "net.loops=4"), start=False)
    for turn in range(3):
        node.start()
        keepers = []
        for i in range(8):
            keeper = node.connect("mqtt")
            keeper.sendall(b"\x10\x0e\0\4MQTT\4\0\0\x3c\0\2k%d" % i)
            assert keeper.recv(4)[3] == 0
            keeper.sendall(b"\x82\x08\0\1\0\3w/+\1")
            edged.wait_for(lambda: b"\x90\3\0\1\1" in keeper.recv(4096), "it has subscribed")
            keepers.append(keeper)
        for keeper in keepers:  # those who are away: their alarms are armed
            keeper.sendall(b"\xe0\0")
            assert all_of(keeper) == b""
        going = []
        for i in range(16):
            client = node.connect("mqtt")
            client.sendall(b"\x10\x17\0\4MQTT\4\x0e\0\x3c\0\3g%02d\0\4w/%02d\0\0" % (i, i))
            assert client.recv(4) == b"\x20\2\0\0"
            going.append(client)
        stop_in_time(node)
        assert "behind when it stopped" not in node.log(), node.log()
        node.start()
        for i in range(8):
            keeper = node.connect("mqtt")
            keeper.sendall(b"\x10\x0e\0\4MQTT\4\0\0\x3c\0\2k%d" % i)
            got = b""
            while sum(b"w/%02d" % n in got for n in range(16)) < 16:
                more = keeper.recv(4096)
                assert more, got
                got += more
            keeper.sendall(b"\xe0\0")
        assert node.stop() == 0


def test_mqtt_over_websocket_is_told():
    node = edged.Node()
    s = node.connect("http")
    s.sendall(b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
              b"Sec-WebSocket-Protocol: mqtt\r\n\r\n")
    assert b" 101 " in s.recv(1000)
    s.sendall(b"\x82\x90\0\0\0\0" + b"\x10\x0e\0\4MQTT\5\2\0\0\0\0\1w")
    assert s.recv(1000)[2] == 0x20
    stop_in_time(node)
    # the packet in a frame of its own, and the close frame with 1001: going away
    assert all_of(s) == b"\x82\x03" + SHUTTING_DOWN + b"\x88\x02\x03\xe9"


def test_a_slow_reader_does_not_hold_the_stop_up():
    node = edged.Node()
    slow = node.connect("mqtt")
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"\x10\x10\0\4MQTT\4\2\0\0\0\4slow" + b"\x82\x06\0\1\0\1b\0")
    edged.wait_for(lambda: b"\x90" in slow.recv(100), "a SUBACK")
    for _ in range(60):
        assert node.http("POST", "/topics/b", b"x" * 100000)[0] == 200
    stop_in_time(node)


def waits_for_a_late_reader():
    """What a client gets that begins to read when the broker has stopped; more waits for it than sockets hold."""
    node = edged.Node()
    s = connect5(node, "r")
    s.sendall(b"\x82\x07\0\1\0\0\1b\0")
    assert s.recv(100)[0] == 0x90
    for _ in range(60):
        assert node.http("POST", "/topics/b", b"x" * 100000)[0] == 200
    node.process.terminate()
    edged.wait_for(lambda: "broker has stopped" in node.log(), "the end of the broker")
    try:
        got = all_of(s)
    except ConnectionResetError:
        got = b""
    assert node.process.wait(2) == 0
    return got


def test_what_waits_goes_out_first():
    # The daemon does not wait long, and this machine may be busy with other things: one in five must come in time.
    packet = 1 + 3 + 3 + 1 + 100000  # fixed header, topic, no properties, payload
    lengths = []
    for _ in range(5):
        got = waits_for_a_late_reader()
        lengths.append(len(got))
        if got.endswith(SHUTTING_DOWN):
            assert len(got) > 300000 and len(got) % packet == len(SHUTTING_DOWN), len(got)
            return
    raise AssertionError(f"the last words never came, only {lengths} bytes")


def test_a_plugin_that_goes_tells_its_clients():
    plugins = os.path.join(edged.folder(), "plugins")
    shutil.copytree(edged.PLUGINS, plugins)
    node = edged.Node(plugins=plugins)
    client = connect5(node, "a")
    os.unlink(os.path.join(plugins, "broker.so"))
    assert all_of(client) == SHUTTING_DOWN
    assert node.get("/healthz") is not None


def test_event_streams_end():
    node = edged.Node()
    s = node.connect("http")
    s.sendall(b"GET /edge/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    edged.wait_for(lambda: b"\r\n\r\n" in s.recv(4096), "an answer")
    idle = node.connect("http")
    stop_in_time(node)
    assert not all_of(s).endswith(b"0\r\n\r\n"), "an answer that was broken off must not look whole"
    assert all_of(idle) == b""


LATE = """
#include "edged/cap_http.h"
static int serve(void *self, edged_handle request) { (void)self; (void)request; return 0; }
static int create(struct edged_host *host, void **ret_self) { *ret_self = host; return 0; }
static const char *const needs[] = { EDGED_HTTP_1, NULL };
static const struct edged_route routes[] = { { .method = "GET", .path = "/late/v1", .serve = serve }, { 0 } };
EDGED_PLUGIN(.name = "late", .version = "1", .needs = needs, .routes = routes, .create = create);
"""


def test_open_requests_are_answered():
    plugins = edged.folder()
    include = os.path.join(edged.HERE, "..", "..", "include")
    subprocess.run([edged.need("cc"), "-shared", "-fPIC", "-I", include, "-o", os.path.join(plugins, "late.so"),
                    "-xc", "-"], input=LATE, text=True, check=True)
    node = edged.Node(plugins=plugins)
    waiting = [node.connect("http") for _ in range(20)]
    for s in waiting:  # half of them have another request behind the one that waits: it is not served any more
        s.sendall(b"GET /late/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                  + (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" if s.fileno() % 2 else b""))
    edged.wait_for(lambda: b"edged_http_requests_open 21\n" in node.get("/metrics"), "all of them wait")
    stop_in_time(node)
    for s in waiting:
        got = all_of(s)
        assert got.startswith(b"HTTP/1.1 503 ") and got.count(b"HTTP/1.1 ") == 1 and got.endswith(b"}\n"), got


if __name__ == "__main__":
    edged.main()
