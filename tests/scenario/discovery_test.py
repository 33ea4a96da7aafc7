#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How nodes find each other on networks of every kind: seen by avahi-browse, beside avahi-daemon, with IPv6 only, over several
interfaces, over those that come and go, and where no multicast gets through. On hosts of their own, as root."""
import os
import subprocess

import edged
import netns
from edged import need, wait_for
from netnodes import Edged, agreed

PATIENCE = 30
ANY = "0.0.0.0:8443"
ANY6 = "[::]:8443"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"><busconfig><type>system</type><listen>unix:path={path}</listen>
 <auth>EXTERNAL</auth><policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
 <allow user="*"/></policy></busconfig>"""


class network:
    """With nodes that are cleaned up, and shown when something fails."""

    def __init__(self, *args, **options):
        netns.need()
        if options.get("wires") and not os.path.exists("/dev/net/tun"):
            raise edged.Skip("there is no /dev/net/tun for cables")
        self.network, self.nodes, self.plugins = netns.Network(*args, **options), [], edged.folder()
        self.hosts = self.network.hosts

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for node in self.nodes if kind else ():
            print(f"--- log of {node.host.name}, which sees {node.view()}\n{node.log()[-1500:]}")
        self.network.close()

    def start(self, number, *settings, listen=None):
        self.nodes.append(Edged(self.hosts[number], settings, listen, self.plugins).start())
        return self.nodes[-1]


def agree(nodes, what):
    wait_for(lambda: agreed(nodes), what, PATIENCE)


def addresses(node):
    """Where it hears the others."""
    return [m["address"] for m in node.call("GET", "/edge/v1/cluster")[1]["members"] if m["state"] == "alive"]


# --- avahi ---

class Avahi:
    """avahi-daemon on a host, with a bus of its own."""

    def __init__(self, host):
        daemon, browse, bus = need("avahi-daemon"), need("avahi-browse"), need("dbus-daemon")
        self.host, self.browse, path = host, browse, edged.folder()
        self.env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={path}/bus"}
        with open(os.path.join(path, "bus.conf"), "w") as file:
            file.write(BUS.format(path=os.path.join(path, "bus")))
        with open(os.path.join(path, "avahi.conf"), "w") as file:
            file.write(f"[server]\nhost-name={host.name}\nuse-ipv4=yes\nuse-ipv6=yes\n[publish]\npublish-workstation=no\n")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        host.run(bus, f"--config-file={path}/bus.conf", "--nofork", "--nopidfile", **quiet)
        wait_for(lambda: os.path.exists(os.path.join(path, "bus")), "a bus")
        # its pid file is in /run, which each host has for itself
        host.run("unshare", "--mount", "sh", "-c",
                 f"mount -t tmpfs none /run && exec {daemon} --no-drop-root --no-chroot --no-rlimits -f {path}/avahi.conf",
                 env=self.env, **quiet)

    def sees(self):
        """{instance: its address and TXT} of all that can be resolved."""
        done = subprocess.run(self.host.command(self.browse, "-rpt", "_edged._tcp"), capture_output=True, text=True, env=self.env,
                              timeout=60)
        lines = [line.split(";") for line in done.stdout.splitlines() if line.startswith("=")]
        return {words[3]: (words[7], int(words[8]), words[9]) for words in lines if words[2] == "IPv4"}

    def must_see(self, nodes, what):
        def found():
            seen = self.sees()
            return all(any(node.id[:16] in instance for instance in seen) for node in nodes) and seen
        return wait_for(found, what, PATIENCE)


def test_avahi_sees_nodes_beside_it_and_elsewhere():
    with network(3) as net:
        a, b = net.start(0), net.start(1)
        agree([a, b], "two nodes")
        browser = Avahi(net.hosts[2])  # on a host without edged; theirs have no avahi-daemon
        seen = browser.must_see([a, b], "avahi-browse on another host sees both")
        for node in (a, b):
            address, port, txt = next(value for name, value in seen.items() if node.id[:16] in name)
            assert (address, port) == (node.host.address, 8443), seen
            assert '"txtvers=1"' in txt and '"r=' in txt, txt
        # a host with both
        beside = Avahi(net.hosts[1])
        c = net.start(2)
        agree([a, b, c], "nodes find each other though two of the hosts have avahi-daemon")
        beside.must_see([a, b, c], "avahi-browse beside a node sees it, too")
        browser.must_see([a, b, c], "and from elsewhere")
        # who leaves says goodbye
        os.kill(pid_of(a), 15)
        wait_for(lambda: not any(a.id[:16] in name for name in browser.sees()), "the goodbye is heard", PATIENCE)


