#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One list of what MQTT clients may expect, over each way that a connection can come: the same must hold on all of them."""
import functools
import json
import os
import socket
import ssl
import struct
import subprocess
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import edged
from edged import need, wait_for

USER = ("ann", "secret")
CLIENT = ("192.0.2.7", 4242)


def proxy_v1(_):
    return b"PROXY TCP4 %s 192.0.2.1 %d 1883\r\n" % (CLIENT[0].encode(), CLIENT[1])


def proxy_v2(_):
    addresses = socket.inet_aton(CLIENT[0]) + socket.inet_aton("192.0.2.1") + struct.pack(">HH", CLIENT[1], 8443)
    extensions = b"\x02\x00\x05edged" + b"\x04\x00\x00"
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(addresses + extensions)) + addresses + extensions


def tls(version=None, alpn=None, certificate=True):
    """A context for the node of these tests."""
    def make(place):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(os.path.join(place.credentials, "ca.pem"))
        if version:
            context.minimum_version = context.maximum_version = version
        if alpn:
            context.set_alpn_protocols([alpn])
        if certificate:
            context.load_cert_chain(*(os.path.join(place.credentials, name + ".pem") for name in ("certificate", "key")))
        return context
    return make


class Way:
    """How a client comes: the listener, what is sent first, TLS, WebSocket, and who it says it is."""

    def __init__(self, listener, first=None, tls=None, websocket=False, user=None, through=False):
        self.listener, self.first, self.tls, self.websocket, self.user = listener, first, tls, websocket, user
        self.through = through  # another node of the account


WAYS = {
    "TCP": Way("mqtt"),
    "TLS 1.2": Way("mqtts", tls=tls(ssl.TLSVersion.TLSv1_2, certificate=False), user=USER),
    "TLS 1.3": Way("mqtts", tls=tls(ssl.TLSVersion.TLSv1_3, certificate=False), user=USER),
    "mutual TLS": Way("tls", tls=tls()),
    "ALPN mqtt": Way("tls", tls=tls(alpn="mqtt")),
    "ALPN of AWS": Way("tls", tls=tls(alpn="x-amzn-mqtt-ca")),
    "WebSocket": Way("http", websocket=True),
    "secure WebSocket": Way("tls", tls=tls(), websocket=True),
    "WebSocket through another node": Way("http", websocket=True, through=True),
    "Unix socket": Way("unix"),
    "PROXY v1": Way("mqtt+proxy", first=proxy_v1, user=USER),
    "PROXY v2": Way("mqtt+proxy", first=proxy_v2, user=USER),
    "PROXY v2, mutual TLS": Way("tls+proxy", first=proxy_v2, tls=tls(alpn="mqtt")),
    "PROXY v1, secure WebSocket": Way("tls+proxy", first=proxy_v1, tls=tls(), websocket=True),
}


class Place:
    """A node that listens in all ways."""

    def __init__(self, *args):
        self.socket = os.path.join(edged.folder(), "mqtt.sock")
        listen = (*edged.LISTEN, "mqtts=127.0.0.1:0", f"mqtt=unix:{self.socket}", "mqtt+proxy=127.0.0.1:0", "tls+proxy=127.0.0.1:0")
        self.node, self.credentials = edged.with_credentials(
            listen=listen, args=("--set", 'net.proxies=["127.0.0.1"]', "--set", "net.accepts_per_second=10000",
                                 "--set", "net.connections_per_source=1000", "--set", 'cluster.discovery="off"', *args),
            cluster=True)
        assert self.node.http("PUT", f"/pubsub/v1/users/{USER[0]}", {"password": USER[1]})[0] == 204

    @functools.cached_property
    def neighbour(self):
        """Another node of the account."""
        seeds = json.dumps([f"127.0.0.1:{self.node.get('/edge/v1/cluster')['port']}"])
        other = edged.Node(cluster=True, args=("--set", 'cluster.discovery="off"', "--set", f"cluster.seeds={seeds}"))
        other.edgectl("join", self.node.http("POST", "/edge/v1/invites")[2]["token"])
        wait_for(lambda: other.http("GET", f"/nodes/{self.node.id}/edge/v1/node")[0] == 200, "it reaches the node")
        return other

    def path(self, way):
        return f"/nodes/{self.node.id}/mqtt" if way.through else "/mqtt"

    def dial(self, way):
        """A socket on which MQTT, or TLS or HTTP below it, may begin."""
        if way.through:
            s = self.neighbour.connect(way.listener)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return s
        if way.listener == "unix":
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(60)
            s.connect(self.socket)
        else:
            s = socket.create_connection(self.node.address(way.listener), timeout=60)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if way.first:
            s.sendall(way.first(None))
        return s


