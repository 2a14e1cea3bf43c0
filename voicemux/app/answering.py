"""Takes callers one after the other: each call rings until the user takes or declines it, or one side gives up.

The owner's thread decides everything, and waits here between two calls. What the user types comes from
the keyboard's thread. If the program is to end, the reception is told, and every wait looks there.
"""

import contextlib
import enum
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

from voicemux.calls.introduction import Named
from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.events import Answered, CallRinging, Event, Missed, MissedCalls
from voicemux.net.caller import Caller, is_same
from voicemux.net.reception import Reception
from voicemux.net.ring_limit import RingLimit, marks_of
from voicemux.net.ringing import Ring
from voicemux.protocol.messages import Bye, ByeCode, Method

RINGING_INTERVAL = 5.0  # seconds between two RINGING messages, and between two bells (protocol.md §5.8)
ANSWER_TIMEOUT = 60.0  # seconds for the user to answer; the caller waits as long (protocol.md §6)
# Seconds before ANSWER_TIMEOUT from which on a caller that hangs up counts as having waited to the end: its clock
# began earlier.
GIVES_UP = 2.0
GLANCE = 0.05  # seconds between two looks whether the user has answered
MOST_MISSED = 100  # missed calls that are kept for `/missed`
NO_QUESTION = "no call is ringing"
GONE = "the caller has gone"


class Asks(enum.Enum):
    """The callers for whose calls the user is asked; others are taken at once."""

    EVERYBODY = "everybody"
    STRANGERS = "strangers"  # callers that may call only because the listener is open
    NOBODY = "nobody"


@dataclass(frozen=True)
class _Question:
    """The question to the user whether to take a call that rings."""

    answers: "queue.SimpleQueue[bool]" = field(default_factory=queue.SimpleQueue)


