#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The service under a real systemd: start, reload, watchdog, stop. Runs on a throw-away host that the script named by
EDGED_LAB boots (verbs: base PACKAGE..., up HOST, sh HOST CMD..., put HOST FILE DEST, down HOST)."""
import os
import subprocess
import time

import edged
from edged import Skip, wait_for

PACKAGES = ("libevent-core-2.1-7 libevent-pthreads-2.1-7 libmicrohttpd12 libjansson4 libssl3 libsqlite3-0 libnghttp2-14 "
            "libwslay1 libcurl4 mosquitto-clients curl").split()
ROOT = os.path.join(edged.HERE, "..", "..")


class Host:
    def __init__(self, name):
        self.lab = os.environ.get("EDGED_LAB")
        if not self.lab or os.geteuid() != 0:
            raise Skip("needs root, and EDGED_LAB naming a script that boots hosts")
        self.name = name
        subprocess.run([self.lab, "base", *PACKAGES], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([self.lab, "up", name], check=True, stdout=subprocess.DEVNULL)

    def sh(self, command, check=True):
        done = subprocess.run([self.lab, "sh", self.name, "sh", "-c", command], capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def install(self):
        """`make install` into a folder, then the folder into the host."""
        tree = edged.folder()
        subprocess.run(["make", "-C", ROOT, "-s", "install", f"DESTDIR={tree}", f"BUILD={edged.BUILD}"], check=True)
        archive = os.path.join(edged.folder(), "edged.tar")
        subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
        subprocess.run([self.lab, "put", self.name, archive, "/edged.tar"], check=True)
        self.sh("tar -C / --no-overwrite-dir -xf /edged.tar && systemd-sysusers")
        self.drop_in("users", "PrivateUsers=no")  # hosts whose root is a chroot cannot make user namespaces

    def drop_in(self, name, line):
        path = "/run/systemd/system/edged.service.d"
        self.sh(f"mkdir -p {path} && printf '[Service]\\n{line}\\n' >{path}/{name}.conf && systemctl daemon-reload")

    def down(self):
        subprocess.run([self.lab, "down", self.name], check=False, stdout=subprocess.DEVNULL)

    def pid(self):
        return self.sh("systemctl show -p MainPID --value edged")


def test_the_service():
    host = Host(f"edged{os.getpid()}")
    try:
        host.install()
        host.sh("systemctl start edged")
        assert host.sh("systemctl is-active edged") == "active"
        assert "ready" in host.sh("edgectl status")
        first = host.pid()
        host.sh("mosquitto_pub -h 127.0.0.1 -r -q 1 -t kept -m here")

        host.sh("systemctl reload edged")
        assert host.pid() == first, "reload kept the process"
        host.sh("edgectl status")

        # A broken configuration stops neither the running daemon nor goes unnoticed at the next start.
        host.sh("printf '{\"lgo\": {}}' >/etc/edged/edged.conf")
        host.sh("systemctl reload edged")
        assert host.pid() == first
        assert "lgo" in host.sh("journalctl -u edged --no-pager")
        host.sh("rm /etc/edged/edged.conf")

        # A daemon that hangs is killed by the watchdog and started again, with everything that it had acknowledged.
        host.drop_in("watchdog", "WatchdogSec=2")
        host.sh("systemctl restart edged")
        hung = host.pid()
        host.sh(f"kill -STOP {hung}")
        wait_for(lambda: host.pid() not in ("0", hung) and host.sh("systemctl is-active edged", check=False) == "active",
                 30, "the watchdog has started it again")
        assert host.sh("mosquitto_sub -h 127.0.0.1 -t kept -C 1 -W 5") == "here"

        begin = time.monotonic()
        host.sh("systemctl stop edged")
        assert time.monotonic() - begin < 2.5, "stop takes under 2 s"
        assert host.sh("systemctl show -p Result --value edged") == "success"
        host.sh("systemctl start edged")
        assert host.sh("mosquitto_sub -h 127.0.0.1 -t kept -C 1 -W 5") == "here"
    finally:
        host.down()


edged.main()