class Paho(mqtt.Client):
    """Paho's client with a socket that we make for it."""

    def __init__(self, place, way, *args, **options):
        super().__init__(*args, transport="websockets" if way.websocket else "tcp", **options)
        self.place, self.way = place, way

    def _create_socket_connection(self):
        return self.place.dial(self.way)


class Client:
    def __init__(self, place, way, name, version, clean=True, will=None):
        options = {} if version == mqtt.MQTTv5 else {"clean_session": clean}
        self.mqtt = Paho(place, way, name, protocol=version, **options)
        self.messages, self.acked, self.granted = [], set(), set()
        self.connected, self.ended = threading.Event(), threading.Event()
        self.mqtt.on_connect = self.on_connect
        self.mqtt.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload, m.qos, m.retain))
        self.mqtt.on_subscribe = lambda c, u, mid, *rest: self.granted.add(mid)
        self.mqtt.on_disconnect = lambda *args: (self.ended.set(), self.mqtt.disconnect())  # does not come back by itself
        if way.tls:
            self.mqtt.tls_set_context(way.tls(place))
        if way.websocket:
            self.mqtt.ws_set_options(path=place.path(way))
        if way.user:
            self.mqtt.username_pw_set(*way.user)
        if will:
            self.mqtt.will_set(*will)
        more = {}
        if version == mqtt.MQTTv5:
            more = {"clean_start": clean, "properties": Properties(PacketTypes.CONNECT)}
            if not clean:
                more["properties"].SessionExpiryInterval = 600
        self.mqtt.connect("127.0.0.1", 1883 if way.listener == "unix" else place.node.port(way.listener), 60, **more)
        self.mqtt.loop_start()
        assert self.connected.wait(20), "no CONNACK"
        assert self.code == 0, self.code

    def on_connect(self, client, user, flags, code, *rest):
        self.present, self.code = flags["session present"], code
        self.connected.set()

    def subscribe(self, filter, qos=2):
        mid = self.mqtt.subscribe(filter, qos)[1]
        wait_for(lambda: mid in self.granted, "SUBACK")
        return self

    def publish(self, topic, payload, qos=1, retain=False):
        info = self.mqtt.publish(topic, payload, qos, retain)
        info.wait_for_publish(60)
        assert info.is_published(), "not acknowledged"

    def expect(self, wanted):
        wait_for(lambda: len(self.messages) >= len(wanted), f"{len(wanted)} messages")
        assert self.messages == wanted, self.messages[:10]

    def vanish(self):
        """Ends without DISCONNECT."""
        self.mqtt.loop_stop()
        self.mqtt._sock_close()

    def leave(self):
        self.mqtt.disconnect()
        assert self.ended.wait(20)
        self.mqtt.loop_stop()


# --- what must hold: each gets a function that connects a client over one way in one version, and a topic of its own


def all_qos_both_ways(connect, topic):
    a, b = connect("a").subscribe(topic + "/#"), connect("b").subscribe(topic + "/#")
    wanted = [(f"{topic}/{qos}", b"%d" % i, qos, False) for i in range(5) for qos in (0, 1, 2)]
    for name, payload, qos, _ in wanted:
        a.publish(name, payload, qos)
    for client in (a, b):
        for qos in (0, 1, 2):  # order is kept within a QoS
            wait_for(lambda: len(client.messages) >= len(wanted), "all messages")
            assert [m for m in client.messages if m[2] == qos] == [m for m in wanted if m[2] == qos]
        client.leave()


def retained(connect, topic):
    a = connect("a")
    a.publish(topic, b"kept", retain=True)
    b = connect("b").subscribe(topic)
    b.expect([(topic, b"kept", 1, True)])
    a.publish(topic, b"", retain=True)
    wait_for(lambda: len(b.messages) == 2, "the message that clears it")
    c = connect("c").subscribe(topic).subscribe(topic + "/mark")
    a.publish(topic + "/mark", b"")
    c.expect([(topic + "/mark", b"", 1, False)])
    for client in (a, b, c):
        client.leave()


def will(connect, topic):
    watcher = connect("watcher").subscribe(topic)
    connect("dying", will=(topic, b"gone", 1)).vanish()
    watcher.expect([(topic, b"gone", 1, False)])
    connect("tidy", will=(topic, b"not said", 1)).leave()
    watcher.publish(topic, b"mark")
    watcher.expect([(topic, b"gone", 1, False), (topic, b"mark", 1, False)])
    watcher.leave()


def session(connect, topic):
    first = connect("s", clean=False).subscribe(topic)
    assert not first.present
    first.leave()
    other = connect("o")
    wanted = [(topic, b"%d" % i, 1, False) for i in range(20)]
    for _, payload, qos, _ in wanted:
        other.publish(topic, payload, qos)
    again = connect("s", clean=False)
    assert again.present
    again.expect(wanted)
    again.leave()
    fresh = connect("s")
    assert not fresh.present
    fresh.leave()
    other.leave()


