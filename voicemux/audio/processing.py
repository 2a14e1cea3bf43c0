"""The one place where all captured and all played sound of a call passes, with the times at the ear and the mouth.

It changes nothing today. Echo cancellation, noise suppression and levels belong here: they need both directions.
"""


class Processing:
    """One for a call. Samples are as everywhere inside: 16 bits, 48 kHz, mono; times are monotonic, in seconds."""

    def rendered(self, pcm: bytes, at: float) -> None:
        """Take note of what goes to the loudspeaker now, of any length.

        Its first sample will be heard at `at`, as far as the sink knows its delay. Called by the speaker's thread.
        """

    def captured(self, pcm: bytes, at: float) -> bytes:
        """What is sent instead of `pcm`, of the same length.

        Its first sample reached the microphone at `at`, as far as the source knows its delay. Called by the
        microphone's thread, also while it is muted.
        """
        return pcm
