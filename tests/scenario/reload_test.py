#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: what changes while the daemon runs, what waits for a restart, and what an error does."""
import json
import os
import resource
import signal
import socket

import edged
from edged import wait_for


class Configured:
    """A node with a configuration file that can be written anew."""

    def __init__(self, **sections):
        self.path = os.path.join(edged.folder(), "edged.conf")
        self.write(**sections)
        self.node = edged.Node(listen=(), args=("--config", self.path))

    def write(self, **sections):
        with open(self.path, "w") as file:
            file.write("// a file of people\n" + json.dumps(sections))

    def reload(self):
        """The line of the log that says what came of it."""
        def lines():
            return [line for line in self.node.log().splitlines() if " reload" in line]
        before = len(lines())
        self.node.process.send_signal(signal.SIGHUP)
        return wait_for(lambda: lines()[before:], "a line about the reload")[0]

    def wait_for_listeners(self, *expected):
        """run.json is written right after the line about the reload."""
        wait_for(lambda: self.listeners() == list(expected), f"the listeners {expected}")

    def listeners(self):
        with open(os.path.join(self.node.state, "run.json")) as file:
            self.node.run = json.load(file)
        return sorted(listener["protocol"] for listener in self.node.run["listeners"])


HTTP, MQTT = "http=127.0.0.1:0", "mqtt=127.0.0.1:0"


def test_what_takes_effect():
    it = Configured(net={"listen": [HTTP]}, log={"level": "info"})
    node = it.node
    assert node.http("POST", "/topics/a", b"x" * 5000)[0] == 200
    assert node.http("GET", "/hello/v1/greet/you")[2] == b"Hello, you!\n"
    it.write(net={"listen": [HTTP], "connections": 500}, log={"level": "notice"}, http={"body": "1k"},
             store={"cache": "2M"}, plugins={"hello": {"greeting": "Moin"}, "broker": {"limits": {"clients": 77}}})
    line = it.reload()
    changed, restart = line.split(";")
    for key in "log.level", "net.connections", "http.body", "plugins.hello.greeting":
        assert key in changed, line
    for key in "store.cache", "plugins.broker.limits.clients":
        assert key in restart and key not in changed, line
    assert node.http("POST", "/topics/a", b"x" * 5000)[0] == 413
    assert node.http("GET", "/hello/v1/greet/you")[2] == b"Moin, you!\n"
    config = node.get("/edge/v1/config")
    assert config["http.body"]["value"] == "1k" and config["http.body"]["effect"] == "reload", config["http.body"]
    assert config["store.cache"]["value"] == "1M" and config["store.cache"]["effect"] == "restart"
    assert "nothing changed; these need a restart: " in it.reload()
    it.write(net={"listen": [HTTP]}, log={"level": "info"})
    it.reload()
    assert node.http("POST", "/topics/a", b"x" * 5000)[0] == 200
    assert node.http("GET", "/hello/v1/greet/you")[2] == b"Hello, you!\n"
    assert "nothing changed; nothing needs a restart" in it.reload()


def test_listeners_come_and_go():
    it = Configured(net={"listen": [HTTP]})
    node = it.node
    it.wait_for_listeners("http", "http")  # one of them is the control socket
    port = node.port("http")
    kept = node.connect("http")
    it.write(net={"listen": [HTTP, MQTT]})
    assert "net.listen changed" in it.reload()
    it.wait_for_listeners("http", "http", "mqtt")
    assert node.port("http") == port
    mqtt = node.connect("mqtt")
    mqtt.sendall(b"\x10\x0d\0\4MQTT\4\2\0\0\0\1a")
    assert mqtt.recv(4) == b"\x20\2\0\0"
    where = node.address("mqtt")
    it.write(net={"listen": [HTTP]})
    it.reload()
    it.wait_for_listeners("http", "http")
    try:
        socket.create_connection(where)
        raise AssertionError("the port that was taken away still accepts")
    except ConnectionRefusedError:
        pass
    mqtt.sendall(b"\xc0\0")  # who was there already is served on
    assert mqtt.recv(2) == b"\xd0\0"
    kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert kept.recv(100).startswith(b"HTTP/1.1 200")


def test_an_error_changes_nothing():
    it = Configured(net={"listen": [HTTP]}, http={"body": "1M"})
    for wrong, finding in (({"http": {"body": "1k", "bdoy": 3}}, "http.bdoy: unknown key"),
                           ({"http": {"body": "1k"}, "plugins": {"hello": {"greting": "x"}}}, "plugins.hello.greting"),
                           ({"http": {"body": "1k"}, "log": {"level": 5}}, "log.level")):
        it.write(net={"listen": [HTTP]}, **wrong)
        assert "nothing was changed" in it.reload()
        wait_for(lambda: finding in it.node.log(), "the finding")
        assert it.node.http("POST", "/topics/a", b"x" * 5000)[0] == 200
    os.unlink(it.path)
    assert "nothing was changed" in it.reload()
    assert it.node.http("POST", "/topics/a", b"x" * 5000)[0] == 200 and it.node.http("GET", "/hello/v1")[0] == 200


def test_without_descriptors_nothing_changes():
    """CVE-2017-7652: a broker that could not open its files at a reload went on without passwords and limits."""
    it = Configured(net={"listen": [HTTP, "mqtt+proxy=127.0.0.1:0"], "proxies": ["127.0.0.1"]}, http={"body": "1M"})
    node = it.node
    assert node.http("PUT", "/pubsub/v1/users/ann", {"password": "secret"})[0] == 204
    user = b"\0\3ann\0\6secret"

    def connack(flags, rest):
        body = b"\0\4MQTT\4" + flags + b"\0\0\0\1a" + rest
        with node.connect("mqtt+proxy") as s:
            s.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4242 1883\r\n\x10" + bytes([len(body)]) + body)
            return s.recv(4)
    assert connack(b"\2", b"") == b"\x20\2\0\5" and connack(b"\xc2", user) == b"\x20\2\0\0"
    pid = node.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))  # what is open stays open
    it.write(net={"listen": [HTTP]}, http={"body": "1k"})
    assert "nothing was changed" in it.reload()
    assert "Too many open files" in node.log()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert connack(b"\2", b"") == b"\x20\2\0\5" and connack(b"\xc2", user) == b"\x20\2\0\0"
    assert node.http("POST", "/topics/a", b"x" * 5000)[0] == 200
    assert "http.body" in it.reload()
    assert node.http("POST", "/topics/a", b"x" * 5000)[0] == 413


edged.main()
