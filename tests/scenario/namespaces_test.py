#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Daemons on hosts of their own that find each other by multicast, on cables that lose, delay and lead one way only; they are
killed, stopped and cut off. EDGED_NODES hosts (6; for 32, which keep two cores busy: EDGED_NODES=32 LIMIT=1800)."""
import os
import signal
import time

import edged
import netns
from edged import wait_for
from netnodes import Edged, agreed, boss_of

NODES = int(os.environ.get("EDGED_NODES", "6"))
PATIENCE = 30 + 3 * NODES  # starting that many on two cores takes its time, and so does asking all of them
BARE = edged.folder  # a folder without plugins: 32 daemons share this machine


def counts(nodes, what):
    return sum(node.call("GET", "/edge/v1/cluster")[1]["counts"][what] for node in nodes)


def epoch(nodes):
    return max((node.call("GET", "/edge/v1/cluster")[1]["supernode"] or {}).get("epoch", 0) for node in nodes)


def probed(nodes, times):
    """Waits until they have looked at each other so often in the mean, which is once or twice a second."""
    before = counts(nodes, "probes")
    wait_for(lambda: counts(nodes, "probes") >= before + times * len(nodes), "probes go on", PATIENCE + 2 * times)


class Cluster:
    """All of one mind."""

    def __init__(self, count=NODES, wires=True):
        netns.need()
        if wires and not os.path.exists("/dev/net/tun"):
            raise edged.Skip("there is no /dev/net/tun for cables")
        plugins = BARE()
        self.network = netns.Network(count, wires=wires)
        self.nodes = [Edged(host, plugins=plugins).start() for host in self.network.hosts]
        try:
            self.agree(self.nodes, "all find each other")
        except BaseException as problem:
            self.__exit__(problem)
            raise

    def __enter__(self):
        return self

    def __exit__(self, problem, *_):
        for node in self.nodes if problem else ():
            view = node.view() or ((), None)
            print(f"{node.host.name}: {str(node.id)[:8]} sees {len(view[0])}, {str(view[1])[:8]} leads\n{node.log()[-500:]}")
        self.network.close()

    def agree(self, nodes, what):
        begun = time.monotonic()
        wait_for(lambda: agreed(nodes), what, PATIENCE)
        print(f"{what}: {time.monotonic() - begun:.1f} s", flush=True)

    def tell(self, command):
        self.network.tell(command)

    def but(self, *some):
        return [node for node in self.nodes if node not in some]


def test_killed_stopped_and_cut_off():
    with Cluster() as c:
        # a member loses its power, and comes back
        boss = boss_of(c.nodes)
        before = epoch(c.nodes)
        victim = c.but(boss)[0]
        victim.host.kill()
        c.agree(c.but(victim), "a member was killed")
        assert boss_of(c.but(victim)) is boss and epoch(c.but(victim)) == before
        victim.start()
        c.agree(c.nodes, "it is back")
        # the supernode hangs: another one serves, and who wakes up is no second one
        boss.host.signal(signal.SIGSTOP)
        c.agree(c.but(boss), "the supernode was stopped")
        assert epoch(c.but(boss)) > before
        boss.host.signal(signal.SIGCONT)
        c.agree(c.nodes, "it goes on")
        assert boss_of(c.nodes) is not boss
        # its cable is pulled
        boss = boss_of(c.nodes)
        c.tell(f"cable {boss.host.number} down")
        c.agree(c.but(boss), "the supernode's cable was pulled")
        wait_for(lambda: boss.view() == ({boss.id}, boss.id), "it is alone, and leads itself", PATIENCE)
        c.tell("heal")
        c.agree(c.nodes, "the cable is in again")
        # the network is cut in two
        half = c.nodes[NODES // 2:]
        for a in half:
            for b in c.but(*half):
                c.tell(f"block {a.host.number} {b.host.number}")
                c.tell(f"block {b.host.number} {a.host.number}")
        c.agree(half, "one half of the network")
        c.agree(c.but(*half), "the other half")
        c.tell("heal")
        c.agree(c.nodes, "one network again")


def test_one_way_and_bad_links_change_nothing():
    with Cluster() as c:
        boss = boss_of(c.nodes)
        before, dead = epoch(c.nodes), counts(c.nodes, "deaths")
        other, third = c.but(boss)[:2]
        # what the supernode sends does not reach one, what another sends does not reach a third: others vouch for them
        c.tell(f"block {boss.host.number} {other.host.number}")
        c.tell(f"block {other.host.number} {third.host.number}")
        probed(c.nodes, 20)
        assert agreed(c.nodes) and boss_of(c.nodes) is boss and epoch(c.nodes) == before
        assert counts(c.nodes, "deaths") == dead
        c.tell("heal")
        # 5 % of the frames are lost, and each takes up to 50 ms
        c.tell("loss 50")
        c.tell("delay 0 50")
        probed(c.nodes, 30)
        assert counts(c.nodes, "deaths") == dead
        wait_for(lambda: agreed(c.nodes), "through all of it", PATIENCE)
        assert boss_of(c.nodes) is boss and epoch(c.nodes) == before
        # a death is noticed all the same
        c.tell("loss 100")
        victim = c.but(boss, other)[0]
        victim.host.kill()
        c.agree(c.but(victim), "a member was killed at 10 % loss")


def holder(node, role):
    roles = node.call("GET", "/edge/v1/roles")[1]["roles"]
    return (next(r for r in roles if r["role"] == role).get("holder") or {}).get("id")


def test_roles_move_when_their_holder_weakens_or_leaves():
    with Cluster(3, wires=False) as c:
        def held(nodes, unlike=None):
            """The node that all say has the role."""
            ids = {holder(node, "networkProxy") for node in nodes}
            return next((n for n in nodes if ids == {n.id} and n is not unlike), None)
        weak = wait_for(lambda: held(c.nodes), "somebody is the network's proxy", PATIENCE)
        weak.host.ip("route", "del", "default")  # its way to other networks, with all links up
        leaving = wait_for(lambda: held(c.nodes, weak), "another one is, which has an uplink", PATIENCE + 15)
        weak.host.ip("route", "add", "default", "dev", "eth0")
        wait_for(lambda: uplink(c.nodes[0], weak) and uplink(c.nodes[1], weak), "it has one again", PATIENCE + 15)
        assert held(c.nodes) is leaving, "and does not take the role back, being no better"
        leaving.host.signal(signal.SIGTERM)
        wait_for(lambda: held(c.but(leaving)), "the next one, when it has left", PATIENCE)


def uplink(node, other):
    election = node.call("GET", "/edge/v1/cluster/election")[1]["nodes"]
    return next(n["values"]["uplink"] for n in election if n["id"] == other.id) not in (0, "none")


if __name__ == "__main__":
    edged.main()
