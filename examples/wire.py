"""The bytes of client.py: preface, frames, the end of a call. Numbers in brackets are sections of ../protocol.md."""

import asyncio
import contextlib
import struct
import sys
from enum import IntEnum

PREFACE = b"VMUX/1\r\n"
Tag = IntEnum("Tag", "HELLO TEXT AUDIO PING PONG BYE TEXT_ACK REPORT RINGING CLAIM CHALLENGE PROOF WELCOME")
LEAST = dict(zip(Tag, (0, 4, 8, 8, 8, 2, 4, 12, 0, 34, 32, 33, 1), strict=True))  # [5] bytes of payload
MOST = {Tag.PING: 8, Tag.PONG: 8, Tag.BYE: 258, Tag.TEXT_ACK: 4, Tag.REPORT: 12, Tag.RINGING: 0}
MOST |= {Tag.CHALLENGE: 32, Tag.WELCOME: 1}  # where there is no code
GREASE = 0x5A  # [13] a number that never means anything: sent so that peers learn to skip


class Code(IntEnum):
    """[14] Of a BYE: those that this client sends."""

    NORMAL, PROTOCOL, VERSION, TIMEOUT, FLOOD, SECURITY, UNKNOWN_CALLER, WRONG_CODE = 0, 3, 4, 5, 6, 9, 10, 11


class End(Exception):
    """The end of the call: the code of our BYE, and words for people."""


def must(fine, expected):
    """What the peer has to keep to. A ValueError, as bytes that are not UTF-8 are one, becomes a BYE of code 3."""
    if not fine:
        raise ValueError(f"expected {expected}")


def printable(data):
    """[12] Text without control characters, line ends, and marks that turn the direction of writing."""
    return "".join(character for character in data.decode() if character.isprintable())


def note(text):
    print(f"client: {text}", file=sys.stderr, flush=True)


def read_hello(payload):
    """[5.1] The peer's name and program, for people, and its codecs. Of a key that comes twice the first counts."""
    items = {}
    while payload:
        must(len(payload) >= 2 and len(payload) >= 2 + payload[1], "a HELLO of whole items")
        items.setdefault(payload[0], payload[2 : 2 + payload[1]])
        payload = payload[2 + payload[1] :]
    name, agent = items.get(1, b""), items.get(2, b"")
    must(len(name) <= 64 and len(agent) <= 64, "names of at most 64 bytes")
    must(len(items.get(4, bytes(16))) == 16 and len(items.get(5, bytes(4))) == 4, "a session of 16 bytes, an id of 4")
    return f"{printable(name) or 'somebody'} ({printable(agent)})", items.get(3, b"\1")


class Wire:
    """A stream of bytes, plain or inside TLS, and what goes over it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        writer.transport.set_write_buffer_limits(high=262_144)  # four times the window of text
        self.greeted = self.parted = False  # whether our preface is sent, and our BYE

    def greet(self):
        if not self.greeted:
            self.greeted = True
            self.writer.write(PREFACE)

    async def preface(self, begin):
        """[3] The first byte that does not fit shows that somebody else is there; behind the slash is a version."""
        while PREFACE.startswith(begin[:5]) and len(begin) < 8:
            begin += await self.reader.readexactly(1)
        if not PREFACE.startswith(begin[:5]):
            raise ConnectionError("whoever is there does not speak voicemux")
        self.greet()
        if begin != PREFACE:
            raise End(Code.VERSION, "expected version 1")

    def send(self, tag, payload=b"", flags=0):
        """[4] A frame; none after BYE."""
        if not self.parted:
            self.writer.write(struct.pack(">HBB", len(payload), tag, flags) + payload)

    async def frame(self, *wanted):
        """[4] The next frame of a tag that we know: tag, flags, payload. [6] It must be one of these, or BYE."""
        while True:
            length, tag, flags = struct.unpack(">HBB", await self.reader.readexactly(4))
            must(length <= 4096 and tag, f"a tag and 4096 bytes at most, got tag {tag} and {length} bytes")
            payload = await self.reader.readexactly(length)
            if tag in LEAST:
                names = ", ".join(each.name for each in wanted)
                must(tag in (*wanted, Tag.BYE), f"{names} or BYE, got {Tag(tag).name}")
                must(LEAST[tag] <= length <= MOST.get(tag, 4096), f"another length of tag {tag} than {length}")
                if tag == Tag.BYE:
                    code, reason = struct.unpack_from(">H", payload)[0], printable(payload[2:])
                    raise End(Code.NORMAL, code and f"the other side ended the call: {code} {reason}")
                return tag, flags, payload

    def part(self, code=Code.NORMAL, reason=""):
        """[10] BYE, and the end of our direction; what still comes is read for 2 seconds at most."""
        if self.greeted and not self.parted:
            self.send(Tag.BYE, struct.pack(">H", code) + reason.encode()[:256])
            self.parted = True
            with contextlib.suppress(OSError):  # nobody is there any more
                self.writer.write_eof()
            asyncio.get_running_loop().call_later(2, self.writer.transport.abort)

    async def close(self):
        """[10] To the end of the peer's direction: closing with unread bytes could destroy our BYE on its way."""
        with contextlib.suppress(OSError):
            while self.parted and await self.reader.read(4096):
                pass
        self.writer.transport.close()
