#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The service under a real systemd: start, reload, watchdog, stop. See hosts.py for where."""
import os
import time

import edged
from edged import wait_for
from hosts import Host


def test_the_service():
    with Host(f"edged{os.getpid()}", f"e{os.getpid()}") as host:
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
                 "the watchdog has started it again")
        assert host.sh("mosquitto_sub -h 127.0.0.1 -t kept -C 1 -W 5") == "here"

        # Port 443, where some SDKs look for Greengrass discovery, with the drop-in that is installed for it.
        host.sh("cp /usr/share/doc/edged/port-443.conf /run/systemd/system/edged.service.d/ && systemctl daemon-reload")
        host.sh("printf '{\"net\": {\"listen\": [\"http=127.0.0.1:8083\", \"mqtt=127.0.0.1:1883\", \"tls=*:443\"]}}' "
                ">/etc/edged/edged.conf && systemctl restart edged")
        assert host.sh("curl -sk -o /dev/null -w '%{http_code}' https://127.0.0.1/greengrass/discover/thing/lamp") == "403"
        host.sh("rm /etc/edged/edged.conf")

        begin = time.monotonic()
        host.sh("systemctl stop edged")
        assert time.monotonic() - begin < 2.5, "stop takes under 2 s"
        assert host.sh("systemctl show -p Result --value edged") == "success"
        host.sh("systemctl start edged")
        assert host.sh("mosquitto_sub -h 127.0.0.1 -t kept -C 1 -W 5") == "here"


edged.main()
