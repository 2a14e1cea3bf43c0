"""The parts of a call that outlive its connections."""

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
    """The sender and the players of voice, as far as this side has them. The recorder gets what the player gets."""

    transmitter: VoiceSender | None
    player: Player | None
    recorder: Player | None


@dataclass(frozen=True)
class Hears:
    """Callbacks of the call; none of them may wait."""

    happened: Callable[[Happening], None]  # gets what the conversation makes of the peer's messages
    post: Callable[[Event], None]  # gets events for the user
    broke: Callable[[BaseException], None]  # gets the exception of a thread with a bug


@dataclass(frozen=True)
class Parts:
    """What all connections of one call share. `changed` guards the conversation, `survival`, and which connection is
    current."""

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
    dials: bool  # this side dials again when the connection is lost: it is the session's dialler
    clock: Callable[[], float] = time.monotonic

    @property
    def may_survive(self) -> bool:
        """Whether the call goes on if the connection is lost. The answer stays true only while `changed` is held."""
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
    """Make the parts of a call that begins on `stream` with the peer `name`. `peer_plays` is whether the peer plays
    voice; `goodbye`, in seconds, is as of `Conversation`."""
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
