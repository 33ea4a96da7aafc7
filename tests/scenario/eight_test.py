#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Eight daemons: members and supernodes that die, hang and come back; at the end all agree again."""
import json
import os
import signal
import time

import edged
from edged import Node, wait_for

QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine
COUNT = 8


def cluster():
    nodes = [Node(cluster=True, args=QUIET)]
    seeds = json.dumps([f"127.0.0.1:{nodes[0].get('/edge/v1/cluster')['port']}"])
    nodes += [Node(cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}"], start=False) for _ in range(COUNT - 1)]
    for node in nodes[1:]:
        node.start()
    wait_for(lambda: agreed(nodes), "eight that agree")
    return nodes


def view(node):
    """(live members, supernode, epoch) as the node sees them."""
    cluster = node.get("/edge/v1/cluster")
    live = {m["id"] for m in cluster["members"] if m["state"] in ("alive", "suspect")} | {cluster["id"]}
    supernode = cluster["supernode"] or {}
    return live, supernode.get("id"), supernode.get("epoch")


def agreed(nodes):
    views = [view(n) for n in nodes]
    ids = {n.id for n in nodes}
    return all(v[0] == ids for v in views) and len({v[1:] for v in views}) == 1 and views[0][1] in ids


def supernode(nodes):
    wanted = view(nodes[0])[1]
    return next(n for n in nodes if n.id == wanted)


def epoch(nodes):
    return max(view(n)[2] or 0 for n in nodes)


def test_they_go_on_whatever_dies_or_hangs():
    nodes = cluster()
    # a member is killed: all know, and the supernode stays
    boss = supernode(nodes)
    before = epoch(nodes)
    victim = next(n for n in nodes if n is not boss)
    rest = [n for n in nodes if n is not victim]
    victim.kill()
    begun = time.monotonic()
    wait_for(lambda: agreed(rest), "all know that it died")
    print(f"death known to all after {time.monotonic() - begun:.1f} s")
    assert supernode(rest) is boss and epoch(rest) == before
    victim.restart(boss)
    wait_for(lambda: agreed(nodes), "it is back")
    # the supernode hangs: another one takes over, and when it wakes up it is no second one
    os.kill(boss.process.pid, signal.SIGSTOP)
    rest = [n for n in nodes if n is not boss]
    begun = time.monotonic()
    wait_for(lambda: all(view(n)[1] not in (boss.id, None) for n in rest), "another supernode")
    print(f"took over after {time.monotonic() - begun:.1f} s")
    wait_for(lambda: agreed(rest), "seven that agree")
    assert epoch(rest) > before
    os.kill(boss.process.pid, signal.SIGCONT)
    wait_for(lambda: agreed(nodes), "eight that agree again")
    assert supernode(nodes) is not boss, "who was asleep does not take its office back"
    # a short pause of a member is no death
    deaths = sum(n.get("/edge/v1/cluster")["counts"]["deaths"] for n in nodes)
    victim = next(n for n in nodes if n is not supernode(nodes))
    os.kill(victim.process.pid, signal.SIGSTOP)
    time.sleep(0.5)  # the pause itself
    os.kill(victim.process.pid, signal.SIGCONT)
    wait_for(lambda: agreed(nodes), "after the pause")
    assert sum(n.get("/edge/v1/cluster")["counts"]["deaths"] for n in nodes) == deaths
    # the supernode and its two likeliest followers are killed at once
    boss = supernode(nodes)
    order = sorted(n.id for n in nodes if n is not boss)[:2]
    dying = [n for n in nodes if n is boss or n.id in order]
    before = epoch(nodes)
    for node in dying:
        os.kill(node.process.pid, signal.SIGKILL)
    rest = [n for n in nodes if n not in dying]
    wait_for(lambda: agreed(rest), "five that agree")
    assert epoch(rest) > before
    for node in dying:
        node.process.wait()
        node.restart(rest[0])
    wait_for(lambda: agreed(nodes), "all eight")


if __name__ == "__main__":
    edged.main()
