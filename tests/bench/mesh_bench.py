#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the way to another node costs a message: publisher and subscriber on one node that has no others, or on two nodes.

ROUNDS (5) of each, in turn; shown are the best. All daemons and the load generator share the processors, so that rates across
are those of one machine that does the work of two; the CPU time of the busier node is what limits two machines.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import edged  # noqa: E402
import mesh_test  # noqa: E402

LOAD = os.path.join(edged.BUILD, "bench", "load")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
FLOWS = (
    ("QoS 0, 64 B", "-w 1000 -n 100000"),
    ("QoS 0, 1 KiB", "-w 1000 -n 50000 -b 1024"),
    ("QoS 1, 64 B, to a session that stays", "-q 1 -w 100 -n 20000 -C"),
    ("QoS 1, ten publishers, likewise", "-q 1 -p 10 -w 100 -n 50000 -C"),
    ("QoS 2, 64 B, likewise", "-q 2 -w 20 -n 5000 -C"),
)
PACED = "-r 1000 -n 2000"


def cpu(node):
    """Seconds that all its threads have run."""
    tasks = f"/proc/{node.process.pid}/task"
    total = 0
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def load(here, there, options):
    """What the generator says, and `cpu`: seconds of the busier node for a million messages."""
    command = [LOAD, "flow", "-a", str(here.port("mqtt")), "-A", str(there.port("mqtt")), "-k", str(here.process.pid),
               *options.split()]
    before = cpu(here), cpu(there)
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    result["cpu"] = max(cpu(here) - before[0], cpu(there) - before[1]) * 1e6 / max(result["delivered"], 1)
    there.http("DELETE", "/pubsub/v1/sessions/load-s0")  # what stays would get the next round's messages, too
    return result


def rate(result):
    return result["delivered"] / result["seconds"] if result["lost"] == 0 else 0


def show(text, local, across, wanted):
    print(f"{text:<42}{local:>10.{0 if local > 100 else 2}f}{across:>10.{0 if across > 100 else 2}f}{across / local:>8.2f}   {wanted}",
          flush=True)


def main():
    a, b = mesh_test.cluster(2)
    alone = edged.Node()
    before = mesh_test.count(a, b)
    # A session that is away and wants QoS 0 costs nothing, and the other node knows the filter before a round begins.
    mesh_test.Client(b, "interest", "load/#", qos=0).end()
    mesh_test.told(a, b, before + 1)
    print(f"{'':<42}{'local':>10}{'across':>10}{'ratio':>8}   wanted")
    for text, options in FLOWS:
        rounds = [(load(alone, alone, options), load(a, b, options)) for _ in range(ROUNDS)]
        show(text + ", messages/s", *(max(rate(r[i]) for r in rounds) for i in (0, 1)), "at least 0.6")
        show("  CPU s/M of the busier node", *(min(r[i]["cpu"] for r in rounds) for i in (0, 1)), "at most 1.67")
    rounds = [(load(alone, alone, PACED), load(a, b, PACED)) for _ in range(ROUNDS)]
    for key, wanted in ("p50", "at most 1.6"), ("p99", ""):
        show(f"1,000 messages a second, {key}, us", *(min(r[i][key] for r in rounds) for i in (0, 1)), wanted)


if __name__ == "__main__":
    try:
        main()
    finally:
        edged.clean()
