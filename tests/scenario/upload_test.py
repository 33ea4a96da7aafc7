#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Large bodies through another node: they flow as they are read, with bounded memory, and end on both sides."""
import json
import os
import select
import shutil
import subprocess
import threading
import time

import edged
from edged import Node, wait_for

QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine
MIB = 1 << 20
WINDOWS = 2 * MIB  # all that may be under way of one body: windows, and what the kernel holds of a socket on each side


def plugins():
    """Those of the daemon, and the one that reads."""
    folder = edged.folder()
    for name in os.listdir(edged.PLUGINS):
        if name.endswith(".so"):
            shutil.copy(os.path.join(edged.PLUGINS, name), folder)
    subprocess.run([edged.need("cc"), "-shared", "-fPIC", "-O2", "-I", os.path.join(edged.HERE, "..", "..", "include"),
                    "-o", os.path.join(folder, "reader.so"), os.path.join(edged.HERE, "reader.c")], check=True)
    return folder


def pair(*settings):
    """A node, and one that it asks, of one account; the latter has the service `reader`."""
    args = QUIET + [word for setting in settings for word in ("--set", setting)]
    folder = plugins()
    a = Node(cluster=True, args=args)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, plugins=folder, args=args + ["--set", f"cluster.seeds={seeds}"])
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: a.http("GET", f"/nodes/{b.id}/edge/v1/node")[0] == 200, "A reaches B")
    return a, b


