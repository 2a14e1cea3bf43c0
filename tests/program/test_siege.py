"""Friends get in while strangers besiege the listener: the shipped programs, over a line with a delay of its own."""

import statistics

import pytest

from bench.places import Namespaces
from bench.siege import besiege

CALLS = 6  # of a siege: some 10 s. `python -m bench.siege` holds 20 of each kind

pytestmark = [
    pytest.mark.alone,  # hundreds of connections a second
    pytest.mark.skipif(bool(Namespaces.missing()), reason=Namespaces.missing() or "-"),
]


def usual_time(outcomes: list[dict[str, object]]) -> float:
    """The median of the seconds that a call took: a stall of the machine makes one or two of them longer."""
    assert [each["error"] for each in outcomes] == [""] * CALLS
    return statistics.median(float(str(each["seconds"])) for each in outcomes)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("kind", "sources", "rate"),
    [
        ("silent", "48", 200),
        pytest.param("silent", "64", 100, marks=pytest.mark.long),
        pytest.param("hello", "24", 200, marks=pytest.mark.long),
        pytest.param("drip", "56", 100, marks=pytest.mark.long),
        pytest.param("tls", "64", 100, marks=pytest.mark.long),
    ],
)
def test_a_friend_far_away_gets_in_while_crowds_come(kind, sources, rate):
    """Round trip 200 ms; the strangers have none, and come from 256 networks."""
    assert usual_time(besiege(kind, sources, rate, delay=100.0, calls=CALLS)) < 2.0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("standing", [8, *(pytest.param(count, marks=pytest.mark.long) for count in (32, 1000))])
def test_a_friend_gets_in_though_its_own_address_holds_silent_connections(standing):
    outcomes = besiege("silent", "friend", 0.0, delay=0.0, calls=CALLS, standing=standing)
    assert usual_time(outcomes) < 1.0


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "sources", ["48", *(pytest.param(each, marks=pytest.mark.long) for each in ("friend", "64"))]
)
def test_a_friend_with_the_right_code_gets_in_while_somebody_guesses_once_a_second(sources):
    """Each call is somebody's first: a new key each time."""
    assert usual_time(besiege("guess", sources, 1.0, delay=10.0, calls=CALLS, by_code=True)) < 10.0
