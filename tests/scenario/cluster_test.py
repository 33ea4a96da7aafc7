#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons: they find each other, one is supernode and both say so, and when it is killed the other takes over."""
import json
import os
import shutil
import socket
import threading
import time

import edged
from edged import Node, Skip, wait_for

QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine


def pair():
    a = Node(cluster=True, args=QUIET)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}"])
    return a, b


def listed(node):
    return {n["id"]: n for n in node.get("/mds/v1/nodes?clusters=linkLocal")["data"]}


def supernode(node):
    return (node.get("/edge/v1/cluster")["supernode"] or {}).get("id")


def agreed(a, b):
    both = {a.id, b.id}
    return set(listed(a)) == both and set(listed(b)) == both and supernode(a) == supernode(b) in both


def test_two_nodes_find_each_other_within_three_seconds():
    a, b = pair()
    wait_for(lambda: agreed(a, b), "both list each other and name one supernode")
    for node in (a, b):
        nodes = listed(node)
        assert all(n["reachable"] for n in nodes.values()), nodes
        assert nodes[node.id]["self"] and nodes[node.id]["trusted"]
        supers = [n["id"] for n in nodes.values() if "superNodeLocalLinkNetwork" in n["rolesInCluster"]]
        assert supers == [supernode(node)], supers
        election = node.get("/edge/v1/cluster/election")
        assert supers[0][:8] in election["reason"], election["reason"]
        assert len(election["nodes"]) == 2 and "values" in election["nodes"][0]
        roles = node.get("/edge/v1/roles")["roles"]
        assert {r["role"] for r in roles} == {"networkProxy", "cache", "cloudGateway"}, roles
        assert all(r["reason"] for r in roles), roles


def test_the_other_takes_over_when_the_supernode_is_killed():
    a, b = pair()
    wait_for(lambda: agreed(a, b), "agreement")
    dead, alive = (a, b) if supernode(a) == a.id else (b, a)
    events = Events(alive)
    wait_for(lambda: events.text, "the stream of events")
    cache = next(role for role in alive.get("/edge/v1/roles")["roles"] if role["role"] == "cache")
    start = time.monotonic()
    dead.kill()
    wait_for(lambda: supernode(alive) == alive.id, "the other is supernode")
    print(f"took over after {time.monotonic() - start:.2f} s")
    wait_for(lambda: set(listed(alive)) == {alive.id}, "the killed one is no longer listed")
    dead.restart(alive)
    wait_for(lambda: agreed(a, b), "agreement again")
    # all of it is told, with who and why
    told = [("supernodeChanged", {"id": alive.id, "self": True}), ("nodeLeft", {"id": dead.id, "how": "failed"}),
            ("nodeJoined", {"id": dead.id})]
    if (cache.get("holder") or {}).get("id") != alive.id:  # either may have been the best by free storage
        told.append(("roleGranted", {"id": alive.id, "role": "cache"}))
    for event, members in told:
        wait_for(lambda: any(members.items() <= data.items() for data in events.of(event)), f"{event} with {members}")
    assert all(data["reason"] for name in ("supernodeChanged", "roleGranted") for data in events.of(name))


