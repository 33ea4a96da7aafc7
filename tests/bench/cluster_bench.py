#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How soon clusters notice, and what they cost: edged beside Debian's serf and keepalived, in turn, in the same network of
namespaces. Needs root and ip(8); what is not installed (SERF=, KEEPALIVED= name other places) is left out.

NODES (8) hosts, ROUNDS (5) of each measurement, QUIET_SECONDS (30) of counting bytes after REST_SECONDS (30) of rest, WEATHER_SECONDS
(60; the wanted figures are of 3600) of loss and jitter on cables of wire.c.
"""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import edged  # noqa: E402
import handover_test  # noqa: E402
from netnodes import Edged, agreed, boss_of  # noqa: E402
import netns  # noqa: E402
from netns import Network  # noqa: E402

NODES = int(os.environ.get("NODES", "8"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
QUIET_SECONDS = int(os.environ.get("QUIET_SECONDS", "30"))
REST_SECONDS = int(os.environ.get("REST_SECONDS", "30"))  # the questions of discovery grow rare
WEATHER_SECONDS = int(os.environ.get("WEATHER_SECONDS", "60"))
LIMIT = 60
SERF = os.environ.get("SERF") or shutil.which("serf")
KEEPALIVED = os.environ.get("KEEPALIVED") or shutil.which("keepalived", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
STEP = 0.01


def until(condition, what):
    """Seconds until it holds."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > LIMIT:
            raise AssertionError(f"{what}: not within {LIMIT} s")
        time.sleep(STEP)
    return time.monotonic() - begun


# --- edged ---

