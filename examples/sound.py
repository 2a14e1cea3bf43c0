"""The sound of client.py, section 8 of ../protocol.md: files of signed 16-bit little endian, 48 kHz, mono."""

import asyncio
import os
import struct
import time

PCM, PACKET = 1, 960  # a codec; samples in 20 ms


class Voice:
    """Ours, from a file, or silence. Packets count even if they are not sent: that tells loss from silence."""

    def __init__(self, file):
        self.file, self.sequence, self.timestamp = file or "/dev/zero", 0, 0

    async def packets(self):
        """Payloads of AUDIO at the speed of speech; the last is empty: silence begins there."""
        due, samples = time.monotonic(), b"to begin with"
        with open(self.file, "rb") as file:
            while samples:
                samples = file.read(2 * PACKET)
                samples += bytes(-len(samples) % (2 * PACKET))
                yield struct.pack(">BBHI", PCM, 0, self.sequence, self.timestamp) + samples
                self.sequence, self.timestamp = (self.sequence + 1) % 2**16, (self.timestamp + PACKET) % 2**32
                due = max(due + 0.02, time.monotonic() - 0.1)  # after a hold-up, no more than five at once
                await asyncio.sleep(due - time.monotonic())


class Recording:
    """Theirs, appended to a file; what is missing is silence in it, of ten seconds at most."""

    def __init__(self, file):
        self.file, self.sequence, self.expected = file or os.devnull, 0, None

    def hear(self, audio):
        codec, source, sequence, timestamp = struct.unpack_from(">BBHI", audio)
        samples = audio[8:]
        if codec != PCM or source or len(samples) % 2:
            return  # taken as lost
        ahead = 0 if self.expected is None else (timestamp - self.expected) % 2**32
        if ahead < 2**31:  # otherwise it is late, or doubled
            with open(self.file, "ab") as file:
                file.write(bytes(2 * min(ahead, 480_000)) + samples)
            self.sequence, self.expected = sequence, (timestamp + len(samples) // 2) % 2**32

    def report(self):
        """[5.7] What is heard is written down at once: no delay."""
        return struct.pack(">BBHIHH", 0, 0, self.sequence, self.expected, 0, 0)
