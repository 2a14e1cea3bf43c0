"""One call of client.py. Numbers in brackets are sections of ../protocol.md."""

import asyncio
import os
import struct
import time

from encrypted import Tls, admit, claim
from sound import PCM, Recording, Voice
from wire import GREASE, Code, End, Tag, Wire, must, note, printable, read_hello

TALK = (Tag.TEXT, Tag.TEXT_ACK, Tag.AUDIO, Tag.PING, Tag.PONG, Tag.REPORT)  # [6] what a call consists of
MORE, WINDOW, MESSAGE = 1, 65_536, 1_048_576  # a flag of TEXT; bytes of TEXT that may be under way, and in a message


class Call:
    """One call. `hold` is what comes in order; `type`, `ping` and `speak` are what a person or a clock does."""

    def __init__(self, reader, writer, dialler, options):
        self.wire, self.dialler, self.options = Wire(reader, writer), dialler, options
        self.send = self.wire.send
        self.said, self.taken, self.message = 0, 0, ""  # ids of TEXT; what has come of a message
        self.under_way, self.room = [], asyncio.Event()  # bytes of each TEXT frame that is not acknowledged
        self.pinged, self.answered, self.shortest = 0.0, True, 1.0  # the oldest open PING; the best round trip, s
        self.spoken = asyncio.Event()  # all that we play
        self.voice = options.audio and Voice(options.play)
        self.recording = options.audio and Recording(options.record)

    async def hold(self):
        """The call from its first byte to its last. Returns the exit code."""
        tasks, failure = [], ""
        try:
            await self.meet()
            tasks = [asyncio.create_task(each()) for each in (self.type, self.ping, self.speak)]
            while True:
                async with asyncio.timeout(15):  # [9]
                    await self.wire.writer.drain()  # [12] memory: who does not read our answers is not heard
                    self.take(*await self.wire.frame(*TALK))
        except End as end:
            code, failure = end.args
            self.wire.part(code, failure if code else "")
        except ValueError as error:
            failure = str(error)
            self.wire.part(Code.PROTOCOL, failure)
        except (TimeoutError, asyncio.CancelledError) as error:  # the latter is Ctrl-C
            code, failure = (
                (Code.TIMEOUT, "waited too long") if isinstance(error, TimeoutError) else (Code.NORMAL, "")
            )
            self.wire.part(code, failure)
        except (OSError, EOFError) as error:
            failure = str(error) if isinstance(error, OSError) else "the connection was lost"
            failure = "" if self.wire.parted else failure
        for task in tasks:
            task.cancel()
        await self.wire.close()
        if self.message:
            print(self.message, flush=True)
        if self.under_way:
            note(f"the last {len(self.under_way)} frames of text may not have arrived")
        if failure:
            note(failure)
        return 1 if failure else 0

    async def meet(self):
        """[3] TLS and preface, [12] who is who, [5.1] HELLO."""
        wire, plain, identity = self.wire, self.options.plain, self.options.identity
        async with asyncio.timeout(5):
            begin = b"" if self.dialler else await wire.reader.readexactly(1)
            encrypted = not plain and (self.dialler or begin == b"\x16")  # the first byte of TLS
            if encrypted:
                wire.reader = wire.writer = Tls(wire.reader, wire.writer, identity, self.dialler, begin)
                listener, begin = await wire.writer.handshake(), b""
            if self.dialler or begin == b"\x16":
                wire.greet()
            if begin == b"\x16":
                raise End(Code.SECURITY, "only plain calls are taken here")
            await wire.preface(begin)
        if not encrypted and not plain:
            raise End(Code.SECURITY, "only encrypted calls are taken here")
        if encrypted:
            async with asyncio.timeout(10):
                await (claim if self.dialler else admit)(wire, identity, listener)
        async with asyncio.timeout(60 if self.dialler else 10):
            if self.dialler:
                self.hello()
            tag, wanted = Tag.RINGING, (Tag.RINGING, Tag.HELLO) if self.dialler else (Tag.HELLO,)
            while tag == Tag.RINGING:
                tag, _, payload = await wire.frame(*wanted)
            name, codecs = read_hello(payload)
            if PCM not in codecs:
                self.voice = None
            note(f"in a call with {name}")
            if not self.dialler:
                self.hello()

    def hello(self):
        """[5.1] Our name, the program's, and what we can play; the last key means nothing."""
        items = {1: self.options.name.encode(), 2: b"client.py", 3: bytes([PCM] * self.options.audio), GREASE: b"?"}
        self.send(Tag.HELLO, b"".join(bytes([key, len(value)]) + value for key, value in items.items()))

    def take(self, tag, flags, payload):
        """What comes in a call."""
        if tag == Tag.TEXT:  # [7]
            (number,), text = struct.unpack_from(">I", payload), printable(payload[4:])
            must(number <= self.taken + 1, f"text {self.taken + 1}, got {number}")
            if number == self.taken + 1:
                self.taken = number
                self.message += text
                if len(self.message) > MESSAGE:
                    raise End(Code.FLOOD, "expected shorter messages")
                if not flags & MORE:
                    print(self.message, flush=True)
                    self.message = ""
                self.send(Tag.TEXT_ACK, payload[:4])
        elif tag == Tag.TEXT_ACK:
            (number,) = struct.unpack(">I", payload)
            must(number <= self.said, f"an acknowledgement of {self.said} at most, got {number}")
            del self.under_way[: max(0, len(self.under_way) - (self.said - number))]
            self.room.set()
        elif tag == Tag.AUDIO and self.recording:
            self.recording.hear(payload)
        elif tag == Tag.PING:
            self.send(Tag.PONG, payload)
        elif tag == Tag.PONG:
            (sent,) = struct.unpack(">d", payload)
            if sent >= self.pinged:
                self.answered, self.shortest = True, min(self.shortest, time.monotonic() - sent)

    async def type(self):
        """[7] What is typed, in frames of whole code points and at most 1024 bytes. Its end hangs up."""
        while line := await self.options.lines.get():
            text = line.decode(errors="replace").rstrip("\r\n")
            pieces = [text[start : start + 256].encode() for start in range(0, len(text), 256)] or [b""]
            for number, piece in enumerate(pieces, 1):
                while sum(self.under_way) + 4 + len(piece) > WINDOW:
                    self.room.clear()
                    await self.room.wait()
                self.said += 1
                self.under_way.append(4 + len(piece))
                more = number < len(pieces) and number % 1024  # which is what a message can have
                self.send(Tag.TEXT, struct.pack(">I", self.said) + piece, MORE if more else 0)
        if self.options.play:
            await self.spoken.wait()
        if self.said or self.options.play:  # an input that is empty from the start means nothing
            self.wire.part()

    async def ping(self):
        """[9] A sign of life, twice a second; with it what we hear, and now and then grease."""
        while True:
            now = time.monotonic()
            if self.answered:
                self.pinged, self.answered = now, False
            self.send(Tag.PING, struct.pack(">d", now))
            self.send(GREASE, os.urandom(3))
            if self.recording and self.recording.expected is not None:
                self.send(Tag.REPORT, self.recording.report())
            await asyncio.sleep(0.5)

    async def speak(self):
        """[8] Our voice; what a slow line would bring too late is not sent."""
        if self.voice:
            async for packet in self.voice.packets():
                if self.answered or time.monotonic() - self.pinged < self.shortest + 0.1:
                    self.send(Tag.AUDIO, packet)
        self.spoken.set()