def edged_rounds(network, figures):
    nodes = [Edged(host) for host in network.hosts]
    for node in nodes:
        node.start()
    until(lambda: agreed(nodes), "edged: the first agreement")
    boss = boss_of(nodes)
    figures["traffic"], wakes = traffic(network, boss.host, [n for n in nodes if n is not boss])
    figures["wakes"] = [statistics.median(wakes)]
    figures["memory"] = [statistics.median(pss(node) for node in nodes)]
    for _ in range(ROUNDS):
        edged_deaths(nodes, figures)
    for _ in range(max(1, ROUNDS // 2)):
        half = nodes[len(nodes) // 2:]
        network.cut([n.host for n in half])
        rest = [n for n in nodes if n not in half]
        figures["cut"].append(until(lambda: agreed(rest) and agreed(half), "edged: a partition is known"))
        time.sleep(5)
        network.heal()
        figures["merge"].append(until(lambda: agreed(nodes), "edged: merged"))
    proxy(nodes, figures)


def edged_alone(network, figures):
    """The same daemons, without a cluster: what clustering adds is the difference."""
    nodes = [Edged(host, ("cluster.enabled=false",)) for host in network.hosts]
    for node in nodes:
        node.start()
    until(lambda: all(node.call("GET", "/readyz")[0] == 200 for node in nodes), "edged: ready")
    time.sleep(REST_SECONDS)
    wakes = [switches(node) for node in nodes]
    time.sleep(QUIET_SECONDS)
    figures["wakes"] = [statistics.median((switches(node) - was) / QUIET_SECONDS for node, was in zip(nodes, wakes))]
    figures["memory"] = [statistics.median(pss(node) for node in nodes)]


def edged_weather(network, figures):
    """On cables that lose 10 %: deaths; then, at 5 % and 50 ms of jitter, what changes though nothing happened."""
    nodes = [Edged(host).start() for host in network.hosts]
    until(lambda: agreed(nodes), "edged: the first agreement on cables")
    network.tell("loss 100")
    for _ in range(ROUNDS):
        victim = next(n for n in nodes if n is not boss_of(nodes))
        rest = [n for n in nodes if n is not victim]
        victim.host.kill()
        figures["death_loss"].append(until(lambda: agreed(rest), "edged: a death is known at 10 % loss"))
        victim.start()
        until(lambda: agreed(nodes), "edged: all again at 10 % loss")
    for name, *weather in WEATHERS:
        for command in weather:
            network.tell(command)
        until(lambda: agreed(nodes), "edged: before the weather")
        before = [counts(node) for node in nodes]
        time.sleep(WEATHER_SECONDS)
        after = [counts(node) for node in nodes]
        for what in ("deaths", "elections"):
            figures[f"{what}_{name}"] = [sum(now[what] - was[what] for now, was in zip(after, before))]


def edged_handover(figures):
    """Calls and messages through other nodes while the supernode leaves in order."""
    nodes = handover_test.cluster(4)
    for _ in range(ROUNDS):
        until(lambda: handover_test.one_supernode(nodes), "edged: one supernode of an account")
        boss = next(n for n in nodes if n.id == handover_test.supernode(n))
        rest = [n for n in nodes if n is not boss]
        load = handover_test.Load(*rest[:2])
        load.goes_on()
        boss.stop()
        until(lambda: handover_test.one_supernode(rest), "edged: the next supernode")
        load.goes_on()
        load.end()
        figures["failed"].append(len(load.failed))
        figures["lost"].append(len(set(load.acknowledged) - set(load.listener.heard)))
        figures["calls"] = [sum(figures["calls"]) + load.calls]
        figures["messages"] = [sum(figures["messages"]) + len(load.acknowledged)]
        boss.restart(rest[0])


def counts(node):
    return node.call("GET", "/edge/v1/cluster")[1]["counts"]


def pss(node):
    with open(f"/proc/{pid_of(node)}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def switches(node):
    """How often its threads have waited for something so far: each time they woke up again."""
    total = 0
    for thread in os.listdir(f"/proc/{pid_of(node)}/task"):
        with open(f"/proc/{pid_of(node)}/task/{thread}/status") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt"))
    return total


def pid_of(node):
    with open(os.path.join(node.state, "run.json")) as file:
        return json.load(file)["pid"]


def edged_deaths(nodes, figures):
    boss = boss_of(nodes)
    victim = next(n for n in nodes if n is not boss)
    rest = [n for n in nodes if n is not victim]
    victim.host.kill()
    figures["death"].append(until(lambda: agreed(rest), "edged: a death is known"))
    begun = time.monotonic()
    victim.start()
    until(lambda: len((victim.view() or [()])[0]) > 1 and victim.id in (boss.view() or [()])[0], "edged: joined")
    figures["join"].append(time.monotonic() - begun)
    until(lambda: agreed(nodes), "edged: all again")
    boss = boss_of(nodes)
    rest = [n for n in nodes if n is not boss]
    boss.host.kill()
    figures["takeover"].append(until(lambda: any((n.view() or (0, 0))[1] == n.id for n in rest), "edged: a new supernode"))
    until(lambda: agreed(rest), "edged: all know the new supernode")
    boss.start()
    until(lambda: agreed(nodes), "edged: all again")
    boss = boss_of(nodes)
    rest = [n for n in nodes if n is not boss]
    os.kill(pid_of(boss), signal.SIGTERM)
    figures["handover"].append(until(lambda: any((n.view() or (0, 0))[1] == n.id for n in rest), "edged: handed over"))
    boss.process.wait()
    boss.host.kill()
    boss.start()
    until(lambda: agreed(nodes), "edged: all again")


def proxy(nodes, figures):
    """What it adds to a call of one node that it goes through another one, in ms."""
    a, b = nodes[0], nodes[1]
    token = a.call("POST", "/edge/v1/invites")[1]["token"]
    status, problem = b.call("POST", "/edge/v1/join", json.dumps({"token": token}))
    assert status == 200, problem
    path = "/edge/v1/roles"
    until(lambda: a.call("GET", f"/nodes/{b.id}{path}")[0] == 200, "edged: the way to the other")
    times = {False: [], True: []}
    for _ in range(500):
        for through in times:
            begun = time.perf_counter()
            assert (a.call("GET", f"/nodes/{b.id}{path}") if through else b.call("GET", path))[0] == 200
            times[through].append((time.perf_counter() - begun) * 1000)
    figures["proxy"] = [statistics.median(times[True]) - statistics.median(times[False])]


def traffic(network, boss, nodes=()):
    """Bytes a second sent, (supernode, median of the others), and how often each of the nodes woke up."""
    time.sleep(REST_SECONDS)
    before, asleep = [host.counter("tx_bytes") for host in network.hosts], [switches(node) for node in nodes]
    time.sleep(QUIET_SECONDS)
    wakes = [(switches(node) - was) / QUIET_SECONDS for node, was in zip(nodes, asleep)]
    rates = [(host.counter("tx_bytes") - was) / QUIET_SECONDS for host, was in zip(network.hosts, before)]
    others = [rate for host, rate in zip(network.hosts, rates) if host is not boss]
    return [rates[network.hosts.index(boss)] if boss else max(rates), statistics.median(others)], wakes


# --- those whose log says what happens ---

class Logged:
    """A process whose lines are kept with the time at which they came."""

    def __init__(self, host, *command, env=None):
        self.host, self.lines = host, []
        self.process = host.run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line))

    def has(self, text, since):
        return self.counts(text, since) > 0

    def counts(self, text, since):
        return sum(at >= since and text in line for at, line in self.lines)


def start_serf(network, host, join=True):
    words = [SERF, "agent", f"-node={host.address}", f"-bind={host.address}:7946", "-rpc-addr=127.0.0.1:7373", "-log-level=info"]
    first = network.hosts[0] if host is not network.hosts[0] else network.hosts[1]
    return Logged(host, *words, *([f"-retry-join={first.address}", "-retry-interval=1s"] if join else []))


def start_serfs(network):
    agents = {host: start_serf(network, host, host is not network.hosts[0]) for host in network.hosts}
    until(lambda: all(sum("EventMemberJoin" in line for _, line in agent.lines) >= len(agents) for agent in agents.values()), "serf")
    return agents


def serf_death(network, agents, figures, death, join):
    victim = network.hosts[-1]
    since = time.monotonic()
    victim.kill()
    rest = [agent for host, agent in agents.items() if host is not victim]
    figures[death].append(until(
        lambda: all(agent.has(f"EventMemberFailed: {victim.address}", since) for agent in rest), "serf: a death is known"))
    since = time.monotonic()
    agents[victim] = start_serf(network, victim)
    figures[join].append(until(lambda: rest[0].has(f"EventMemberJoin: {victim.address}", since), "serf: joined"))
    time.sleep(1)


def serf_weather(network, figures):
    agents = start_serfs(network)
    network.tell("loss 100")
    for _ in range(ROUNDS):
        serf_death(network, agents, figures, "death_loss", "join_loss")
    for name, *weather in WEATHERS:
        for command in weather:
            network.tell(command)
        since = time.monotonic()
        time.sleep(WEATHER_SECONDS)
        figures[f"deaths_{name}"] = [sum(agent.counts("EventMemberFailed", since) for agent in agents.values())]


def serf_rounds(network, figures):
    agents = start_serfs(network)
    figures["traffic"] = traffic(network, None)[0][1:]
    for _ in range(ROUNDS):
        serf_death(network, agents, figures, "death", "join")
    for _ in range(max(1, ROUNDS // 2)):
        half, since = network.hosts[NODES // 2:], time.monotonic()
        rest = network.hosts[:NODES // 2]

        def each_says(word, since):
            return all(agents[a].has(f"{word}: {b.address}", since) and agents[b].has(f"{word}: {a.address}", since)
                       for a in rest for b in half)
        network.cut(half)
        figures["cut"].append(until(lambda: each_says("EventMemberFailed", since), "serf: a partition is known"))
        time.sleep(5)
        since = time.monotonic()
        network.heal()
        figures["merge"].append(until(lambda: each_says("EventMemberJoin", since), "serf: merged"))


def start_keepaliveds(network):
    """Three of them; returns the agents by host, and which is master."""
    hosts, agents = network.hosts[:3], {}
    for host in hosts:
        folder = edged.folder()
        config = os.path.join(folder, "conf")
        with open(config, "w") as file:
            file.write("vrrp_instance V {\n state BACKUP\n interface eth0\n virtual_router_id 51\n"
                       f" priority {200 - hosts.index(host)}\n advert_int 1\n nopreempt\n virtual_ipaddress {{ 10.77.0.200/24 }}\n}}\n")
        pids = [word for flag in "prc" for word in (f"-{flag}", os.path.join(folder, flag))]
        agents[host] = Logged(host, KEEPALIVED, "-n", "-l", "-D", "-G", "-f", config, *pids)
    until(lambda: any(agent.has("Entering MASTER STATE", 0) for agent in agents.values()), "keepalived: a master")
    time.sleep(3)
    return agents, next(host for host, agent in agents.items() if agent.has("Entering MASTER STATE", 0))


def keepalived_weather(network, figures):
    agents, _ = start_keepaliveds(network)
    for name, *weather in WEATHERS:
        for command in weather:
            network.tell(command)
        since = time.monotonic()
        time.sleep(WEATHER_SECONDS)
        figures[f"elections_{name}"] = [sum(agent.counts("Entering MASTER STATE", since) for agent in agents.values())]


def keepalived_rounds(network, figures):
    for name, how in (("takeover", signal.SIGKILL), ("handover", signal.SIGTERM)):
        for _ in range(ROUNDS):
            agents, master = start_keepaliveds(network)
            since = time.monotonic()
            if how == signal.SIGKILL:
                master.kill()
            else:
                master.signal(how)
            figures[name].append(until(
                lambda: any(agent.has("Entering MASTER STATE", since) for host, agent in agents.items() if host is not master),
                "keepalived: the next master"))
            for host in agents:
                host.kill()


# --- printing ---

ROWS = (("join", "start of a process to member", "s", 0.5), ("death", "member killed, known to all", "s", 2.5),
        ("death_loss", "the same at 10 % loss", "s", 5),
        ("cut", "network cut in two halves, known to all", "s", 4), ("merge", "healed, one again", "s", 2),
        ("takeover", "supernode (master) killed, the next one serves", "s", 1), ("handover", "the same, ended in order", "s", 0.1),
        ("proxy", "a REST call through another node, added", "ms", 0.15))
WEATHERS = (("loss", "loss 100", "delay 0 0"), ("jitter", "loss 50", "delay 0 50"))
EVENTS = (("deaths_loss", "false deaths at 10 % loss"), ("elections_loss", "needless supernodes (masters) at 10 % loss"),
          ("deaths_jitter", "false deaths at 5 % loss, 50 ms of jitter"),
          ("elections_jitter", "needless supernodes (masters), the same"),
          ("failed", "calls that failed while a supernode handed over"), ("lost", "messages of QoS 1 lost meanwhile"))


def show(text, ours, theirs, unit, target):
    def number(value):
        return f"{value:9.3f}" if value < 100 else f"{value:9.0f}"
    ratio = f"{ours / theirs:6.2f}" if theirs else f"{'-':>6}"
    against = f"{'-' if theirs is None else number(theirs):>9} {unit:<7} {ratio}"
    print(f"{text:<50} {number(ours)} {unit:<7} {against}   {number(target)} {'' if ours <= target else 'missed'}", flush=True)


def nothing():
    return {row[0]: [] for row in ROWS + EVENTS} | {key: [] for key in ("traffic", "memory", "wakes", "calls", "messages", "join_loss")}


def measure(figures, rounds, wires=False):
    network = Network(NODES, wires=wires)
    try:
        rounds(network, figures)
    finally:
        network.close()
        edged.clean()
    return figures


def measure_all(wanted, *stages):
    figures = nothing()
    for rounds, wires in stages if wanted else ():
        measure(figures, rounds, wires)
    return figures


def middle(figures, key):
    return statistics.median(figures[key]) if figures[key] else None


def main():
    try:
        netns.need()
    except edged.Skip as reason:
        print(reason)
        return 77
    alone = measure(nothing(), edged_alone)
    ours = measure_all(True, (edged_rounds, False), (edged_weather, True))
    edged_handover(ours)
    edged.clean()
    serf = measure_all(SERF, (serf_rounds, False), (serf_weather, True))
    vrrp = measure_all(KEEPALIVED, (keepalived_rounds, False), (keepalived_weather, True))
    print(f"{NODES} hosts, medians of {ROUNDS} rounds, polled every {STEP * 1000:.0f} ms; beside serf {'' if SERF else '(not installed) '}"
          f"and keepalived {'' if KEEPALIVED else '(not installed) '}\n")
    print(f"{'':<50} {'ours':>9} {'':<7} {'theirs':>9} {'':<7} {'ratio':>6}   {'target':>9}")
    for key, text, unit, target in ROWS:
        theirs = serf[key] or vrrp[key]
        show(text, middle(ours, key), statistics.median(theirs) if theirs else None, unit, target)
        if len(ours[key]) > 2:
            show("    the slowest", max(ours[key]), max(theirs) if theirs else None, unit, target)
    show("bytes sent by the supernode", ours["traffic"][0], None, "B/s", 4000)
    show("bytes sent by another node", ours["traffic"][1], serf["traffic"][0] if serf["traffic"] else None, "B/s", 500)
    show("memory of a node, all plugins (PSS)", ours["memory"][0], None, "KiB", 16384)
    show("    of it for clustering", ours["memory"][0] - alone["memory"][0], None, "KiB", 2048)
    show("wake-ups of a node for clustering", ours["wakes"][0] - alone["wakes"][0], None, "/s", 1)
    print(f"\n{WEATHER_SECONDS} s of each weather; {ours['calls'][0]} calls and {ours['messages'][0]} messages during {ROUNDS} hand-overs")
    for key, text in EVENTS:
        theirs = serf[key] or vrrp[key]
        show(text, sum(ours[key]), sum(theirs) if theirs else None, "", 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
