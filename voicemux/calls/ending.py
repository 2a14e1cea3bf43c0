"""How a call ends: the first reason is kept, and wakes those who wait for one."""

import threading
from dataclasses import dataclass

from voicemux.console.remedies import hint
from voicemux.errors import ConnectionLost, VoicemuxError
from voicemux.events import Ended, Stats, Undelivered
from voicemux.protocol.messages import Bye, ByeCode

MOST_UNDELIVERED_SHOWN = 20  # texts that may not have arrived: who pipes a file does not want all of it again
MOST_OF_A_TEXT_SHOWN = 200  # characters of each


@dataclass(frozen=True)
class Reason:
    """Why a call ends, as `events.Ended` has it."""

    by: str
    text: str
    error: VoicemuxError | None = None
    said: str = ""  # the peer's words


class Ending:
    """Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_begun = threading.Event()
        self._reason: Reason | None = None

    def begin(self, reason: Reason) -> bool:
        """Keep the first reason. Whether this was it."""
        with self._lock:
            first = self._reason is None
            if first:
                self._reason = reason
        self._has_begun.set()
        return first

    def by_peer(self, bye: Bye) -> bool:
        """The peer has said goodbye."""
        is_well = bye.code == ByeCode.NORMAL
        error = None if is_well else ConnectionLost(describe_bye(bye), said=bye.reason)
        return self.begin(Reason("them", "" if is_well else name_of_code(bye), error, bye.reason))

    def by_error(self, error: VoicemuxError) -> bool:
        """The connection broke, or the peer broke the protocol."""
        return self.begin(Reason("error", str(error), error))

    @property
    def has_begun(self) -> bool:
        """Whether there is a reason to end the call."""
        return self._has_begun.is_set()

    def wait(self, timeout: float) -> bool:
        """Whether there is a reason to end the call, after waiting for one for at most `timeout` seconds."""
        return self._has_begun.wait(timeout)

    @property
    def error(self) -> VoicemuxError | None:
        """Why the call ended, if not well."""
        return self._reason.error if self._reason else None

    def event(self, undelivered: list[tuple[str, str]], stats: Stats) -> Ended | None:
        """How it ended, as far as is known; None as long as it goes on. `undelivered` are marks and texts."""
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
    """What a goodbye with a code says of why. Its reason, a peer's text, is not part of it."""
    return f"the other side ended the call ({name_of_code(bye)})"


def name_of_code(bye: Bye) -> str:
    """In lower case: "flood"; unknown codes count as internal errors (protocol.md §5.5)."""
    try:
        name = ByeCode(bye.code).name
    except ValueError:
        name = ByeCode.INTERNAL.name
    return name.lower().replace("_", " ")
