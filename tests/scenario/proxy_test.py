#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests to a real node through another one: bodies, expectations, streams, ends on both sides, and failures that are named."""
import base64
import json
import os

import edged
from edged import Node, wait_for

QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine


def pair(*settings):
    """A node, and one that it asks, of one account."""
    args = QUIET + [word for setting in settings for word in ("--set", setting)]
    a = Node(cluster=True, args=args)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, args=args + ["--set", f"cluster.seeds={seeds}"])
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, "A reaches B")
    return a, b


def figure(node, name):
    return sum(int(line.rsplit(" ", 1)[1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith(name) and line[len(name)] in " {")


def receive(stream, until):
    got = b""
    while until not in got:
        more = stream.recv(65536)
        assert more, got[-300:]
        got += more
    return got


def test_bodies_of_all_sizes_go_there_and_back():
    a, b = pair()
    for size in (0, 1, 1000, 65536, 100000):
        body = os.urandom(size)
        assert a.http("POST", f"/nodes/{b.id}/topics/kept?qos=1&retain=true", body)[0] == 200
        if not size:
            continue
        kept = a.get(f"/nodes/{b.id}/retainedMessage/kept")
        assert base64.b64decode(kept["payload"]) == body, size
        assert kept == b.get("/retainedMessage/kept")
    # what is longer than a node takes is refused before it is carried
    status, _, problem = a.http("POST", f"/nodes/{b.id}/topics/kept", b"x" * (2 << 20))
    assert status == 413, problem
    status, _, problem = a.http("POST", "/nodes/self/topics/kept", b"x" * (2 << 20))
    assert status == 413 and problem["type"].endswith("body-too-large"), problem
    # every method goes through
    assert a.http("POST", f"/nodes/{b.id}/things/lamp/shadow", {"state": {"desired": {"led": 1}}})[0] == 200
    with a.connect() as stream:
        stream.sendall(f"HEAD /nodes/{b.id}/things/lamp/shadow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = receive(stream, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n") and stream.recv(100) == b"", head
    assert a.http("DELETE", f"/nodes/{b.id}/things/lamp/shadow")[0] == 200
    assert b.http("GET", "/things/lamp/shadow")[0] == 404
    assert "GET" in a.http("OPTIONS", f"/nodes/{b.id}/edge/v1/node")[1]["Allow"]


def test_a_client_may_wait_until_its_body_is_wanted():
    a, b = pair()
    with a.connect() as stream:
        stream.sendall(f"POST /nodes/{b.id}/topics/t HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                       "Content-Length: 2\r\n\r\n".encode())
        assert receive(stream, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        stream.sendall(b"hi")
        assert receive(stream, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    with a.connect() as stream:  # not wanted: it is too long
        stream.sendall(f"POST /nodes/{b.id}/topics/t HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                       "Content-Length: 20000000\r\n\r\n".encode())
        assert receive(stream, b"\r\n\r\n").startswith(b"HTTP/1.1 413")


def test_streams_flow_and_end_on_both_sides():
    a, b = pair()
    path = f"/nodes/{b.id}/pubsub/v1/subscribe?filter=news"
    stream = a.connect()
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    receive(stream, b"\r\n\r\n")
    for i in range(3):
        assert b.http("POST", "/topics/news", f"number {i}")[0] == 200
        receive(stream, f"number {i}".encode())  # each comes at once
    # the client leaves: nothing is open at the other node any more
    stream.close()
    wait_for(lambda: figure(a, "edged_proxy_requests_open") == 0 and figure(a, "edged_link_requests_open") == 0, "A lets go")
    wait_for(lambda: figure(b, "edged_http_streams_open") == 0, "B hears that the client left")
    # the other node goes: the client can tell that the answer is not whole
    stream = a.connect()
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    receive(stream, b"\r\n\r\n")
    b.kill()
    got = b""
    try:
        while more := stream.recv(65536):
            got += more
    except OSError:
        pass
    assert not got.endswith(b"0\r\n\r\n"), "no orderly end"
    wait_for(lambda: figure(a, "edged_proxy_requests_open") == 0, "A lets go")


def test_a_client_that_does_not_read_holds_little():
    a, b = pair()
    stream = a.connect()
    stream.sendall(f"GET /nodes/{b.id}/pubsub/v1/subscribe?filter=flood HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    receive(stream, b"\r\n\r\n")
    before = resident(a)
    taken = 0
    while b.http("POST", "/topics/flood", b"x" * 100000)[0] == 200:
        taken += 1
        assert taken < 200, "the publisher is never held back"
    if "address" not in edged.BUILD and "thread" not in edged.BUILD:
        assert resident(a) - before < 8 << 20, (before, resident(a))
    # others are served meanwhile, over the same link
    assert a.get(f"/nodes/{b.id}/edge/v1/node")["id"] == b.id
    stream.close()
    wait_for(lambda: b.http("POST", "/topics/flood", b"x")[0] == 200, "nobody is held back any more")


def resident(node):
    with open(f"/proc/{node.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_nobody_else_writes_what_links_write():
    a, b = pair()
    # hops and caller of a client are its invention: with nine hops it would be refused
    for path in ("/nodes/self/edge/v1/node", f"/nodes/{b.id}/edge/v1/node"):
        assert a.http("GET", path, headers={"edged-hops": "9", "edged-caller": 'node="root"'})[0] == 200
    # this node's owner is not the other's
    status, _, problem = a.http("POST", f"/nodes/{b.id}/edge/v1/invites", {})
    assert status == 403, problem
    # in circles it does not go
    path = "".join(f"/nodes/{node.id}" for node in (b, a, b, a, b, a)) + "/edge/v1/node"
    assert a.http("GET", path)[0] == 508


if __name__ == "__main__":
    edged.main()
