"""All captured and all played sound of a call passes here, with the times at the ear and the mouth.

`Processing` itself changes nothing. With sound cards, `echo.hands_free` and `noise` do.
"""


class Processing:
    """The processing of one call. Samples are 16 bits, 48 kHz, mono; times are monotonic, in seconds."""

    batch = 1  # blocks that `captured` wants together, at least

    def __init__(self, echo: str = "not needed") -> None:
        self._echo = echo

    @property
    def echo(self) -> str:
        """State of the echo cancellation: an `EchoState`."""
        return self._echo

    @property
    def delay_ms(self) -> float:
        """Delay in milliseconds that the processing adds."""
        return 0.0

    @property
    def echo_db(self) -> float | None:
        """Level of the echo that the microphone hears, in dB relative to what was played; None if there is none, or
        it is not known."""
        return None

    def rendered(self, pcm: bytes, at: float) -> None:
        """Note what goes to the loudspeaker now, of any length.

        Its first sample will be heard at `at`, as far as the sink knows its delay. The loudspeaker's thread calls
        this.
        """

    def begin(self) -> None:
        """The microphone is about to start, or to start again. Its thread calls this and all that follows."""

    def captured(self, pcm: bytes, at: float) -> bytes:
        """Return what to send in place of `pcm`, of the same length.

        The first sample reached the microphone at `at`, as far as the source knows its delay. The microphone's thread
        calls this, also while muted.
        """
        return pcm

    def lost(self, samples: int) -> None:
        """The next `samples` samples were captured and lost."""
