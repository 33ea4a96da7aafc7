#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the whole gateway costs: time from exec to ready, memory and wake-ups when idle, CPU of a REST call.

Prints one line for each figure with its target. Times depend on the machine; memory and wake-ups do not.
"""
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import edged  # noqa: E402

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01b"
IDLE_SECONDS = int(os.environ.get("IDLE_SECONDS", "20"))


def until(attempt):
    while True:
        try:
            if attempt():
                return time.monotonic()
        except OSError:
            pass
        time.sleep(0.0005)


def ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/readyz")
    return connection.getresponse().status == 200


def connack(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(CONNECT)
        return client.recv(4)[:2] == b"\x20\x02"


def start_times(rounds=7):
    """Milliseconds from exec to readyz 200 and to CONNACK, on a state folder that has been used before."""
    rest, mqtt, state = [], [], edged.folder()
    for i in range(rounds):
        ports = edged.free_port(), edged.free_port()
        node = edged.Node(state=state, listen=(f"http=127.0.0.1:{ports[0]}", f"mqtt=127.0.0.1:{ports[1]}"), start=False,
                          cluster=True)
        begin = time.monotonic()
        node.launch()
        rest.append((until(lambda: ready(ports[0])) - begin) * 1000)
        mqtt.append((until(lambda: connack(ports[1])) - begin) * 1000)
        node.stop()
    return statistics.median(rest[1:]), statistics.median(mqtt[1:]), rest[0]


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt"))
    return total


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rest_cost(node, calls=20000):
    """CPU microseconds of the daemon for one small GET on a kept connection."""
    connection = http.client.HTTPConnection(*node.address("http"))
    before = cpu_seconds(node.process.pid)
    for _ in range(calls):
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    return (cpu_seconds(node.process.pid) - before) * 1e6 / calls


def row(name, value, unit, target):
    print(f"{name:<42}{value:>10.1f} {unit:<8} target {target}", flush=True)


def main():
    rest, mqtt, first = start_times()
    row("exec to readyz 200, first start", first, "ms", "-")
    row("exec to readyz 200, median", rest, "ms", "<= 60")
    row("exec to MQTT CONNACK, median", mqtt, "ms", "<= 60")
    node = edged.Node(listen=edged.LISTEN, cluster=True)
    time.sleep(3)
    before = switches(node.process.pid)
    time.sleep(IDLE_SECONDS)
    row("wake-ups when idle and alone", (switches(node.process.pid) - before) / IDLE_SECONDS, "/s", "<= 2")
    row("memory (PSS) when idle", pss_kib(node.process.pid) / 1024, "MiB", "<= 12")
    row("CPU of a small GET", rest_cost(node), "us", "-")
    edged.clean()
    policy = json.loads(subprocess.run([os.path.join(edged.BUILD, "bench", "policy")], stdout=subprocess.PIPE,
                                       check=True).stdout)
    row("policy decision, 20 statements, exact topics", policy["exact"], "ns", "<= 300")
    row("policy decision, 20 statements, topics/*", policy["prefix"], "ns", "<= 300")
    row("policy decision, 20 statements, a*b*c", policy["wild"], "ns", "<= 300")


if __name__ == "__main__":
    main()
