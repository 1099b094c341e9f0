"""A client for the tests, with Python's ssl module.

    peer.py PORT CA VERSION [CERTIFICATE KEY]

Sends frames and expects each of them back; then ends its stream, and expects the server to end its own. Any failure
is an exception.
"""

import socket
import ssl
import struct
import sys

port, ca, version = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
context.set_alpn_protocols(["frames/1"])
if len(sys.argv) > 4:
    context.load_cert_chain(sys.argv[4], sys.argv[5])


def recv_exactly(stream, length):
    received = b""
    while len(received) < length:
        chunk = stream.recv(min(length - len(received), 1 << 16))
        if not chunk:
            raise EOFError(f"{len(received)} of {length} bytes")
        received += chunk
    return received


with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
    with context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as stream:
        assert stream.selected_alpn_protocol() == "frames/1", stream.selected_alpn_protocol()
        for length in [0, 1, 16384, 100_000]:
            payload = bytes(n % 251 for n in range(length))
            stream.sendall(struct.pack("<I", length) + payload)
            assert struct.unpack("<I", recv_exactly(stream, 4)) == (length,)
            assert recv_exactly(stream, length) == payload
        # Many frames in one record, and one frame in many records.
        stream.sendall(b"\x02\0\0\0hi" * 500)
        assert recv_exactly(stream, 3000) == b"\x02\0\0\0hi" * 500
        for byte in b"\x03\0\0\0yes":
            stream.sendall(bytes([byte]))
        assert recv_exactly(stream, 7) == b"\x03\0\0\0yes"
        # close_notify there and back.
        stream.unwrap()
print("done")
