#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node is removed from its account: it is out on all nodes within two seconds, and stays out."""
import json
import os
import shutil
import signal
import ssl
import socket
import time

import edged
from edged import Node, wait_for

LISTEN = ("http=127.0.0.1:0", "tls=127.0.0.1:0")
QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine


def account(count):
    """The holder of the account's key, and others that joined it; all trust each other."""
    nodes = [Node(listen=LISTEN, cluster=True, args=QUIET)]
    seeds = json.dumps([f"127.0.0.1:{nodes[0].get('/edge/v1/cluster')['port']}"])
    for _ in range(count - 1):
        nodes.append(Node(listen=LISTEN, cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}"]))
        nodes[-1].edgectl("join", nodes[0].http("POST", "/edge/v1/invites")[2]["token"])
    for node in nodes:
        wait_for(lambda: all(o.id in listed(node) and listed(node)[o.id]["trusted"] for o in nodes), "trust")
    return nodes


def listed(node):
    return {n["id"]: n for n in node.get("/mds/v1/nodes?clusters=linkLocal")["data"]}


def removed(node):
    return {n["id"] for n in node.get("/edge/v1/account/removed")["data"]}


def figure(node, name):
    for line in node.get("/metrics").decode().splitlines():
        if line.startswith(f"{name} "):
            return int(line.split(" ")[1])
    raise AssertionError(f"/metrics has no {name}")


def as_node(node, other):
    """A TLS connection to `other` as `node`, with its own key and certificate: what a thief has."""
    path = edged.folder()
    with open(os.path.join(node.state, "identity", "account.json")) as file:
        certificate = json.load(file)["certificate"]
    with open(os.path.join(path, "certificate.pem"), "w") as file:
        file.write(certificate)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(os.path.join(path, "certificate.pem"), os.path.join(node.state, "identity", "node.pem"))
    return context.wrap_socket(socket.create_connection(other.address("tls"), timeout=60))


def status(stream):
    stream.sendall(b"GET /edge/v1/node HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return int(stream.recv(4096).split()[1])


def closed(stream):
    try:
        return stream.recv(4096) == b""
    except OSError:
        return True


def test_a_stolen_node_is_out_within_two_seconds():
    holder, friend, stolen = account(3)
    streams = {node: as_node(stolen, node) for node in (holder, friend)}
    for stream in streams.values():
        assert status(stream) == 200
    for node in (holder, friend):
        assert stolen.http("GET", f"/nodes/{node.id}/edge/v1/node")[0] == 200
    watching = stolen.connect()  # a long answer through the link ends as well
    watching.sendall(f"GET /nodes/{friend.id}/edge/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert watching.recv(4096).startswith(b"HTTP/1.1 200")
    events = friend.connect()
    events.sendall(b"GET /edge/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    begun = time.monotonic()
    assert stolen.id in holder.edgectl("remove", stolen.id[:12])
    wait_for(lambda: stolen.id in removed(friend), "the friend has the list")
    took = time.monotonic() - begun
    for node in (holder, friend):
        assert removed(node) == {stolen.id} and stolen.id not in listed(node)
        assert closed(streams[node]), "what was open is closed"
        with as_node(stolen, node) as stream:  # its certificate is good for days, and worth nothing
            assert status(stream) == 401
        status_, _, problem = stolen.http("GET", f"/nodes/{node.id}/edge/v1/node")
        assert status_ == 403 and problem["type"].endswith("node-not-trusted"), problem
        assert node.http("GET", f"/nodes/{stolen.id}/edge/v1/node")[0] == 404
        wait_for(lambda: figure(node, 'edged_gossip_dropped_total{reason="removed"}') > 0, "its gossip is dropped")
        assert figure(node, "edged_account_nodes_removed") == 1
    while b"event: nodeRemoved" not in (text := events.recv(65536)):
        assert text, "the event came"
    data = watching.recv(65536)
    while data:
        assert friend.id not in str(data)[-20:]
        data = watching.recv(65536)
    # friends go on
    assert holder.http("GET", f"/nodes/{friend.id}/edge/v1/node")[0] == 200
    assert friend.http("GET", f"/nodes/{holder.id}/edge/v1/node")[0] == 200
    print(f"out after {took:.2f} s")

    # with its old certificate it comes back as a stranger that nobody hears, after restarts on both sides too
    for node in (stolen, friend):
        node.kill()
        node.restart()
    wait_for(lambda: holder.id in listed(friend) and listed(friend)[holder.id]["trusted"], "the friend is back")
    before = figure(friend, 'edged_gossip_dropped_total{reason="removed"}')
    wait_for(lambda: figure(holder, 'edged_gossip_dropped_total{reason="removed"}') > before, "it tries")
    for node in (holder, friend):
        assert stolen.id not in listed(node) and removed(node) == {stolen.id}
        with as_node(stolen, node) as stream:
            assert status(stream) == 401
    # a second time it cannot be removed, a stranger can, and the rights are the owner's on the holder
    assert holder.http("DELETE", f"/mds/v1/nodes/{stolen.id}")[2]["type"].endswith("node-removed")
    assert friend.http("DELETE", f"/mds/v1/nodes/{stolen.id}")[2]["type"].endswith("account-key-elsewhere")
    assert holder.http("DELETE", f"/mds/v1/nodes/{holder.id}")[2]["type"].endswith("account-key-here")
    assert friend.http("DELETE", f"/nodes/{holder.id}/mds/v1/nodes/{friend.id}")[0] == 403
    assert holder.http("DELETE", "/mds/v1/nodes/nobody")[0] == 404

    # invited anew, it is of the account again
    stolen.kill()
    shutil.rmtree(os.path.join(stolen.state, "cluster"))
    os.unlink(os.path.join(stolen.state, "identity", "account.json"))
    stolen.restart()
    stolen.edgectl("join", holder.http("POST", "/edge/v1/invites")[2]["token"])
    for node in (holder, friend):
        wait_for(lambda: stolen.id in listed(node) and listed(node)[stolen.id]["trusted"], "it is back")
        assert not removed(node)


def test_a_node_that_was_away_hears_of_it_when_it_comes_back():
    holder, away, stolen = account(3)
    os.kill(away.process.pid, signal.SIGSTOP)
    holder.edgectl("remove", stolen.id)
    os.kill(away.process.pid, signal.SIGCONT)
    wait_for(lambda: removed(away) == {stolen.id} and stolen.id not in listed(away), "it has the list")
    # and one that was off while two were removed, from another than the holder
    away.kill()
    other = Node(listen=LISTEN, cluster=True, args=holder_seeds(holder))
    other.edgectl("join", holder.http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: removed(other) == {stolen.id}, "a new one gets the list, too")
    second = Node(listen=LISTEN, cluster=True, args=holder_seeds(holder))
    second.edgectl("join", holder.http("POST", "/edge/v1/invites")[2]["token"])
    holder.edgectl("remove", second.id)
    wait_for(lambda: removed(other) == {stolen.id, second.id}, "the other has it")
    holder.kill()
    away.args = holder_seeds(other)
    away.restart()
    wait_for(lambda: removed(away) == {stolen.id, second.id}, "from the other")


def holder_seeds(node):
    return ["--dev"] + QUIET + ["--set", "cluster.seeds=" + json.dumps([f"127.0.0.1:{node.get('/edge/v1/cluster')['port']}"])]


if __name__ == "__main__":
    edged.main()
