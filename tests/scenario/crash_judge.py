# SPDX-License-Identifier: Apache-2.0
"""What must be there after a crash at a place of the record, and what must not: seen over MQTT and REST only."""
import base64

from crash_world import Client, Message, Register
from edged import wait_for
from mqtt_wire import PUBACK, PUBLISH, PUBREC, PUBREL, SUBACK, Wire, serve


class Returned(Client):
    """A client that comes back after the crash at `place` with what it knew then."""

    def __init__(self, world, node, origin, place):
        super().__init__(world, origin.name, origin.version, origin.durable)
        self.node, self.origin, self.id = node, origin, 50000
        self.acked, self.must, self.seen, self.before = set(), {}, set(), set()
        events = [(at, 0, p.kind, p.id, p) for at, p in world.heard.get(origin.name, []) if at <= place]
        # What it said when the record had `at` bytes came after all of those.
        events += [(at, 1, kind, id, payload) for at, kind, id, payload in origin.said if at < place]
        for _, mine, kind, id, what in sorted(events, key=lambda e: e[:2]):
            if not mine and kind == PUBLISH and what.qos == 2:
                self.held[id] = what.payload
                self.before.add(what.payload)
            elif not mine and kind == PUBREL:
                self.held.pop(id, None)
            elif mine and kind == PUBACK:
                self.acked.add(what)
        said = {id: payload for at, kind, id, payload in origin.said if kind == PUBREC and at < place}
        # The exchanges that must go on: as a PUBLISH again, or, if it has answered that, maybe with PUBREL.
        self.must = {id: said.get(id) == payload for id, payload in self.held.items()}
        for m in world.messages:
            if m.publisher is origin and m.place <= place and (m.done is None or m.done > place):
                copy = Message(self, m.number, m.id, m.qos, m.topic, m.payload, m.place, m.receivers)
                copy.taken = m.taken is not None and m.taken <= place or None
                self.open[m.id] = copy
        self.got = []  # payloads that are new to it, in order
        self.twice = []

    def come(self):
        self.wire = Wire(self.node.address("mqtt"), self.name, self.version, not self.durable, 86400 if self.durable else 0)
        self.wire.send(self.wire.hello)

    def handle(self, p):
        if p.kind == PUBLISH and p.qos == 2:
            self.must.pop(p.id, None)
            if p.id in self.held:
                if self.held[p.id] != p.payload:
                    self.twice.append(f"id {p.id} for {p.payload[:20]} while it stood for {self.held[p.id][:20]}")
                self.wire.ack(PUBREC, p.id)
                return
            if p.payload in self.before or p.payload in self.seen:
                self.twice.append(p.payload[:20])
        if p.kind == PUBREL and self.must.pop(p.id, True) is False:
            self.twice.append(f"PUBREL for {p.id}, which it has not answered")
        if p.kind == PUBLISH:
            # One that it has acknowledged is nothing new: its publisher had no PUBACK and sends it again (QoS 1).
            if p.payload not in self.seen and p.payload not in self.acked:
                self.got.append((p.payload, p.qos))
            self.seen.add(p.payload)
        super().handle(p)

    def answer(self, kind, id, payload):
        self.wire.ack(kind, id)


