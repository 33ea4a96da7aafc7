#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The one secure port with clients that others wrote: MQTT, WebSocket and REST over TLS, told apart by ALPN or by the
first bytes; who has no certificate of the account gets nothing."""
import json
import os
import socket
import ssl
import subprocess
import threading

import paho.mqtt.client as mqtt

import edged
from edged import need


def files(credentials):
    return [os.path.join(credentials, name + ".pem") for name in ("ca", "certificate", "key")]


def mosquitto(program, node, credentials, *args):
    ca, certificate, key = files(credentials)
    return [need(program), "-h", "127.0.0.1", "-p", str(node.port("tls")), "--cafile", ca, "--cert", certificate, "--key", key, *args]


def test_mqtt_with_and_without_alpn():
    node, credentials = edged.with_credentials()
    for alpn in ("mqtt", "x-amzn-mqtt-ca", None):
        options = ["--tls-alpn", alpn] if alpn else []
        subprocess.run(mosquitto("mosquitto_pub", node, credentials, *options, "-r", "-q", "1", "-t", "t", "-m", f"over {alpn}"),
                       check=True, timeout=30)
        done = subprocess.run(mosquitto("mosquitto_sub", node, credentials, *options, "-t", "t", "-C", "1", "-W", "20"),
                              capture_output=True, text=True, check=True, timeout=30)
        assert done.stdout == f"over {alpn}\n", done


def test_tls_1_2_and_1_3():
    node, credentials = edged.with_credentials()
    for version in ("tlsv1.2", "tlsv1.3"):
        subprocess.run(mosquitto("mosquitto_pub", node, credentials, "--tls-version", version, "-t", "t", "-n"), check=True, timeout=30)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(files(credentials)[0])
    old.set_ciphers("ALL:@SECLEVEL=0")  # this side would take it
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        old.wrap_socket(node.connect("tls"), server_hostname="127.0.0.1")
    except ssl.SSLError as error:
        assert error.reason == "TLSV1_ALERT_PROTOCOL_VERSION", error
    else:
        raise AssertionError("TLS 1.1 was taken")


def as_member(credentials, alpn, version=ssl.TLSVersion.TLSv1_3):
    """What a node of the account dials with."""
    ca, certificate, key = files(credentials)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate, key)
    context.maximum_version = version
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


def answer(stream, request):
    """What comes within a second and a half, b"" when the connection ends."""
    stream.settimeout(1.5)
    try:
        stream.sendall(request)
        return stream.recv(100)
    except TimeoutError:
        return None
    except OSError:
        return b""


H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def test_nodes_speak_no_older_tls_to_each_other():
    node, credentials = edged.with_credentials()
    for alpn in ("edged-link/1", "edged-mesh/1", "edged-pair/1"):
        request = H2_PREFACE if alpn == "edged-link/1" else b"\1"
        for version, taken in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)):
            with as_member(credentials, alpn, version).wrap_socket(node.connect("tls"), server_hostname="127.0.0.1") as stream:
                assert stream.selected_alpn_protocol() == alpn
                got = answer(stream, request)
                assert (got != b"") == taken, (alpn, version, got)
                if alpn == "edged-link/1" and taken:
                    assert got[3:4] == b"\4", got


def test_a_link_needs_its_name():
    """Without ALPN the bytes of a link are an HTTP request like any other, and a bad one."""
    node, credentials = edged.with_credentials()
    for alpn in (None, "http/1.1"):
        with as_member(credentials, alpn).wrap_socket(node.connect("tls"), server_hostname="127.0.0.1") as stream:
            got = answer(stream, H2_PREFACE)
            assert got.startswith(b"HTTP/1.1 4") or got.startswith(b"HTTP/1.1 505"), got
    with as_member(credentials, "mqtt").wrap_socket(node.connect("tls"), server_hostname="127.0.0.1") as stream:
        assert answer(stream, H2_PREFACE) == b""


def impostor(credentials, alpn, version):
    """The address of a server with a certificate of the account that wants older TLS, or names no protocol."""
    _, certificate, key = files(credentials)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.maximum_version = version
    if alpn:
        context.set_alpn_protocols([alpn])
    server = socket.create_server(("127.0.0.1", 0))
    got = []

    def serve():
        while True:
            try:
                connection, _ = server.accept()
                with context.wrap_socket(connection, server_side=True) as stream:
                    got.append(stream.recv(100))
            except ssl.SSLError:
                got.append(b"")
            except OSError:
                return
    threading.Thread(target=serve, daemon=True).start()
    return server, "%s:%d" % server.getsockname(), got


def test_a_node_does_not_dial_with_older_tls():
    node, credentials = edged.with_credentials()
    for alpn, version in (("edged-pair/1", ssl.TLSVersion.TLSv1_2), (None, ssl.TLSVersion.TLSv1_3),
                          ("http/1.1", ssl.TLSVersion.TLSv1_3)):
        server, address, got = impostor(credentials, alpn, version)
        code, problem = node.http("POST", "/edge/v1/pairing", {"node": address, "code": "0794-0701"})[::2]
        assert code == 502 and problem["type"].endswith("node-unreachable"), (alpn, version, problem)
        edged.wait_for(lambda: got, "it came")
        assert got == [b""], "and said nothing"
        server.close()


def test_websocket_over_tls():
    node, credentials = edged.with_credentials()
    ca, certificate, key = files(credentials)
    client = mqtt.Client("web", transport="websockets")
    client.ws_set_options(path="/mqtt")
    client.tls_set(ca, certificate, key)
    got, done = [], threading.Event()
    client.on_connect = lambda c, *rest: c.subscribe("w/#", 1)
    client.on_subscribe = lambda c, *rest: c.publish("w/a", "x" * 5000, 1)
    client.on_message = lambda c, u, m: (got.append((m.topic, len(m.payload))), done.set())
    client.connect("127.0.0.1", node.port("tls"), 60)
    client.loop_start()
    assert done.wait(20) and got == [("w/a", 5000)], got
    client.disconnect()
    client.loop_stop()


def curl(node, credentials, *args):
    ca, certificate, key = files(credentials)
    done = subprocess.run(["curl", "-sS", "--cacert", ca, "--cert", certificate, "--key", key, *args],
                          capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout


def test_rest_over_tls():
    node, credentials = edged.with_credentials()
    url = f"https://127.0.0.1:{node.port('tls')}"
    code, body = curl(node, credentials, "-d", '{"state":{"desired":{"led":"on"}}}', url + "/things/lamp/shadow")
    assert code == 0 and json.loads(body)["version"] == 1, body
    code, body = curl(node, credentials, "--no-alpn", url + "/edge/v1/node")
    assert code == 0 and json.loads(body)["id"] == node.id, body


def test_who_is_not_of_the_account_gets_nothing():
    node, credentials = edged.with_credentials()
    stranger, others = edged.with_credentials()
    assert stranger.id != node.id
    ca = files(credentials)[0]
    url = f"https://127.0.0.1:{node.port('tls')}/edge/v1/node"
    done = subprocess.run(["curl", "-sS", "--cacert", ca, url], capture_output=True, text=True, timeout=30, check=False)
    assert json.loads(done.stdout)["status"] == 401, done
    _, certificate, key = files(others)
    done = subprocess.run(["curl", "-sS", "--cacert", ca, "--cert", certificate, "--key", key, url], capture_output=True,
                          text=True, timeout=30, check=False)
    assert json.loads(done.stdout)["status"] == 401, done
    for more in ([], ["--cert", certificate, "--key", key]):
        done = subprocess.run([need("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(node.port("tls")), "--cafile", ca, *more,
                               "-t", "t", "-m", "m"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode and "not authori" in (done.stdout + done.stderr).lower(), done
    with ssl.create_default_context(cafile=ca).wrap_socket(node.connect("tls"), server_hostname="127.0.0.1") as plain:
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        assert plain.recv(4) == b"\x20\x02\x00\x05", "CONNACK: not authorised"


edged.main()
