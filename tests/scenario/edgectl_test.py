#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""edgectl against a stand-in for the daemon: what it asks, what it prints, how it ends."""
import http.server
import json
import os
import socketserver
import subprocess
import tempfile
import threading

EDGECTL = os.path.join(os.environ.get("BUILD", "build"), "edgectl")
FOLDER = tempfile.TemporaryDirectory()
SOCKET = os.path.join(FOLDER.name, "edged.sock")

ANSWERS = {
    "GET /readyz": (200, {"status": "ready", "node": [], "plugins": []}),
    "GET /edge/v1/node": (200, {"id": "abc", "name": "pi", "version": "0.1.0", "account": {"id": "acc"},
                                "addresses": ["192.0.2.7:8443", "[fe80::1]:8443"]}),
    "GET /edge/v1/services": (200, {"data": [{"name": "broker", "version": "1.0", "self": "/broker/v1"}]}),
    "GET /edge/v1/plugins": (200, {"data": [
        {"name": "broker", "version": "1.0", "state": "running", "file": "/p/broker.so"},
        {"name": "", "state": "refused", "file": "/p/x.so", "reason": "no ELF file\x1b[31m"}]}),
    "GET /mds/v1/nodes?clusters=linkLocal": (200, {"type": "linkLocal", "data": [
        {"id": "abc", "attributes": [{"name": "name", "value": "pi"}], "rolesInCluster": ["supernode", "cache"],
         "reachable": True, "trusted": False, "addresses": [{"type": "local", "url": {"href": "https://192.0.2.7"}}]}]}),
    "GET /edge/v1/cluster": (200, {"id": "self" * 14, "name": "pi", "supernode": {"id": "other" * 11, "name": "box"},
                                   "reason": "box is the fittest", "warnings": [{"type": "nodesLost", "text": "shed stopped"}],
                                   "members": [{"id": "other" * 11, "name": "box", "state": "alive", "since": "now",
                                                "address": "192.0.2.8:8443"}]}),
    "GET /edge/v1/cluster/election": (200, {
        "reason": "box is the fittest", "order": [{"field": "uplink", "text": "uplink class"}, {"field": "id", "text": "lowest id"}],
        "nodes": [{"id": "self" * 14, "name": "pi", "self": True, "supernode": False, "state": "alive",
                   "values": {"uplink": {"value": 1, "meaning": "cellular"}}},
                  {"id": "other" * 11, "name": "box", "self": False, "supernode": True, "state": "alive",
                   "values": {"uplink": {"value": 3}}},
                  {"id": "third" * 11, "name": "twin", "values": {}}, {"id": "fourth" * 9, "name": "twin", "values": {}}]}),
    "GET /edge/v1/roles": (200, {"roles": [
        {"role": "cache", "holder": {"id": "other" * 11, "name": "box"}, "reason": "most memory", "pinned": [],
         "vetoed": [{"id": "self" * 14, "name": "pi"}]},
        {"role": "networkProxy", "holder": None, "reason": "no uplink", "pinned": [], "vetoed": []}]}),
    "PUT /nodes/box/edge/v1/roles/cache": (200, {"wish": "pin"}),
    "PUT /edge/v1/account/signers/shed%2F1": (200, {"id": "abc", "name": "shed", "account": "acc"}),
    "DELETE /edge/v1/account/signers/pi": (200, {"id": "def", "name": "pi", "account": "acc"}),
    "GET /edge/v1/account/signers": (200, {"holder": "xyz", "limit": 8, "data": [
        {"id": "abc", "name": "shed", "since": "2030-01-01T00:00:00Z", "certificateExpires": "2031-01-01T00:00:00Z"},
        {"id": "def", "name": "", "since": "2030-02-01T00:00:00Z", "certificateExpires": None}]}),
    "DELETE /mds/v1/nodes/shed%2F1": (200, {"id": "abc", "name": "shed"}),
    "DELETE /mds/v1/nodes/pi": (409, {"title": "The node that holds the account's key cannot be removed"}),
    "POST /edge/v1/invites": (201, {"token": "T" * 400, "expires": "2030-01-01T00:00:00Z"}),
    "POST /edge/v1/join": (200, {"account": "acc", "node": "abc"}),
    "POST /topics/a/b%20c?qos=1&retain=true": (200, {"message": "OK"}),
    "POST /topics//-5?qos=0": (200, {"message": "OK"}),
    "GET /things/lamp/shadow?name=x%2Fy": (200, {"state": {"desired": {"led": "on"}}}),
    "POST /things/lamp/shadow": (200, {"version": 2}),
    "DELETE /things/lamp/shadow": (404, {"message": "No shadow exists with name: 'lamp'"}),
    "GET /teapot": (418, {"type": "urn:edged:problem:teapot", "title": "A teapot", "detail": "Ask a coffee machine"}),
}
seen = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        what = f"{self.command} {self.path}"
        seen.append((what, body, self.headers.get("Content-Type")))
        if self.path.startswith("/pubsub/v1/subscribe?filter="):
            return self.stream(self.path.split("=", 1)[1])
        status, answer = ANSWERS.get(what, (404, {"title": "Not found", "detail": what}))
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def stream(self, name):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for i in range(2):
            data = json.dumps({"topic": f"t/{name}", "payload": f"m{i}", "qos": 0})
            self.wfile.write(f": hello\n\ndata: {data}\n\n".encode())
            self.wfile.flush()
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = answer


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that has seen enough leaves


