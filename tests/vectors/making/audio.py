"""Section 8: what each frame of audio is."""

from tests.vectors.making.writing import Entry, Parts, entry, hexadecimal


def audio() -> list[Entry]:
    def heard(name: str, description: str, *frames: Entry) -> Entry:
        return entry(f"audio-{name}", "8", description, frames=list(frames))

    def comes(
        kind: str, sequence: int, timestamp: int, data: Parts = b"\xf8", ticks: int = 960, codec: int = 2, **more: int
    ) -> Entry:
        numbers = {"sequence": sequence % 2**16, "timestamp": timestamp % 2**32}
        length = {} if kind == "unusable" else {"ticks": ticks}
        return {"codec": codec, **numbers, "data": hexadecimal(data), **length, "is": kind, **more}

    def steady(sequence: int, timestamp: int) -> list[Entry]:
        first, *others = [(sequence + i, timestamp + 960 * i) for i in range(5)]
        return [comes("first", *first), *(comes("next", *each) for each in others)]

    def lengths(kind: int, each: list[tuple[Parts, int]]) -> list[Entry]:
        found, timestamp = [], 0
        for i, (data, ticks) in enumerate(each):
            found.append(comes("next" if i else "first", i, timestamp, data, ticks, kind))
            timestamp += ticks
        return found

    # Packets of Opus that hold nothing: a byte says how long the frames are, a second how many.
    opus: list[tuple[Parts, int]] = [(b"\xe0", 120), (b"\xe8", 240), (b"\xf0", 480), (b"\xf8", 960)]
    opus += [(bytes([0xFB, count]), 960 * count) for count in range(2, 7)]
    pcm: list[tuple[Parts, int]] = [([(ticks, b"\0\0")], ticks) for ticks in (2044, 1920, 960, 480, 240, 120)]
    pairs: list[tuple[Parts, int]] = [([(ticks, bytes(4))], ticks) for ticks in (1022, 960, 441, 240, 120, 1)]
    first, second = comes("first", 0, 0), comes("next", 1, 960)
    return [
        heard("steady", "Each frame follows the one before.", *steady(0, 0)),
        heard("begins-anywhere", "The first numbers may be any.", *steady(4711, 123_456_789)),
        heard("timestamp-wraps", "Modulo 2^32.", *steady(7, 2**32 - 2 * 960)),
        heard("timestamp-wraps-between", "Also where no frame begins.", *steady(7, 2**32 - 1000)),
        heard("timestamp-passes-half", "2^31 is nothing special.", *steady(7, 2**31 - 2 * 960)),
        heard("sequence-wraps", "Modulo 2^16.", *steady(65_534, 0)),
        heard("both-wrap", "At once.", *steady(65_534, 2**32 - 2 * 960)),
        heard(
            "lost",
            "Two frames are missing: the sender dropped them.",
            first,
            second,
            comes("lost", 4, 3840, frames=2, missing=1920),
        ),
        heard(
            "lost-over-wraps",
            "The same, where both numbers wrap.",
            comes("first", 65_534, -1920),
            comes("lost", 1, 960, frames=2, missing=1920),
        ),
        heard("silence", "Nobody spoke for 40 ms.", first, second, comes("silence", 2, 3840, missing=1920)),
        heard(
            "silence-over-wraps",
            "The same, where both numbers wrap.",
            comes("first", 65_535, -960),
            comes("silence", 0, 1920, missing=1920),
        ),
        heard(
            "silence-begins",
            "A frame without data says so.",
            first,
            comes("silence-begins", 1, 960, b"", 0),
            comes("silence", 2, 4800, missing=3840),
        ),
        heard(
            "silence-goes-on",
            "A sender that pauses says so again every 400 ms.",
            first,
            comes("silence-begins", 1, 960, b"", 0),
            comes("silence-begins", 2, 20_160, b"", 0, missing=19_200),
            comes("silence-begins", 3, 39_360, b"", 0, missing=19_200),
            comes("silence", 4, 57_600, missing=18_240),
            comes("next", 5, 58_560),
        ),
        heard(
            "silence-begins-and-lost",
            "After it, there is nothing to conceal.",
            first,
            comes("silence-begins", 1, 960, b"", 0),
            comes("silence", 9, 9600, missing=8640),
        ),
        heard(
            "late",
            "It is dropped.",
            first,
            comes("lost", 2, 1920, frames=1, missing=960),
            comes("late", 1, 960),
            comes("next", 3, 2880),
        ),
        heard("doubled", "So is the second of two.", first, second, comes("late", 1, 960), comes("next", 2, 1920)),
        heard(
            "late-over-wraps",
            "The same, where both numbers wrap.",
            comes("first", 0, 0),
            comes("late", 65_535, -960),
            comes("next", 1, 960),
        ),
        heard("every-length", "Every length of Opus, 2.5 to 120 ms.", *lengths(2, opus)),
        heard("every-length-pcm", "PCM may be any number of samples up to 2044.", *lengths(1, pcm)),
        heard("odd-length-pcm", "Also an odd one.", *lengths(1, [([(441, b"\0\0")], 441), ([(443, b"\0\0")], 443)])),
        heard(
            "codec-changes",
            "Each frame names its own codec.",
            first,
            comes("next", 1, 960, [(960, b"\0\0")], codec=1),
            comes("next", 2, 1920),
        ),
        heard("every-length-pcm-stereo", "Of codec 3, up to 1022 pairs.", *lengths(3, pairs)),
        heard(
            "channels-change",
            "One channel and two may follow each other, in Opus and in PCM.",
            first,
            comes("next", 1, 960, b"\xfc"),
            comes("next", 2, 1920, [(960, bytes(4))], codec=3),
            comes("next", 3, 2880, [(960, bytes(2))], codec=1),
            comes("next", 4, 3840, b"\xfc"),
            comes("next", 5, 4800),
        ),
        heard(
            "half-a-pair",
            "Samples of codec 3 that are no whole number of pairs: lost, and no protocol error.",
            first,
            comes("unusable", 1, 960, bytes(6), codec=3),
            comes("lost", 2, 1920, frames=1, missing=960),
        ),
        heard(
            "half-a-sample",
            "It is taken as lost, and is no protocol error.",
            first,
            comes("unusable", 1, 960, b"\0\0\0", codec=1),
            comes("lost", 2, 1920, frames=1, missing=960),
        ),
        heard(
            "unknown-codec",
            "The same.",
            first,
            comes("unusable", 1, 960, b"?", codec=77),
            comes("lost", 2, 1920, frames=1, missing=960),
        ),
        heard(
            "opus-malformed",
            "A packet of no frames: the same.",
            first,
            comes("unusable", 1, 960, b"\xfb\0"),
            comes("lost", 2, 1920, frames=1, missing=960),
        ),
    ]
