#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two hosts on one network, as a user with two boards sees them: they find each other, one is supernode, they join, each
serves through the other, and when the supernode's plug is pulled the other takes over. See hosts.py for where."""
import json
import os
import time

import edged
from hosts import Host, lab

NODES = "/mds/v1/nodes?clusters=linkLocal"


def names(answer):
    return {node["name"] for node in answer["data"]}


def supernodes(answer):
    return [node["name"] for node in answer["data"] if "superNodeLocalLinkNetwork" in node["rolesInCluster"]]


def test_two_boards_on_one_network():
    tag = os.getpid()
    with Host(f"pi{tag}a", f"n{tag}") as a, Host(f"pi{tag}b", f"n{tag}") as b:
        a.sh("systemctl start edged")
        begin = time.monotonic()
        b.sh("systemctl start edged")
        for host in a, b:
            host.wait_api(NODES, lambda found: names(found) == {a.name, b.name} and len(supernodes(found)) == 1, "each lists the other, and one supernode")
        print(f"found each other {time.monotonic() - begin:.1f} s after the start of the second")
        assert supernodes(a.api(NODES)) == supernodes(b.api(NODES))
        assert " is supernode " in b.api("/edge/v1/cluster/election")["reason"]

        token = a.sh("edgectl invite").split()[-1]
        b.sh(f"edgectl join {token}")
        b.sh("edgectl shadow update lamp '{\"state\":{\"reported\":{\"led\":\"on\"}}}'")
        other = b.api("/edge/v1/node")["id"]
        a.wait_api(f"/nodes/{other}/things/lamp/shadow", lambda shadow: "state" in shadow, "A reads B's shadow")
        assert a.api(f"/nodes/{other}/things/lamp/shadow")["state"] == {"reported": {"led": "on"}}

        # The plug of the supernode is pulled; then it comes back, knowing what it knew.
        leader, rest = (a, b) if supernodes(a.api(NODES)) == [a.name] else (b, a)
        begin = time.monotonic()
        lab("kill", leader.name)
        rest.wait_api(NODES, lambda found: supernodes(found) == [rest.name], "the other takes over")
        print(f"took over within {time.monotonic() - begin:.1f} s")
        lab("boot", leader.name)
        leader.drop_in("users", "PrivateUsers=no")
        leader.sh("systemctl start edged")
        for host in a, b:
            host.wait_api(NODES, lambda found: names(found) == {a.name, b.name} and len(supernodes(found)) == 1, "both are there again")
        assert json.loads(b.sh("edgectl --json shadow get lamp"))["state"]["reported"] == {"led": "on"}



edged.main()
