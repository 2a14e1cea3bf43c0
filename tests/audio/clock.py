"""The time of a metronome, passed in: it goes on only while somebody waits for it, or says so."""

import threading
from types import SimpleNamespace

import pytest


class Clock:
    """Seconds since an arbitrary moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("voicemux.audio.metronome.time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr("voicemux.audio.metronome.threading", SimpleNamespace(Event=lambda: _Event(self)))

    def sleep(self, seconds: float) -> None:
        """The machine stalls for so long."""
        self.now += seconds


class _Event(threading.Event):
    """Whoever waits for it takes its whole time, and that is over at once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        if timeout and not self.is_set():
            self._clock.sleep(timeout)
        return self.is_set()
