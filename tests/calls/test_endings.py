"""Calls that end in every way, at any moment, with text on its way in both directions.

What each does is drawn from a seed, so that a failure can be looked at again; what the threads make of it is not.
"""

import contextlib
import gc
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import PATIENCE, Owner, Relay, hear_hello, say_hello, stream_of
from voicemux.calls import call as call_module
from voicemux.calls.call import RunningCall
from voicemux.protocol.messages import Hello

CALLS = 60  # of each ending
DESCRIPTORS = Path("/proc/self/fd")


class Side:
    """One end of a call, and somebody who talks and talks."""

    def __init__(self, call: RunningCall, dice: random.Random) -> None:
        self.owner = Owner(call)
        self.said: list[str] = []
        self.delivered = 0  # so many of them have arrived, as the call itself said
        self._plan = [(dice.choice((0, 10, 100, 5000)), dice.random() < 0.1) for _ in range(200)]
        self._thread = threading.Thread(target=self._talk)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _talk(self) -> None:
        for number, (size, waits) in enumerate(self._plan):
            text = f"{number} {'x' * size}"
            if not self.owner.call.say(text):
                return
            self.said.append(text)
            if waits and self.owner.call.wait_for_delivery():
                self.delivered = len(self.said)


def hang_up(one: Side, other: Side, relay: Relay) -> None:
    one.owner.call.hang_up()


def hang_up_at_once(one: Side, other: Side, relay: Relay) -> None:
    one.owner.call.hang_up()
    other.owner.call.hang_up()


def abandon(one: Side, other: Side, relay: Relay) -> None:
    one.owner.call.abandon()


def hang_up_and_abandon(one: Side, other: Side, relay: Relay) -> None:
    one.owner.call.hang_up()
    one.owner.call.abandon()


def hang_up_while_the_other_abandons(one: Side, other: Side, relay: Relay) -> None:
    one.owner.call.hang_up()
    other.owner.call.abandon()


def reset(one: Side, other: Side, relay: Relay) -> None:
    relay.reset()


def hang_up_before_a_reset(one: Side, other: Side, relay: Relay) -> None:
    one.owner.call.hang_up()
    relay.reset()


Ending = Callable[[Side, Side, Relay], None]
POLITE: list[Ending] = [hang_up, hang_up_at_once]
RUDE: list[Ending] = [abandon, hang_up_and_abandon, hang_up_while_the_other_abandons, reset, hang_up_before_a_reset]


def hold_a_call(ending: Ending, seed: str) -> tuple[Side, Side]:
    """A call from its first moment to its last; whoever did it, if somebody did, comes first."""
    dice = random.Random(seed)
    relay = Relay()
    with contextlib.closing(relay):
        streams = [stream_of(relay.near), stream_of(relay.far)]
        sendings = [say_hello(stream, Hello()) for stream in streams]
        receivings = [hear_hello(stream)[0] for stream in streams]
        sides = [
            Side(RunningCall(stream, sending, receiving, Hello(), None, None), dice)
            for stream, sending, receiving in zip(streams, sendings, receivings, strict=True)
        ]
        moment = dice.choice((0.0, 0.001, dice.uniform(0, 0.05)))
        one, other = dice.sample(sides, 2)
        for side in sides:
            side.start()
        time.sleep(moment)
        ending(one, other, relay)
        for side in sides:
            side.owner.wait_for_end()
        for side in sides:
            side.join()
    return one, other


def judge(speaker: Side, hearer: Side, seed: str) -> None:
    """Text is never lost, doubled or reordered; and what may be lost is owned up to."""
    said, heard = speaker.said, hearer.owner.texts
    *whole, last = heard or [""]  # the last may have been torn
    assert whole == said[: len(whole)], seed
    assert [*said, ""][len(whole)].startswith(last), seed
    assert heard[: speaker.delivered] == said[: speaker.delivered], seed
    assert speaker.owner.ended
    assert speaker.owner.ended.undelivered or heard == said, seed


def descriptors() -> int:
    gc.collect()
    return len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.exists() else 0


@pytest.mark.parametrize("ending", POLITE + RUDE, ids=lambda ending: ending.__name__)
def test_however_a_call_ends_text_is_accounted_for_and_nothing_is_left(ending, monkeypatch):
    monkeypatch.setattr(call_module, "GOODBYE_TIMEOUT", 3 * PATIENCE)  # who has to be given up is waited for too long
    threads, before = threading.active_count(), descriptors()
    for number in range(CALLS):
        seed = f"{ending.__name__} {number}"
        one, other = hold_a_call(ending, seed)
        judge(one, other, seed)
        judge(other, one, seed)
        if ending in POLITE:
            assert other.owner.texts == one.said, seed
            assert one.owner.call.error is other.owner.call.error is None, seed
        if ending is hang_up:
            assert one.owner.ended
            assert other.owner.ended
            assert (one.owner.ended.by, other.owner.ended.by) == ("us", "them"), seed
            assert not one.owner.ended.undelivered, seed
    assert threading.active_count() == threads
    assert descriptors() == before
