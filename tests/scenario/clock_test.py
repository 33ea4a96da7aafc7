#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes whose clocks are wrong: never set, in the future, set while they run, and certificates that end meanwhile."""
import datetime
import json
import os
import struct
import time

import edged
from edged import Node, wait_for

LISTEN = ("http=127.0.0.1:0", "tls=127.0.0.1:0")
QUIET = ["--set", 'cluster.discovery="off"', "--set", 'cluster.link_idle="1s"']  # links do not outlive what is tested
LIBRARY = os.path.join(edged.BUILD, "tests", "clock.so")
DAY = 24 * 3600
NEVER_SET = -int(time.time()) + 3600  # it stands at one o'clock on the first of January 1970


class Clock:
    """The wall clock of one node."""

    def __init__(self, moved=0):
        if "address" in edged.BUILD or "thread" in edged.BUILD:
            raise edged.Skip("the sanitizers bring their own calls")
        self.path = os.path.join(edged.folder(), "clock")
        with open(self.path, "wb") as file:
            file.write(struct.pack("q", moved))
        self.env = {"LD_PRELOAD": LIBRARY, "EDGED_CLOCK": self.path}

    def set(self, moved):
        fd = os.open(self.path, os.O_WRONLY)
        os.pwrite(fd, struct.pack("q", moved), 0)
        os.close(fd)


def node(clock, seed=None):
    args = list(QUIET)
    if seed:
        args += ["--set", "cluster.seeds=" + json.dumps([f"127.0.0.1:{seed.get('/edge/v1/cluster')['port']}"])]
    return Node(listen=LISTEN, cluster=True, args=args, env=clock.env)


def join(holder, new):
    return new.http("POST", "/edge/v1/join", {"token": holder.http("POST", "/edge/v1/invites")[2]["token"]})


def trusts(one, other):
    nodes = {n["id"]: n for n in one.get("/mds/v1/nodes?clusters=linkLocal")["data"]}
    return nodes.get(other.id, {}).get("trusted", False)


def all_trust(nodes, seconds=60):
    for one in nodes:
        for other in nodes:
            wait_for(lambda: trusts(one, other), "trust", seconds)


def reaches(one, other):
    return one.http("GET", f"/nodes/{other.id}/edge/v1/node")[0] == 200


def until(one):
    """When its certificate ends."""
    text = one.get("/edge/v1/account")["certificateExpires"]
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def warnings(one):
    return [w["type"] for w in one.get("/edge/v1/cluster")["warnings"]]


def figure(one, name):
    for line in one.get("/metrics").decode().splitlines():
        if line.startswith(f"{name} "):
            return int(line.split(" ")[1])
    raise AssertionError(f"/metrics has no {name}")


def restart(*nodes):
    for one in nodes:
        assert one.stop() == 0
    for one in nodes:
        one.start()


def pair_of(clocks):
    holder = node(clocks[0])
    other = node(clocks[1], holder)
    assert join(holder, other)[0] == 200
    all_trust((holder, other))
    return holder, other


def test_nodes_without_clocks_and_then_with():
    clocks = Clock(NEVER_SET), Clock(NEVER_SET)
    nodes = holder, other = pair_of(clocks)
    first = until(other)
    assert first < time.time() - 30 * DAY, "there was no time to go by"
    other.args += holder_seed(holder)
    other.kill()
    other.restart()
    all_trust(nodes)
    assert until(other) == first
    # the time comes, by NTP say: what was in time is believed until all have a new certificate
    for clock in clocks:
        clock.set(0)
    assert reaches(holder, other) and reaches(other, holder)
    wait_for(lambda: until(holder) > time.time() and until(other) > time.time(), "both renew", 180)
    all_trust(nodes)
    assert reaches(holder, other) and reaches(other, holder)
    # from then on a clock that is not set counts for nothing: time is never below the newest certificate
    for clock in clocks:
        clock.set(NEVER_SET)
    before = until(holder), until(other)
    restart(holder)
    other.args += holder_seed(holder)
    restart(other)
    all_trust(nodes)
    assert (until(holder), until(other)) == before


def holder_seed(one):
    return ["--set", "cluster.seeds=" + json.dumps([f"127.0.0.1:{one.get('/edge/v1/cluster')['port']}"])]


def test_a_node_with_the_clock_in_the_future():
    clock = Clock(3650 * DAY)
    holder = node(Clock())
    other = node(clock, holder)
    status, _, problem = join(holder, other)
    assert status == 409 and problem["type"].endswith("clocks-differ") and "clock" in problem["detail"], problem
    assert other.http("GET", "/edge/v1/account")[0] == 404
    clock.set(0)
    assert join(holder, other)[0] == 200
    all_trust((holder, other))
    # it jumps while it runs, and when it starts: it believes nobody then, and does no harm to others
    clock.set(3650 * DAY)
    assert reaches(other, holder) and reaches(holder, other)
    other.args += holder_seed(holder)
    restart(other)
    assert "certificateEnded" in warnings(other) and not reaches(other, holder)
    wait_for(lambda: other.id in str(holder.get("/edge/v1/cluster")["members"]), "they meet")
    assert 0 < until(holder) - time.time() < 8 * DAY
    clock.set(0)
    restart(other)
    all_trust((holder, other))
    assert reaches(other, holder) and not warnings(other)


def test_certificates_that_end_while_nobody_can_sign():
    clocks = Clock(), Clock(), Clock()
    holder = node(clocks[0])
    one, two = node(clocks[1], holder), node(clocks[2], holder)
    for new in (one, two):
        assert join(holder, new)[0] == 200
    all_trust((holder, one, two))
    # at two thirds of a week they renew; here at their start, five days on
    ends = until(one)
    for clock in clocks:
        clock.set(5 * DAY)
    restart(holder)
    for new in (one, two):
        new.args += holder_seed(holder)
        restart(new)
        wait_for(lambda: until(new) > ends + 4 * DAY, "it renews", 60)
        assert figure(new, "edged_certificate_renewals_total") == 1
    all_trust((holder, one, two))
    # nine days later, without the holder: those who knew each other go on
    for clock in clocks:
        clock.set(14 * DAY)
    assert holder.stop() == 0
    restart(one)
    two.args += holder_seed(one)
    restart(two)
    all_trust((one, two))
    assert reaches(one, two) and reaches(two, one)
    assert "certificateEnded" in warnings(one), warnings(one)
    # the holder comes back, and all is well
    holder.args += holder_seed(one)
    holder.start()
    restart(one)
    two.args += holder_seed(one)
    restart(two)
    holder.args += holder_seed(one)
    restart(holder)
    wait_for(lambda: until(one) > time.time() + 14 * DAY, "the first renews", 60)
    for clock in clocks:
        clock.set(60 * DAY)
    # but not for ever: a month after its end nobody believes it
    assert holder.stop() == 0
    restart(one)
    two.args += holder_seed(one)
    restart(two)
    wait_for(lambda: one.id in str(two.get("/edge/v1/cluster")["members"]), "they see each other")
    assert not reaches(one, two) and not reaches(two, one) and not trusts(one, two)


if __name__ == "__main__":
    edged.main()
