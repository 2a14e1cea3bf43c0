"""Decides what goes out next, and when. Pure: no socket, clock, lock or thread; `now` is an argument.

Three queues wait here: control first, then voice, then text; the BYE goes last. Each has a limit: of each kind of
control message, only the newest waits; voice that has waited too long is dropped; text waits in the `Conversation`,
which takes a limited amount. `CongestionControl` says whether voice and text may go.

The interface is like str0m's: put messages in, and ask `choose(now)` what to write. If it returns nothing, ask again
at `next_deadline(now)` or after the next event. All times are in seconds; `now` never goes back.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from voicemux.net.stream import SILENCE_TIMEOUT
from voicemux.protocol.conversation import Conversation, Happening, Reply
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    Message,
    Paths,
    Ping,
    Pong,
    Report,
    Text,
    TextAck,
    VoiceState,
)
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.flow import MAX_AUDIO_WAIT
from voicemux.sending.telling import Telling
from voicemux.trace.facts import Trace

TEXT_TURN = 2.0  # seconds that text waits for voice at most; then one frame of text goes, even on a slow path
LOOK_AGAIN = 0.005  # seconds between two looks at what is in flight, while voice or text waits for room
CONTROL_WAIT = 0.1  # seconds that a control message may wait for voice or text: alone it is mostly headers
VOICE_FLOWS = 0.070  # seconds after a packet of voice in which the next one is due: the longest packet has 60 ms

AT_ONCE = (Pong, Paths)  # sent without waiting, because their time under way is measured
Control = Pong | TextAck | Report | Arrivals | VoiceState | Paths
MadeLate = Callable[[], Ping | Arrivals | None]  # called when its message is chosen; None: nothing to say


@dataclass
class SentCounts:
    """What has been sent in a call, on all its connections."""

    audio: int = 0  # AUDIO frames written that hold sound
    dropped: int = 0  # AUDIO frames that waited too long
    texts: int = 0  # messages given to the writer


class Schedule:
    """All that waits to be sent on one connection. One thread at a time may use it, and its conversation."""

    def __init__(
        self,
        congestion: CongestionControl,
        conversation: Conversation | None = None,
        trace: Trace | None = None,
        counts: SentCounts | None = None,
    ) -> None:
        """`conversation` has the texts and the BYE; None: make one. `counts` go on from an earlier connection."""
        self.congestion = congestion
        self.conversation = conversation or Conversation(SILENCE_TIMEOUT)
        self.telling = Telling(trace, congestion)
        self.counts = counts or SentCounts()
        self.ended = False  # nothing is chosen any more
        self.is_retired = False  # another connection has the conversation
        self._last_words: Bye | None = None  # the BYE of a retired connection, if any
        self._keeps_voice = False  # retired, but voice is still sent here until the other connection takes it
        self._control: dict[type, Control | MadeLate] = {}
        self._control_since = 0.0  # when the oldest control message that waits was put in
        self._audio: deque[tuple[float, Audio]] = deque()  # (when it was put in, packet)
        self._audio_at = float("-inf")  # when voice was last put in
        self._text_since = 0.0  # when the text that waits began to, or the last of it went

    # --- what is to be sent

    def put_control(self, message: Control, now: float) -> None:
        """Add a control message. It replaces a message of the same kind that still waits."""
        self._put(type(message), message, now)

    def put_ping(self, make: Callable[[], Ping], now: float) -> None:
        """Add a PING. `make` is called when it is chosen, so that waiting here does not count as round trip."""
        self._put(Ping, make, now)

    def put_arrivals(self, now: float) -> bool:
        """Add ARRIVALS, which are made when they are chosen. Returns False if there is nothing new to tell."""
        if not self.congestion.has_news:
            return False
        self._put(Arrivals, self.congestion.arrivals, now)
        return True

    def _put(self, kind: type, message: Control | MadeLate, now: float) -> None:
        if self.is_retired:
            return
        if not self._control:
            self._control_since = now
        self._control[kind] = message

    def put_audio(self, audio: Audio, now: float) -> bool:
        """Add one packet of voice, and drop packets that have waited too long.

        False after a `hang_up`, and nothing is taken: voice that goes on would keep the BYE waiting on a slow path.
        """
        if (self.is_retired and not self._keeps_voice) or self.conversation.has_hung_up:
            return False
        self._audio_at = now
        self._audio.append((now, audio))
        self._drop_stale_audio(now)
        return True

    def put_text(self, text: str, mark: str, now: float) -> bool:
        """Add a text, see `Conversation.say`."""
        could_send = self.conversation.can_send_text
        if not self.conversation.say(text, mark):
            return False
        if not could_send:
            self._text_since = now
        self.counts.texts += 1
        return True

    # --- what has happened

    def received(self, message: Message, now: float) -> list[Happening]:
        """The peer has said something. Replies are put in; returns the rest of what `Conversation.received` does.

        Raises RemoteProtocolError as that does.
        """
        outcomes = self.conversation.received(message, now)
        if isinstance(message, TextAck):
            self.congestion.on_text_ack(message.id, now)
        return self.reply(outcomes, now)

    def reply(self, outcomes: list[Reply | Happening], now: float) -> list[Happening]:
        """Put in the replies among what the conversation has returned. Returns the rest."""
        happenings: list[Happening] = []
        for each in outcomes:
            if isinstance(each, Reply):
                self.put_control(each, now)
            else:
                happenings.append(each)
        return happenings

    def end(self) -> None:
        """Choose nothing any more."""
        self.ended = True

    def retire(self, bye: Bye | None = None, *, keeps_voice: bool = False) -> None:
        """Leave the conversation to another connection: nothing goes here any more but `bye`, and perhaps voice."""
        self.is_retired, self._keeps_voice = True, keeps_voice
        self._control.clear()
        if not keeps_voice:
            self._audio.clear()
        self._last_words = bye

    def on_sent(self, messages: list[Message], size: int, now: float) -> None:
        """`choose` returned `messages`, and they have been written: `size` bytes in all."""
        last = messages[-1]
        self.congestion.on_sent(last, size, now)
        self.counts.audio += isinstance(last, Audio) and bool(last.data)

    # --- what is next

    def choose(self, now: float) -> list[Message]:
        """Return what to write now, in one write: control, and after it one packet of voice or one frame of text.

        The list is empty if nothing may be sent yet. The BYE is chosen last; then `ended` is true.
        """
        if self.ended:
            return []
        self._drop_stale_audio(now)
        if self.is_retired and (audio := self._next_audio(now)):
            return [audio]
        if self.is_retired:
            self.ended = self._last_words is not None
            return [self._last_words] if self._last_words else []
        waits_for_text = self.conversation.waits_for_text(now)
        message = (self._next_text(now) if waits_for_text else None) or self._next_audio(now)
        if message or self._control_is_due(now):
            return [*self._take_control(), *([message] if message else [])]
        if bye := self.conversation.take_bye(now):
            self.ended = True
            return [*self._take_control(), bye]
        return []

    def next_deadline(self, now: float) -> float | None:
        """Return when to ask again at the latest, if nothing else happens; None if no time is being waited for."""
        if self.is_retired:
            return now + LOOK_AGAIN if self._audio else None
        if self._audio or self.conversation.can_send_text:
            return now + LOOK_AGAIN
        if self._control:
            return now + CONTROL_WAIT
        deadline = self.conversation.bye_deadline
        return None if deadline is None else max(now + LOOK_AGAIN, deadline)

    @property
    def is_waiting(self) -> bool:
        """Whether something waits that might be chosen."""
        if self.is_retired:
            return not self.ended and (bool(self._audio) or self._last_words is not None)
        if self._control or self._audio or self.conversation.can_send_text:
            return True
        return self.conversation.bye_deadline is not None

    def _next_text(self, now: float) -> Text | None:
        """Text goes if no voice waits, and text would make none late. One frame each TEXT_TURN goes anyway."""
        would_disturb = self._audio or not self.congestion.may_send_text(now)
        if self.conversation.can_send_text and would_disturb and now - self._text_since < TEXT_TURN:
            self.telling.held_back("text", now, voice_waits=bool(self._audio))
            return None
        waited, self._text_since = now - self._text_since, now
        text = self.conversation.next_text()
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

    def _control_is_due(self, now: float) -> bool:
        """Whether control goes alone: after CONTROL_WAIT, and a PONG at once.

        Before that, REPORT and ARRIVALS wait for voice or text. The others wait only while voice flows.
        """
        waited = now - self._control_since >= CONTROL_WAIT
        voice_flows = now - self._audio_at < VOICE_FLOWS
        return any(
            waited or kind in AT_ONCE or not (voice_flows or kind in (Report, Arrivals)) for kind in self._control
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
