"""What a microphone and a loudspeaker are to the rest of the program, and the one format of sound inside it."""

from typing import NamedTuple, Protocol

RATE = 48_000  # samples a second; also the tick of AUDIO timestamps
SAMPLE_BYTES = 2  # signed 16-bit in the machine's order, which the wire's (little endian) is everywhere that we run
BLOCK_SAMPLES = 240  # 5 ms: a sound card's buffer of 20 ms would cost 30 ms more delay
BLOCK_BYTES = BLOCK_SAMPLES * SAMPLE_BYTES
BLOCK_SECONDS = BLOCK_SAMPLES / RATE
SILENT_BLOCK = bytes(BLOCK_BYTES)
TAIL_BLOCKS = 60  # 300 ms of silence behind what has an end, so that a goodbye does not cut its last word


class Block(NamedTuple):
    """5 ms of captured sound, or several times that. `position` counts samples since the start, lost ones too."""

    position: int
    pcm: bytes


class Source(Protocol):
    """Where sound comes from. One thread reads; `stop` may be called by any; `close` comes when no thread reads."""

    label: str
    finite: bool  # it has an end of its own
    xruns: int  # gaps that the driver has told of
    batch: int  # blocks that `read` should return at once, if that spares work; may be changed at any time

    @property
    def delay_ms(self) -> float:
        """From the end of a block of sound to its return by `read`."""

    def start(self) -> float:
        """Begin; the monotonic time of the first sample in seconds. Raises DeviceError."""

    def read(self) -> Block | None:
        """Wait for the next block, about 5 ms. None after the end, or after `stop`. Raises DeviceError."""

    def stop(self) -> None:
        """Wake `read`."""

    def close(self) -> None: ...


class Sink(Protocol):
    """Where sound goes to. One thread writes; `stop` may be called by any; `close` comes when no thread writes.

    What to play is decided as late as it can be: `ready` waits until the sink is about to run out, and only then
    is something made to `write`. A sink with a `reserve` asks sooner, and asks again if nothing is written then:
    only when it is `urgent` it must have something.
    """

    @property
    def label(self) -> str:
        """A name for people."""

    @property
    def xruns(self) -> int:
        """Gaps that the driver has told of."""

    @property
    def delay_ms(self) -> float:
        """From `write` to the ear, but for what is `ahead`."""

    @property
    def ahead(self) -> float:
        """Seconds of what was written and is still to be played."""

    @property
    def reserve(self) -> float:
        """Seconds that it wants to be ahead, as far as there is something to play."""

    @property
    def urgent(self) -> bool:
        """Whether it runs dry unless it gets more at once."""

    def start(self) -> float:
        """Begin; the monotonic time of the first sample in seconds. Raises DeviceError."""

    def ready(self) -> bool:
        """Wait until the sink wants more. False after `stop`. Raises DeviceError."""

    def write(self, pcm: bytes) -> None:
        """Give it sound of any length; does not wait. Raises DeviceError."""

    def stop(self) -> None:
        """Wake `ready`."""

    def close(self) -> None: ...
