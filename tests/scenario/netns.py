# SPDX-License-Identifier: Apache-2.0
"""Hosts of a small network on this machine: each a network namespace with one interface on a bridge. Needs root and ip(8).

The names begin with "eb" and the process id, so that runs side by side do not meet; close() removes what was made.
"""
import os
import shutil
import signal
import subprocess

import edged

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
WIRE = os.path.join(edged.BUILD, "tests", "wire")


def need():
    """Or the test is skipped."""
    if os.geteuid() != 0 or not shutil.which("ip", path=PATH):
        raise edged.Skip("network namespaces need root and ip(8)")


def ip(*args):
    done = subprocess.run(["ip", *args], capture_output=True, text=True, env={**os.environ, "PATH": PATH})
    if done.returncode:
        raise OSError(f"ip {' '.join(args)}: {done.stderr.strip()}")


class Host:
    """`plugged`: its eth0 is a cable of wire's, which is there already."""

    def __init__(self, network, number, plugged=False):
        self.name, self.number, self.network = f"{network.name}n{number}", number, network
        self.address = f"10.77.{number // 250}.{number % 250 + 1}"
        self.port = f"p{number}"  # of the bridge
        self.processes = []
        ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        if not plugged:
            ip("link", "add", "eth0", "netns", self.name, "type", "veth", "peer", "name", self.port, "netns", network.switch)

    def configure(self, v4=True, v6=None):
        """Addresses of eth0; without v6 only the link-local one, which the kernel gives."""
        if v4:
            self.ip("addr", "add", f"{self.address}/16", "dev", "eth0")
        self.sysctl("net.ipv6.conf.eth0.accept_dad", 0)  # addresses are usable at once
        if v6:
            self.ip("addr", "add", f"{v6}/64", "dev", "eth0", "nodad")
        self.ip("link", "set", "eth0", "up")
        if v4:
            self.ip("route", "add", "default", "dev", "eth0")

    def add_interface(self, name, address, bridge):
        """One more, on a bridge of the switch."""
        port = f"{name}p{self.number}"
        ip("link", "add", name, "netns", self.name, "type", "veth", "peer", "name", port, "netns", self.network.switch)
        self.ip("addr", "add", address, "dev", name)
        self.ip("link", "set", name, "up")
        ip("-n", self.network.switch, "link", "set", port, "master", bridge, "up")

    def ip(self, *args):
        ip("-n", self.name, *args)

    def sysctl(self, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        subprocess.run(self.command("sh", "-c", f"echo {value} > {path}"), check=True, capture_output=True)

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words, **options):
        """A process on this host, in a group of its own."""
        process = subprocess.Popen(self.command(*words), start_new_session=True, **options)
        self.processes.append(process)
        return process

    def pids(self):
        return [int(pid) for pid in subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True).stdout.split()]

    def signal(self, number):
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """As a power cut: all processes at once."""
        self.signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def counter(self, what):
        path = f"/sys/class/net/eth0/statistics/{what}"
        return int(subprocess.run(self.command("cat", path), capture_output=True, text=True, check=True).stdout)


class Network:
    """`wires`: cables that can delay, lose and lead one way only, see wire.c; `v4`, `v6`: what hosts have for addresses (v6: a
    function from the host's number to an address, or None)."""

    def __init__(self, hosts, wires=False, v4=True, v6=None):
        self.name = f"eb{os.getpid()}"
        self.switch = f"{self.name}sw"
        self.hosts, self.wire = [], None
        ip("netns", "add", self.switch)
        try:
            for bridge in ("br0", "br1"):
                self.add_bridge(bridge)
            for number in range(hosts):
                self.hosts.append(Host(self, number, plugged=wires))
            if wires:
                self.plug_in()
            for host in self.hosts:
                host.configure(v4, v6 and v6(host.number))
                if not wires:
                    ip("-n", self.switch, "link", "set", host.port, "master", "br0", "up")
        except BaseException:
            self.close()
            raise

    def add_bridge(self, name):
        ip("-n", self.switch, "link", "add", name, "type", "bridge", "mcast_snooping", "0")
        ip("-n", self.switch, "link", "set", name, "up")

    def plug_in(self):
        self.wire = subprocess.Popen([WIRE, self.switch, "br0", *(host.name for host in self.hosts)], text=True, bufsize=1,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self.wire.stdout.readline() == "ready\n", "wire cannot plug in"

    def tell(self, command):
        """A command of wire's, in force when this returns."""
        self.wire.stdin.write(command + "\n")
        self.wire.stdin.flush()
        answer = self.wire.stdout.readline()
        assert answer == "ok\n", f"wire: {command}: {answer}"

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
        if self.wire:
            self.wire.stdin.close()
            self.wire.wait()
            self.wire.stdout.close()
        for name in [host.name for host in self.hosts] + [self.switch]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
