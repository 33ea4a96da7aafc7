# SPDX-License-Identifier: Apache-2.0
"""Hosts of a small network on this machine: each a network namespace with one interface on a bridge. Needs root and ip(8).

The names begin with "eb" and the process id, so that runs side by side do not meet; close() removes what was made.
"""
import os
import signal
import subprocess


def ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True)


class Host:
    def __init__(self, network, number):
        self.name, self.address = f"{network.name}n{number}", f"10.77.0.{number + 1}"
        self.port = f"p{number}"  # of the bridge
        self.processes = []
        ip("netns", "add", self.name)
        ip("link", "add", "eth0", "netns", self.name, "type", "veth", "peer", "name", self.port, "netns", network.switch)
        self.ip("addr", "add", f"{self.address}/24", "dev", "eth0")
        self.ip("link", "set", "lo", "up")
        self.ip("link", "set", "eth0", "up")
        self.ip("route", "add", "default", "dev", "eth0")

    def ip(self, *args):
        ip("-n", self.name, *args)

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words, **options):
        """A process on this host, in a group of its own."""
        process = subprocess.Popen(self.command(*words), start_new_session=True, **options)
        self.processes.append(process)
        return process

    def kill(self):
        """As a power cut: all processes at once."""
        for pid in subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def counter(self, what):
        path = f"/sys/class/net/eth0/statistics/{what}"
        return int(subprocess.run(self.command("cat", path), capture_output=True, text=True, check=True).stdout)


class Network:
    def __init__(self, hosts):
        self.name = f"eb{os.getpid()}"
        self.switch = f"{self.name}sw"
        self.hosts = []
        ip("netns", "add", self.switch)
        for bridge in ("br0", "br1"):
            ip("-n", self.switch, "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
            ip("-n", self.switch, "link", "set", bridge, "up")
        for number in range(hosts):
            host = Host(self, number)
            self.hosts.append(host)
            ip("-n", self.switch, "link", "set", host.port, "master", "br0", "up")

    def cut(self, hosts):
        """These go to the other side."""
        for host in hosts:
            ip("-n", self.switch, "link", "set", host.port, "master", "br1")

    def heal(self):
        for host in self.hosts:
            ip("-n", self.switch, "link", "set", host.port, "master", "br0")

    def close(self):
        for host in self.hosts:
            host.kill()
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.switch], capture_output=True)
