#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons: they find each other, one is supernode and both say so, and when it is killed the other takes over."""
import json
import time

import edged
from edged import Node, wait_for

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
    wait_for(lambda: agreed(a, b), 3, "both list each other and name one supernode")
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
    wait_for(lambda: agreed(a, b), 3, "agreement")
    dead, alive = (a, b) if supernode(a) == a.id else (b, a)
    start = time.monotonic()
    dead.kill()
    wait_for(lambda: supernode(alive) == alive.id, 3, "the other is supernode")
    print(f"took over after {time.monotonic() - start:.2f} s")
    wait_for(lambda: set(listed(alive)) == {alive.id}, 8, "the killed one is no longer listed")


def test_unknown_cluster_is_refused():
    node = Node(cluster=True, args=QUIET)
    problem = node.get("/mds/v1/nodes?clusters=galaxy", 400)
    assert "linkLocal" in problem["detail"], problem


if __name__ == "__main__":
    edged.main()
