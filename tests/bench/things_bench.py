#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What many things cost: memory, and the start with them.

Prints one line for each figure with its target. THINGS sets how many there are (default 20,000; the target is for
100,000), each with a type, two attributes and a group with a policy.
"""
import http.client
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import edged  # noqa: E402
from gateway_bench import cpu_seconds, pss_kib  # noqa: E402

THINGS = int(os.environ.get("THINGS", "20000"))
CLIENTS = 16  # they share the commits
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:ClientId}"}]}


class Client:
    def __init__(self, node):
        self.connection = http.client.HTTPConnection(*node.address("http"))

    def call(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body))
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), (path, answer.status, text)
        return json.loads(text)


def make(node, failures, first):
    client = Client(node)
    try:
        for i in range(first, THINGS, CLIENTS):
            client.call("POST", "/things/v1/things", {
                "name": f"sensor-{i:06}", "type": "sensor", "groups": ["all"],
                "attributes": {"site": f"hall-{i % 100}", "serial": f"{i * 7919:012}"}})
    except (AssertionError, OSError) as error:
        failures.append(error)


def make_all(node):
    failures = []
    threads = [threading.Thread(target=make, args=(node, failures, i)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def main():
    node = edged.Node()
    try:
        client = Client(node)
        client.call("PUT", "/things/v1/policies/basic", POLICY)
        client.call("PUT", "/things/v1/groups/all", {"policies": ["basic"]})
        empty, before = pss_kib(node.process.pid), cpu_seconds(node.process.pid)
        make_all(node)
        cost = (cpu_seconds(node.process.pid) - before) / THINGS * 1e6
        used = pss_kib(node.process.pid)
        node.stop()
        begin = time.monotonic()
        node.start()
        ready = (time.monotonic() - begin) * 1000
        work, after = cpu_seconds(node.process.pid) * 1000, pss_kib(node.process.pid)
        begin = time.monotonic()
        page = Client(node).call("GET", "/things/v1/things?limit=100")
        assert len(page["data"]) == min(THINGS, 100)
        listed = (time.monotonic() - begin) * 1000
        print(f"a thing made over REST, durable              {cost:8.1f} us CPU")
        print(f"{THINGS} things                                {(used - empty) / 1024:8.1f} MiB more     "
              "(target 40, 100,000)", flush=True)
        print(f"start with them                              {ready:8.0f} ms           (target 1,000, 100,000)"
              f"  {work:8.0f} ms CPU")
        print(f"memory after the start                       {after / 1024:8.1f} MiB")
        print(f"first page of 100                            {listed:8.1f} ms")
    finally:
        edged.clean()


if __name__ == "__main__":
    main()
