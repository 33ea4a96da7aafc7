#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A planned hand-over of the supernode costs nothing: while it goes on, calls through other nodes are answered, and messages of
QoS 1 between nodes that were acknowledged arrive. Once for a pin, with which the old supernode stays, and once for one that leaves."""
import itertools
import threading

import edged
from edged import Node, wait_for
from mesh_test import Client, cluster, count, in_order, told


def supernode(node):
    return (node.get("/edge/v1/cluster")["supernode"] or {}).get("id")


def one_supernode(nodes, wanted=None):
    names = {supernode(node) for node in nodes}
    return len(names) == 1 and None not in names and (not wanted or names == {wanted})


class Load:
    """Calls from one node through to another, and messages of QoS 1 from it to a subscriber there, one after the other."""

    numbers = itertools.count()

    def __init__(self, source, target):
        before, number = count(source, target), next(self.numbers)
        self.topic = f"handover/{number}"
        self.listener = Client(target, f"listener{number}", self.topic)
        told(source, target, before + 1)
        self.sender = Client(source, f"sender{number}")
        self.path, self.source = f"/nodes/{target.id}/edge/v1/account", source
        wait_for(lambda: source.http("GET", self.path)[0] == 200, "the way to the other node")
        self.acknowledged, self.failed, self.calls, self.ending = [], [], 0, threading.Event()
        self.threads = [threading.Thread(target=self.publish), threading.Thread(target=self.call)]
        for thread in self.threads:
            thread.start()

    def publish(self):
        number = 0
        while not self.ending.is_set():
            info = self.sender.client.publish(self.topic, str(number), qos=1)
            try:
                info.wait_for_publish(60)
            except RuntimeError as problem:  # it is not connected: nothing here ends its connection
                self.failed.append(("publish", problem))
                return
            if info.is_published():
                self.acknowledged.append(str(number))
            number += 1

    def call(self):
        while not self.ending.is_set():
            try:
                status, _, body = self.source.http("GET", self.path)
            except OSError as problem:
                status, body = 0, problem
            self.calls += 1
            if status != 200:
                self.failed.append((status, body))

    def goes_on(self):
        messages, calls = len(self.acknowledged) + 20, self.calls + 20
        wait_for(lambda: self.failed or (len(self.acknowledged) >= messages and self.calls >= calls), "messages and calls go on")

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        wait_for(lambda: set(self.acknowledged) <= set(self.listener.heard), "what was acknowledged arrives")
        for client in (self.listener, self.sender):
            client.end()

    def judge(self):
        self.end()
        assert not self.failed, f"{len(self.failed)} of {self.calls} calls, or the publisher, failed: {self.failed[:3]}"
        in_order(self.listener.heard, sorted(set(self.listener.heard) | set(self.acknowledged), key=int))
        print(f"{self.calls} calls, {len(self.acknowledged)} messages", flush=True)


def test_a_hand_over_for_a_pin_costs_nothing():
    nodes = cluster(3)
    wait_for(lambda: one_supernode(nodes), "one supernode")
    boss = next(n for n in nodes if n.id == supernode(n))
    source, target = boss, next(n for n in nodes if n is not boss)
    load = Load(source, target)
    pinned = Node(cluster=True, args=["--set", 'cluster.discovery="off"', "--set", "cluster.pin=255", "--set",
                                      f'cluster.seeds=["127.0.0.1:{boss.get("/edge/v1/cluster")["port"]}"]'])
    pinned.edgectl("join", nodes[0].http("POST", "/edge/v1/invites")[2]["token"])
    wait_for(lambda: one_supernode(nodes + [pinned], pinned.id), "the pinned one is supernode")
    assert boss.get("/edge/v1/cluster")["counts"]["handovers"] == 1, "it was handed over"
    load.goes_on()
    load.judge()


def test_a_supernode_that_leaves_costs_the_others_nothing():
    nodes = cluster(4)
    wait_for(lambda: one_supernode(nodes), "one supernode")
    boss = next(n for n in nodes if n.id == supernode(n))
    rest = [n for n in nodes if n is not boss]
    load = Load(*rest[:2])
    load.goes_on()
    assert boss.stop() == 0
    wait_for(lambda: one_supernode(rest), "the next one")
    assert "handed over" in rest[0].get("/edge/v1/cluster/election")["reason"]
    load.goes_on()
    load.judge()


if __name__ == "__main__":
    edged.main()
