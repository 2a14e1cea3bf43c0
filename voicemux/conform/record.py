"""Records both directions of one connection, to show them for a failed case to people and programs."""

from typing import NamedTuple

from voicemux.errors import RemoteProtocolError
from voicemux.protocol.encoding import from_frame
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.protocol.messages import Message
from voicemux.protocol.wire import PREFACE, TAG_WELCOME

MOST_BYTES = 48  # bytes of a frame that are shown: the header, and enough to tell messages apart
MOST_LINES = 200  # lines that are kept of a connection: the last ones, where the fault is


class Line(NamedTuple):
    """One entry of a record. `time` is in seconds since the connection began; `is_ours`: the tester sent it."""

    time: float
    is_ours: bool
    data: bytes
    means: str

    def __str__(self) -> str:
        """Return one line for people. A peer's words in it are not made printable here."""
        more = f" ... ({len(self.data)} bytes)" if len(self.data) > MOST_BYTES else ""
        arrow = "-->" if self.is_ours else "<--"
        return f"{self.time:8.3f} {arrow} {self.data[:MOST_BYTES].hex(' ')}{more}  {self.means}"

    def as_data(self) -> dict[str, object]:
        """Return the entry for JSON: its bytes in hexadecimal, without bytes for the end of a stream."""
        side = "tester" if self.is_ours else "program"
        return {"time": round(self.time, 6), "from": side, "bytes": self.data.hex(), "means": self.means}


class Talk(NamedTuple):
    """The record of a connection that is over: its last lines, and how many earlier ones were dropped."""

    lines: tuple[Line, ...]
    forgotten: int = 0

    def as_data(self) -> dict[str, object]:
        """Return the record for JSON."""
        return {"forgotten": self.forgotten, "frames": [line.as_data() for line in self.lines]}


class Record:
    """The lines of a connection; the oldest are dropped when there are too many."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.forgotten = 0

    def sent(self, time: float, data: bytes) -> None:
        """Add bytes that we sent, cut into frames where that is possible: a case may send anything."""
        if data.startswith(PREFACE):
            self.add(time, True, PREFACE, "the preface")
            data = data[len(PREFACE) :]
        decoder = FrameDecoder()
        try:
            for frame in decoder.feed(data):
                self.add(time, True, encode_frame(frame), meaning(frame))
                data = data[len(encode_frame(frame)) :]
        except RemoteProtocolError:
            pass
        if data:
            self.add(time, True, data, "bytes")

    def received(self, time: float, frame: Frame, message: Message | None) -> None:
        self.add(time, False, encode_frame(frame), _described(frame, message))

    def received_bytes(self, time: float, data: bytes) -> None:
        """Add received bytes outside frames: a preface, the beginning of TLS, or something else."""
        self.add(time, False, data, "the preface" if data == PREFACE else "bytes")

    def note(self, time: float, what: str, *, is_ours: bool) -> None:
        """Add something without bytes: the end of a stream, a reset."""
        self.add(time, is_ours, b"", what)

    def talk(self) -> Talk:
        return Talk(tuple(self.lines), self.forgotten)

    def add(self, time: float, is_ours: bool, data: bytes, means: str) -> None:
        """One line."""
        self.lines.append(Line(time, is_ours, data, means))
        if len(self.lines) > MOST_LINES:
            del self.lines[0]
            self.forgotten += 1


def meaning(frame: Frame) -> str:
    """Return the meaning of a frame of ours, which may be malformed on purpose."""
    try:
        return _described(frame, from_frame(frame))
    except RemoteProtocolError as error:
        return f"tag {frame.tag}: {error}"


def _described(frame: Frame, message: Message | None) -> str:
    flags = f" flags {frame.flags:#04x}" if frame.flags else ""
    if message is None:
        return (
            f"tag {frame.tag}, which {'has no meaning here' if frame.tag > TAG_WELCOME else 'means nothing'}{flags}"
        )
    return f"{message}{flags}"
