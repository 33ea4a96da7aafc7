#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The operator with a hundred nodes: daemons of one account on hosts of their own, each connected with each for messages, through
kill -9 of the supernode and of another one. EDGED_NODES of them (6; EDGED_NODES=100 LIMIT=3600 takes 20 minutes of two cores);
with EDGED_MEASURE=60 what a node costs at rest is measured for so many seconds."""
import json
import os
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import edged
import mqtt_wire
import netns
from edged import wait_for
from netnodes import Edged, agreed, boss_of

NODES = int(os.environ.get("EDGED_NODES", "6"))
MEASURE = float(os.environ.get("EDGED_MEASURE", "0"))
PATIENCE = 60 + 6 * NODES  # for what each does with each, on two cores
NAMED = 20  # messages of each kind
# One kernel for all hosts: what each of them alone would stay far below
KERNEL = {"net/ipv4/neigh/default/gc_thresh3": 4 * NODES * NODES, "net/ipv6/neigh/default/gc_thresh3": 4 * NODES * NODES,
          "fs/inotify/max_user_instances": 256 + 4 * NODES}


class Kernel:
    """Limits of the kernel that all hosts share, raised for a while."""

    def __init__(self):
        self.before = {}
        for key, value in KERNEL.items():
            with open(f"/proc/sys/{key}") as file:
                was = int(file.read())
            if was < value:
                self.before[key] = was
                self.set(key, value)

    def set(self, key, value):
        with open(f"/proc/sys/{key}", "w") as file:
            file.write(str(value))

    def restore(self):
        for key, value in self.before.items():
            self.set(key, value)


class Timed:
    def __init__(self):
        self.begun = time.monotonic()

    def says(self, what):
        print(f"{what}: {time.monotonic() - self.begun:.1f} s", flush=True)


def pid_of(node):
    with open(os.path.join(node.state, "run.json")) as file:
        return json.load(file)["pid"]


def fields(path):
    with open(path) as file:
        return {line.split(":")[0]: line.split(":")[1].split()[0] for line in file if ":" in line and line.split(":")[1].strip()}


def pss(node):
    return int(fields(f"/proc/{pid_of(node)}/smaps_rollup")["Pss"]) - int(fields(f"/proc/{pid_of(node)}/smaps_rollup")["Pss_File"])


def cpu(node):
    with open(f"/proc/{pid_of(node)}/schedstat") as file:
        whole = int(file.read().split()[0])
    tasks = f"/proc/{pid_of(node)}/task"
    return max(whole, sum(int(open(f"{tasks}/{t}/schedstat").read().split()[0]) for t in os.listdir(tasks))) / 1e9


def wakes(node):
    """How often its threads have waited for something so far: each time they woke up again."""
    tasks = f"/proc/{pid_of(node)}/task"
    return sum(int(fields(f"{tasks}/{t}/status")["voluntary_ctxt_switches"]) for t in os.listdir(tasks))


def peers(node):
    status, document = node.call("GET", "/mesh/v1/peers")
    return {p["node"]: p for p in document["data"]} if status == 200 else {}


def meshed(node, nodes):
    found = peers(node)
    return {i for i, p in found.items() if p["state"] == "connected"} == {n.id for n in nodes if n is not node}


def calmly(condition, what):
    """As wait_for(); asking a hundred nodes all the time would be most of what this machine does."""
    def asked():
        value = condition()
        if not value:
            time.sleep(NODES / 200)
        return value
    return wait_for(asked, what, PATIENCE)


def agree(nodes, what):
    """They all see each other, and one supernode."""
    left, ids, bosses = list(nodes), set(), set()

    def none_left():
        while left:
            view = left[-1].view()
            if not view or len(view[0]) != len(nodes) or not view[1]:
                return False
            ids.add(frozenset(view[0])), bosses.add(view[1])
            left.pop()
        return True
    calmly(none_left, what)
    if len(ids) > 1 or len(bosses) > 1 or {node.id for node in nodes} not in ids:
        calmly(lambda: agreed(nodes), what)  # some have changed their minds meanwhile


class Meshed:
    """Of one account, all of one mind, and each connected with each."""

    def __init__(self, count):
        netns.need()
        self.kernel = Kernel()
        self.network = netns.Network(count)
        self.pool = ThreadPoolExecutor(8)
        t = Timed()
        self.nodes = [Edged(host, also=(f"mqtt=unix:{edged.folder()}/mqtt",)).start() for host in self.network.hosts]
        try:
            agree(self.nodes, "all see all, and one supernode")
            t.says(f"{count} nodes started, all see all and one supernode")
            t = Timed()
            self.join()
            t.says("all are of one account")
            self.connected(self.nodes)
            t.says("and each is connected with each")
            agree(self.nodes, "all see all, and one supernode")
        except BaseException as problem:
            self.__exit__(problem)
            raise

    def join(self):
        first = self.nodes[0]

        def one(node):
            token = first.call("POST", "/edge/v1/invites")[1]["token"]
            status, problem = node.call("POST", "/edge/v1/join", json.dumps({"token": token}))
            # call() asks twice where there was no answer in time
            assert status == 200 or node.call("GET", "/edge/v1/account")[0] == 200, problem
        first.call("POST", "/edge/v1/account")
        for node in self.nodes[1:]:
            one(node)

    def connected(self, nodes):
        left = list(nodes)

        def none_left():
            while left and meshed(left[-1], nodes):
                left.pop()
            return not left
        calmly(none_left, "each is connected with each")

    def __enter__(self):
        return self

    def __exit__(self, problem, *_):
        for node in self.nodes if problem else ():
            view = node.view() or ((), None)
            found = peers(node).values()
            print(f"{node.host.name}: {str(node.id)[:8]} sees {len(view[0])}, {str(view[1])[:8]} leads, "
                  f"{sum(p['state'] == 'connected' for p in found)} of {len(found)} connected\n{node.log()[-600:]}")
        self.network.close()
        self.kernel.restore()

    def but(self, *some):
        return [node for node in self.nodes if node not in some]


class Client(mqtt_wire.Wire):
    """A client with a session that stays, and what it heard."""

    def __init__(self, node, name, filter, qos, **options):
        super().__init__(node.also[0].split("unix:")[1], name, version=5, expiry=0 if options.get("clean", True) else 3600, **options)
        self.heard, self.answers, self.filter, self.qos = [], 0, filter, qos
        self.send(self.hello)

    def handle(self, found):
        if found.kind == mqtt_wire.PUBLISH:
            self.heard.append((found.payload.decode(), found.qos, found.retain))
            if found.qos == 1:
                self.ack(mqtt_wire.PUBACK, found.id)
        elif found.kind == mqtt_wire.CONNACK:
            assert found.reason == 0
            if self.filter:
                self.subscribe(self.filter, self.qos, 1)
            else:
                self.answers += 1
        elif found.kind in (mqtt_wire.SUBACK, mqtt_wire.PUBACK):
            assert found.reason < 0x80
            self.answers += 1

    def texts(self):
        return [text for text, _, _ in self.heard]


def serve(clients, until, what):
    try:
        mqtt_wire.serve(clients, Client.handle, until, PATIENCE)
    except AssertionError as problem:
        short = [len(c.heard) for c in clients]
        raise AssertionError(f"{what}: {problem}; heard {short}") from None


def clients(nodes, name, filter, qos, **options):
    """One on each node, subscribed."""
    made = [Client(node, name, filter, qos, **options) for node in nodes]
    serve(made, lambda: all(c.answers for c in made), f"{filter} is subscribed to")
    return made


def told(node, before, more, others):
    """It knows so many more filters of each other."""
    calmly(lambda: all(p["in"]["filters"] >= before[i] + more for i, p in peers(node).items() if i in others),
           "all have told their subscriptions")


def publish(node, topic, texts, qos, retain=False):
    """Returns when all are acknowledged."""
    sender = clients([node], "sender", None, 0)[0]
    for i, text in enumerate(texts):
        sender.publish(topic, text.encode(), qos, i + 1, retain)
    serve([sender], lambda: not qos or sender.answers == len(texts) + 1, "acknowledged")
    sender.disconnect()


def hears(heard, texts, what):
    """Each hears all of them, once and in order."""
    t = Timed()
    serve(heard, lambda: all(len(c.heard) >= len(texts) for c in heard), what)
    t.says(what)
    for c in heard:
        assert c.texts() == list(texts), (what, c.texts())
        c.heard.clear()


def measure(c):
    """What a node costs while nothing happens."""
    time.sleep(60)
    nodes, n = c.nodes, len(c.nodes)
    begun, used, woken = time.monotonic(), [cpu(x) for x in nodes], [wakes(x) for x in nodes]
    sent = [x.host.counter("tx_bytes") for x in nodes]
    time.sleep(MEASURE)
    took = time.monotonic() - begun
    used = [(cpu(x) - was) / took * 1000 for x, was in zip(nodes, used)]
    woken = [(wakes(x) - was) / took for x, was in zip(nodes, woken)]
    sent = [(x.host.counter("tx_bytes") - was) / took for x, was in zip(nodes, sent)]
    memory = [pss(x) for x in nodes]
    boss = nodes.index(boss_of(nodes))
    for what, values, unit in (("private memory", memory, "KiB"), ("CPU", used, "ms/s"), ("wake-ups", woken, "/s"),
                               ("sent", sent, "B/s")):
        others = values[:boss] + values[boss + 1:]
        print(f"{n} nodes at rest: {what}: {statistics.median(others):.2f} {unit}, at most {max(others):.2f}; "
              f"supernode {values[boss]:.2f}", flush=True)
    for name in ("metrics", "mesh/v1/peers", "mds/v1/nodes?clusters=account", "edge/v1/cluster"):
        answer = nodes[0].call("GET", "/" + name)[1]
        print(f"/{name}: {len(answer if isinstance(answer, bytes) else json.dumps(answer)) / 1024:.0f} KiB", flush=True)


def test_each_with_each():
    with Meshed(NODES) as c:
        if MEASURE:
            measure(c)
        publisher = c.nodes[1]
        before = {i: p["in"]["filters"] for i, p in peers(publisher).items()}
        assert len(before) == NODES - 1
        t = Timed()
        fast, safe = clients(c.nodes, "fast", "fast/+", 0), clients(c.nodes, "safe", "safe/+", 1, clean=False)
        told(publisher, before, 2, before)
        t.says("two subscriptions on each node, and all have been told")
        texts = [f"m{i}" for i in range(NAMED)]
        publish(publisher, "fast/x", texts, 0)
        hears(fast, texts, f"{NAMED} messages of QoS 0 are everywhere")
        publish(publisher, "safe/x", texts, 1)
        hears(safe, texts, f"{NAMED} messages of QoS 1 are everywhere")
        # who was away gets them, too, from the node where it was
        for client in safe:
            client.disconnect()
        publish(publisher, "safe/x", texts, 1)
        safe = [Client(node, "safe", None, 1, clean=False) for node in c.nodes]
        hears(safe, texts, "those who were away have them")
        publish(c.nodes[-1], "kept/x", ["kept"], 1, retain=True)

        def there(node):
            status, body = node.call("GET", "/metrics")
            return status == 200 and b"edged_broker_retained_messages 1\n" in body
        calmly(lambda: all(there(node) for node in c.nodes), "what is retained is on all nodes")
        for client in clients(c.nodes, "late", "kept/#", 1):
            serve([client], lambda: client.heard, "a late subscriber gets it")
            assert client.heard == [("kept", 1, True)], client.heard
            client.disconnect()
        # the supernode and another one lose their power
        boss = boss_of(c.nodes)
        other = c.but(boss, publisher)[0]
        rest = c.but(boss, other)
        for node in (boss, other):
            node.host.signal(signal.SIGKILL)
        survivors = [client for client, node in zip(safe, c.nodes) if node in rest]
        fast = [client for client, node in zip(fast, c.nodes) if node in rest]
        publisher = rest[-1]
        publish(publisher, "safe/x", texts, 1)
        hears(survivors, texts, "messages flow between the others at once")
        t = Timed()
        agree(rest, "the others agree")
        t.says("the supernode and another one were killed, the others agree")
        publish(publisher, "safe/y", texts, 1)
        hears(survivors, texts, "and flow on with another supernode")
        publish(publisher, "fast/y", texts, 0)
        hears(fast, texts, "those of QoS 0, too")
        # back again, they get what was published meanwhile
        t = Timed()
        for node in (boss, other):
            node.host.kill()
            node.start()
        agree(c.nodes, "they are back")
        c.connected(c.nodes)
        t.says("they are back, and connected with all")
        back = [Client(node, "safe", None, 1, clean=False) for node in (boss, other)]
        hears(back, texts * 2, "what was published while they were off")
        # a power cut of all of them
        t = Timed()
        for node in c.nodes:
            node.host.kill()
        for node in c.nodes:
            node.start()
        c.connected(c.nodes)
        t.says("all were killed, and started again at once: each is connected with each")
        print(f"a node's processor time for that: {statistics.median(cpu(node) for node in c.nodes):.2f} s", flush=True)
        safe = [Client(node, "safe", None, 1, clean=False) for node in c.nodes]
        serve(safe, lambda: all(client.answers for client in safe), "they are there again")
        last = [f"z{i}" for i in range(NAMED)]
        publish(publisher, "safe/z", last, 1)

        def rest(client):
            return [text for text in client.texts() if text[0] == "z"]  # an acknowledgement right before may be lost, too
        serve(safe, lambda: all(len(rest(client)) == NAMED for client in safe), "messages flow")
        assert all(rest(client) == last for client in safe)


def test_connections_that_lead_nowhere():
    """TCP between two nodes gets lost while the cluster sees both: who has something to say notices, and nothing is lost."""
    with Meshed(3) as c:
        a, b, third = c.nodes

        def tcp(verb):
            for node, other in ((a, b), (b, a)):
                node.host.ip("rule", verb, "to", other.host.address, "ipproto", "tcp", "blackhole")

        def states(node):
            found = peers(node)
            return {other: found[other.id]["state"] for other in c.nodes if other is not node}
        before = {i: p["in"]["filters"] for i, p in peers(a).items()}
        safe = clients([b, third], "safe", "safe/+", 1, clean=False)
        told(a, before, 1, before)
        try:
            tcp("add")
        except OSError as problem:
            raise edged.Skip(f"this kernel does not take TCP away: {problem}") from None
        publish(a, "safe/x", ["m1"], 1)
        hears(safe[1:], ["m1"], "the third one has it")
        wait_for(lambda: states(a)[b] != "connected", "who says something notices")
        assert "said nothing" in peers(a)[b.id]["lastError"]["text"], peers(a)[b.id]
        assert agreed(c.nodes) and states(a)[third] == "connected" and not safe[0].heard
        tcp("del")
        hears(safe[:1], ["m1"], "and it comes, once there is a way")
        c.connected(c.nodes)
        # nobody says anything: nor does it cost anything
        found = {node: [p["since"] for p in peers(node).values()] for node in c.nodes}
        time.sleep(15)
        assert found == {node: [p["since"] for p in peers(node).values()] for node in c.nodes}, "quiet connections stay"
        # a node whose network is gone is given up soon, though nobody has anything to say
        b.host.ip("link", "set", "eth0", "down")
        wait_for(lambda: states(a)[b] == states(third)[b] == "away", "it is away")
        b.host.ip("link", "set", "eth0", "up")
        b.host.ip("route", "add", "default", "dev", "eth0")
        c.connected(c.nodes)


if __name__ == "__main__":
    edged.main()
