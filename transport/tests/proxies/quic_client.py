"""A client of sessions over QUIC on a stack that is not ours, written from docs/PROTOCOL.md.

Run as `quic_client.py ROOTS HOST PORT WHAT`; it prints what came of it.
"""

import asyncio
import struct
import sys

from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived

PREFACE = b"\xd7DMESH\r\n"
HELLO, METHOD, METHOD_ACK, OPEN, MESSAGE, PING, PONG = 1, 2, 3, 5, 7, 12, 13
END, WITH_MESSAGE, PROTOBUF = 1, 2, 4


def frame(kind, flags=0, head=b"", payload=b"", slot=0, generation=0):
    """A frame of section 3."""
    length = len(head) + len(payload)
    header = struct.pack("<IBBHII", length, kind, flags, len(head), slot, generation)
    return padded(header + head + payload, 8)


def section(number, value):
    """A section of section 3.3."""
    return padded(struct.pack("<BBH", number, 0, len(value)) + value, 4)


def padded(data, to):
    return data + bytes(-len(data) % to)


class Client(QuicConnectionProtocol):
    """Gathers what the server sends on the first lane, and how the connection ends."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.input = b""
        self.news = asyncio.Event()
        self.ended = None

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            self.input += event.data
        if isinstance(event, ConnectionTerminated):
            self.ended = event
        self.news.set()

    def say(self, data):
        self._quic.send_stream_data(0, data)
        self.transmit()

    async def take(self, count):
        while len(self.input) < count:
            if self.ended:
                raise ConnectionError(f"ended {self.ended}")
            self.news.clear()
            await self.news.wait()
        taken, self.input = self.input[:count], self.input[count:]
        return taken

    async def frame(self):
        """The next frame: its kind, flags, head and payload."""
        header = await self.take(16)
        length, kind, flags, head_len, _, _ = struct.unpack("<IBBHII", header)
        body = await self.take(length + -length % 8)
        return kind, flags, body[:head_len], body[head_len:length]

    async def until(self, wanted):
        """The next frame of a kind; what else comes before it is left aside."""
        while True:
            kind, flags, head, payload = await self.frame()
            if kind == wanted:
                return flags, head, payload


async def session(client):
    """Says hello and makes a call."""
    versions = struct.pack("<HHI", 1, 1, 0)
    client.say(PREFACE + frame(HELLO, head=versions))
    assert await client.take(8) == PREFACE
    kind, _, head, _ = await client.frame()
    assert kind == HELLO
    lowest, highest = struct.unpack("<HH", head[:4])
    print(f"hello of version {lowest} to {highest}")
    token = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    client.say(frame(PING, head=token))
    _, head, _ = await client.until(PONG)
    assert head == token
    print("pong")
    # Layouts that nobody has: the call goes as protobuf.
    path = b"/test.Echo/Unary"
    named = section(8, path) + section(9, bytes([1] * 16)) + section(10, bytes([2] * 16))
    client.say(frame(METHOD, head=padded(named, 8)))
    message = b"\x0a\x04echo\x12\x05hello"
    opening = struct.pack("<II", 0, 0)
    flags = END | WITH_MESSAGE | PROTOBUF
    client.say(frame(OPEN, flags, opening, message, slot=0, generation=1))
    flags, _, payload = await client.until(MESSAGE)
    assert flags & (END | PROTOBUF) == END | PROTOBUF and payload == message, (flags, payload)
    print("answered")


async def garbage(client):
    """Sends what no version of the protocol begins with."""
    client.say(b"GET / HTTP/3\r\n\r\n" * 4)


async def main(roots, host, port, what):
    protocol = {"h3": ["h3"], "nothing": None}.get(what, ["dreammesh/1"])
    configuration = QuicConfiguration(is_client=True, alpn_protocols=protocol)
    configuration.load_verify_locations(cafile=roots)
    client = None

    def create(*arguments, **named):
        nonlocal client
        client = Client(*arguments, **named)
        return client

    try:
        connecting = connect(host, int(port), configuration=configuration, create_protocol=create)
        async with connecting as connected:
            print("connected")
            await {"session": session, "garbage": garbage}[what](connected)
            if what == "garbage":
                while connected.ended is None:
                    connected.news.clear()
                    await connected.news.wait()
    except ConnectionError:
        # How it ended says more.
        pass
    ended = client.ended
    side = "the application" if ended.frame_type is None else "the transport"
    print(f"ended by {side} with {ended.error_code:#x}: {ended.reason_phrase}")


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 30))
