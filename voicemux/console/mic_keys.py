"""The keys that open the microphone on a terminal: Ctrl-T, and with push to talk the space bar. Pure: no input or
output.

A terminal does not report that a key is let go, but repeats a key that is held. So space on an empty line opens the
microphone until the next space. If the press is repeated within `ARMING`, the key is held, and the microphone shuts
when the repeats end; after `MOST_HELD` it shuts anyway, because a key may be stuck.
"""

from voicemux.console.commands import Mute, PushToTalk
from voicemux.events import Connected, Ended, Event, MicModeChosen, Switched

ARMING = 0.75  # seconds in which the first repeat of a held key comes: keyboards wait 0.25 to 0.66 s
LEAST_GAP = 0.2  # seconds without a repeat, after which a key is let go
# Intervals between two repeats without a repeat, after which a key is let go: a slow line delivers repeats in
# bunches.
GAPS = 5
UNKNOWN_INTERVAL = 0.1  # seconds between two repeats, until they have been measured
MOST_HELD = 60.0  # seconds after which the microphone shuts although the key is held: a key may be stuck


class MicKeys:
    """Decides what the keys do to the microphone. Any thread may call `note`, only the keyboard's thread the rest.
    Times are in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._in_call = False
        self._mode = "open"
        self._talks = False
        # When the key was pressed that opened the microphone; None if it is not held.
        self._pressed: float | None = None
        self._last: float | None = None  # time of the last press or repeat
        self._holds = False  # the microphone is open because the key is held
        self._ignores = False  # whether to ignore repeats of a key that has shut the microphone, until there is a gap
        self._interval = UNKNOWN_INTERVAL

    def note(self, event: Event) -> None:
        """Take note of an event of the call."""
        match event:
            case Connected() | Ended():
                self._in_call, self._mode, self._talks = isinstance(event, Connected), "open", False
            case MicModeChosen():
                self._mode, self._talks = event.mode, False
            case Switched("talking", is_on):
                self._talks = is_on

    @property
    def takes_space(self) -> bool:
        """Whether space on an empty line is for the microphone. If the call ends while the user holds the key, its
        last repeats are, too."""
        return self._pushes_to_talk or self._holds

    @property
    def _pushes_to_talk(self) -> bool:
        """Whether there is a call in which keys open the microphone."""
        return self._in_call and self._mode == "ptt"

    def toggle(self) -> Mute | PushToTalk | None:
        """Return the command of Ctrl-T; None without a call. It says only to change the state: the call knows the
        present one, and an event reports the new one later."""
        if not self._in_call:
            return None
        return PushToTalk() if self._pushes_to_talk else Mute()

    def press(self, now: float) -> PushToTalk | None:
        """Return what a press of the space bar, or a repeat of it, means; None if nothing."""
        last, self._last = self._last, now
        gap = now - last if last is not None else MOST_HELD
        if self._holds:
            self._interval += 0.5 * (gap - self._interval)
            return self._over(now)
        if self._ignores and gap < ARMING:
            return None
        self._ignores = False
        if self._pressed is not None and now - self._pressed < ARMING:
            self._holds, self._interval = True, UNKNOWN_INTERVAL
            return None
        if self._talks:
            return self._shut()
        self._pressed = now
        return PushToTalk(True)

    @property
    def due(self) -> float | None:
        """When to call `look`; None while no key is held."""
        if not self._holds or self._last is None or self._pressed is None:
            return None
        return min(self._last + max(LEAST_GAP, GAPS * self._interval), self._pressed + MOST_HELD)

    def look(self, now: float) -> PushToTalk | None:
        """Return the command that shuts the microphone if the held key was let go by `now`; else None."""
        return self._over(now)

    def let_go(self) -> PushToTalk | None:
        """Return the command that shuts the microphone if a key is held; else None. For when the prompt goes, because
        then nothing calls `look`."""
        return self._shut() if self._holds else None

    def _over(self, now: float) -> PushToTalk | None:
        due = self.due
        return self._shut() if due is not None and now >= due else None

    def _shut(self) -> PushToTalk | None:
        """Return the command that shuts the microphone; None if the call has ended, or the mode is no longer ptt."""
        self._holds, self._pressed, self._ignores = False, None, True
        return PushToTalk(False) if self._pushes_to_talk else None
