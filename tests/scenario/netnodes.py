# SPDX-License-Identifier: Apache-2.0
"""Daemons on the hosts of netns.py, asked through their Unix sockets, which are reachable from here."""
import http.client
import json
import os
import socket

import edged


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Edged:
    """One edged on a host; its Unix socket is reachable from here."""

    def __init__(self, host, settings=(), listen=None, plugins=edged.PLUGINS, also=()):
        self.host, self.state = host, edged.folder()
        self.settings, self.listen, self.plugins, self.also = settings, listen, plugins, also
        self.id = self.connection = None

    def start(self):
        settings = [word for setting in self.settings for word in ("--set", setting)]
        settings += [word for listener in self.also for word in ("--listen", listener)]
        with open(os.path.join(self.state, "test.log"), "a") as log:
            self.process = self.host.run(
                edged.EDGED, "--state", self.state, "--plugins", self.plugins, "--listen", "http=127.0.0.1:8083",
                "--listen", f"tls={self.listen or self.host.address + ':8443'}", "--dev", *settings, stdout=log, stderr=log)
        self.connection = None
        return self

    def log(self):
        with open(os.path.join(self.state, "test.log"), errors="replace") as file:
            return file.read()

    def call(self, method, path, body=None):
        """(status, document), 0 when it cannot be reached. A connection that was idle for long has been closed."""
        for fresh in (not self.connection, True):
            if fresh:
                self.connection = Unix(os.path.join(self.state, "edged.sock"))
            try:
                self.connection.request(method, path, body)
                answer = self.connection.getresponse()
                data = answer.read()
                return answer.status, json.loads(data) if data[:1] in b"{[" else data
            except (OSError, http.client.HTTPException):
                self.connection = None
        return 0, None

    def view(self):
        """(live ids with its own, supernode) or None."""
        status, document = self.call("GET", "/edge/v1/cluster")
        if status != 200:
            return None
        self.id = document["id"]
        live = {m["id"] for m in document["members"] if m["state"] in ("alive", "suspect")}
        return live | {self.id}, (document["supernode"] or {}).get("id")


def agreed(nodes):
    views = [n.view() for n in nodes]
    return all(views) and all(v[0] == {n.id for n in nodes} for v in views) and len({v[1] for v in views}) == 1 \
        and views[0][1] is not None


def boss_of(nodes):
    """Of nodes that agree."""
    for node in nodes:
        view = node.view()
        if view and view[1]:
            return next(n for n in nodes if n.id == view[1])
    raise AssertionError("edged: nobody names a supernode")
