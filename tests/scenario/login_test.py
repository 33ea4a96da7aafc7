#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Logging in to the broker with a file of users and with tokens, and who is not let in or has to leave."""
import base64
import hashlib
import hmac
import json
import os
import signal
import struct
import subprocess
import time

import edged
import mqtt_wire
from edged import wait_for

SECRET = b"0123456789abcdef0123456789abcdef"
NOBODY, WRONG, OK = 5, 4, 0


def proxied(node, name, user=None, password=None):
    """A connection from another host, as a proxy tells it; its CONNACK has been read."""
    wire = mqtt_wire.Wire(node.address("mqtt+proxy"), name)
    flags = 2 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    words = b"".join(mqtt_wire.text(word) for word in (name, user, password) if word is not None)
    wire.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 1883\r\n" + mqtt_wire.packet(
        mqtt_wire.CONNECT, 0, mqtt_wire.text("MQTT") + bytes([4, flags]) + struct.pack(">H", 0) + words))
    answers = []
    mqtt_wire.serve([wire], lambda w, p: answers.append(p), lambda: answers)
    wire.reason = answers[0].reason
    return wire


def closed(wire):
    """Waits for the end of a connection that says nothing more."""
    while not wire.ended:
        wire.read()
    assert wire.take() is None


class Site:
    """A folder with a configuration, a file of users and a key."""

    def __init__(self):
        self.folder = edged.folder()
        self.users, self.key = (os.path.join(self.folder, name) for name in ("users", "key"))
        self.write(self.key, SECRET + b"\n")
        self.hashes = {}

    def write(self, path, text):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text)

    def people(self, **passwords):
        """NAME=password; lines as mosquitto_passwd writes them, with few rounds."""
        for name, password in passwords.items():
            if (name, password) not in self.hashes:
                salt = os.urandom(12)
                made = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
                self.hashes[name, password] = f"{name}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}\n"
        self.write(self.users, "".join(self.hashes[item] for item in passwords.items()).encode())

    def node(self, start=True):
        broker = {"password_file": self.users, "jwt": {"key_file": self.key, "issuer": "shop", "audience": "edge"}}
        path = os.path.join(self.folder, "edged.conf")
        with open(path, "w") as file:
            json.dump({"net": {"listen": ["http=127.0.0.1:0", "mqtt+proxy=127.0.0.1:0"], "proxies": ["127.0.0.1"]},
                       "plugins": {"broker": broker}}, file)
        return edged.Node(listen=(), args=("--config", path), start=start)


def reload(node):
    def lines():
        return [line for line in node.log().splitlines() if " reload" in line]
    before = len(lines())
    node.process.send_signal(signal.SIGHUP)
    wait_for(lambda: lines()[before:], "a line about the reload")


def token(alg="HS256", secret=SECRET, **claims):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")
    text = b".".join(part(json.dumps(value).encode()) for value in (
        {"alg": alg}, {"sub": "ann", "iss": "shop", "aud": "edge", "exp": int(time.time()) + 600, **claims}))
    return text + b"." + part(hmac.new(secret, text, hashlib.sha256).digest())


def test_a_file_of_users():
    site = Site()
    site.people(ann="secret", bob="other")
    n = site.node()
    ann, bob = proxied(n, "a", "ann", "secret"), proxied(n, "b", "bob", "other")
    assert (ann.reason, bob.reason) == (OK, OK)
    assert proxied(n, "c", "ann", "other").reason == WRONG
    assert proxied(n, "d", "eve", "secret").reason == WRONG
    assert proxied(n, "e").reason == NOBODY
    whole = "".join(site.hashes.values()).encode()
    site.write(site.users, whole + b"eve:secret\n")
    reload(n)
    wait_for(lambda: f"{site.users}:3: " in n.log(), "the line that is wrong")
    assert proxied(n, "f", "bob", "other").reason == OK
    site.people(ann="secret")
    reload(n)
    closed(bob)
    assert proxied(n, "g", "bob", "other").reason == WRONG
    ann.send(mqtt_wire.packet(mqtt_wire.PINGREQ, 0, b""))
    answers = []
    mqtt_wire.serve([ann], lambda w, p: answers.append(p.kind), lambda: answers)
    assert answers == [mqtt_wire.PINGRESP], "who stayed in the file was disturbed"


def test_a_file_that_is_wrong_at_the_start_is_named():
    site = Site()
    site.write(site.users, b"# people\nann:secret\n")
    n = site.node(start=False)
    n.launch()
    wait_for(lambda: f"{site.users}:2: " in n.log(), "file and line in the log")


def test_the_file_of_mosquitto():
    site = Site()
    subprocess.run([edged.need("mosquitto_passwd"), "-c", "-b", site.users, "ann", "secret"], check=True, timeout=60)
    os.chmod(site.users, 0o600)
    n = site.node()
    assert proxied(n, "a", "ann", "secret").reason == OK
    assert proxied(n, "b", "ann", "Secret").reason == WRONG


def test_tokens():
    site = Site()
    site.people()
    n = site.node()
    assert proxied(n, "a", "ann", token()).reason == OK
    now = int(time.time())
    refused = (token(alg="none"), token(exp=now - 1), token(aud="others"), token(secret=SECRET[::-1]))
    for i, bad in enumerate(refused):
        assert proxied(n, f"b{i}", "ann", bad).reason == WRONG, i
    n.kill()  # who guesses wrong five times has to wait
    n.start()
    assert proxied(n, "c", "bob", token()).reason == WRONG
    short = proxied(n, "d", "ann", token(exp=int(time.time()) + 3))
    assert short.reason == OK
    closed(short)


edged.main()
