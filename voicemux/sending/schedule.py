"""What goes out next, and when. Pure: no socket, clock, lock or thread; `now` is an argument.

Three lanes wait here: control, then voice, then text; then the BYE. Each lane is bounded by what it is: of each kind
of control message only the newest waits, voice that has waited too long is dropped, text waits in the `Outbox`,
which is full at some point and says so. `CongestionControl` says whether voice and text may go.

As str0m does it: put messages in, ask `choose(now)` for what to write, and if that is nothing, ask again at
`next_deadline(now)` or after the next event. All times are in seconds; `now` never goes back.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from voicemux.protocol.delivery import Outbox
from voicemux.protocol.messages import Arrivals, Audio, Bye, Message, Ping, Pong, Report, Text, TextAck, VoiceState
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.flow import MAX_AUDIO_WAIT
from voicemux.sending.telling import Telling
from voicemux.trace.facts import Trace

TEXT_TURN = 2.0  # seconds that text waits for voice at most: on a path too slow for both, one frame of it goes then
LOOK_AGAIN = 0.005  # seconds between two looks at what is in flight, while something waits for that
CONTROL_WAIT = 0.1  # seconds that a control message may wait for something to travel with: alone it is mostly headers
VOICE_FLOWS = 0.070  # seconds after a packet of voice in which the next is to be expected: 60 ms is the longest

Control = Pong | TextAck | Report | Arrivals | VoiceState
MadeLate = Callable[[], Ping | Arrivals | None]  # makes a control message when that is chosen; None: nothing to say


@dataclass
class SentCounts:
    audio: int = 0  # AUDIO frames written that hold sound
    dropped: int = 0  # AUDIO frames that waited too long
    texts: int = 0  # messages given to the writer


class Schedule:
    """All that waits to be sent in one call. One thread at a time may use it."""

    def __init__(self, congestion: CongestionControl, trace: Trace | None = None) -> None:
        self.congestion = congestion
        self.telling = Telling(trace, congestion)
        self.counts = SentCounts()
        self.ended = False  # nothing is chosen any more
        self._control: dict[type, Control | MadeLate] = {}
        self._control_since = 0.0  # when the oldest control message that waits was put in
        self._audio: deque[tuple[float, Audio]] = deque()  # each with when it was put in
        self._audio_at = float("-inf")  # when voice was last put in
        self._outbox = Outbox()
        self._marks: deque[tuple[int, str]] = deque()  # the last id of each marked text that is not acknowledged
        self._text_since = 0.0  # when the text that waits began to, or the last of it went
        self._bye: Bye | None = None
        self._bye_at = 0.0  # the BYE waits for text until then
        self._peer_is_done = False
        self._is_lost = False

    # --- what is to be sent

    def put_control(self, message: Control, now: float) -> None:
        """One of the same kind that still waits is replaced."""
        self._put(type(message), message, now)

    def put_ping(self, make: Callable[[], Ping], now: float) -> None:
        """`make` is called when the PING is chosen: waiting here does not count as round trip."""
        self._put(Ping, make, now)

    def put_arrivals(self, now: float) -> bool:
        """Tell the peer when its voice has come, as far as it is known when that is chosen. False: nothing is new."""
        if not self.congestion.has_news:
            return False
        self._put(Arrivals, self.congestion.arrivals, now)
        return True

    def _put(self, kind: type, message: Control | MadeLate, now: float) -> None:
        if not self._control:
            self._control_since = now
        self._control[kind] = message

    def put_audio(self, audio: Audio, now: float) -> bool:
        """Add one packet of voice, and drop what has waited too long.

        False after `put_bye`, and nothing is taken: voice that goes on would keep the BYE waiting on a slow path.
        """
        if self._bye:
            return False
        self._audio_at = now
        self._audio.append((now, audio))
        self._drop_stale_audio(now)
        return True

    def put_text(self, text: str, mark: str, now: float) -> bool:
        """Add a text; `acknowledge` returns its mark unless that is "". False after `put_bye`: it is not taken.

        Raises LocalProtocolError if it is not Unicode.
        """
        if self._bye:
            return False
        if not self._outbox.can_send:
            self._text_since = now
        number = self._outbox.put(text)
        if mark:
            self._marks.append((number, mark))
        self.counts.texts += 1
        return True

    def put_bye(self, bye: Bye, now: float, timeout: float, *, peer_is_done: bool = False) -> None:
        """Say `bye` once all text has gone, after at most `timeout` seconds. Only the first BYE counts.

        If the peer is done, it acknowledges nothing any more: text that its window has no room for is not waited for.
        """
        if self._bye is None:
            self._bye = bye
            self._bye_at = now + timeout
        self._peer_is_done |= peer_is_done

    # --- what has happened

    def acknowledge(self, number: int, now: float) -> list[str]:
        """The peer has received the TEXT frames up to `number`. Returns the marks of texts that are now delivered.

        Raises RemoteProtocolError if that was never sent.
        """
        self._outbox.acknowledge(number)
        self.congestion.on_text_ack(number, now)
        delivered = []
        while self._marks and self._marks[0][0] <= number:
            delivered.append(self._marks.popleft()[1])
        return delivered

    def lose(self) -> None:
        """The connection was found lost: no text can arrive any more, and the BYE waits for none."""
        self._is_lost = True

    def end(self) -> None:
        """Choose nothing any more."""
        self.ended = True

    def on_sent(self, messages: list[Message], size: int, now: float) -> None:
        """What `choose` has returned was written, `size` bytes in all."""
        last = messages[-1]
        self.congestion.on_sent(last, size, now)
        self.counts.audio += isinstance(last, Audio) and bool(last.data)

    # --- what is next

    def choose(self, now: float) -> list[Message]:
        """What to write at once, as one piece: control, and behind it one packet of voice or one frame of text.

        Empty if nothing may go yet. The BYE is chosen last; from then on `ended` is true and nothing is chosen.
        """
        if self.ended:
            return []
        self._drop_stale_audio(now)
        waits_for_text = not self._is_lost and (self._bye is None or now < self._bye_at)
        message = (self._next_text(now) if waits_for_text else None) or self._next_audio(now)
        if message or self._control_is_due(now):
            return [*self._take_control(), *([message] if message else [])]
        if self._bye and not (waits_for_text and self._outbox.waiting_bytes and self._text_may_go):
            self.ended = True
            return [*self._take_control(), self._bye]
        return []

    def next_deadline(self, now: float) -> float | None:
        """When to ask again at the latest, if nothing else happens; None if nothing waits for time to pass."""
        if self._audio or self._outbox.can_send:
            return now + LOOK_AGAIN
        if self._control:
            return now + CONTROL_WAIT
        return max(now + LOOK_AGAIN, self._bye_at) if self._bye else None

    @property
    def is_waiting(self) -> bool:
        """Whether something waits that might be chosen."""
        return bool(self._control or self._audio or self._outbox.can_send or self._bye)

    def _next_text(self, now: float) -> Text | None:
        """Text goes if no voice waits, and none would be late because of it; but every TEXT_TURN in any case."""
        would_disturb = self._audio or not self.congestion.may_send_text(now)
        if self._outbox.can_send and would_disturb and now - self._text_since < TEXT_TURN:
            self.telling.held_back("text", now, voice_waits=bool(self._audio))
            return None
        waited, self._text_since = now - self._text_since, now
        text = self._outbox.next()
        if text:
            self.telling.chosen("text", text.id, waited)
        return text

    def _next_audio(self, now: float) -> Audio | None:
        if not self._audio:
            return None
        if not self.congestion.may_send_audio(now):
            self.telling.held_back("voice", now)
            return None
        since, audio = self._audio.popleft()
        self.telling.chosen("voice", audio.sequence, now - since)
        return audio

    @property
    def _text_may_go(self) -> bool:
        """Whether the peer's window has room for the text that waits, or may have later."""
        return self._outbox.can_send or not self._peer_is_done

    def _control_is_due(self, now: float) -> bool:
        """While there is voice, all but PONG travels with it; REPORT and ARRIVALS travel with something always."""
        waited = now - self._control_since >= CONTROL_WAIT
        voice_flows = now - self._audio_at < VOICE_FLOWS
        return any(
            waited or kind is Pong or not (voice_flows or kind in (Report, Arrivals)) for kind in self._control
        )

    def _take_control(self) -> list[Message]:
        made = [each() if callable(each) else each for each in self._control.values()]
        self._control.clear()
        return [each for each in made if each is not None]

    def _drop_stale_audio(self, now: float) -> None:
        while self._audio and self._audio[0][0] < now - MAX_AUDIO_WAIT:
            since, audio = self._audio.popleft()
            self.counts.dropped += 1
            self.telling.dropped(audio.sequence, now - since, now)
            self.congestion.on_audio_dropped(now)

    # --- what is known of text

    @property
    def is_full(self) -> bool:
        """Whether so much text waits that no more should be added."""
        return self._outbox.full

    @property
    def frames_undelivered(self) -> int:
        """TEXT frames that the peer has not acknowledged."""
        return self._outbox.undelivered

    @property
    def text_bytes_in_flight(self) -> int:
        """Bytes of TEXT payload that were chosen and not acknowledged."""
        return self._outbox.unacknowledged_bytes

    @property
    def undelivered(self) -> list[tuple[str, str]]:
        """Texts that the peer has not acknowledged, or the rest of them, the oldest first, each behind its mark."""
        marks = dict(self._marks)
        return [(marks.get(number, ""), text) for number, text in self._outbox.undelivered_messages()]
