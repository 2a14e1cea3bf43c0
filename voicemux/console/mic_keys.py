"""The keys that open the microphone on a terminal: Ctrl-T, and with push to talk the space bar. Pure.

A terminal does not tell when a key is let go. It repeats a key that is held, after a while: so space on an empty
line opens the microphone until the next space. If it is repeated soon, it is held, and the microphone shuts when
the repeats end. After a minute it shuts anyway, for a key may be stuck.
"""

from voicemux.console.commands import Mute, PushToTalk
from voicemux.events import Connected, Ended, Event, MicModeChosen, Switched

ARMING = 0.75  # seconds in which the first repeat of a held key comes: keyboards wait 0.25 to 0.66 s
LEAST_GAP = 0.2  # seconds without a repeat, after which a key is let go
GAPS = 5  # intervals between two repeats, likewise: a slow line delivers them in bunches
UNKNOWN_INTERVAL = 0.1  # seconds between two repeats, before they are known
MOST_HELD = 60.0  # seconds


class MicKeys:
    """`note` is for any thread, the rest for the keyboard's. Times are in seconds."""

    def __init__(self) -> None:
        self._in_call = False
        self._mode = "open"
        self._talks = False
        self._pressed: float | None = None  # the key that opened it, as long as that may be held
        self._last: float | None = None  # the last press or repeat
        self._holds = False  # the microphone is open because the key is held
        self._ignores = False  # repeats, until there is a gap
        self._interval = UNKNOWN_INTERVAL

    def note(self, event: Event) -> None:
        """What happens in the call."""
        match event:
            case Connected() | Ended():
                self._in_call, self._mode, self._talks = isinstance(event, Connected), "open", False
            case MicModeChosen():
                self._mode, self._talks = event.mode, False
            case Switched("talking", is_on):
                self._talks = is_on

    @property
    def takes_space(self) -> bool:
        """Whether space on an empty line is for the microphone."""
        return self._in_call and self._mode == "ptt"

    def toggle(self) -> Mute | PushToTalk | None:
        """Ctrl-T. None: there is no call. The call knows what it was before: an event tells us later."""
        if not self._in_call:
            return None
        return PushToTalk() if self._mode == "ptt" else Mute()

    def press(self, now: float) -> PushToTalk | None:
        """Space, or a repeat of it. What it means, if anything."""
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
        """When to `look`; None while there is nothing to look for."""
        if not self._holds or self._last is None or self._pressed is None:
            return None
        return min(self._last + max(LEAST_GAP, GAPS * self._interval), self._pressed + MOST_HELD)

    def look(self, now: float) -> PushToTalk | None:
        """Whether a key that was held has been let go."""
        return self._over(now)

    def let_go(self) -> PushToTalk | None:
        """There is no prompt any more that could look: a key that is held counts as let go."""
        return self._shut() if self._holds else None

    def _over(self, now: float) -> PushToTalk | None:
        due = self.due
        return self._shut() if due is not None and now >= due else None

    def _shut(self) -> PushToTalk | None:
        """None: the call has ended meanwhile, or another mode was chosen."""
        self._holds, self._pressed, self._ignores = False, None, True
        return PushToTalk(False) if self.takes_space else None