def take_over(connect, topic):
    old = connect("t")
    new = connect("t").subscribe(topic)
    assert old.ended.wait(20)
    new.publish(topic, b"here")
    new.expect([(topic, b"here", 1, False)])
    old.mqtt.loop_stop()
    new.leave()


def large(connect, topic):
    a = connect("a").subscribe(topic)
    payload = os.urandom(200_000)
    for qos in (0, 1, 2):
        a.publish(topic, payload, qos)
    wait_for(lambda: len(a.messages) == 3, "three large messages")
    assert sorted(m[2] for m in a.messages) == [0, 1, 2] and all(m[1] == payload for m in a.messages)
    a.leave()


def bad_packet(connect, topic):
    a, b = connect("a"), connect("b").subscribe(topic)
    a.mqtt._sock.send(b"\x00\x00")  # there is no packet of type 0
    assert a.ended.wait(20)
    b.publish(topic, b"undisturbed")
    b.expect([(topic, b"undisturbed", 1, False)])
    a.mqtt.loop_stop()
    b.leave()


def split_packets(connect, topic):
    """In as many pieces as there are bytes, over WebSocket a frame each; and one that never ends (CVE-2026-25627: a frame
    shorter than the length that the packet in it claims)."""
    a, b = connect("a"), connect("b").subscribe(topic)
    v5 = a.mqtt._protocol == mqtt.MQTTv5
    body = struct.pack(">H", len(topic)) + topic.encode() + b"\0" * v5 + b"whole"
    packet = b"\x30" + bytes([len(body)]) + body
    for i in range(len(packet)):
        assert a.mqtt._sock.send(packet[i:i + 1]) == 1
    b.expect([(topic, b"whole", 0, False)])
    a.mqtt._sock.send(b"\x30\x7f" + body[:-3])
    a.vanish()
    b.publish(topic, b"undisturbed")
    b.expect([(topic, b"whole", 0, False), (topic, b"undisturbed", 1, False)])
    b.leave()


EXPECTED = (all_qos_both_ways, retained, will, session, take_over, large, bad_packet, split_packets)


def check(place, name, way):
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        for expected in EXPECTED:
            prefix = f"{name}/{version}/{expected.__name__}"

            def connect(who, **options):
                return Client(place, way, f"{prefix}/{who}", version, **options)
            try:
                expected(connect, "x/" + prefix)
            except Exception as error:
                raise AssertionError(f"{prefix}: {error!r}") from error


