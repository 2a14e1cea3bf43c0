"""What was said on one connection, both ways, as it is shown for a case that failed, to people and to programs."""

from typing import NamedTuple

from voicemux.errors import RemoteProtocolError
from voicemux.protocol.encoding import from_frame
from voicemux.protocol.frames import Frame, FrameDecoder, encode_frame
from voicemux.protocol.messages import Message
from voicemux.protocol.wire import PREFACE, TAG_WELCOME

MOST_BYTES = 48  # of a frame that are shown: a header and what tells one message from another
MOST_LINES = 200  # of a connection: the last ones, where the fault is


class Line(NamedTuple):
    """`time` is in seconds since the connection began; `is_ours`: it was said by the tester."""

    time: float
    is_ours: bool
    data: bytes
    means: str

    def __str__(self) -> str:
        """One line for people; what a peer has said is not made printable here."""
        more = f" ... ({len(self.data)} bytes)" if len(self.data) > MOST_BYTES else ""
        arrow = "-->" if self.is_ours else "<--"
        return f"{self.time:8.3f} {arrow} {self.data[:MOST_BYTES].hex(' ')}{more}  {self.means}"

    def as_data(self) -> dict[str, object]:
        """What JSON can hold: all bytes, in hexadecimal; none of an end."""
        side = "tester" if self.is_ours else "program"
        return {"time": round(self.time, 6), "from": side, "bytes": self.data.hex(), "means": self.means}


class Talk(NamedTuple):
    """What is known of a connection that is over: its last lines, and how many there were before them."""

    lines: tuple[Line, ...]
    forgotten: int = 0

    def as_data(self) -> dict[str, object]:
        """What JSON can hold."""
        return {"forgotten": self.forgotten, "frames": [line.as_data() for line in self.lines]}


class Record:
    """Lines, the oldest of which are forgotten when there are too many."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.forgotten = 0

    def sent(self, time: float, data: bytes) -> None:
        """Cut into frames where it can be: a case may send anything."""
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
        """Bytes outside frames: a preface, the beginning of TLS, or something else."""
        self.add(time, False, data, "the preface" if data == PREFACE else "bytes")

    def note(self, time: float, what: str, *, is_ours: bool) -> None:
        """Something that has no bytes: an end, a reset."""
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
    """Of a frame of ours, which may be wrong on purpose."""
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
