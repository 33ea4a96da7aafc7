# SPDX-License-Identifier: Apache-2.0
"""An MQTT client that does nothing by itself: packets out, packets in. For tests that must know each of them."""
import select
import socket
import struct
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, \
    DISCONNECT = range(1, 15)


def varint(n):
    out = bytearray()
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Packet:
    """One that a server sent. Which fields there are depends on .kind."""

    def __init__(self, first, body, version):
        self.kind, self.flags = first >> 4, first & 15
        self.id = self.reason = 0
        five = version == 5
        if self.kind == CONNACK:
            self.present, self.reason = bool(body[0] & 1), body[1]
        elif self.kind == PUBLISH:
            self.qos, self.retain, self.dup = self.flags >> 1 & 3, bool(self.flags & 1), bool(self.flags & 8)
            n = struct.unpack_from(">H", body)[0]
            self.topic, at = body[2:2 + n].decode(), 2 + n
            if self.qos:
                self.id, at = struct.unpack_from(">H", body, at)[0], at + 2
            if five:
                length, at = read_varint(body, at)
                at += length
            self.payload = bytes(body[at:])
        elif self.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self.id = struct.unpack_from(">H", body)[0]
            self.reason = body[2] if len(body) > 2 else 0
        elif self.kind in (SUBACK, UNSUBACK):
            self.id = struct.unpack_from(">H", body)[0]
            self.reason = body[-1] if len(body) > 2 else 0
        elif self.kind == DISCONNECT:
            self.reason = body[0] if body else 0


def read_varint(bytes, at):
    n = shift = 0
    while True:
        n |= (bytes[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if not bytes[at - 1] & 128:
            return n, at


def take_packet(buffer, version):
    """The first packet of the bytearray, which is cut; None: it is not complete."""
    n = shift = 0
    for at in range(1, 5):
        if at >= len(buffer):
            return None
        n |= (buffer[at] & 127) << shift
        shift += 7
        if not buffer[at] & 128:
            break
    if len(buffer) < at + 1 + n:
        return None
    found = Packet(buffer[0], buffer[at + 1:at + 1 + n], version)
    del buffer[:at + 1 + n]
    return found


class Wire:
    """A connection. address: (host, port), or the path of a Unix socket; expiry: of the session, seconds (version 5)."""

    def __init__(self, address, name, version=4, clean=True, expiry=0, keep_alive=0):
        self.version = version
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=60)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.port = self.socket.getsockname()[1]
        self.buffer = bytearray()
        self.ended = False
        properties = b"\x11" + struct.pack(">I", expiry) if version == 5 and expiry else b""
        self.hello = packet(CONNECT, 0, text("MQIsdp" if version == 3 else "MQTT") + bytes([version, 2 if clean else 0])
                            + struct.pack(">H", keep_alive) + self.properties(properties) + text(name))

    def properties(self, bytes=b""):
        return varint(len(bytes)) + bytes if self.version == 5 else b""

    def send(self, bytes):
        try:
            self.socket.sendall(bytes)
        except OSError:
            self.ended = True

    def publish(self, topic, payload, qos=0, id=0, retain=False, dup=False):
        self.send(packet(PUBLISH, dup << 3 | qos << 1 | retain,
                         text(topic) + (struct.pack(">H", id) if qos else b"") + self.properties() + payload))

    def ack(self, kind, id):
        self.send(packet(kind, 2 if kind == PUBREL else 0, struct.pack(">H", id)))

    def subscribe(self, filter, qos, id):
        self.send(packet(SUBSCRIBE, 2, struct.pack(">H", id) + self.properties() + text(filter) + bytes([qos])))

    def unsubscribe(self, filter, id):
        self.send(packet(UNSUBSCRIBE, 2, struct.pack(">H", id) + self.properties() + text(filter)))

    def disconnect(self):
        self.send(packet(DISCONNECT, 0, b""))
        self.close()

    def close(self):
        self.ended = True
        self.socket.close()

    def take(self):
        """A packet that has come, or None."""
        return take_packet(self.buffer, self.version)

    def read(self):
        """What the socket has now, without waiting for more."""
        try:
            bytes = self.socket.recv(262144)
        except OSError:
            bytes = b""
        self.ended |= not bytes
        self.buffer += bytes


def serve(wires, handle, until, seconds=60):
    """Gives each packet that comes to handle(wire, packet), until until() is true."""
    end = time.monotonic() + seconds
    while True:
        for wire in wires:
            while (found := wire.take()):
                handle(wire, found)
        if until():
            return
        open_ones = [w.socket for w in wires if not w.ended]
        left = end - time.monotonic()
        if left <= 0 or not open_ones:
            raise AssertionError(f"what was waited for did not come: {'not in time' if open_ones else 'connections ended'}")
        ready = select.select(open_ones, [], [], left)[0]
        for wire in wires:
            if not wire.ended and wire.socket in ready:
                wire.read()
