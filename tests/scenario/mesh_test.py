#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Messages between nodes: what is published on one reaches subscribers on the others, through kill -9 and cut connections.

EDGED_MESH_MESSAGES: messages of the long runs (default 400).
"""
import base64
import json
import os
import signal
import subprocess
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

import edged
from edged import Node, wait_for

MESSAGES = int(os.environ.get("EDGED_MESH_MESSAGES", "400"))
QUIET = ["--set", 'cluster.discovery="off"']  # other tests run on this machine


def cluster(count, *args):
    """Nodes of one account that are connected with each other."""
    nodes = [Node(cluster=True, args=QUIET + list(args))]
    seeds = json.dumps([f"127.0.0.1:{nodes[0].get('/edge/v1/cluster')['port']}"])
    for _ in range(count - 1):
        nodes.append(Node(cluster=True, args=QUIET + list(args) + ["--set", f"cluster.seeds={seeds}"]))
        nodes[-1].edgectl("join", nodes[0].http("POST", "/edge/v1/invites")[2]["token"])
    connected(nodes)
    return nodes


def peers(node):
    return {p["node"]: p for p in node.get("/mesh/v1/peers")["data"]}


def connected(nodes):
    ids = {n.id for n in nodes}
    wait_for(lambda: all({i for i, p in peers(n).items() if p["state"] == "connected"} == ids - {n.id} for n in nodes), "all are connected with all")


def told(node, other, filters):
    """`node` knows that many filters of `other`, which had `before`."""
    wait_for(lambda: peers(node)[other.id]["in"]["filters"] == filters, f"{filters} filters are told")


def count(node, other):
    return peers(node)[other.id]["in"]["filters"]


class Client:
    """A client with a session that stays, and what it heard."""

    def __init__(self, node, name, *filters, qos=1, clean=False):
        self.heard, self.messages = [], []
        self.ready = threading.Event()
        self.filters, self.qos = filters, qos
        self.client = mqtt.Client(name, clean_session=None, protocol=mqtt.MQTTv5)
        self.clean = clean
        self.client.max_inflight_messages_set(50)
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self.on_message
        self.connect(node)

    def connect(self, node):
        self.ready.clear()
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0 if self.clean else 1000
        self.client.connect("127.0.0.1", node.port("mqtt"), clean_start=self.clean, properties=properties)
        self.client.loop_start()
        wait_for(self.ready.is_set, "it is subscribed")

    def on_connect(self, *_):
        if self.filters:
            self.client.subscribe([(f, self.qos) for f in self.filters])
        else:
            self.ready.set()

    def on_message(self, _client, _data, message):
        self.heard.append(message.payload.decode())
        self.messages.append(message)

    def waits_for(self, *texts):
        wait_for(lambda: set(texts) <= set(self.heard), f"{texts} are heard, not just {self.heard}")

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def publish(node, topic, *texts, qos=1, retain=False):
    """Each is acknowledged when it returns."""
    subprocess.run([edged.need("mosquitto_pub"), "-p", str(node.port("mqtt")), "-t", topic, "-q", str(qos), "-l"]
                   + (["-r"] if retain else []), input="".join(t + "\n" for t in texts), text=True, check=True, timeout=60)


def in_order(heard, expected):
    """All came, in order; once when `heard` is as long. Returns how many came again."""
    first = list(dict.fromkeys(heard))
    missing = set(expected) - set(first)
    assert not missing, f"{len(missing)} of {len(expected)} lost: {sorted(missing)[:10]}"
    assert first == list(expected), "out of order"
    return len(heard) - len(first)


def test_messages_reach_subscribers_on_other_nodes():
    a, b, c = cluster(3)
    before = count(a, b)
    here, there, other = Client(a, "here", "t/#", qos=2), Client(b, "there", "t/+", qos=2), Client(c, "other", "t/x", qos=0)
    for node in (a, b, c):
        for peer in (a, b, c):
            if peer is not node:
                told(node, peer, before + 1)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "text/plain"
    properties.ResponseTopic = "answers/1"
    properties.CorrelationData = b"\0c"
    properties.UserProperty = [("a", "1"), ("a", "2")]
    for qos in (0, 1, 2):
        for sender, name in ((here, "a"), (there, "b"), (other, "c")):
            sender.client.publish("t/x", f"{name}{qos}", qos=qos, properties=properties)
    everything = {f"{name}{qos}" for name in "abc" for qos in (0, 1, 2)}
    for client in (here, there, other):
        client.waits_for(*everything)
        assert len(client.heard) == len(everything), f"each comes once: {client.heard}"
        p = client.messages[0].properties
        assert (p.ContentType, p.ResponseTopic, p.CorrelationData) == ("text/plain", "answers/1", b"\0c"), p
        assert p.UserProperty == [("a", "1"), ("a", "2")], p
    assert {m.qos for m in there.messages} == {0, 1, 2} and {m.qos for m in other.messages} == {0}
    # What nobody over there wants does not go there, nor does what is a node's own.
    sent = peers(a)[b.id]["out"]["sent"]
    here.client.subscribe([("u/#", 1), ("$aws/things/+/shadow/#", 1)])
    here.client.publish("u/x", "1", qos=1)
    here.waits_for("1")
    assert peers(a)[b.id]["out"]["sent"] == sent
    # Filters go with their last subscriber.
    there.client.unsubscribe("t/+")
    told(a, b, before)


def test_shared_subscriptions_have_members_on_all_nodes():
    """Of all members one gets a message, a local one first; nodes take turns, and a normal subscription has its own copy."""
    a, b, c = cluster(3)
    before = count(a, b), count(a, c)
    first, second = (Client(node, f"member-{name}", "$share/g/t/#") for node, name in ((b, "b"), (c, "c")))
    normal = Client(b, "normal", "t/#")
    told(a, b, before[0] + 2)
    told(a, c, before[1] + 1)
    texts = [f"m{i}" for i in range(40)]
    publish(a, "t/x", *texts)
    normal.waits_for(*texts)
    wait_for(lambda: len(first.heard) + len(second.heard) >= 40, "the members have all")
    assert sorted(first.heard + second.heard) == sorted(texts) and len(normal.heard) == 40
    assert len(first.heard) == len(second.heard) == 20, "they take turns"
    # With a member where it is published nobody else gets any.
    local = Client(a, "member-a", "$share/g/t/#")
    told(b, a, count(b, a))
    publish(a, "t/x", "here")
    local.waits_for("here")
    normal.waits_for("here")
    assert "here" not in first.heard + second.heard
    # One that is away comes after those on other nodes; a node that is killed goes on where it was.
    local.end()
    b.kill()
    publish(a, "t/x", *(f"n{i}" for i in range(10)))
    wait_for(lambda: {f"n{i}" for i in range(10)} <= set(second.heard), "all go to the node that is there")
    second.end()
    c.kill()
    publish(a, "t/x", "kept")
    b.restart()
    c.restart()
    first.connect(b)
    second.connect(c)
    local.connect(a)
    wait_for(lambda: "kept" in first.heard + second.heard + local.heard, "what was acknowledged comes to somebody")


def test_shadow_requests_are_answered_by_one_node_and_answers_are_heard_on_all():
    a, b = cluster(2)
    before = count(a, b)
    there = Client(b, "there", "$aws/things/lamp/shadow/update/accepted", "$aws/things/lamp/shadow/update")
    told(a, b, before + 1)
    publish(a, "$aws/things/lamp/shadow/update", '{"state":{"reported":{"on":true}}}')
    wait_for(lambda: there.heard, "the answer is heard on the other node")
    assert json.loads(there.heard[0])["version"] == 1, there.heard
    # the request itself stays: both nodes tell of the one shadow that there is (home_test.py has the rest)
    wait_for(lambda: b.http("GET", "/things/lamp/shadow")[0] == 200, "it is known on the other node")
    assert b.http("GET", "/things/lamp/shadow")[2]["version"] == a.http("GET", "/things/lamp/shadow")[2]["version"] == 1
    assert there.heard[1:] == [], there.heard


def test_what_was_acknowledged_survives_kill_9_of_either_node():
    a, b = cluster(2)
    before = count(a, b)
    there = Client(b, "there", "t/#", qos=2)
    told(a, b, before + 1)
    # The subscriber's node is away: messages wait where they were published, through its kill -9, too.
    there.end()
    b.kill()
    texts = [str(i) for i in range(MESSAGES)]
    publish(a, "t/1", *texts[:MESSAGES // 2])
    publish(a, "t/2", *texts, qos=2)
    a.kill()
    a.start()
    publish(a, "t/1", *texts[MESSAGES // 2:])
    b.restart(a)
    there.connect(b)
    wait_for(lambda: len(there.heard) >= 2 * MESSAGES, "all have come", 60)
    for topic in ("t/1", "t/2"):
        assert in_order([m.payload.decode() for m in there.messages if m.topic == topic], texts) == 0, topic


def test_order_and_exactly_once_while_nodes_die():
    a, b = cluster(2)
    before = count(a, b)
    there = Client(b, "there", "t/#", qos=2)
    told(a, b, before + 1)
    for round in range(3):
        texts = [f"{round}-{i}" for i in range(MESSAGES)]
        process = subprocess.Popen([edged.need("mosquitto_pub"), "-p", str(a.port("mqtt")), "-t", "t/x", "-q", "2", "-l"],
                                   stdin=subprocess.PIPE, text=True)
        process.stdin.write("".join(t + "\n" for t in texts[:MESSAGES // 2]))
        process.stdin.flush()
        seen = len(there.heard)
        wait_for(lambda: len(there.heard) > seen, "some have come")
        there.client.loop_stop()
        b.kill()
        process.communicate("".join(t + "\n" for t in texts[MESSAGES // 2:]), timeout=60)
        assert process.returncode == 0
        if round == 1:
            a.kill()
            a.start()
        b.restart(a)
        there.connect(b)
        wait_for(lambda: len(set(there.heard)) >= (round + 1) * MESSAGES, "all have come", 60)
    again = in_order(there.heard, [f"{r}-{i}" for r in range(3) for i in range(MESSAGES)])
    assert again == 0, f"{again} came twice"


def test_a_node_that_hangs_costs_its_queue_and_no_more():
    limits = ("--set", "plugins.mesh.queue.messages=100", "--set", "plugins.mesh.in_flight=10")
    a, b, c = cluster(3, *limits)
    before = count(a, b)
    slow, quick = Client(b, "slow", "t/#"), Client(c, "quick", "t/#")
    for peer in (b, c):
        told(a, peer, before + 1)
    os.kill(b.process.pid, signal.SIGSTOP)
    texts = [str(i) for i in range(MESSAGES)]
    for i in range(0, MESSAGES, 50):
        publish(a, "t/x", *texts[i:i + 50])
        wait_for(lambda: len(quick.heard) == min(i + 50, MESSAGES), "the other node has all")
    out = peers(a)[b.id]["out"]
    assert out["waiting"] + out["inFlight"] <= 120, out
    assert out["dropped"] >= MESSAGES - 120, out
    assert f'edged_mesh_messages_dropped_total{{node="{b.id}",direction="out",reason="queue-full"}} {out["dropped"]}' \
        in a.get("/metrics").decode(), "it is counted"
    os.kill(b.process.pid, signal.SIGCONT)
    wait_for(lambda: len(slow.heard) == MESSAGES - out["dropped"], "what was kept comes")
    assert slow.heard == texts[:len(slow.heard)]
    assert quick.heard == texts


def test_a_cut_connection_is_made_again_and_loses_nothing():
    a, b = cluster(2, "--set", "plugins.broker.limits.queue_messages=100000")  # Python is slow
    before = count(a, b)
    there = Client(b, "there", "t/#")
    told(a, b, before + 1)
    session = f"/pubsub/v1/clients/%24plugin%2Fmesh%2F{b.id}"
    texts = []
    for round in range(20):
        batch = [f"{round}-{i}" for i in range(5 * MESSAGES)]
        texts += batch
        publisher = threading.Thread(target=publish, args=(a, "t/x", *batch))
        publisher.start()
        seen = len(there.heard)
        wait_for(lambda: len(there.heard) > seen, "some have come")
        assert a.http("DELETE", session)[0] == 204
        publisher.join()
        wait_for(lambda: len(set(there.heard)) == len(texts), "all have come")
        if peers(b)[a.id]["in"]["duplicates"] > 0:
            break
    assert peers(b)[a.id]["in"]["duplicates"] > 0, "what was on the way came again"
    assert in_order(there.heard, texts) == 0, "and was known"


def retained(node, topic):
    """(payload or None) of what is retained there."""
    status, _, body = node.http("GET", f"/retainedMessage/{topic.replace('/', '%2F')}")
    assert status in (200, 404), body
    return base64.b64decode(body["payload"]).decode() if status == 200 else None


def agree(nodes, topic, text):
    wait_for(lambda: [retained(n, topic) for n in nodes] == [text] * len(nodes), f"{topic} is {text} on all")


def test_retained_messages_are_the_same_on_all_nodes():
    nodes = a, b, c = cluster(3)
    for node, name in zip(nodes, "abc"):
        publish(node, f"r/{name}", name, retain=True)
        publish(node, f"r/{name}/0", name, retain=True, qos=0)
    for name in "abc":
        agree(nodes, f"r/{name}", name)
        agree(nodes, f"r/{name}/0", name)
    late = Client(c, "late", "r/#")
    late.waits_for("a", "b", "c")
    assert len(late.heard) == 6 and all(m.retain for m in late.messages), late.heard
    # whoever publishes last wins, wherever that is
    for i, node in enumerate((a, b, c, a, c, b)):
        publish(node, "r/x", str(i), retain=True)
        agree(nodes, "r/x", str(i))
    late.waits_for(*"012345")
    assert late.heard[6:] == list("012345"), "each once, to who listens"
    subprocess.run(["mosquitto_pub", "-p", str(b.port("mqtt")), "-t", "r/x", "-q", "1", "-r", "-n"], check=True)
    agree(nodes, "r/x", None)
    assert a.http("DELETE", "/pubsub/v1/retained?filter=r/a/%23")[0] == 200
    agree(nodes, "r/a", None)
    agree(nodes, "r/b", "b")
    # and it is still so when all have started anew
    for node in nodes:
        node.kill()
    a.start()
    for node in (b, c):
        node.restart(a)
    connected(nodes)
    assert [retained(n, "r/x") for n in nodes] == [None] * 3 and [retained(n, "r/b") for n in nodes] == ["b"] * 3
    assert [n.stop() for n in nodes] == [0] * 3


def test_what_was_retained_while_nodes_did_not_see_each_other():
    """Without queues: only the comparison of what both have is left."""
    a, b = cluster(2, "--set", "plugins.mesh.queue.messages=0")
    for topic in ("r/deleted", "r/changed", "r/same"):
        publish(a, topic, "old", retain=True)
        agree((a, b), topic, "old")
    b.kill()
    wait_for(lambda: peers(a)[b.id]["state"] != "connected", "it is noticed")
    subprocess.run(["mosquitto_pub", "-p", str(a.port("mqtt")), "-t", "r/deleted", "-q", "1", "-r", "-n"], check=True)
    publish(a, "r/changed", "new", retain=True)
    for i in range(300):
        a.http("POST", f"/topics/many/{i}?qos=1&retain=true", str(i))
    a.kill()
    b.start()  # the two never see each other
    publish(b, "r/own", "own", retain=True)
    a.restart(b)
    connected((a, b))
    agree((a, b), "r/own", "own")
    agree((a, b), "r/changed", "new")
    agree((a, b), "r/deleted", None)
    for i in range(300):
        agree((a, b), f"many/{i}", str(i))


def test_nodes_that_meet_agree_on_what_is_newer():
    a = Node(cluster=True, args=QUIET)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    b = Node(cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}"])
    for first, second, topic in ((a, b, "r/1"), (b, a, "r/2")):
        publish(first, topic, "older", retain=True)
        publish(second, topic, "newer", retain=True)
    there = Client(a, "there", "r/1")
    b.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])
    connected((a, b))
    for topic in ("r/1", "r/2"):
        agree((a, b), topic, "newer")
    there.waits_for("newer")
    assert there.heard == ["older", "newer"], "who listens is told"


def test_nodes_of_other_accounts_get_nothing():
    a, b = cluster(2)
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    stranger = Node(cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}"])
    wait_for(lambda: stranger.id in {n["id"] for n in a.get("/mds/v1/nodes?clusters=linkLocal")["data"]}, "it is seen")
    Client(stranger, "stranger", "#")
    there = Client(b, "there", "t/#")
    wait_for(lambda: count(a, b) > count(b, a), "interest")
    publish(a, "t/x", "1")
    there.waits_for("1")
    assert stranger.get("/mesh/v1/peers")["data"] == []
    assert set(peers(a)) == {b.id}


def test_more_nodes_than_the_limit_are_left_out():
    a, b = cluster(2, "--set", "plugins.mesh.nodes=1")
    seeds = json.dumps([f"127.0.0.1:{a.get('/edge/v1/cluster')['port']}"])
    c = Node(cluster=True, args=QUIET + ["--set", f"cluster.seeds={seeds}"])
    c.edgectl("join", a.http("POST", "/edge/v1/invites")[2]["token"])

    def figure(node, name):
        return next(int(line.split()[1]) for line in node.get("/metrics").decode().splitlines() if line.startswith(name + " "))
    for node in (a, b):
        wait_for(lambda n=node: figure(n, "edged_mesh_nodes_refused_total") > 0, "there is no room for the third one")
        assert figure(node, "edged_mesh_nodes") == 1 and "mesh.nodes" in node.log()
    wait_for(lambda: figure(c, "edged_mesh_nodes") == 2, "it knows both")
    client = Client(b, "client", "t/#")
    told(a, b, count(b, a) + 1)
    publish(a, "t/x", "1")
    client.waits_for("1")
    assert {p["state"] for p in peers(a).values()} == {p["state"] for p in peers(b).values()} == {"connected"}
    assert not any(p["state"] == "connected" for p in peers(c).values())
    client.end()


def test_topics_that_stay():
    a, b = cluster(2, "--set", 'plugins.mesh.topics=["shared/#"]')
    before = count(a, b)
    there = Client(b, "there", "#")
    told(a, b, before + 1)
    publish(a, "own/x", "no")
    publish(a, "shared/x", "yes")
    there.waits_for("yes")
    assert there.heard == ["yes"]


if __name__ == "__main__":
    edged.main()