class Judge:
    def __init__(self, world, place):
        self.world, self.at, self.wrong = world, place, []

    def expect(self, true, text):
        if not true:
            self.wrong.append(text)

    def registers(self, node):
        """What the daemon shows over REST."""
        shown = {}
        for topic in listed(node, "/pubsub/v1/retained"):
            body = node.get(f"/retainedMessage/{topic['topic']}")
            shown["retained", topic["topic"]] = base64.b64decode(body["payload"])
        for user in node.get("/pubsub/v1/users")["data"]:
            shown["user", user["name"]] = True
        for sub in listed(node, "/pubsub/v1/subscriptions"):
            shown["sub", sub["clientId"], sub["filter"]] = sub["qos"]
        for session in listed(node, "/pubsub/v1/sessions"):
            shown["session", session["clientId"]] = True
        for thing in "lamp", "fan":
            status, _, body = node.http("GET", f"/things/{thing}/shadow")
            if status != 404:
                shown["shadow", thing] = body["version"]
                if thing == "lamp":
                    self.expect(body["state"]["desired"]["n"] == body["version"] - 1, f"shadow {body}")
        wait_for(lambda: node.http("GET", "/jobs/v1/jobs")[0] == 200, "jobs run")
        for thing in node.get("/things/v1/things")["data"]:
            shown["thing", thing["name"]] = True
        for job in node.get("/jobs/v1/jobs")["data"]:
            shown["job", job["id"]] = True
            for execution in node.get(f"/jobs/v1/jobs/{job['id']}/executions")["data"]:
                version = execution["versionNumber"]
                if version > 1:  # it is queued some time after the job has come
                    shown["execution", job["id"]] = version
                    self.expect(execution["statusDetails"] == {"step": str(version - 2)}, f"execution {execution}")
        for key in set(shown) | set(self.world.registers):
            if key[0] == "session" and key not in self.world.registers:
                continue  # it has no subscription, and is worth nothing
            allowed = self.world.registers.get(key, Register()).allowed(self.at)
            if key[0] == "session":
                allowed += [True]  # it may be there before anything was acknowledged
            self.expect(shown.get(key) in allowed, f"{key} is {shown.get(key)}, not one of {allowed}")

    def messages(self, clients):
        world, at = self.world, self.at
        number = {m.payload: m for m in world.messages}
        for name, c in clients.items():
            self.expect(not c.twice, f"{name}: {c.twice}")
            self.expect(not c.must, f"{name}: exchanges {list(c.must)} of QoS 2 do not go on")
            newest = {}
            for payload, qos in c.got:
                m = number.get(payload)
                if payload.startswith(b"end"):
                    continue
                self.expect(m and m.place <= at and name in m.receivers, f"{name} got {payload[:20]}, which is not for it")
                if not m:
                    continue
                self.expect(qos == m.receivers.get(name), f"{name} got {payload[:20]} at QoS {qos}")
                self.expect(newest.get((m.publisher.name, qos), -1) < m.number, f"{name} got {payload[:20]} too late")
                newest[m.publisher.name, qos] = m.number
            ended = getattr(c.origin, "ended", None)
            for m in world.messages:
                qos = m.receivers.get(name)
                resent = m.publisher.name in clients and m.id in clients[m.publisher.name].open_before
                if qos is None or (ended is not None and ended <= at) or m.place > at:
                    continue
                if (m.taken is None or m.taken > at) and not resent:
                    continue
                there = m.payload in c.seen or m.payload in (c.acked if qos == 1 else c.before)
                self.expect(there, f"{name} has lost {m.payload[:20]} of QoS {qos}")

    def run(self, node):
        self.registers(node)
        world = self.world
        clients = {c.name: Returned(world, node, c, self.at) for c in world.clients.values()
                   if c.durable and c.first is not None and c.first < self.at}
        plain = Returned(world, node, Client(world, "end", durable=False), -1)
        everybody = {**clients, "end": plain}

        def pump(until):
            serve([c.wire for c in everybody.values()],
                  lambda wire, p: next(c for c in everybody.values() if c.wire is wire).handle(p), until)
        for c in everybody.values():
            c.come()
        pump(lambda: all(c.present is not None for c in everybody.values()))
        for name, c in clients.items():
            c.open_before = set(c.open)
            taken = any(m.publisher is c.origin and m.qos == 2 and m.taken is not None and m.taken <= self.at for m in world.messages)
            self.expect(c.present or not taken, f"the session of {name}, which had got PUBREC, is gone")
            for message in list(c.open.values()):
                c.send(message, True)
            c.wire.subscribe("end/#", 2, 60000)
        pump(lambda: all(not c.open and any(p.kind == SUBACK for p in c.heard) for c in clients.values()))
        again = self.use_ids_again(clients)
        pump(lambda: all(not c.open for c in clients.values()))
        for qos in 1, 2:
            plain.wire.publish("end/it", b"end %d" % qos, qos, qos)
        pump(lambda: all({b"end 1", b"end 2"} <= c.seen and not any(v == b"end 2" for v in c.held.values())
                         for c in clients.values()))
        for c in everybody.values():
            c.close()
        self.messages(clients)
        for name, c in clients.items():
            self.expect(again <= c.seen, f"{name} lacks {again - c.seen}: new messages were taken for old ones")

    def use_ids_again(self, clients):
        """What has got PUBCOMP may name another message now. Returns the payloads."""
        payloads = set()
        for c in clients.values():
            done = [m for m in self.world.messages if m.publisher is c.origin and m.qos == 2 and m.done and m.done <= self.at]
            for m in done[-4:]:
                payload = b"end %d again %s" % (m.id, c.name.encode())
                c.open[m.id] = Message(c, 0, m.id, 2, "end/again", payload, self.at, {})
                c.send(c.open[m.id])
                payloads.add(payload)
        return payloads

    def log(self, text):
        for line in text.splitlines():
            self.expect(not any(word in line for word in (" error ", "damaged", "made no sense", "AddressSanitizer")), line)


def listed(node, path):
    out, cursor = [], ""
    while True:
        body = node.get(f"{path}?limit=100{cursor}")
        out += body["data"]
        if "cursor" not in body:
            return out
        cursor = "&cursor=" + body["cursor"]
