"""The interfaces of microphones and loudspeakers for the rest of the program, and the one form of sound inside it."""

from typing import NamedTuple, Protocol

RATE = 48_000  # samples a second; also the tick of AUDIO timestamps
# Bytes: signed 16-bit in the machine's byte order, which on all our systems is the wire's (little endian).
SAMPLE_BYTES = 2
BLOCK_SAMPLES = 240  # samples (5 ms): a sound card's buffer of 20 ms would cost 30 ms more delay
BLOCK_BYTES = BLOCK_SAMPLES * SAMPLE_BYTES
BLOCK_SECONDS = BLOCK_SAMPLES / RATE
SILENT_BLOCK = bytes(BLOCK_BYTES)
TAIL_BLOCKS = 60  # blocks (300 ms) of silence behind finite sound, so that the BYE does not cut off its last word


class Block(NamedTuple):
    """Captured sound of 5 ms, or a multiple. `position` counts samples since the start, lost ones too."""

    position: int
    pcm: bytes


class Source(Protocol):
    """A source of sound. One thread reads; any thread may call `stop`; `close` is called when no thread reads any
    more."""

    label: str
    finite: bool  # whether it ends by itself, as a file does
    xruns: int  # gaps that the driver has reported
    batch: int  # blocks that `read` should return together, to save work; may be changed at any time

    @property
    def delay_ms(self) -> float:
        """Delay in milliseconds from the end of a block of sound to its return by `read`."""

    def start(self) -> float:
        """Begin, and return the monotonic time of the first sample, in seconds. Raises DeviceError."""

    def read(self) -> Block | None:
        """Wait for the next block, about 5 ms, and return it; None after the end or after `stop`. Raises
        DeviceError."""

    def stop(self) -> None:
        """Wake `read`."""

    def close(self) -> None: ...


class Sink(Protocol):
    """A sink of sound. One thread writes; any thread may call `stop`; `close` is called when no thread writes any
    more.

    What to play is decided as late as possible: `ready` waits until the sink is about to run out, and only then is
    sound made and written. A sink with a `reserve` asks earlier, and asks again if nothing is written; only when it
    is `urgent` must it get something.
    """

    @property
    def label(self) -> str:
        """A name for users."""

    @property
    def xruns(self) -> int:
        """Gaps that the driver has reported."""

    @property
    def delay_ms(self) -> float:
        """Delay in milliseconds from `write` to the ear, beyond what is `ahead`."""

    @property
    def ahead(self) -> float:
        """Seconds of sound that were written and are still to be played."""

    @property
    def reserve(self) -> float:
        """Seconds of sound that the sink wants to have ahead, if there is something to play."""

    @property
    def urgent(self) -> bool:
        """Whether the sink runs dry unless it gets more at once."""

    def start(self) -> float:
        """Begin, and return the monotonic time of the first sample, in seconds. Raises DeviceError."""

    def ready(self) -> bool:
        """Wait until the sink wants more sound. Returns False after `stop`. Raises DeviceError."""

    def write(self, pcm: bytes) -> None:
        """Write sound of any length; does not wait. Raises DeviceError."""

    def stop(self) -> None:
        """Wake `ready`."""

    def close(self) -> None: ...
