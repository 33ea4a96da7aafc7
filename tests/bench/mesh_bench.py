#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the way to another node costs a message: two nodes on this machine, publisher and subscriber on one of them, or on both.

ROUNDS (5) of each, in turn; shown are the best. Both daemons and the load generator share the processors.
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


def load(here, there, options):
    command = [LOAD, "flow", "-a", str(here.port("mqtt")), "-A", str(there.port("mqtt")), "-k", str(here.process.pid),
               *options.split()]
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    there.http("DELETE", "/pubsub/v1/sessions/load-s0")  # what stays would get the next round's messages, too
    return result


def rate(result):
    return result["delivered"] / result["seconds"] if result["lost"] == 0 else 0


def show(text, local, across, ratio, wanted):
    print(f"{text:<42}{local:>10.0f}{across:>10.0f}{ratio:>8.2f}   {wanted}", flush=True)


def main():
    a, b = mesh_test.cluster(2)
    before = mesh_test.count(a, b)
    # A session that is away and wants QoS 0 costs nothing, and the other node knows the filter before a round begins.
    mesh_test.Client(b, "interest", "load/#", qos=0).end()
    mesh_test.told(a, b, before + 1)
    print(f"{'messages a second':<42}{'local':>10}{'across':>10}{'ratio':>8}   wanted")
    for text, options in FLOWS:
        local = across = 0
        for _ in range(ROUNDS):
            local = max(local, rate(load(a, a, options)))
            across = max(across, rate(load(a, b, options)))
        show(text, local, across, across / local, "0.6")
    both = [(load(a, a, PACED), load(a, b, PACED)) for _ in range(ROUNDS)]
    for key in "p50", "p99":
        local, across = (min(r[i][key] for r in both) for i in (0, 1))
        show(f"1,000 messages a second, {key}, us", local, across, across / local, "1.6" if key == "p50" else "")


if __name__ == "__main__":
    try:
        main()
    finally:
        edged.clean()
