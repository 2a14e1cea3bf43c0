"""What a call keeps, whatever connection carries it."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from voicemux.calls.bond import Bond
from voicemux.calls.ending import Ending
from voicemux.calls.sound_threads import SoundThreads
from voicemux.calls.survival import SUSPICION, Survival
from voicemux.calls.texts import Texts
from voicemux.calls.vitals import Vitals
from voicemux.calls.voice import Player, VoiceSender
from voicemux.calls.voice_states import VoiceStates
from voicemux.events import Event
from voicemux.net.stream import Stream
from voicemux.protocol.conversation import Conversation, Happening
from voicemux.sending.schedule import SentCounts
from voicemux.trace.facts import Trace


@dataclass(frozen=True)
class SoundHalves:
    """What sends and plays voice, as far as there is any. The recorder gets what the player gets."""

    transmitter: VoiceSender | None
    player: Player | None
    recorder: Player | None


@dataclass(frozen=True)
class Hears:
    """Who is told of what goes on; none of them may wait."""

    happened: Callable[[Happening], None]  # what the peer says
    post: Callable[[Event], None]  # what the user is told
    broke: Callable[[BaseException], None]  # a bug in a thread


@dataclass(frozen=True)
class Parts:
    """`changed` guards the conversation, the survival, and which connection has them."""

    name: str  # the peer's
    silence: float  # seconds without a byte after which a connection is lost
    conversation: Conversation
    changed: threading.Condition
    survival: Survival
    ending: Ending
    states: VoiceStates
    sound: SoundThreads
    vitals: Vitals
    counts: SentCounts
    texts: Texts
    hears: Hears
    trace: Trace | None
    dials: bool  # this side does, to have another connection
    clock: Callable[[], float] = time.monotonic

    @property
    def may_survive(self) -> bool:
        """Whether the call goes on if the connection is lost. With `changed` held, that stays."""
        return self.survival.may_survive and not (self.ending.has_begun or self.conversation.is_ending)


def make_parts(
    name: str,
    stream: Stream,
    halves: SoundHalves,
    hears: Hears,
    bond: Bond | None,
    trace: Trace | None,
    *,
    peer_plays: bool,
    goodbye: float,
) -> Parts:
    """Of a call that begins on `stream` with a peer of that name; `peer_plays` is whether it plays voice, `goodbye`
    is as of `Conversation`."""
    transmitter, player, recorder = halves.transmitter, halves.player, halves.recorder
    ending, changed, counts = Ending(), threading.Condition(), SentCounts()
    conversation = Conversation(stream.timeout, goodbye)
    survival = Survival(
        bond.grace if bond else 0.0,
        time.monotonic(),
        suspicion=min(SUSPICION, stream.timeout),
        chance=random.random,
    )
    sound = SoundThreads(transmitter, player, recorder, ending, hears.post)
    return Parts(
        name,
        stream.timeout,
        conversation,
        changed,
        survival,
        ending,
        VoiceStates(name, transmitter, player, lambda: sound.recorders, peer_plays=peer_plays),
        sound,
        Vitals(stream, counts, transmitter, player),
        counts,
        Texts(conversation, changed, counts, is_in_doubt=lambda: survival.wants_dial),
        hears,
        trace,
        dials=bool(bond and (bond.ways or bond.relay)),
    )
