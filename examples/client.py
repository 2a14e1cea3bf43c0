#!/usr/bin/env python3
"""A client, read beside ../protocol.md: [numbers] are its sections. Begin with `hold`, a call. No resume [17]."""

import codecs
import contextlib
import getopt
import importlib
import os
import select
import socket
import struct
import sys
import threading
import time

HELLO, TEXT, AUDIO, PING, PONG, BYE, TEXT_ACK, REPORT, RINGING, CLAIM, CHALLENGE, PROOF, WELCOME = range(1, 14)  # [5]
LEAST = (1, 0, 4, 8, 8, 8, 2, 4, 12, 0, 34, 32, 33, 1)  # bytes of payload for each tag, without the values of a code
MOST = (0, 4096, 4096, 4096, 8, 8, 258, 4, 12, 0, 2337, 32, 4096, 1)
NORMAL, BUSY, PROTOCOL, VERSION, SECURITY, SILENT = 0, 1, 3, 4, 9, None  # [14] of a BYE; SILENT: there is none
PREFACE, ITEMS = b"VMUX/1\r\n", {1: range(65), 2: range(65), 4: (16,), 5: (4,)}  # [3]; [5.1] bytes of their values
PCM, PACKET, MORE, ROOM = 1, 960, 1, 50  # [8] a codec, samples in 20 ms; [7] a flag, and frames that may be under way


class End(Exception): ...  # of a call: the code of our BYE, and words for people


def must(fine, problem, code=PROTOCOL):
    if not fine:
        raise End(code, problem)


def printable(data):  # [12] without control characters, line ends, and marks that turn the direction of writing
    return "".join(character for character in data.decode() if character.isprintable())