def test_the_same_over_each_way():
    place, failures = Place(), []

    def run(name, way):
        try:
            check(place, name, way)
        except AssertionError as error:
            failures.append(error)
    threads = [threading.Thread(target=run, args=item) for item in WAYS.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_the_address_is_that_of_the_client():
    place = Place()
    for name in ("PROXY v1", "PROXY v2", "PROXY v2, mutual TLS", "PROXY v1, secure WebSocket"):
        client = Client(place, WAYS[name], name, mqtt.MQTTv5)
        seen = next(item for item in place.node.get("/pubsub/v1/clients")["data"] if item["clientId"] == name)
        assert seen["address"] == f"{CLIENT[0]}:{CLIENT[1]}", seen
        client.leave()


def test_proxies_are_listed_and_their_clients_are_strangers():
    place = Place()
    refused = lambda: figure(place.node, "edged_connections_proxy_refused_total")  # noqa: E731
    with place.dial(Way("mqtt+proxy")) as s:  # no header
        s.sendall(CONNECT)
        assert ends(s) == b""
    assert refused() == 1
    with place.dial(WAYS["PROXY v1"]) as s:  # a good one, but who this is does not follow from the proxy being here
        s.sendall(CONNECT)
        assert ends(s) == b"\x20\x02\0\5", "not authorized"
    with place.dial(Way("mqtt+proxy", first=lambda _: b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n")) as s:
        s.sendall(CONNECT)
        assert ends(s) == b"\x20\x02\0\5", "not authorized"
    with place.dial(Way("mqtt", first=proxy_v1)) as s:  # nobody believes it here
        assert ends(s) == b""
    assert refused() == 1
    stranger = edged.Node(listen=(*edged.LISTEN, "mqtt+proxy=127.0.0.1:0"), args=("--set", 'net.proxies=["192.0.2.0/24"]'))
    with stranger.connect("mqtt+proxy") as s:
        assert ends(s) == b""
    assert figure(stranger, "edged_connections_proxy_refused_total") == 1
    assert "net.proxies" in stranger.log()


def figure(node, name):
    return sum(int(line.split()[-1]) for line in node.get("/metrics").decode().splitlines() if line.startswith(name))


def ends(s):
    """All that comes until the other side ends, which it must."""
    data = b""
    try:
        while piece := s.recv(4096):
            data += piece
    except (ConnectionResetError, ssl.SSLError):
        pass
    return data


CONNECT = b"\x10\x0d\0\4MQTT\4\2\0\x3c\0\1a"
UPGRADE = (b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")


def steps(place, way):
    """What a client does from connecting to its CONNECT, in steps; after each one it may fall silent."""
    if way.first:
        header = way.first(None)
        yield lambda s: s.sendall(header[:9]) or s
        yield lambda s: s.sendall(header[9:]) or s
    if way.tls:
        yield lambda s: way.tls(place).wrap_socket(s, server_hostname="127.0.0.1")
    if way.websocket:
        yield lambda s: s.sendall(UPGRADE[:40]) or s
        yield lambda s: s.sendall(UPGRADE[40:]) or s.recv(4096) and s
        yield lambda s: s.sendall(b"\x82\x8f\0\0\0\0" + CONNECT[:1]) or s
    yield lambda s: s.sendall(CONNECT[:9]) or s


def test_who_never_finishes_its_connect_is_gone():
    """At whatever step. That all steps have one time together is shown by unit tests, on a clock of their own."""
    place = Place("--set", "net.handshake=1s", "--set", "http.header_time=1s", "--set", "plugins.broker.connect_timeout=1s")
    waiting = []
    for name, way in WAYS.items():
        dials = lambda: Way(way.listener)  # noqa: E731
        for count in range(1 + len(list(steps(place, way)))):
            s = place.dial(dials())
            for step in list(steps(place, way))[:count]:
                s = step(s)
            waiting.append((f"{name} after {count} steps", s))
        if way.tls:
            s = place.dial(way)
            s.sendall(b"\x16\x03\x01\x02")  # the start of a ClientHello
            waiting.append((f"{name} in the handshake", s))
    for name, s in waiting:
        try:
            ends(s)
        except TimeoutError as error:
            raise AssertionError(f"{name} stays") from error
        s.close()
    wait_for(lambda: figure(place.node, "edged_connections{") + figure(place.node, "edged_connections ") == 1, "nobody left")


def test_mosquitto_over_a_unix_socket():
    place = Place()
    assert os.stat(place.socket).st_mode & 0o777 == 0o660
    for version in "mqttv311", "5":
        unix = ["--unix", place.socket, "-V", version, "-t", f"unix/{version}"]
        for qos in "012":
            subprocess.run([need("mosquitto_pub"), *unix, "-q", qos, "-r", "-m", "x" + qos], check=True, timeout=30)
            done = subprocess.run([need("mosquitto_sub"), *unix, "-q", "2", "-C", "1", "-W", "20", "-F", "%p %q %r"],
                                  capture_output=True, text=True, check=True, timeout=30)
            assert done.stdout == f"x{qos} {qos} 1\n", done
    place.node.kill()  # leaves the file, which is in nobody's way
    assert os.path.exists(place.socket)
    place.node.start()
    subprocess.run([need("mosquitto_pub"), "--unix", place.socket, "-t", "t", "-m", "x"], check=True, timeout=30)
    place.node.stop()
    assert not os.path.exists(place.socket)


def test_a_unix_socket_that_cannot_be():
    long = "/tmp/" + "x" * 120
    for path, says in ((long, "1 to 107 characters"), ("/no/such/folder/s", "No such file or directory"), ("/proc/version", "exists")):
        done = subprocess.run([edged.EDGED, "--state", edged.folder(), "--plugins", edged.PLUGINS, "--listen", f"mqtt=unix:{path}"],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 1 and path in done.stderr + long * (path == long) and says in done.stderr, done.stderr


def test_paho_c():
    """The C client that most devices embed, over each of the ways that it knows."""
    program = os.path.join(edged.folder(), "paho_c")
    done = subprocess.run(["cc", "-o", program, os.path.join(edged.HERE, "paho_c.c"), "-lpaho-mqtt3cs"], capture_output=True, text=True)
    if "MQTTClient.h" in done.stderr:
        raise edged.Skip("libpaho-mqtt-dev is not installed")
    assert done.returncode == 0, done.stderr
    place = Place()
    ca, certificate, key = (os.path.join(place.credentials, name + ".pem") for name in ("ca", "certificate", "key"))
    port = place.node.port
    ways = ((f"tcp://127.0.0.1:{port('mqtt')}",), (f"ws://127.0.0.1:{port('http')}/mqtt",),
            (f"ssl://127.0.0.1:{port('mqtts')}", "-u", *USER, "-a", ca),
            (f"ssl://127.0.0.1:{port('tls')}", "-a", ca, "-c", certificate, key),
            (f"wss://127.0.0.1:{port('tls')}/mqtt", "-a", ca, "-c", certificate, key))
    running = [edged.spawn(program, version, *way) for way in ways for version in ("4", "5")]
    for process in running:
        text, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and text == "ok\n", (process.args, text)


edged.main()
