#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a message and a connection cost, side by side in one run with other brokers: mosquitto when it is installed, and
FlashMQ when FLASHMQ names its binary (one thread, as ours).

CPU is that of the whole broker process, in seconds for a million deliveries, the lowest of ROUNDS (3): it holds on a
busy machine, rates do not. Each row visits every broker before the next row begins. Nothing is written to disk but in
the last rows, which are ours alone: an acknowledgement of the others does not mean that the message is on the disk.
"""
import json
import os
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import edged  # noqa: E402

LOAD = os.path.join(os.environ.get("BUILD", "build"), "bench", "load")
ROUNDS = int(os.environ.get("ROUNDS", "3"))
CLIENTS = 5000
MANY = 10000
TOPICS = 100000

FLOWS = (
    ("QoS 0, 1 to 1, 64 B", "-w 1000 -n 100000"),
    ("QoS 0, 1 to 1, 1 KiB", "-w 1000 -n 50000 -b 1024"),
    ("QoS 0, 1 to 1, 64 KiB", "-w 8 -n 5000 -b 65536"),
    ("QoS 0, fan-out to 100", "-s 100 -w 100 -n 1500"),
    ("QoS 0, fan-in from 100", "-p 100 -w 10 -n 100000"),
    ("QoS 0, 1,000 pairs, one at a time", "-p 1000 -s 1000 -x -n 30000"),
    ("QoS 0, 1 to 1, MQTT 5", "-v 5 -w 1000 -n 100000"),
    ("QoS 1, 1 to 1", "-q 1 -w 100 -n 50000"),
    ("QoS 1, fan-out to 100", "-q 1 -s 100 -w 20 -n 500"),
    ("QoS 1, fan-in from 100", "-q 1 -p 100 -w 4 -n 50000"),
    ("QoS 2, 1 to 1", "-q 2 -w 20 -n 20000"),
)
PACED = "-r 1000 -n 2000"


class Ours:
    name = "edged"

    def __init__(self, args=()):
        self.node = edged.Node(listen=("http=127.0.0.1:0", "mqtt=127.0.0.1:0"),
                               args=["--set", f"net.connections={MANY * 2}",
                                     "--set", f"plugins.broker.limits.clients={MANY * 2}", *args])
        self.pid, self.port = self.node.process.pid, self.node.port("mqtt")

    def stop(self):
        self.node.stop()


class Other:
    """A broker with a configuration file, that keeps everything in memory."""

    def __init__(self, name, command, configuration):
        self.name, self.port = name, edged.free_port()
        path = os.path.join(edged.folder(), "conf")
        with open(path, "w") as file:
            file.write(configuration % self.port)
        self.process = subprocess.Popen([*command, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        edged.wait_for(lambda: edged.listens(self.port), f"{name} listens")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def mosquitto():
    return Other("mosquitto", [MOSQUITTO, "-c"], "listener %d 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
                 "persistence false\nlog_dest none\n")


def flashmq():
    return Other("FlashMQ", [FLASHMQ, "--config-file"], "thread_count 1\nallow_anonymous true\nlog_level warning\n"
                 "log_file /dev/null\nlisten {\nprotocol mqtt\ninet_protocol ip4\ninet4_bind_address 127.0.0.1\n"
                 "port %d\ntcp_nodelay true\n}\n")


MOSQUITTO = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
FLASHMQ = os.environ.get("FLASHMQ")
BROKERS = [Ours] + ([mosquitto] if MOSQUITTO else []) + ([flashmq] if FLASHMQ else [])


def load(broker, mode, options):
    command = [LOAD, mode, "-a", str(broker.port), "-k", str(broker.pid), *options.split()]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def show(name, unit, values):
    """One row; the last column compares ours with the best of the others."""
    others = [v for v in values[1:] if v is not None]
    ratio = f"{values[0] / min(others):8.2f}" if others else "       -"
    cells = "".join("         -" if v is None else f"{v:10.2f}" if v < 1000 else f"{v:10.0f}" for v in values)
    print(f"{name:<42}{unit:<8}{cells}{ratio}", flush=True)


def all_flows(brokers):
    for name, options in FLOWS:
        best = [None] * len(brokers)
        for _ in range(ROUNDS):
            for i, broker in enumerate(brokers):
                result = load(broker, "flow", options)
                if result["lost"] == 0:
                    cpu = result["cpu"] * 1e6 / result["delivered"]
                    best[i] = cpu if best[i] is None else min(best[i], cpu)
        show(name, "CPU s/M", best)
    floor = [load(brokers[0], "floor", PACED) for _ in range(ROUNDS)]
    print(f"{'the generator itself, with an echo in place':<42}{'us':<8}p50 {min(f['p50'] for f in floor)}, "
          f"p99 {min(f['p99'] for f in floor)}", flush=True)
    paced = [[load(broker, "flow", PACED) for broker in brokers] for _ in range(ROUNDS)]
    for key in "p50", "p99":
        show(f"1,000 messages a second, {key}", "us", [min(r[i][key] for r in paced) for i in range(len(brokers))])
    show("1,000 messages a second", "CPU s/M",
         [min(r[i]["cpu"] * 1e6 / r[i]["delivered"] for r in paced) for i in range(len(brokers))])


def rss(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


def connection_bytes(broker):
    before = rss(broker.pid)
    command = [LOAD, "idle", "-a", str(broker.port), "-n", str(CLIENTS), "-q", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        bytes_each = (rss(broker.pid) - before) / CLIENTS
        process.stdin.close()
    return bytes_each


def many(broker):
    """Bytes for a connection with ten subscriptions, and CPU for a message, with 1,000 of them and with MANY."""
    rows, idlers = [], []
    before, there = rss(broker.pid), 0
    for count in MANY // 10, MANY:
        command = [LOAD, "idle", "-a", str(broker.port), "-n", str(count - there), "-S", "10", "-q", "0", "-i", f"many{count}"]
        idlers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        idlers[-1].stdout.readline()
        now = rss(broker.pid)
        flows = [load(broker, "flow", "-w 1000 -n 100000") for _ in range(ROUNDS)]
        rows.append(((now - before) / (count - there), min(f["cpu"] * 1e6 / f["delivered"] for f in flows)))
        before, there = now, count
    for process in idlers:
        process.stdin.close()
        process.wait()
    return rows


def retained(broker):
    before = rss(broker.pid)
    result = load(broker, "retained", f"-n {TOPICS} -b 20 -w 100")
    assert result["found"] == TOPICS // 100, f"{broker.name} found {result['found']}"
    return (rss(broker.pid) - before) / TOPICS, result["wildcard_ms"]


def each_alone(measure):
    values = []
    for make in BROKERS:
        broker = make()
        values.append(measure(broker))
        broker.stop()
    return values


def written(pid):
    with open(f"/proc/{pid}/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("write_bytes:"))


def durable_node():
    limits = {"queue_messages": 1000000, "queue_bytes": 1 << 30, "memory": 1 << 32}
    return Ours([word for k, v in limits.items() for word in ("--set", f"plugins.broker.limits.{k}={v}")])


def durable():
    """QoS 1 to a session that is kept: what is acknowledged is on the disk."""
    count = 5000
    broker = durable_node()
    load(broker, "flow", "-C -p 0 -s 1 -n 0 -f load/+ -q 1 -i away")
    results = [load(broker, "flow", "-p 100 -s 0 -q 1 -w 20 -n 50000") for _ in range(ROUNDS)]
    show("durable QoS 1 from 100, acknowledged", "/s", [max(r["acknowledged"] / r["seconds"] for r in results)])
    show("durable QoS 1 from 100", "CPU s/M", [min(r["cpu"] * 1e6 / r["acknowledged"] for r in results)])
    for who, payload, burst in ("away", 64, 1), ("away", 64, 4), ("away", 64, 10), ("away", 20, 1), ("away", 256, 1), \
            ("there", 64, 1):
        if who == "there":
            broker.stop()
            broker = durable_node()
        before = written(broker.pid)
        load(broker, "flow", f"{'-p 1 -s 0' if who == 'away' else '-C -p 1 -s 1 -i there'} -q 1 -r 1000 -B {burst} "
             f"-n {count} -b {payload}")
        show(f"1,000/s of {payload} B by {burst}, {who}: written", "per B", [(written(broker.pid) - before) / (payload * count)])
    broker.stop()


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    brokers = [make() for make in BROKERS]
    print(f"{'':<50}" + "".join(f"{b.name:>10}" for b in brokers) + "   ratio")
    all_flows(brokers)
    for broker in brokers:
        broker.stop()
    show("idle connection, 1 subscription", "bytes", each_alone(connection_bytes))
    found = each_alone(many)
    for i, count in enumerate((MANY // 10, MANY)):
        show(f"connection, 10 subscriptions, to {count:,}", "bytes", [f[i][0] for f in found])
    for i, count in enumerate((MANY // 10, MANY)):
        show(f"QoS 0, 1 to 1, beside {count:,} of them", "CPU s/M", [f[i][1] for f in found])
    found = each_alone(retained)
    show("retained message, 20 B + 20 B topic", "bytes", [f[0] for f in found])
    show("+/dev7/temp: 1,000 of 100,000 retained", "ms", [f[1] for f in found])
    durable()
    edged.clean()


main()
