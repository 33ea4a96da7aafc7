#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Eight hosts on one network, as an operator with eight boards sees them: one `join` for each, then plugs and cables are pulled,
processes die and hang, the network loses packets and falls in two. See hosts.py for where. Times are printed, not judged."""
import contextlib
import json
import os
import time

import edged
from edged import wait_for
from hosts import Host, lab

COUNT = 8
QUIET_SECONDS = 20  # in which bad weather must change nothing
BY_ITSELF = "systemctl show -p NRestarts --value edged"


class Board(Host):
    """A host in this cluster. `down` while it cannot be asked."""

    def __enter__(self):
        super().__enter__()
        self.begin()
        self.id = self.api("/edge/v1/node")["id"]
        self.address = self.sh("hostname -I").split()[0]
        return self

    def begin(self):
        """The lab's one-way cuts are for IPv4 only; over IPv6 all would go on."""
        self.sh("ip link set eth0 addrgenmode none && ip -6 addr flush dev eth0")
        self.sh("systemctl start edged")

    def view(self):
        """(live members, supernode, epoch); empty while it does not answer."""
        text = self.sh("timeout 5 edgectl api GET /edge/v1/cluster", check=False)
        if not text.startswith("{"):
            return frozenset(), None, None
        cluster = json.loads(text)
        live = {m["id"] for m in cluster["members"] if m["state"] in ("alive", "suspect")} | {cluster["id"]}
        supernode = cluster["supernode"] or {}
        return frozenset(live), supernode.get("id"), supernode.get("epoch")

    def count(self, what):
        return self.api("/edge/v1/cluster")["counts"][what]


def agreed(boards):
    views = {board.view() for board in boards}
    live, supernode, _ = next(iter(views))
    return len(views) == 1 and live == {board.id for board in boards} and supernode in live


def settle(boards, what):
    begun = time.monotonic()
    wait_for(lambda: agreed(boards), what, 120)
    print(f"{what}: {time.monotonic() - begun:.1f} s", flush=True)


def boss_of(boards):
    supernode = boards[0].view()[1]
    return next(board for board in boards if board.id == supernode)


def others(boards, *away):
    return [board for board in boards if board not in away]


def join_all(boards):
    founder = boards[0]
    for board in boards[1:]:
        board.sh(f"edgectl join {founder.sh('edgectl invite').split()[-1]}")
    settle(boards, "eight of one account agree")
    for board, target in zip(boards, boards[1:] + boards[:1]):
        board.wait_api(f"/nodes/{target.id}/edge/v1/node", lambda node, target=target: node.get("id") == target.id, "each reaches the next")


def message(source, target, text):
    """What is published on one is heard on the other."""
    target.sh(f"""rm -f /tmp/heard; systemd-run -q --collect sh -c "mosquitto_sub -h 127.0.0.1 -t 'board/{text}' -C 1 >/tmp/heard" """)
    path = f"/pubsub/v1/subscriptions?topic=board/{text}"
    target.wait_api(path, lambda shown: any(s["filter"] == f"board/{text}" for s in shown["data"]), "it has subscribed")

    def heard():
        source.sh(f"mosquitto_pub -h 127.0.0.1 -t 'board/{text}' -m '{text}' -q 1")
        return target.sh("cat /tmp/heard") == text
    wait_for(heard, "the message comes")


def process_dies(boards):
    boss = boss_of(boards)
    epoch, victim = boss.view()[2], others(boards, boss)[0]
    victim.sh(f"kill -KILL {victim.pid()}")
    wait_for(lambda: victim.sh(BY_ITSELF) == "1", "systemd starts it again")
    settle(boards, "a process was killed, and is back")
    assert boss.view()[1:] == (boss.id, epoch), "its end changes nothing for the others"


def supernode_hangs(boards):
    boss = boss_of(boards)
    rest = others(boards, boss)
    boss.sh(f"kill -STOP {boss.pid()}")
    settle(rest, "the supernode hangs, seven agree")
    boss.sh(f"kill -CONT {boss.pid()}")
    settle(boards, "it goes on")
    assert boss_of(boards) is not boss, "who was asleep does not take its office back"


def cable_is_pulled(boards, victim, what):
    lab("cut", victim.name)
    settle(others(boards, victim), f"the cable of {what} is pulled, seven agree")
    wait_for(lambda: victim.view()[:2] == ({victim.id}, victim.id), "alone it is its own supernode")
    lab("join", victim.name)
    settle(boards, "the cable is back")


def plug_is_pulled(boards):
    boss = boss_of(boards)
    lab("kill", boss.name)
    settle(others(boards, boss), "the plug of the supernode is pulled, seven agree")
    lab("boot", boss.name)
    boss.drop_in("users", "PrivateUsers=no")
    boss.begin()
    settle(boards, "it has booted")


def network_falls_in_two(boards):
    halves = boards[:COUNT // 2], boards[COUNT // 2:]
    for here, there in halves, halves[::-1]:
        for board in here:
            lab("block", board.name, *[other.address for other in there])
    begun = time.monotonic()
    wait_for(lambda: all(agreed(half) for half in halves), "each half has its supernode", 120)
    print(f"two halves: {time.monotonic() - begun:.1f} s", flush=True)
    for board in boards:
        lab("block", board.name)
    settle(boards, "one network again")


@contextlib.contextmanager
def nothing_changes(boards, what):
    before = boards[0].view(), [board.count("deaths") for board in boards]
    yield
    end = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < end:
        assert agreed(boards), what
    after = boards[0].view(), [board.count("deaths") for board in boards]
    assert before == after, f"{what}: {before} {after}"
    print(f"{what} for {QUIET_SECONDS} s: nothing changes", flush=True)


def test_eight_boards():
    tag = os.getpid()
    with contextlib.ExitStack() as stack:
        boards = [stack.enter_context(Board(f"pi{tag}{letter}", f"n{tag}")) for letter in "abcdefgh"[:COUNT]]
        settle(boards, "eight that nobody configured agree")
        join_all(boards)
        message(boards[1], boards[-1], "first")
        process_dies(boards)
        supernode_hangs(boards)
        cable_is_pulled(boards, others(boards, boss_of(boards))[-1], "a node")
        cable_is_pulled(boards, boss_of(boards), "the supernode")
        plug_is_pulled(boards)
        network_falls_in_two(boards)
        deaf, unheard = others(boards, boss_of(boards))[:2]
        with nothing_changes(boards, "one node does not hear another one"):
            lab("block", deaf.name, unheard.address)
        lab("block", deaf.name)
        with nothing_changes(boards, "5 of 100 packets are lost"):
            for board in boards:
                lab("lose", board.name, "5")
        for board in boards:
            lab("lose", board.name, "0")
        message(boards[-1], boards[0], "last")


edged.main()
