#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Attacks on every port of a real daemon at once, while well-behaved clients are served all the time."""
import os
import random
import re
import resource
import socket
import ssl
import threading
import time

import edged
from edged import wait_for

SHORT = ("--set", "http.header_time=1s", "--set", "http.body_time=1s", "--set", "net.handshake=1s",
         "--set", "plugins.broker.connect_timeout=1s")
H = b"Host: localhost\r\n"
CONNECT = b"\x10\x0d\0\4MQTT\4\2\0\0\0\1a"


class Good:
    """Clients that do nothing wrong: each answer must come, and soon."""

    def __init__(self, node):
        self.node, self.stop, self.failure = node, False, None
        self.served = {"http": 0, "kept": 0, "mqtt": 0, "unix": 0}
        self.slowest = 0
        self.threads = [threading.Thread(target=self.run, args=(name,)) for name in self.served]
        for thread in self.threads:
            thread.start()

    def run(self, name):
        step, connection = getattr(self, name), None
        try:
            while not self.stop:
                began = time.monotonic()
                connection = step(connection)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.served[name] += 1
        except Exception as error:  # noqa: the test's own thread says it
            self.failure = f"{name}: {error!r} after {self.served[name]}"

    def http(self, _):
        assert self.node.http("POST", "/topics/good", b"x", seconds=5)[0] == 200
        assert self.node.http("GET", "/edge/v1/node", seconds=5)[0] == 200

    def kept(self, s):
        s = s or self.node.connect("http")
        s.sendall(b"GET /healthz HTTP/1.1\r\n" + H + b"\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
        return s

    def unix(self, _):
        s = unix(self.node)
        s.sendall(b"GET /healthz HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
        s.close()

    def mqtt(self, s):
        if not s:
            s = self.node.connect("mqtt")
            s.sendall(CONNECT[:-1] + b"g" + b"\x82\x06\0\1\0\1g\1")
            assert s.recv(4) == b"\x20\2\0\0" and s.recv(5) == b"\x90\3\0\1\1"
        s.sendall(b"\x32\x06\0\1g\0\2!")
        got = b""
        while not (b"\x40\2\0\2" in got and b"\x32\x06" in got):
            more = s.recv(100)
            assert more, "closed"
            got += more
        s.sendall(b"\x40\2" + got[got.index(b"\x32\x06") + 5:][:2])
        return s

    def finish(self):
        self.stop = True
        for thread in self.threads:
            thread.join(10)
        assert not self.failure, self.failure
        assert min(self.served.values()) >= 5, self.served
        # Not how fast, which a busy machine decides: that nobody waits for an attacker.
        assert self.slowest < 10, f"an answer took {self.slowest:.1f} s: {self.served}"


def unix(node):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(os.path.join(node.state, "edged.sock"))
    return s


def dials(node):
    """A function for each port."""
    return {"http": lambda: node.connect("http"), "mqtt": lambda: node.connect("mqtt"),
            "tls": lambda: node.connect("tls"), "unix": lambda: unix(node)}


def until_closed(s, bytes=b"", every=None):
    """Says it, and then one byte of `every` again and again; returns what came until the other side closed."""
    got, s_end = b"", time.monotonic() + 8
    try:
        s.sendall(bytes)
        s.settimeout(0.1)
        while time.monotonic() < s_end:
            try:
                more = s.recv(65536)
                if not more:
                    return got
                got += more
            except TimeoutError:
                if every:
                    s.sendall(every)
    except OSError:
        return got  # reset: that is an end, too
    finally:
        s.close()
    raise AssertionError(f"still open after 8 s: {bytes[:60]!r} got {got[:100]!r}")


def garbage(node):
    random.seed(7)
    heads = [b"", b"GET / HTTP/1.1\r\n", b"\x10", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 9]
    for i in range(30):
        for dial in dials(node).values():
            until_closed(dial(), heads[i % len(heads)] + random.randbytes(random.randrange(1, 3000)))


def slow(node):
    """Clients that say nothing, or a byte now and then: none lives longer than its time."""
    attackers = []
    for dial in dials(node).values():
        for start, every in ((b"", None), (b"", b"G"), (b"GET / HTTP/1.1\r\n" + H + b"A: ", b"a"),
                             (b"POST /topics/x HTTP/1.1\r\n" + H + b"Content-Length: 5000\r\n\r\n", b"b"),
                             (b"\x10\xff\xff\x7f", b"\0"), (b"\x16\x03\x01\x02\x00", b"\x01")):
            for _ in range(3):
                attackers.append((dial(), start, every))
    failures = []

    def attack(*args):
        try:
            until_closed(*args)
        except AssertionError as error:
            failures.append(error)
    threads = [threading.Thread(target=attack, args=args) for args in attackers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


SMUGGLED = b"GET /edge/v1/node HTTP/1.1\r\n" + H + b"\r\n"
REQUESTS = (  # each: bytes, the status that refuses them
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + SMUGGLED, 400),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    (b"GET / HTTP/1.1\r\n" + H + b"Host: other\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + H + b"A: b\0c\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n c\r\n\r\n", 400),
    (b"GET / HTTP/1.1\n" + H + b"\n", 400),
    (b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n" * 3000 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + H + b"A: " + b"b" * 100000 + b"\r\n\r\n", 431),
    (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n" + H + b"\r\n", 414),
    (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 9999999999\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413),
    (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 20000 + b"\r\n", 431),
    (b"GET / HTTP/9.9\r\n" + H + b"\r\n", 505))


def smuggle(node):
    for _ in range(5):
        for bytes, status in REQUESTS:
            for name in "http", "unix":
                got = until_closed(dials(node)[name](), bytes)
                # what is refused early may be reset while it still sends; else exactly one answer comes
                assert not got or (got.startswith(b"HTTP/1.1 %d " % status) and len(re.findall(rb"HTTP/1\.1 \d\d\d ", got)) == 1), \
                    (bytes[:80], got[:200])


def stuff(node):
    """Much at once that is never read: pipelined requests, big answers, MQTT packets beyond the limits."""
    readers = []
    for _ in range(8):
        s = node.connect("http")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.setblocking(False)
        try:
            while True:
                s.send(b"GET /openapi.json HTTP/1.1\r\n" + H + b"\r\n")
        except OSError:
            readers.append(s)
    until_closed(node.connect("mqtt"), CONNECT + b"\x30\xff\xff\xff\x7f" + b"x" * 100000)
    until_closed(node.connect("mqtt"), CONNECT[:-1] + b"b" + b"\x82\xff\x7f" + b"\0" * 16383)
    for s in readers:
        s.close()


def handshakes(node):
    """TLS that is left in its middle, or spoken to nobody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for i in range(40):
        s = node.connect("tls")
        try:
            if i % 2:
                s.sendall(b"\x16\x03\x01\x00\xff\x01\x00\x00\xfb\x03\x03" + b"r" * (i * 6))
            else:
                s = context.wrap_socket(s)
                s.sendall(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
                s.recv(1000)
        except (OSError, ssl.SSLError):
            pass
        s.close()


def figure(node, name):
    return sum(int(line.split()[-1]) for line in node.get("/metrics").decode().splitlines()
               if line.startswith("edged_" + name))


def resident(node):
    with open(f"/proc/{node.process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def run_all(node, *attacks):
    good, failures = Good(node), []

    def run(attack):
        try:
            attack(node)
        except BaseException as error:
            failures.append(f"{attack.__name__}: {error!r}")
    threads = [threading.Thread(target=run, args=(attack,)) for attack in attacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good.finish()
    assert not failures, failures
    assert node.process.poll() is None


def test_everything_at_once():
    for loops in 1, 3:
        node = edged.Node(args=SHORT + ("--set", f"net.loops={loops}"))
        before = len(os.listdir(f"/proc/{node.process.pid}/fd"))
        run_all(node, garbage, slow, smuggle, stuff, handshakes)
        for name in "bad-request", "headers-too-large", "target-too-long", "body-too-large", "http-version", "timeout":
            assert figure(node, f'http_refused_total{{reason="{name}"}}') > 0, name
        for name in "header", "body", "idle":
            assert figure(node, f'http_timeouts_total{{what="{name}"}}') > 0, name
        assert figure(node, "broker_protocol_errors_total") > 0
        wait_for(lambda: len(os.listdir(f"/proc/{node.process.pid}/fd")) <= before + 8, "all descriptors back")
        if "address" not in edged.BUILD and "thread" not in edged.BUILD:
            assert resident(node) < 64 << 20, resident(node)
        assert node.stop() == 0, node.log()


def outside():
    """An address of this machine that is not loopback, as a source that limits apply to."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.connect(("192.0.2.1", 9))
        return s.getsockname()[0]
    except OSError:
        raise edged.Skip("this machine has no address but loopback")
    finally:
        s.close()


def test_a_flood_from_one_source():
    """10,000 connections: as many as one source may have are taken, all others refused, everybody else is served."""
    address = outside()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    node = edged.Node(listen=edged.LISTEN + (f"http={address}:0",),
                      args=("--set", "net.accepts_per_second=100", "--set", "net.connections_per_source=32"))
    port = [int(listener["address"].rpartition(":")[2]) for listener in node.run["listeners"]
            if listener["address"].startswith(address)][0]
    most = 0

    def flood(node):
        nonlocal most
        held = []
        for i in range(10000):
            s = socket.socket()
            s.settimeout(60)
            try:
                s.connect((address, port))
                s.setblocking(False)
                held.append(s)
            except OSError:
                s.close()
            if i % 500 == 499:
                most = max(most, figure(node, "connections "))
                for s in held[:-100]:
                    s.close()
                del held[:-100]
        for s in held:
            s.close()

    run_all(node, flood)
    assert 0 < most <= 32 + 20, most
    assert figure(node, "connections_refused_total") > 5000
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


if __name__ == "__main__":
    edged.main()
