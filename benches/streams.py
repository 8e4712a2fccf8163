"""Many Envoys in one process: streams of Envoy's secret discovery, with as little around each as can be.

A stream is a connection of its own to the server's Unix socket, as an Envoy has: HTTP/2 (RFC 9113) with its few frames written
out, one call of StreamSecrets in it, messages of gRPC and of the discovery protocol by hand.
"""

import selectors
import socket
import struct
import time

PATH = b"/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
TYPE = b"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
ACK, END_STREAM, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(value):
    """A string of HPACK (RFC 7541 section 5.2), shorter than 127 bytes."""
    return bytes([len(value)]) + value


def field(number, value):
    """A length-delimited field of Protocol Buffers."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def fields(message):
    """The length-delimited fields of a message, by number; the last of each."""
    found, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 != 2:
            number()
            continue
        length = number()
        found[key >> 3] = message[at : at + length]
        at += length
    return found


class Stream:
    """One call; counts the answers that came and takes each."""

    def __init__(self, path, node, resource):
        self.node, self.resource = node.encode(), resource.encode()
        self.socket = socket.socket(socket.AF_UNIX)
        # Without a timeout it waits where the server is behind.
        self.socket.connect(path)
        self.socket.settimeout(60)
        self.read, self.message, self.answers = b"", b"", 0
        # :method POST, :scheme http, :path, :authority, content-type, te (RFC 7541, appendix A).
        headers = b"\x83\x86\x04" + text(PATH) + b"\x01" + text(b"localhost")
        headers += b"\x0f\x10" + text(b"application/grpc") + b"\x00" + text(b"te") + text(b"trailers")
        begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, headers)
        self.socket.sendall(begin + self.request())

    def request(self, version=b"", nonce=b""):
        message = field(1, version) if version else b""
        message += field(2, field(1, self.node)) + field(3, self.resource) + field(4, TYPE)
        message += field(5, nonce) if nonce else b""
        return frame(DATA, 0, 1, struct.pack(">BI", 0, len(message)) + message)

    def take(self):
        """Takes what has come."""
        came = self.socket.recv(65536)
        if not came:
            raise ConnectionError("the server has ended a stream")
        self.read += came
        while len(self.read) >= 9:
            length = int.from_bytes(self.read[:3], "big")
            if len(self.read) < 9 + length:
                return
            kind, flags, payload = self.read[3], self.read[4], self.read[9 : 9 + length]
            self.read = self.read[9 + length :]
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == GOAWAY or (kind == HEADERS and flags & END_STREAM):
                raise ConnectionError("the server sends a stream away")
            elif kind == DATA:
                self.hear(payload)

    def hear(self, payload):
        self.message += payload
        if len(self.message) < 5 or len(self.message) < 5 + int.from_bytes(self.message[1:5], "big"):
            return
        said = fields(self.message[5:])
        self.message = b""
        self.answers += 1
        self.socket.sendall(self.request(said.get(1, b""), said.get(5, b"")))


class Streams:
    """All of them."""

    def __init__(self):
        self.selector, self.all = selectors.DefaultSelector(), []

    def come(self, count, *what):
        for _ in range(count):
            stream = Stream(*what)
            self.all.append(stream)
            self.selector.register(stream.socket, selectors.EVENT_READ, stream)

    def until(self, answers, seconds):
        """Returns once every stream has had so many answers; how long that took."""
        began = time.monotonic()
        missing = sum(stream.answers < answers for stream in self.all)
        while missing:
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"{missing} of {len(self.all)} streams have had no answer in {seconds} s")
            for key, _ in self.selector.select(1):
                before = key.data.answers
                key.data.take()
                missing -= before < answers <= key.data.answers
        return time.monotonic() - began

    def close(self):
        for stream in self.all:
            stream.socket.close()