class Answering:
    """Passes a listener's callers to its owner. The owner calls `next_caller()`, any thread the rest."""

    def __init__(
        self,
        reception: Reception,
        asks: Asks,
        show: Callable[[Event], None],
        bell: Callable[[], None],
        name_of: Callable[[Caller], Named],
        is_known: Callable[[Caller], bool],
        before_asking: Callable[[], None] = lambda: None,
    ) -> None:
        """`name_of` returns a caller's name. `is_known` returns whether a caller is a contact, or has proved that it
        knows the code.

        `bell` rings once. `before_asking` is called before a call waits for the user.
        """
        self._reception = reception
        self._calls = reception.calls
        self._asks = asks
        self._show = show
        self._bell = bell
        self._name_of = name_of
        self._is_known = is_known
        self._before_asking = before_asking
        self._limit = RingLimit()
        self._lock = threading.Lock()  # guards the question, the state of the last one, and the missed calls
        self._question: _Question | None = None
        self._undecided = False
        self._no_question = NO_QUESTION
        self._is_mute = False  # no answer can come any more, because the input has ended
        self._missed: deque[Missed] = deque(maxlen=MOST_MISSED)

    # --- for the owner -------------------------------------------------------------------------------

    def next_caller(self) -> Caller:
        """Wait for a caller whose call is taken. Raises what the reception was interrupted with."""
        while True:
            self._undecided = False
            caller = self._calls.next_caller()
            is_taken = False
            try:
                if is_taken := self._is_taken(caller):
                    return caller
            finally:
                if not is_taken:
                    self._calls.free(caller)

    def _is_taken(self, caller: Caller) -> bool:
        """Ring, and ask the user if necessary. Returns False after telling the caller why the call is not taken."""
        place, known = caller.place, self._is_known(caller)
        is_stranger = caller.peer is not None and not known
        asks = self._asks is Asks.EVERYBODY or (self._asks is Asks.STRANGERS and is_stranger)
        marks = marks_of(caller.peer.fingerprint if caller.peer else "", caller.host, caller.stream.relay)
        if asks and not known and not self._may_ring(caller, marks):
            return False
        named = self._name_of(caller)
        name = named.name
        if asks and self._is_mute:
            self._reception.send_away(caller, Bye(ByeCode.TIMEOUT))
            self.miss(name, place, "unanswered", relay=caller.stream.relay)
            return False
        question = _Question() if asks else None
        with self._lock:  # before the user is told: an answer may come at once
            self._question = question
            self._undecided = asks
            self._no_question = NO_QUESTION
        began = datetime.now()
        self._show(CallRinging(name, place, asks, named.claims, _security(caller, known), caller.stream.relay))
        self._bell()
        if question is None:
            return True
        try:
            if not known:
                self._calls.yield_to(caller, self._is_known)
            self._before_asking()
            if self._ring(caller, name, question):
                return True
            if not known:
                self._limit.declined(marks, time.monotonic())
        except _Unanswered as outcome:
            self._reception.send_away(caller, outcome.bye, outcome.fault)
            if outcome.why:
                self.miss(name, place, outcome.why, began, relay=caller.stream.relay)
                with self._lock:
                    self._no_question = GONE
        except BaseException:  # the program ends
            self._reception.send_away(caller, Bye())
            raise
        finally:
            with self._lock:
                self._question = None
            self._calls.yield_to(caller, None)
        return False

    def _ring(self, caller: Caller, name: str, question: _Question) -> bool:
        """Let it ring, and return whether the user takes the call. Raises _Unanswered if the user does not answer."""
        ring = Ring(caller)
        began = rang = time.monotonic()
        try:
            ring.sound()
            while (now := time.monotonic()) < began + ANSWER_TIMEOUT:
                self._calls.check()
                if again := self._calls.replacement_of(caller):
                    if is_same(caller, again):
                        raise _Unanswered(Bye(ByeCode.REPLACED), "")
                    raise _Unanswered(Bye(ByeCode.BUSY, "in another call"), "busy")
                if self._is_mute:
                    raise _Unanswered(Bye(ByeCode.TIMEOUT), "unanswered")
                ring.listen(GLANCE)
                with contextlib.suppress(queue.Empty):
                    accepted = question.answers.get_nowait()
                    self._show(Answered(name, caller.place, accepted))
                    if accepted:
                        self._calls.yield_to(caller, None)
                        if self._calls.replacement_of(caller):  # the caller has called again in this very moment
                            continue
                        ring.take()
                    else:
                        self._reception.send_away(caller, Bye(ByeCode.DECLINED))
                    return accepted
                if now >= rang + RINGING_INTERVAL:
                    rang = now
                    ring.sound()
                    self._bell()
        except ConnectionLost as error:
            patient = time.monotonic() >= began + ANSWER_TIMEOUT - GIVES_UP
            raise _Unanswered(Bye(), "unanswered" if patient else "gave_up") from error
        except RemoteProtocolError as error:
            raise _Unanswered(Bye(error.code, str(error)), "gave_up", str(error)) from error
        raise _Unanswered(Bye(ByeCode.TIMEOUT), "unanswered")

    def _may_ring(self, caller: Caller, marks: tuple[Hashable, ...]) -> bool:
        """Return whether it may ring now for an unknown caller. If not, the caller is sent away."""
        now = time.monotonic()
        if self._limit.is_declined(marks, now):
            self._reception.send_away(caller, Bye(ByeCode.DECLINED), "it was declined a moment ago")
        elif not self._limit.take(marks, now):
            bye = Bye(ByeCode.BUSY, "try again in a minute")
            self._reception.send_away(caller, bye, "it rings too often for people who are unknown")
        else:
            return True
        return False

    # --- for any thread ------------------------------------------------------------------------------

    def answer(self, accepts: bool) -> str:
        """Answer the call that rings as the user says. Returns a line for the user if no call rings any more, else
        ""."""
        with self._lock:
            question, self._question = self._question, None  # one answer for each question
            if question is None:
                return self._no_question
            question.answers.put(accepts)
            return ""

    def stop_asking(self) -> None:
        """Send away each caller whose call rings, from now on: no answer can come any more."""
        self._is_mute = True

    @property
    def is_asking(self) -> bool:
        """Whether a call waits for the user's answer."""
        with self._lock:
            return self._question is not None

    @property
    def is_settling(self) -> bool:
        """Whether the user has answered a call that rang, and the owner has not acted on it yet."""
        return self._undecided and not self.is_asking

    def miss(self, name: str, place: str, why: str, began: datetime | None = None, *, relay: str = "") -> None:
        """Report a missed call, and keep it. `why` is as in `events.Missed`."""
        began = began or datetime.now()
        missed = Missed(name, place, began.astimezone().isoformat(timespec="seconds"), why, relay)
        with self._lock:
            self._missed.append(missed)
        self._show(missed)

    def missed(self) -> MissedCalls:
        """Return the calls that were missed so far."""
        with self._lock:
            return MissedCalls(list(self._missed))


class _Unanswered(Exception):
    """A call was not answered. `bye` is for the caller, `why` is as in `events.Missed`, and `fault` is what the
    caller did wrong."""

    def __init__(self, bye: Bye, why: str, fault: str = "") -> None:
        super().__init__(why)
        self.bye, self.why, self.fault = bye, why, fault


def _security(caller: Caller, known: bool) -> str:
    """Return how the caller is authenticated, as in `events.Connected`."""
    if caller.peer is None:
        return "plain"
    if known and caller.peer.method is Method.OPEN:
        return "known"
    return caller.peer.method.name.lower()
