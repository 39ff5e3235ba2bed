# As peer.go, with Python's ssl. It can't end one direction alone: as a client it reads as many bytes as it sends, and
# as a server it does the same before it answers.
import hashlib
import json
import socket
import ssl
import sys

role, address, certificate, key, version, length = sys.argv[1:]
length = int(length)
host, port = address.rsplit(":", 1)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if role == "client" else ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = context.maximum_version = (
    ssl.TLSVersion.TLSv1_2 if version == "TLSv1.2" else ssl.TLSVersion.TLSv1_3
)
context.set_alpn_protocols(["interop"])


def pattern(seed):
    # It repeats itself after so many bytes.
    period = 251 * 256
    once = bytes((at * 31 + at // 251 + seed) & 255 for at in range(period))
    return (once * (length // period + 1))[:length]


def receive(connection):
    digest, count = hashlib.sha256(), 0
    while count < length:
        part = connection.recv(65536)
        if not part:
            break
        digest.update(part)
        count += len(part)
    return digest.hexdigest(), count


def report(connection, received):
    digest, count = received
    version, suite = connection.version(), connection.cipher()[0]
    protocol, resumed = connection.selected_alpn_protocol(), connection.session_reused
    seen = {"sha256": digest, "bytes": count, "version": version, "suite": suite, "protocol": protocol}
    print(json.dumps({**seen, "name": "", "resumed": resumed}), flush=True)


if role == "client":
    context.load_verify_locations(certificate)
    session = None
    for turn in range(2):
        plain = socket.create_connection((host, int(port)))
        connection = context.wrap_socket(plain, server_hostname="localhost", session=session)
        connection.sendall(pattern(1))
        received = receive(connection)
        session = connection.session
        if turn == 1:
            report(connection, received)
        connection.unwrap().close()
else:
    context.load_cert_chain(certificate, key)
    listener = socket.create_server((host, int(port)))
    print("%s:%d" % listener.getsockname(), flush=True)
    connection = context.wrap_socket(listener.accept()[0], server_side=True)
    received = receive(connection)
    connection.sendall(pattern(2))
    report(connection, received)
    connection.unwrap().close()
