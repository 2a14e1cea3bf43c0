"""Writes to a caller of `listen --echo-test` how its voice arrives, by the figures of the call."""

import time
from typing import TYPE_CHECKING

from voicemux.events import Level, Stats, loudness

if TYPE_CHECKING:
    from voicemux.calls.call import RunningCall

GREETING = "this is an echo test: say something, and you hear it 5 seconds later"
LOOK = 0.5  # seconds between two looks at the figures
FIRST = 6.0  # seconds from the first speech to the first verdict
EVERY = 20.0  # seconds between two verdicts
IN_VAIN = 15.0  # seconds without speech after which the caller is told so

LOUDNESS = {"soft": "too soft: turn your microphone up", "good": "good", "loud": "a little loud"}
GAPS = 0.03  # share of packets that are late or missing from which on syllables are lost
LATE = 400.0  # milliseconds from mouth to ear above which people interrupt each other (ITU-T G.114)


class EchoVerdicts:
    """Decides when to write which verdict. Times are arguments, in seconds."""

    def __init__(self, now: float) -> None:
        self._next = now + IN_VAIN
        self._speaks = False
        self._before = (0, 0)  # packets at the last verdict: how many had come, how many were late or missing

    def look(self, now: float, level: Level, stats: Stats) -> str | None:
        """Return the next text; None if it is not time for one."""
        if not self._speaks and level.their_speech_db is not None:
            self._speaks = True
            self._next = now + FIRST
        if now < self._next:
            return None
        self._next = now + EVERY
        if level.their_speech_db is None:
            return None if self._speaks else _unheard(stats)
        came, missed = stats.audio_received, stats.audio_late + stats.audio_concealed
        packets, gaps = came - self._before[0], missed - self._before[1]
        self._before = came, missed
        return verdict(level.their_speech_db, packets, gaps, stats)


def verdict(speech_db: float, packets: int, gaps: int, stats: Stats) -> str:
    """Return the verdict. `gaps` of the `packets` were late or missing; `speech_db` is the level of speech, in dB
    below full scale."""
    level = LOUDNESS[loudness(speech_db)]
    share = gaps / max(1, packets)
    whole = "no gaps" if not gaps else f"{100 * share:.1f} % gaps"
    found = [f"your voice comes at {speech_db:.0f} dB ({level})"]
    found.append(f"{whole}{': the line is slow or busy' if share > GAPS else ''}")
    delay = stats.mouth_to_ear_ms
    if delay is not None:
        found.append(f"about {delay:.0f} ms from mouth to ear{': that is late' if delay > LATE else ''}")
    if stats.round_trip_ms is not None:
        found.append(f"round trip {stats.round_trip_ms:.0f} ms")
    is_well = loudness(speech_db) != "soft" and share <= GAPS and (delay is None or delay <= LATE)
    return f"echo test: {', '.join(found)}{'; all is well' if is_well else ''}"


def attend(call: "RunningCall") -> None:
    """Write verdicts to the caller until the call ends. The body of a thread."""
    call.say(GREETING)
    verdicts = EchoVerdicts(time.monotonic())
    while call.goes_on:
        call.wait_for_the_end(LOOK)
        if call.goes_on and (text := verdicts.look(time.monotonic(), call.states.level(), call.stats())):
            call.say(text)


def _unheard(stats: Stats) -> str:
    what = "no speech was heard so far: is your microphone on?"
    return f"echo test: {what if stats.audio_received else 'no voice comes: are you muted, or without a microphone?'}"
