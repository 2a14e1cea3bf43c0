"""The one place where all captured and all played sound of a call passes, with the times at the ear and the mouth.

By itself it changes nothing. With sound cards, `echo.hands_free` and `noise` do.
"""


class Processing:
    """One for a call. Samples are as everywhere inside: 16 bits, 48 kHz, mono; times are monotonic, in seconds."""

    batch = 1  # blocks that it wants at once, at the least

    def __init__(self, echo: str = "not needed") -> None:
        self._echo = echo

    @property
    def echo(self) -> str:
        """What becomes of echo: an `EchoState`."""
        return self._echo

    @property
    def delay_ms(self) -> float:
        """By which what is sent is older than what was captured."""
        return 0.0

    @property
    def echo_db(self) -> float | None:
        """The level of the echo that the microphone hears, against what was played; None if there is none, or it is
        not known."""
        return None

    def rendered(self, pcm: bytes, at: float) -> None:
        """Take note of what goes to the loudspeaker now, of any length.

        Its first sample will be heard at `at`, as far as the sink knows its delay. Called by the speaker's thread.
        """

    def begin(self) -> None:
        """The microphone is about to start, or to start again. By its thread, as all that follows."""

    def captured(self, pcm: bytes, at: float) -> bytes:
        """What is sent instead of `pcm`, of the same length.

        Its first sample reached the microphone at `at`, as far as the source knows its delay. Called by the
        microphone's thread, also while it is muted.
        """
        return pcm

    def lost(self, samples: int) -> None:
        """The next `samples` samples were captured, and are lost."""
