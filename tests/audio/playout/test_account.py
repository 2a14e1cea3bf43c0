"""What a trace is told of playing adds up to what was played."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.listening import on_time
from tests.audio.speech import DIALLER, speech
from tests.audio.tape import Arrivals, Tape, packets_of
from voicemux.audio.codec import make_decoders
from voicemux.audio.endpoints import RATE
from voicemux.audio.playout.account import Account
from voicemux.audio.playout.jitter import MAX_CONCEALED, STEP
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.protocol.messages import OWN_SOURCE, Audio, Codec
from voicemux.trace.facts import Fact, Filled, NotPlayed, Played, Stretched

SAID = speech(DIALLER)[: 4 * RATE]
STEP_MS = STEP * 1000 / RATE


def played(arrivals: Arrivals, seconds: float) -> tuple[list[Fact], Mixer, Tape]:
    told: list[Fact] = []
    tape = Tape(seconds, arrivals)
    player = tape.played_by({OWN_SOURCE: Playout(make_decoders(), account=Account(told.append, OWN_SOURCE))})
    player.run(lambda since: None)
    return told, player, tape


def numbers(told: list[Fact], kind: type) -> list[int]:
    return [each.number for each in told if isinstance(each, Played | NotPlayed) and isinstance(each, kind)]


def filled(told: list[Fact], *ways: str) -> float:
    return sum(each.ms for each in told if isinstance(each, Filled) and each.how in ways)


def late(most: float, seed: int) -> Arrivals:
    """TCP does not reorder: a late packet makes those behind it late."""
    chance, came = random.Random(seed), 0.0
    for at, audio in on_time(packets_of(SAID)):
        came = max(came, at + chance.choice((0.0, 0.0, 0.0, most)))
        yield came, audio


def test_on_a_clean_line_every_packet_is_told_as_played_in_its_order() -> None:
    told, _, _ = played(on_time(packets_of(SAID)), 4.5)
    assert numbers(told, Played) == list(range(200))
    assert numbers(told, NotPlayed) == []
    assert {each.ms for each in told if isinstance(each, Played)} == {20.0}


@settings(max_examples=10, deadline=None)
@given(most=st.floats(0, 0.6), seed=st.integers(0, 1000))
def test_every_packet_is_told_once_and_the_lengths_are_those_of_the_figures(most: float, seed: int) -> None:
    told, player, _ = played(late(most, seed), 5.5)
    assert sorted(numbers(told, Played) + numbers(told, NotPlayed)) == list(range(200))
    figures = player.figures
    assert len(numbers(told, NotPlayed)) == figures.late
    concealed = filled(told, "concealed", "faded")
    assert concealed <= figures.concealed * 20 + 10
    longer = sum(each.ms for each in told if isinstance(each, Stretched) and each.ms > 0)
    shorter = -sum(each.ms for each in told if isinstance(each, Stretched) and each.ms < 0)
    assert (longer, shorter) == (pytest.approx(figures.lengthened_ms), pytest.approx(figures.shortened_ms))


def test_a_gap_is_told_when_it_is_over_with_its_length() -> None:
    packets = packets_of(SAID)
    came = [(at + (0.2 if number >= 100 else 0.0), audio) for number, (at, audio) in enumerate(on_time(packets))]
    told, _, _ = played(came, 5)
    gap = [each for each in told if isinstance(each, Filled) and each.how in ("concealed", "faded")]
    assert [each.how for each in gap[:2]] == ["concealed", "faded"]
    assert gap[0].ms == pytest.approx(MAX_CONCEALED * 1000 / RATE, abs=STEP_MS)
    assert 100 <= gap[1].ms <= 250
    assert numbers(told[: told.index(gap[0])], Played)[-1] == 99


def test_a_peer_that_falls_silent_is_told_as_a_pause() -> None:
    packets = packets_of(SAID[:RATE])
    silence = Audio(Codec.PCM, 0, 50, RATE, b"")
    begin = on_time(packets)
    again = [(at + 2.0, audio) for at, audio in on_time(packets_of(SAID[:RATE], sequence=51, start=2 * RATE))]
    told, _, _ = played([*begin, (1.02, silence), *again], 4)
    pauses = [each.ms for each in told if isinstance(each, Filled) and each.how == "paused"]
    assert pauses[1:] == [pytest.approx(1000, abs=60)]
    assert numbers(told, NotPlayed) == []


def test_what_cannot_be_decoded_is_told() -> None:
    nonsense = [
        (at, Audio(9, 0, audio.sequence, audio.timestamp, audio.data)) for at, audio in on_time(packets_of(SAID))
    ]
    told, _, _ = played(nonsense, 1)
    assert {each.why for each in told if isinstance(each, NotPlayed)} == {"undecodable"}


def test_a_trace_changes_nothing_of_what_is_heard() -> None:
    _, _, tape = played(late(0.3, 7), 5)
    plain = Tape(5, late(0.3, 7))
    plain.played_by({OWN_SOURCE: Playout(make_decoders())}).run(lambda since: None)
    assert (tape.heard == plain.heard).all()