def pid_of(node):
    return next(pid for pid in node.host.pids() if open(f"/proc/{pid}/comm").read() == "edged\n")


# --- networks ---

def test_ipv6_only():
    with network(3, v4=False) as net:  # link-local addresses alone
        nodes = [net.start(i, listen=ANY6) for i in range(3)]
        agree(nodes, "nodes with link-local addresses only")
        assert all(address.startswith("[fe80:") for node in nodes for address in addresses(node)), addresses(nodes[0])
    with network(3, v4=False, v6=lambda i: f"fd77::{i + 1}") as net:
        nodes = [net.start(i, listen=f"[fd77::{i + 1}]:8443") for i in range(3)]
        agree(nodes, "nodes with IPv6 addresses of their own network")


def test_several_interfaces():
    with network(3) as net:
        net.network.add_bridge("br2")
        middle, left, right = net.hosts
        middle.add_interface("eth1", "10.88.0.1/24", "br2")
        right.ip("link", "set", "eth0", "down")
        right.add_interface("eth1", "10.88.0.2/24", "br2")
        m, a, b = (net.start(i, listen=ANY) for i in range(3))
        wait_for(lambda: m.view() and a.view() and b.view(), "all run", PATIENCE)
        wait_for(lambda: m.view()[0] == {m.id, a.id, b.id}, "who is on both networks sees both", PATIENCE)
        wait_for(lambda: m.id in a.view()[0] and m.id in b.view()[0], "and each sees it", PATIENCE)
        assert sorted(address.split(":")[0] for address in addresses(m)) == ["10.77.0.2", "10.88.0.2"], addresses(m)
        # new nodes there, and the one in the middle is limited to one interface
        for node in (m, b):
            node.host.kill()
        b, m = net.start(2, listen=ANY), net.start(0, 'cluster.interfaces=["eth0"]', listen=ANY)
        wait_for(lambda: m.view() and m.view()[0] == {m.id, a.id}, "it sees those at that interface", PATIENCE)
        wait_for(lambda: b.view(), "the other runs", PATIENCE)
        assert b.view()[0] == {b.id}, "who is at the other is not found"


def test_interfaces_that_come_and_go():
    with network(2) as net:
        host = net.hosts[1]
        host.ip("link", "del", "eth0")  # only loopback is left
        a, b = net.start(0, listen=ANY), net.start(1, listen=ANY)
        wait_for(lambda: a.view() and b.view() and b.view()[1] == b.id, "both run", PATIENCE)
        assert b.view()[0] == {b.id}
        for number, address in enumerate(("10.77.0.90/16", "10.77.0.91/16")):  # another address each time
            host.add_interface(f"en{number}", address, "br0")
            agree([a, b], "an interface came")
            wait_for(lambda: [x.rsplit(":", 1)[0] for x in addresses(a)] == [address[:-3]], "it is reached there", PATIENCE)
            host.ip("link", "del", f"en{number}")
            wait_for(lambda: a.view()[0] == {a.id} and b.view()[0] == {b.id}, "the interface went", PATIENCE)


def test_without_multicast():
    with network(3, wires=True) as net:
        net.network.tell("multicast off")
        a = net.start(0)
        wait_for(lambda: a.view(), "the first", PATIENCE)
        lonely = net.start(2)
        b = net.start(1, f'cluster.seeds=["{a.host.address}:{gossip_port(a)}"]')
        agree([a, b], "a configured seed is found")
        wait_for(lambda: lonely.view() and lonely.view()[1] == lonely.id, "who knows nobody is alone", PATIENCE)
        assert lonely.view()[0] == {lonely.id} and lonely.id not in a.view()[0]
        # they have met once, while there was multicast; then there is none any more, and all start anew
        net.network.tell("multicast on")
        agree([a, b, lonely], "multicast is there")
        for node in (a, b, lonely):
            os.kill(pid_of(node), 15)
        wait_for(lambda: not any(node.host.pids() for node in (a, b, lonely)), "all have ended", PATIENCE)
        net.network.tell("multicast off")
        b.settings = ()
        for node in (a, b, lonely):
            node.host.processes.clear()
            node.start()
        agree([a, b, lonely], "peers of earlier days are called")


def gossip_port(node):
    return node.call("GET", "/edge/v1/cluster")[1]["port"]


if __name__ == "__main__":
    edged.main()
