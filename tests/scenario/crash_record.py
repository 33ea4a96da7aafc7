# SPDX-License-Identifier: Apache-2.0
"""Reads what recorder.c wrote, and makes the folder that a crash at some record could have left.

A *place* is a count of bytes of the record file: everything in front of it had happened. What a power cut leaves is what
was synced, and any part of what was not: of each file any of the writes since its last sync, of the folders a first part
of the changes since they were synced (a new or renamed file whose folder was not synced may be missing)."""
import os
import struct

HEAD = struct.Struct("=cBHIQQQ")
SECTOR = 512
SYNCED, KEEP_SIZE, PUNCH_HOLE = 1, 1, 2


class Record:
    def __init__(self, place, kind, flags, port, inode, a, b, data):
        self.place = place  # behind it
        self.kind, self.flags, self.port, self.inode, self.a, self.b, self.data = kind, flags, port, inode, a, b, data

    @property
    def names(self):
        return [name.decode() for name in self.data.split(b"\0")[:-1]]

    def __repr__(self):
        what = self.names if self.kind in "OMURLdD" else f"{len(self.data)} bytes"
        return f"{self.kind} inode {self.inode} a={self.a} {what}"


def read_records(path, offset=0):
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read()
    out, at = [], 0
    while at + HEAD.size <= len(data):
        kind, flags, port, n, inode, a, b = HEAD.unpack_from(data, at)
        at += HEAD.size
        out.append(Record(offset + at + n, kind.decode(), flags, port, inode, a, b, data[at:at + n]))
        at += n
    return out


def write(content, offset, data):
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


def change(content, record, data=None):
    """Does to the bytearray what the record says, with a part of its bytes if that is given."""
    if record.kind == "W":
        write(content, record.a, record.data if data is None else data)
    elif record.kind == "T":
        del content[record.a:]
        content.extend(bytes(record.a - len(content)))
    elif record.kind == "A" and record.flags & PUNCH_HOLE:
        n = max(0, min(record.b, len(content) - record.a))
        content[record.a:record.a + n] = bytes(n)
    elif record.kind == "A" and not record.flags & ~KEEP_SIZE:
        if not record.flags & KEEP_SIZE:
            content.extend(bytes(max(0, record.a + record.b - len(content))))
    else:
        raise AssertionError(f"not thought of: {record}")


class Inode:
    def __init__(self):
        self.now, self.safe = bytearray(), bytearray()
        self.loose = []  # records since the last sync


FOLDER = object()


class Folder:
    """What is there (now), what would be there after a power cut (safe), and what is in between (loose)."""

    def __init__(self):
        self.now, self.safe, self.loose = {}, {}, []  # path -> Inode or FOLDER; records
        self.inodes = {}
        self.begun = {}  # of syncs: (process, number) -> how many records were loose

    def apply(self, record):
        kind = record.kind
        if kind == "O":
            self.inodes[record.inode] = record.target = Inode()
        if kind == "P":
            raise AssertionError("a file of the state folder is written to through a mapping, which is not recorded")
        if kind in "OMURL":
            record.target = self.inodes.get(record.inode)
            self.name(self.now, record)
            self.loose.append(record)
        elif kind in "WTA":
            inode = self.inodes[record.inode]
            change(inode.now, record)
            if record.flags & SYNCED and kind == "W":
                change(inode.safe, record)
            else:
                inode.loose.append(record)
        elif kind == "s" and record.inode in self.inodes:
            self.begun[record.b, record.a] = list(self.inodes[record.inode].loose)
        elif kind == "d":
            self.begun[record.b, record.a] = [r for r in self.loose if os.path.dirname(r.names[-1]) == record.names[0]]
        elif kind == "S" and record.inode in self.inodes:
            done = set(map(id, self.begun.pop((record.b, record.a))))
            inode = self.inodes[record.inode]
            for old in inode.loose:
                if id(old) in done:
                    change(inode.safe, old)
            inode.loose = [r for r in inode.loose if id(r) not in done]
        elif kind == "D":
            done = set(map(id, self.begun.pop((record.b, record.a))))
            for old in self.loose:
                if id(old) in done:
                    self.name(self.safe, old)
            self.loose = [r for r in self.loose if id(r) not in done]

    @staticmethod
    def name(names, record):
        first = record.names[0]
        if record.kind == "O":
            names[first] = record.target
        elif record.kind == "M":
            names[first] = FOLDER
        elif record.kind == "U":
            names.pop(first, None)
        elif record.kind == "L":
            if first in names:
                names[record.names[1]] = names[first]
        elif record.kind == "R" and first in names:
            names[record.names[1]] = names.pop(first)
            for path in [p for p in names if p.startswith(first + "/")]:
                names[record.names[1] + path[len(first):]] = names.pop(path)

    # --- images: path -> bytes, or None for a folder

    def image(self, names, content):
        out = {}
        for path, inode in sorted(names.items()):
            above = os.path.dirname(path)
            if above and above not in out:
                continue  # its folder is not there
            out[path] = None if inode is FOLDER else bytes(content(inode))
        return out

    def whole(self):
        return self.image(self.now, lambda inode: inode.now)

    def dropped(self):
        return self.image(self.safe, lambda inode: inode.safe)

    def torn(self, last, sectors):
        """As whole(), but of the last write only that many sectors."""
        def content(inode):
            if inode is not self.inodes[last.inode]:
                return inode.now
            out = bytearray(inode.safe)
            for record in inode.loose:
                change(out, record, self.cut(record, sectors) if record is last else None)
            return out
        return self.image(self.now, content)

    @staticmethod
    def cut(record, sectors):
        return record.data[:sectors * SECTOR - record.a % SECTOR] if sectors else b""

    @staticmethod
    def borders(record):
        """Into how many pieces the sectors of the disk cut this write, less one."""
        return (record.a + len(record.data) - 1) // SECTOR - record.a // SECTOR if record.data else 0

    def mixed(self, random):
        """Any of what is loose."""
        names = dict(self.safe)
        for record in self.loose[:random.randint(0, len(self.loose))]:
            self.name(names, record)
        made = {}

        def content(inode):
            if id(inode) not in made:
                out = bytearray(inode.safe)
                share = random.choice((0.1, 0.5, 0.9))
                for record in inode.loose:
                    if random.random() >= share:
                        continue
                    pieces = self.borders(record) if record.kind == "W" else 0
                    tear = pieces and random.random() < 0.2
                    change(out, record, self.cut(record, random.randint(0, pieces)) if tear else None)
                made[id(inode)] = out
            return made[id(inode)]
        return self.image(names, content)


def put_image(image, folder):
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for path, content in image.items():
        full = os.path.join(folder, path)
        if content is None:
            os.makedirs(full, mode=0o700, exist_ok=True)
        else:
            fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(fd, "wb") as file:
                file.write(content)