class Call:
    current = leaving = heard = None  # who has the keyboard; Ctrl-C; [8] the newest sequence, and when it ends
    talking = parted = speaks = False  # between HELLO and BYE; after our BYE; as long as there is something to play
    said = acknowledged = taken = piece = 0  # [7] ids of TEXT: ours, that have arrived, the peer's; part of a message
    spoken = ping_due = voice_due = 0  # [8] packets of 20 ms; when the next PING and the next packet are to be sent

    def __init__(self, line):
        self.line, self.deadline, self.typed = line, time.monotonic() + 5, b"something"

    def hold(self):  # [2] from the first byte to the last; returns the exit code
        try:
            self.meet()
            while True:
                self.take(*self.frame(TEXT, AUDIO, PING, PONG, TEXT_ACK, REPORT))
        except (End, KeyboardInterrupt) as end:
            code, failure = end.args or (NORMAL, "")
        except (OSError, ValueError) as error:  # the latter if something is not UTF-8
            code, failure = SILENT if isinstance(error, OSError) else PROTOCOL, str(error)
        failed = bool(failure) and not self.parted
        Call.current = None if Call.current is self else Call.current  # who calls while we part is not told "busy"
        if failed:
            print("client:", failure, file=sys.stderr)
        with contextlib.suppress(End, OSError):
            if code is not SILENT and self.line and not self.parted:
                self.part(code, failure if code else "")
            while self.parted:  # closing with unread bytes could destroy our BYE on its way
                self.read(4096)
        if self.line:
            self.line.close()
        return int(failed)

    def part(self, code=NORMAL, reason=""):  # [10] and for 2 seconds what still comes is read
        self.send(BYE, struct.pack(">H", code) + reason.encode()[:256])
        self.talking, self.parted, self.deadline = False, True, time.monotonic() + 2
        self.line.shutdown(socket.SHUT_WR)

    def send(self, tag, payload=b"", flags=0):  # [4]; who takes nothing is not heard meanwhile: nothing piles up [12]
        if not self.parted:
            self.line.settimeout(15)  # [9]
            self.line.sendall(struct.pack(">HBB", len(payload), tag, flags) + payload)

    def read(self, count):  # [3] however the bytes are cut
        data = b""
        while len(data) < count:
            must(time.monotonic() < self.deadline, "waited too long", SILENT)
            if self.talking:
                self.tick(time.monotonic())
            self.line.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                must(more := self.line.recv(count - len(data)), "the connection was lost", SILENT)
                data += more
                self.deadline = time.monotonic() + 15 if self.talking else self.deadline  # [9]
        return data

    def frame(self, *wanted):  # [4] the next one of a tag that we know; [6] it must be one of these, or BYE
        tag = RINGING  # which needs no answer, and is not told to anybody
        while tag > WELCOME or tag == RINGING:
            length, tag, flags = struct.unpack(">HBB", self.read(4))
            must(tag and length <= 4096, f"expected a tag and 4096 bytes at most, got tag {tag} and {length} bytes")
            payload = self.read(length)
            must(tag > WELCOME or tag in (*wanted, BYE), f"expected a tag of {wanted} or BYE, got {tag}")
        must(LEAST[tag] <= length <= MOST[tag], f"expected another length of tag {tag} than {length}")
        if tag == BYE:
            code, reason = int.from_bytes(payload[:2]), printable(payload[2:])
            raise End(NORMAL, f"the other side ended the call: {code} {reason}" if code else "")
        return tag, flags, payload

    def meet(self):  # [3] TLS and the preface, [12] who is who, [5.1] HELLO
        self.line = self.line or socket.create_connection((host, port))
        self.line.settimeout(5)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = bool(key) if dials else self.line.recv(1, socket.MSG_PEEK) == b"\x16"
        if tls and key:
            self.line, listener = key.secure(self.line, dials)
        if dials or (tls and not key):
            self.line.sendall(PREFACE)
        must(key or dials or not tls, "only plain calls are taken here", SECURITY)
        for byte in PREFACE[:5]:
            must(self.read(1)[0] == byte, "whoever is there does not speak voicemux", SILENT)
        version = self.read(3)
        if not dials:
            self.line.sendall(PREFACE)
        must(version == PREFACE[5:], "expected version 1", VERSION)
        must(tls or not key, "only encrypted calls are taken here", SECURITY)
        self.deadline = time.monotonic() + (60 if dials else 10)
        if tls:
            (key.claim if dials else key.admit)(self, listener, must)
        if dials:
            self.send(HELLO, hello)
        payload, items = self.frame(HELLO, *[RINGING] * dials)[2], {}
        while payload:
            must(payload[1:] and payload[1] + 2 <= len(payload), "expected a HELLO of whole items")
            items.setdefault(payload[0], payload[2 : 2 + payload[1]])  # the first of two counts
            payload = payload[2 + payload[1] :]
        must(all(len(items[key]) in ITEMS[key] for key in items.keys() & ITEMS), "expected items that fit")
        name, agent = printable(items.get(1, b"somebody")), printable(items.get(2, b""))
        must(not Call.current, "in another call", BUSY)
        Call.current, self.talking, self.deadline = self, True, time.monotonic() + 15
        if not dials:
            self.send(HELLO, hello)
        print(f"client: in a call with {name} ({agent})", file=sys.stderr)
        self.speaks = sound is not None and PCM in items.get(3, bytes([PCM]))

    def take(self, tag, flags, payload):  # what comes in a call
        number = int.from_bytes(payload[:4])  # [7] the id of a TEXT or TEXT_ACK
        if tag == TEXT:
            must(number <= self.taken + 1, f"expected text {self.taken + 1}, got {number}")
            if number > self.taken:
                self.taken = number
                print(printable(payload[4:]), end="" if flags & MORE else "\n", flush=True)
                self.send(TEXT_ACK, payload[:4])
        elif tag == TEXT_ACK:
            must(number <= self.said, f"expected an acknowledgement of {self.said} at most, got {number}")
            self.acknowledged = max(self.acknowledged, number)
        elif tag == PING:
            self.send(PONG, payload)
        elif tag == AUDIO and "--record" in options:  # [8]
            codec, source, sequence, timestamp = struct.unpack_from(">BBHI", payload)
            gap = (timestamp - self.heard[1]) % 2**32 if self.heard else 0
            if codec == PCM and source == 0 and len(payload) % 2 == 0 and gap < 2**31:  # else lost, late, or doubled
                self.heard = sequence, (timestamp + len(payload) // 2 - 4) % 2**32
                with open(options["--record"], "ab") as file:
                    file.write(bytes(2 * min(gap, 480_000)) + payload[8:])  # of silence, ten seconds at most

    def tick(self, now):  # what the clock and the keyboard have to say
        if now >= self.ping_due:  # [9]
            self.ping_due = now + 0.5
            self.send(PING, bytes(8))
            if self.heard:  # [5.7] it is written down at once: no delay
                self.send(REPORT, struct.pack(">BBHIHH", 0, 0, *self.heard, 0, 0))
        if self.speaks and now >= self.voice_due:  # [8]
            samples = os.pread(sound, 2 * PACKET, 2 * PACKET * self.spoken)
            header = struct.pack(">BBHI", PCM, 0, self.spoken % 2**16, PACKET * self.spoken % 2**32)
            self.send(AUDIO, header + samples + bytes(-len(samples) % (2 * PACKET)))
            self.spoken, self.speaks = self.spoken + 1, bool(samples)  # the last packet is empty: silence begins
            self.voice_due = max(self.voice_due, now - 0.02) + 0.02
        if self.said - self.acknowledged < ROOM and select.select([0], [], [], 0)[0]:  # [7]
            self.typed = os.read(0, 1000)
            for line in keyboard.decode(self.typed).splitlines(keepends=True):
                self.said += 1
                self.piece = 0 if line[-1] == "\n" else (self.piece + 1) % 1024  # a message has 1 MiB at most
                self.send(TEXT, struct.pack(">I", self.said) + line.strip("\r\n").encode(), MORE * bool(self.piece))
        over = not self.typed and not self.speaks and self.said == self.acknowledged
        if Call.leaving or (over and (self.said or self.spoken)):  # an input that is empty from the start is none
            self.part()


keyboard = codecs.getincrementaldecoder("utf-8")("ignore")
NAMES = ["unencrypted", "once", "audio", "play=", "record=", "key=", "key-of-peer="]
try:
    pairs, (role, *host, port) = getopt.gnu_getopt(sys.argv[1:], "", NAMES)
    options, dials, port = dict(pairs), bool(["listen", "dial"].index(role)), range(65536).index(int(port))
    (host,) = host if dials else host or [""]
    key = None if "--unencrypted" in options else importlib.import_module("encrypted").Key(options)
    sound = os.open(options["--play"], os.O_RDONLY) if "--play" in options else None
    server = None if dials else socket.create_server((host, port))
except (getopt.GetoptError, OSError, ValueError) as error:
    print(f"client: {error}; expected dial HOST PORT or listen [HOST] PORT, see README.md", file=sys.stderr)
    sys.exit(2)
hello = b"\1\x08stranger\2\x09client.py\x5a\0\3" + (b"\1\1" if "--audio" in options else b"\0")  # [5.1]
if not dials:
    print(f"client: listening on port {server.getsockname()[1]}", file=sys.stderr)
with contextlib.suppress(KeyboardInterrupt):
    while True:
        call = Call(None if dials else server.accept()[0])
        if dials or "--once" in options:
            sys.exit(call.hold())
        threading.Thread(target=call.hold).start()
Call.leaving = True