def own_address():
    """An address of this machine that others could dial, or Skip. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError as error:
            raise Skip(f"no network: {error}") from error
    if address.startswith("127."):
        raise Skip("there is only loopback")
    return address


def secure(node, of=None):
    """Where `of` can be dialled, as `node` says."""
    return {a["url"]["href"] for a in listed(node)[(of or node).id]["addresses"]}


def datagram_socket(port):
    """The local addresses of UDP sockets on that port, IPv4, as the kernel prints them."""
    with open("/proc/net/udp") as table:
        return {line.split()[1] for line in table if line.split()[1].endswith(f":{port:04X}")}


def test_only_addresses_that_listen_are_told():
    address = own_address()
    alone = Node(cluster=True, args=QUIET, listen=("http=127.0.0.1:0", f"tls={address}:0"))
    port = alone.port("tls")
    assert secure(alone) == {f"https://{address}:{port}"}
    both = Node(cluster=True, args=QUIET, listen=("http=127.0.0.1:0", "tls=127.0.0.1:0", f"tls={address}:0"))
    assert secure(both) and all(url.startswith(f"https://{address}:") for url in secure(both)), secure(both)
    every = Node(cluster=True, args=QUIET, listen=("http=127.0.0.1:0", "tls=*:0"))
    assert f"https://{address}:{every.port('tls')}" in secure(every), secure(every)
    assert not any("127.0.0.1" in url for url in secure(every)), secure(every)


def test_nodes_on_loopback_find_and_reach_each_other_and_nobody_else_hears_of_them():
    a, b = Node(cluster=True), Node(cluster=True)
    wait_for(lambda: b.id in listed(a) and a.id in listed(b), "they find each other without seeds")
    for node, other in ((a, b), (b, a)):
        assert secure(node, other) == {f"https://127.0.0.1:{other.port('tls')}"}
        assert "on loopback only" in node.log()
        port = node.get("/edge/v1/cluster")["port"]
        assert datagram_socket(port) == {f"0100007F:{port:04X}"}, datagram_socket(port)
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: listed(a)[b.id]["trusted"] and listed(b)[a.id]["trusted"], "trust")
    assert a.get(f"/nodes/{b.id}/edge/v1/node")["id"] == b.id
    # and one that listens everywhere finds them as well, and they it
    every = Node(cluster=True, listen=("http=127.0.0.1:0", "tls=*:0"))
    wait_for(lambda: a.id in listed(every) and every.id in listed(a), "the third is found")


def warnings(node):
    return node.get("/edge/v1/cluster")["warnings"]


class Events:
    """Collects the server-sent events of a node."""

    def __init__(self, node):
        self.text = ""
        self.socket = node.connect()
        self.socket.sendall(b"GET /edge/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        threading.Thread(target=self.read, daemon=True).start()

    def of(self, name):
        """The data of events of that name."""
        blocks = [block for block in self.text.split("\n\n") if f"event: {name}\n" in block + "\n"]
        return [json.loads(block.partition("data: ")[2].split("\n")[0].rstrip("\r"))["data"] for block in blocks]

    def read(self):
        try:
            while data := self.socket.recv(4096):
                self.text += data.decode()
        except OSError:
            pass


def test_a_copied_state_folder_is_named_and_harms_nobody():
    a, c = pair()
    wait_for(lambda: agreed(a, c), "agreement")
    a.edgectl("join", c.http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: listed(c)[a.id]["trusted"], "A is of C's account")
    events = {node: Events(node) for node in (a, c)}
    copied = edged.folder()
    shutil.copytree(os.path.join(a.state, "identity"), os.path.join(copied, "identity"))
    seeds = json.dumps([f"127.0.0.1:{c.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, state=copied, args=QUIET + ["--set", f"cluster.seeds={seeds}"])
    assert b.id == a.id
    for node in (a, b, c):
        wait_for(lambda: warnings(node), "the duplicate is shown")
        warning = warnings(node)[0]
        assert warning["type"] == "nodeDuplicate" and warning["id"] == a.id, warning
        assert warning["text"] in node.log()
        assert "the same node id" in warning["text"]
        assert len([line for line in node.log().splitlines() if "the same node id" in line and " error " in line]) == 1
    for node in (a, b):  # what to do about it
        assert "remove the folder identity" in warnings(node)[0]["text"]
    assert str(c.get("/edge/v1/cluster")["members"][0]["address"]) in warnings(c)[0]["text"]
    for node in (a, c):
        wait_for(lambda: "event: nodeDuplicate" in events[node].text, "the event")
    # All go on: each for its own clients, and the one that was first for the cluster.
    for node in (a, b):
        assert node.get("/readyz")["status"] == "ready"
        assert node.http("POST", "/things/lamp/shadow", {"state": {"desired": {"led": "on"}}})[0] == 200
    for _ in range(20):
        assert listed(c)[a.id]["reachable"] and set(listed(c)) == {a.id, c.id}
        listeners = c.get(f"/nodes/{a.id}/edge/v1/node")["listeners"]
        assert listeners == a.get("/edge/v1/node")["listeners"], "the first one is the member"
    assert not any(line for line in c.log().splitlines() if "does not answer any more" in line), c.log()
    # Once the copy has a key of its own, it is one more node.
    b.stop()
    shutil.rmtree(os.path.join(copied, "identity"))
    b.restart()
    assert b.id != a.id
    wait_for(lambda: set(listed(c)) == {a.id, b.id, c.id}, "three nodes")


def test_unknown_cluster_is_refused():
    node = Node(cluster=True, args=QUIET)
    problem = node.get("/mds/v1/nodes?clusters=galaxy", 400)
    assert "linkLocal" in problem["detail"], problem


if __name__ == "__main__":
    edged.main()