def ctl(*args, code=0, stdin=None, socket=SOCKET):
    environment = dict(os.environ, EDGED_SOCKET=socket, TZ="UTC")
    done = subprocess.run([EDGECTL, *args], input=stdin, capture_output=True, env=environment, timeout=60)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, f"{args}: exit {done.returncode}, wanted {code}\n{out}{err}"
    return out, err


def tables():
    out, _ = ctl("status", code=0)
    assert "edged            ready\n" in out and "plugins          1 running, 1 not\n" in out, out
    assert "(refused)" in out and "no ELF file?[31m" in out and "\x1b" not in out, out
    out, _ = ctl("node")
    assert "account.id       acc\n" in out and "addresses        192.0.2.7:8443,[fe80::1]:8443\n" in out, out
    out, _ = ctl("services")
    assert out.splitlines()[0].split() == ["NAME", "VERSION", "PATH", "SCOPE", "TYPE"], out
    assert out.splitlines()[1].split() == ["broker", "1.0", "/broker/v1", "-", "-"], out
    out, _ = ctl("nodes")
    assert out.splitlines()[1].split() == ["pi", "abc", "supernode,cache", "yes", "no", "-", "https://192.0.2.7"], out
    for verb in ("status", "node", "nodes", "services", "plugins"):
        assert json.loads(ctl(verb, "--json")[0])


def nodes():
    out, _ = ctl("cluster")
    assert "supernode        box (otheroth)" in out and "warning          shed stopped\n" in out, out
    assert out.splitlines()[-1].split() == ["box", "other" * 11, "alive", "now", "192.0.2.8:8443"], out
    assert "warning          shed stopped\n" in ctl("status")[0]
    out, _ = ctl("roles")
    assert out.splitlines()[1].split() == ["cache", "box", "(otheroth)", "most", "memory", "-", "pi", "(selfself)"], out
    assert "nobody" in out.splitlines()[2] and "no uplink" in out, out
    for name in "pi", "self", "selfself":
        out, _ = ctl("why", name)
        assert "supernode        no\n" in out and "reason           box is the fittest\n" in out, out
        assert out.splitlines()[-1].split() == ["uplink", "class", "cellular", "3"], out
    out, _ = ctl("why", "box")
    assert "supernode        yes\n" in out and "cache            most memory\n" in out, out
    assert "2 nodes are called twin" in ctl("why", "twin", code=1)[1]
    assert "no node that is there is called nobody" in ctl("why", "nobody", code=1)[1]
    assert ctl("role", "pin", "cache", "box")[0] == "role cache: pinned to box\n"
    assert json.loads(seen[-1][1]) == {"wish": "pin"}
    ctl("role", "clear", "cache", "box")
    assert json.loads(seen[-1][1]) == {"wish": "none"}
    ctl("role", "push", "cache", "box", code=2)
    assert ctl("remove", "shed/1")[0] == "removed node abc (shed)\n"
    assert "cannot be removed" in ctl("remove", "pi", code=1)[1]
    out, _ = ctl("signers")
    assert out.splitlines()[0].split() == ["NAME", "ID", "SINCE", "CERTIFICATE", "UNTIL"], out
    assert out.splitlines()[1].split()[:2] == ["shed", "abc"] and "def" in out.splitlines()[2], out
    assert ctl("signer", "add", "shed/1") == ("signer: node abc (shed)\n", "")
    assert ctl("signer", "remove", "pi")[0] == "no signer any more: node def (pi)\n"
    assert "no-such-signer" in ctl("signer", "remove", "no-such-signer", code=1)[1]
    assert "add or remove" in ctl("signer", "push", "pi", code=2)[1]
    for verb in ("cluster", "roles", "why pi", "role pin cache box", "remove shed/1", "signers", "signer add shed/1"):
        assert json.loads(ctl(*verb.split(), "--json")[0]), verb


