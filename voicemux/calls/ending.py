"""Why a call ends: keeps the first reason, and wakes the threads that wait for one."""

import threading
from dataclasses import dataclass

from voicemux.console.remedies import hint
from voicemux.errors import ConnectionLost, VoicemuxError
from voicemux.events import Ended, Stats, Undelivered
from voicemux.protocol.messages import Bye, ByeCode

# Undelivered texts in `Ended`; a user who pipes in a long file does not want all of it back.
MOST_UNDELIVERED_SHOWN = 20
MOST_OF_A_TEXT_SHOWN = 200  # characters of each of them; a text may be much longer


@dataclass(frozen=True)
class Reason:
    """Why a call ends: `by` and `text` are as in `events.Ended`."""

    by: str
    text: str
    error: VoicemuxError | None = None
    said: str = ""  # the reason in the peer's own words


class Ending:
    """The reason why one call ends, once there is one. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_begun = threading.Event()
        self._reason: Reason | None = None

    def begin(self, reason: Reason) -> bool:
        """Keep this reason if it is the first. Returns whether it is."""
        with self._lock:
            first = self._reason is None
            if first:
                self._reason = reason
        self._has_begun.set()
        return first

    def by_peer(self, bye: Bye) -> bool:
        """The peer has sent `bye`. Returns whether this is the first reason."""
        is_well = bye.code == ByeCode.NORMAL
        error = None if is_well else ConnectionLost(describe_bye(bye), said=bye.reason)
        return self.begin(Reason("them", "" if is_well else name_of_code(bye), error, bye.reason))

    def by_error(self, error: VoicemuxError) -> bool:
        """The connection broke, or the peer broke the protocol. Returns whether this is the first reason."""
        return self.begin(Reason("error", str(error), error))

    @property
    def has_begun(self) -> bool:
        """Whether there is a reason to end the call."""
        return self._has_begun.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a reason to end the call. Returns whether there is one."""
        return self._has_begun.wait(timeout)

    @property
    def error(self) -> VoicemuxError | None:
        """The error that ended the call; None if there is no reason yet, or none that is an error."""
        return self._reason.error if self._reason else None

    def event(self, undelivered: list[tuple[str, str]], stats: Stats) -> Ended | None:
        """Return the event that says how the call ended, as far as is known; None while it goes on. `undelivered` has
        pairs of mark and text, oldest first."""
        reason = self._reason
        if reason is None:
            return None
        kind, advice = (str(reason.error.kind or ""), hint(reason.error)) if reason.error else ("", "")
        shown = undelivered[:MOST_UNDELIVERED_SHOWN]
        return Ended(
            reason.by,
            reason.text,
            len(undelivered),
            stats,
            said=reason.said,
            kind=kind,
            hint=advice,
            undelivered_texts=[Undelivered(_shortened(text), mark) for mark, text in shown],
        )


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_OF_A_TEXT_SHOWN else text[: MOST_OF_A_TEXT_SHOWN - 1] + "…"


def describe_bye(bye: Bye) -> str:
    """Describe a BYE by its code. Its reason, text that the peer wrote, is left out."""
    return f"the other side ended the call ({name_of_code(bye)})"


def name_of_code(bye: Bye) -> str:
    """Return the name of the code in lower case, such as "flood". Unknown codes count as internal errors (protocol.md
    §5.5)."""
    try:
        name = ByeCode(bye.code).name
    except ValueError:
        name = ByeCode.INTERNAL.name
    return name.lower().replace("_", " ")
