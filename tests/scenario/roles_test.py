#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Roles on real daemons: an operator's pins and vetoes, told to all, kept through restarts and another supernode; and
what edgectl says of the cluster."""
import json
import os

import edged
from edged import Node, wait_for

QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine


def account(count):
    nodes = [Node(cluster=True, args=QUIET + ["--set", 'cluster.name="n0"'])]
    seeds = json.dumps([f"127.0.0.1:{nodes[0].get('/edge/v1/cluster')['port']}"])
    for i in range(1, count):
        nodes.append(Node(cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}", "--set", f'cluster.name="n{i}"']))
        nodes[-1].edgectl("join", nodes[0].http("POST", "/edge/v1/invites")[2]["token"])
    for node in nodes:
        wait_for(lambda: all(n["trusted"] for n in listed(node).values()) and len(listed(node)) == count, "trust")
    wait_for(lambda: len({supernode(n) for n in nodes} - {None}) == 1 and None not in map(supernode, nodes), "one supernode")
    return nodes


def listed(node):
    return {n["id"]: n for n in node.get("/mds/v1/nodes?clusters=linkLocal")["data"]}


def supernode(node):
    return (node.get("/edge/v1/cluster")["supernode"] or {}).get("id")


def role(node, name="cache"):
    return next((r for r in node.get("/edge/v1/roles")["roles"] if r["role"] == name), {})


def holder(node, name="cache"):
    return (role(node, name).get("holder") or {}).get("id")


def all_say(nodes, wanted):
    return all(holder(n) == wanted for n in nodes)


def test_no_stranger_becomes_supernode_or_gets_a_role():
    nodes = account(2)
    before = supernode(nodes[0])
    seeds = json.dumps([f"127.0.0.1:{nodes[0].get('/edge/v1/cluster')['port']}"])
    stranger = Node(cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}", "--set", "cluster.pin=255"])
    assert stranger.http("POST", "/edge/v1/invites")[2]["token"]  # it has an account, of its own
    assert stranger.http("PUT", "/edge/v1/roles/cache", {"wish": "pin"})[0] == 200
    for node in nodes + [stranger]:
        wait_for(lambda: len(listed(node)) == 3, "all see each other")
    wait_for(lambda: supernode(stranger) == stranger.id, "it is its own supernode")
    wait_for(lambda: holder(stranger) == stranger.id, "and has its role there")
    assert [supernode(node) for node in nodes] == [before, before]
    assert holder(nodes[0]) in (nodes[0].id, nodes[1].id)
    # once it has left its account and joined this one it may be both
    stranger.stop()
    for name in ("account.json", "ca.pem"):
        os.unlink(os.path.join(stranger.state, "identity", name))
    stranger.start()
    stranger.edgectl("join", nodes[0].http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: {supernode(node) for node in nodes + [stranger]} == {stranger.id}, "its pin counts")
    wait_for(lambda: all_say(nodes, stranger.id), "so does that of its role")


def test_pins_and_vetoes():
    nodes = account(3)
    wait_for(lambda: holder(nodes[0]) and all_say(nodes, holder(nodes[0])), "somebody holds the cache")
    pinned = next(n for n in nodes if n.id != holder(nodes[0]) and n.id != supernode(n))
    name = f"n{nodes.index(pinned)}"
    for other in nodes:  # from any node of the account, also from itself
        assert f"pinned to {name}" in other.edgectl("role", "pin", "cache", name)
    wait_for(lambda: all_say(nodes, pinned.id), "the pin is obeyed, and all are told")
    assert "pinned to this node by its operator" in role(nodes[0])["reason"]
    assert [n["id"] for n in role(nodes[0])["pinned"]] == [pinned.id]
    assert pinned.id[:8] in nodes[0].edgectl("roles") and "pinned" in nodes[0].edgectl("why", name)
    # through restarts of the holder, and with another supernode
    pinned.kill()
    alive = [n for n in nodes if n is not pinned]
    wait_for(lambda: holder(alive[0]) not in (pinned.id, None), "it moves when the holder is lost")
    for node in alive:
        wait_for(lambda: f"{name} ({pinned.id[:8]}) of this account stopped to answer" in node.edgectl("status"), "a warning")
    pinned.restart(alive[0])
    wait_for(lambda: all_say(nodes, pinned.id), "and back")
    wait_for(lambda: "stopped to answer" not in alive[0].edgectl("status"), "no warning any more")
    boss = next(n for n in nodes if n.id == supernode(n))
    boss.stop()
    rest = [n for n in nodes if n is not boss]
    wait_for(lambda: all(supernode(n) not in (boss.id, None) for n in rest) and all_say(rest, pinned.id), "the next one obeys it")
    # a veto is obeyed at once
    rest[0].edgectl("role", "veto", "cache", pinned.id[:10])
    wait_for(lambda: holder(rest[0]) not in (pinned.id, None) and all_say(rest, holder(rest[0])), "the veto")
    for node in rest:
        node.edgectl("role", "veto", "cache", "self")
    wait_for(lambda: all_say(rest, None) and "vetoed" in role(rest[0]).get("reason", ""), "nobody, and it says why")
    rest[0].edgectl("role", "clear", "cache", "self")
    wait_for(lambda: all_say(rest, rest[0].id), "again")
    # what cannot be read
    assert rest[0].http("PUT", "/edge/v1/roles/butler", {"wish": "pin"})[0] == 404
    assert rest[0].http("PUT", "/edge/v1/roles/cache", {"wish": "please"})[0] == 400
    with open(os.path.join(rest[0].state, "cluster", "roles")) as file:
        assert file.read() in ("", "pin cache\n")


if __name__ == "__main__":
    edged.main()