def figure(node, name):
    return sum(int(line.rsplit(" ", 1)[1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith(name) and line[len(name)] in " {")


def resident(node):
    with open(f"/proc/{node.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def begin(node, path, size=None, headers="", method="PUT"):
    """A request whose body is still to come: chunked without size."""
    stream = node.connect()
    framing = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    stream.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n{headers}\r\n".encode())
    return stream


def chunk(bytes):
    return b"%x\r\n%s\r\n" % (len(bytes), bytes)


def receive(stream, until):
    got = b""
    while until not in got:
        more = stream.recv(65536)
        assert more, got[-300:]
        got += more
    return got


def all_of(stream):
    got = b""
    try:
        while more := stream.recv(65536):
            got += more
    except ConnectionResetError:
        pass
    return got


def push(stream, block, seconds=1.5):
    """Sends until nothing has gone for a while; returns how much that was."""
    sent, last = 0, time.monotonic()
    stream.setblocking(False)
    while time.monotonic() - last < seconds:
        if not select.select([], [stream], [], 0.1)[1]:
            continue
        sent += stream.send(block)
        last = time.monotonic()
        if sent > 64 * MIB:
            break
    stream.settimeout(60)
    return sent


def digest(block, times):
    """What reader.c makes of it."""
    total = 0
    for _ in range(times):
        for byte in block:
            total = (total * 31 + byte) & (1 << 64) - 1
    return total


def test_a_large_body_passes_in_little_memory():
    a, b = pair()
    size = 96 * MIB
    block = os.urandom(4096)
    path = f"/nodes/{b.id}/reader/v1/read"
    assert a.http("PUT", path, b"warm" * 100000)[2]["bytes"] == 400000
    before, peak, over = [resident(a), resident(b)], [0, 0], threading.Event()

    def watch():
        while not over.wait(0.02):
            for i, node in enumerate((a, b)):
                peak[i] = max(peak[i], resident(node))
    watcher = threading.Thread(target=watch)
    watcher.start()
    with begin(a, path, size) as stream:
        for _ in range(size // MIB):
            stream.sendall(block * (MIB // 4096))
        got = receive(stream, b"}\n")
    over.set()
    watcher.join()
    assert got.startswith(b"HTTP/1.1 200") and b'"bytes":%d,' % size in got, got
    if "address" not in edged.BUILD and "thread" not in edged.BUILD:
        for i in range(2):
            assert peak[i] - before[i] < 6 * MIB, (before, peak)
    assert figure(a, "edged_http_body_waiting_bytes") == figure(b, "edged_http_body_waiting_bytes") == 0


def test_bytes_arrive_as_they_were_sent():
    a, b = pair()
    piece = bytes(range(256)) * 300 + b"odd"
    # of known and unknown length, and through more than one node
    for path in f"/nodes/{b.id}/reader/v1/read", f"/nodes/{b.id}/nodes/{a.id}/nodes/{b.id}/reader/v1/read", \
            "/any/reader/v1/read":
        for size in None, 3 * len(piece):
            with begin(a, path, size) as stream:
                for _ in range(3):
                    stream.sendall(piece if size else chunk(piece))
                if not size:
                    stream.sendall(b"0\r\n\r\n")
                answer = json.loads(receive(stream, b"}\n").split(b"\r\n\r\n", 1)[1])
            assert answer == {"bytes": 3 * len(piece), "sum": digest(piece, 3)}, (path, size, answer)


def test_a_sender_is_held_back_by_who_reads():
    a, b = pair()
    with begin(a, f"/nodes/{b.id}/reader/v1/hold", 1 << 30) as stream:
        sent = push(stream, b"x" * 65536)
        assert sent < 16 * MIB, sent  # most of it in the kernel's buffers of the client's connection
        # the daemons have a window each, and one piece that was read beyond
        window = 128 << 10
        assert 0 < b.get("/reader/v1/state")["bytes"] <= window
        assert figure(b, "edged_http_body_waiting_bytes") <= window
        assert figure(a, "edged_http_body_waiting_bytes") <= 2 * window
        assert figure(a, "edged_link_held_bytes") <= 2 * window
        # others are served meanwhile, over the same link
        assert a.get(f"/nodes/{b.id}/edge/v1/node")["id"] == b.id
        assert b.http("POST", "/reader/v1/go")[0] == 204
        rest = (1 << 30) - sent
        block = bytes(MIB)
        before = b.get("/reader/v1/state")["bytes"]
        stream.sendall(block * 16)
        wait_for(lambda: b.get("/reader/v1/state")["bytes"] > before + 8 * MIB, "it flows again")
        assert rest > 16 * MIB
    wait_for(lambda: b.get("/reader/v1/state")["gone"] == 1, "the reader hears that the client left")


def test_both_directions_flow_at_once():
    a, b = pair()
    with begin(a, f"/nodes/{b.id}/reader/v1/mirror") as stream:
        for i in range(5):
            stream.sendall(chunk(b"number %d" % i))
            receive(stream, b"number %d\r\n" % i)
        stream.sendall(b"0\r\n\r\n")
        assert all_of(stream).endswith(b"0\r\n\r\n")


def test_a_client_waits_for_the_word_of_the_far_service():
    a, b = pair()
    expect = "Expect: 100-continue\r\n"
    for size in 5, 300000:  # be it small
        with begin(a, f"/nodes/{b.id}/reader/v1/read", size, expect) as stream:
            assert receive(stream, b"\r\n\r\n").startswith(b"HTTP/1.1 100 Continue\r\n")
            stream.sendall(b"x" * size)
            assert b'"bytes":%d,' % size in receive(stream, b"}\n")
        # it is not wanted: the client learns that before it has sent a byte
        with begin(a, f"/nodes/{b.id}/reader/v1/refuse", size, expect) as stream:
            got = all_of(stream)
            assert got.startswith(b"HTTP/1.1 403 ") and b"not-here" in got, got
    for path, status in (f"/nodes/{b.id}/topics/t", 413), (f"/nodes/{b.id}/nothing", 404), ("/nodes/nobody/x", 404):
        with begin(a, path, 20000000, expect, "POST") as stream:
            got = all_of(stream)
            assert got.startswith(b"HTTP/1.1 %d " % status), got
    # one that does not wait
    with begin(a, f"/nodes/{b.id}/reader/v1/read", 100000, expect) as stream:
        stream.sendall(b"x" * 100000)
        assert b'"bytes":100000,' in receive(stream, b"}\n")


def test_a_body_of_unknown_length_is_refused_when_it_gets_too_long():
    a, b = pair('http.body="100k"')
    with begin(a, f"/nodes/{b.id}/topics/t", method="POST") as stream:
        for _ in range(12):
            stream.sendall(chunk(b"x" * 10000))
        got = all_of(stream)
    assert got.startswith(b"HTTP/1.1 413 ") and b"body-too-large" in got and b"http.body" in got, got
    assert figure(b, "edged_http_collected_bytes") == 0
    # and not a byte too early
    with begin(a, f"/nodes/{b.id}/topics/t", method="POST") as stream:
        stream.sendall(chunk(b"x" * 10240) * 10 + b"0\r\n\r\n")
        assert receive(stream, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_who_leaves_is_missed_on_the_other_side():
    a, b = pair()
    stream = begin(a, f"/nodes/{b.id}/reader/v1/read", 1 << 30)
    stream.sendall(b"x" * 100000)
    wait_for(lambda: b.get("/reader/v1/state")["bytes"] == 100000, "B reads")
    stream.close()
    wait_for(lambda: b.get("/reader/v1/state")["gone"] == 1, "B hears that the client left")
    wait_for(lambda: figure(a, "edged_proxy_requests_open") == figure(a, "edged_link_requests_open") == 0, "A lets go")
    # the other node goes: the client hears which one, at once
    with begin(a, f"/nodes/{b.id}/reader/v1/read", 1 << 30) as stream:
        stream.sendall(b"x" * 100000)
        wait_for(lambda: b.get("/reader/v1/state")["bytes"] == 100000, "B reads")
        b.kill()
        got = all_of(stream)
    assert got.startswith(b"HTTP/1.1 502 ") and b.id.encode() in got and b"node-lost" in got, got


def test_a_service_that_does_not_go_on_is_given_up():
    a, b = pair('http.answer_time="2s"')
    with begin(a, f"/nodes/{b.id}/reader/v1/hold", 1 << 30) as stream:
        push(stream, b"x" * 65536, 0.5)
        got = all_of(stream)
    assert got.startswith(b"HTTP/1.1 504 ") and b.id.encode() in got and b"node-timeout" in got, got
    wait_for(lambda: b.get("/reader/v1/state")["gone"] == 1, "B hears it")
    # a client that is slow is no reason to give anything up
    with begin(a, f"/nodes/{b.id}/reader/v1/read") as stream:
        for _ in range(4):
            stream.sendall(chunk(b"slow"))
            time.sleep(0.8)
        stream.sendall(b"0\r\n\r\n")
        assert b'"bytes":16,' in receive(stream, b"}\n")


def test_only_what_was_not_begun_is_sent_again():
    """/any/: a body that has begun to flow is not made again."""
    a, b = pair()
    with begin(a, "/any/reader/v1/read", 1 << 20) as stream:
        stream.sendall(b"x" * 100000)
        wait_for(lambda: b.get("/reader/v1/state")["bytes"] == 100000, "B reads")
        b.kill()
        got = all_of(stream)
    assert got.startswith(b"HTTP/1.1 502 ") and b.id.encode() in got, got
    assert figure(a, "edged_proxy_retries_total") == 0


if __name__ == "__main__":
    edged.main()