def not_ready():
    old = ANSWERS["GET /readyz"]
    ANSWERS["GET /readyz"] = (503, {"status": "not ready", "node": [], "plugins": [{"plugin": "x", "state": "starting"}]})
    out, _ = ctl("status", code=1)
    assert "not ready yet" in out and '"plugin":"x"' in out, out
    ANSWERS["GET /readyz"] = old


def joining():
    out, err = ctl("invite", "--for", "10m")
    assert out == "T" * 400 + "\n" and "2030-01-01" in err, (out, err)
    assert json.loads(seen[-1][1]) == {"for": 600}
    assert ctl("join", "-", stdin=b"to\"ken\n")[0] == "joined account acc through node abc\n"
    assert json.loads(seen[-1][1]) == {"token": 'to"ken'}


def messages():
    ctl("pub", "-q", "1", "-r", "a/b c", "-", stdin=b"\x00\xffbytes")
    assert seen[-1][1] == b"\x00\xffbytes" and seen[-1][2] == "application/octet-stream", seen[-1]
    assert ctl("pub", "--", "/-5", "-5") == ("", "")
    out, err = ctl("sub", "x", code=3)
    assert out == "t/x m0\nt/x m1\n" and "ended the subscription of x" in err, (out, err)
    out, _ = ctl("sub", "-n", "1", "a/#")
    assert out == "t/a%2F%23 m0\n", out
    out, _ = ctl("sub", "x", "y", "-n", "2", "--json")
    assert [json.loads(line)["qos"] for line in out.splitlines()] == [0, 0], out


def shadows():
    out, _ = ctl("shadow", "get", "lamp", "--name", "x/y")
    assert json.loads(out)["state"]["desired"]["led"] == "on" and out.count("\n") > 3, out
    ctl("shadow", "update", "lamp", '{"state": 1}')
    assert seen[-1][1] == b'{"state": 1}' and seen[-1][2] == "application/json"
    _, err = ctl("shadow", "delete", "lamp", code=1)
    assert err == "edgectl: No shadow exists with name: 'lamp' (404)\n", err
    ctl("shadow", "get", "lamp", "x", code=2)
    ctl("shadow", "fetch", "lamp", code=2)


def anything():
    assert json.loads(ctl("api", "GET", "/edge/v1/node")[0])["id"] == "abc"
    out, err = ctl("api", "GET", "/teapot", code=1)
    assert err == "edgectl: A teapot: Ask a coffee machine (418)\n" and out == "", (out, err)
    out, _ = ctl("api", "GET", "/teapot", "--json", code=1)
    assert json.loads(out)["type"] == "urn:edged:problem:teapot"
    ctl("api", "get", "/x", code=2)


def no_daemon():
    _, err = ctl("status", code=3, socket=SOCKET + ".none")
    assert "cannot reach edged at" in err and "No such file" in err and "--socket" in err, err
    _, err = ctl("status", code=3, socket="/" + "x" * 200)
    assert "107 bytes" in err, err
    _, err = ctl("status", code=3, socket=__file__)
    assert "Connection refused" in err or "not a socket" in err, err
    ctl("nonsense", code=2, socket=SOCKET + ".none")
    assert ctl("version", socket=SOCKET + ".none")[0].startswith("edgectl ")


if __name__ == "__main__":
    server = Server(SOCKET, Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for test in (tables, nodes, not_ready, joining, messages, shadows, anything, no_daemon):
        test()
        print("ok", test.__name__)
    server.shutdown()
