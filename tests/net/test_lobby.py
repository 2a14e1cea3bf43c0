import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weight import outgrows
from voicemux.net.lobby import CROWD, HALF_LIFE, MOST_NETWORKS, Lobby, Stage

PLACES = 60
SHARE = PLACES // len(Stage)
STEPS = [Stage.ANSWERED, Stage.SECURE, Stage.CLAIMED, Stage.PROVED]


class Street:
    """A lobby, a friend in it, and strangers who come to it from all sorts of places."""

    def __init__(self, friend: str = "198.51.100.7", places: int = PLACES) -> None:
        self.lobby: Lobby[str] = Lobby(places)
        self.strangers = 0
        self.now = 0.0
        self.gone: list[str] = []
        self.enter("friend", friend)

    def enter(self, who: str, host: str) -> None:
        self.now += 0.005
        if loser := self.lobby.enter(who, host, self.now):
            self.gone.append(loser)
        assert len(self.lobby) <= PLACES

    def stranger(self, host: str, stage: Stage = Stage.SILENT) -> None:
        """Comes, and gets so far."""
        self.strangers += 1
        who = f"stranger {self.strangers}"
        self.enter(who, host)
        for step in STEPS[: max(0, stage - 1)]:
            self.lobby.reached(who, step)
        if stage is Stage.LEAVING:
            self.lobby.reached(who, stage)

    @property
    def friend_is_there(self) -> bool:
        return "friend" in self.lobby


hosts = st.one_of(
    st.just("198.51.100.7"),  # the friend's own
    st.integers(0, 255).map(lambda number: f"198.51.100.{number}"),
    st.integers(0, 65_535).map(lambda number: f"2001:db8:0:{number:x}::1"),
    st.integers(0, 255).map(lambda number: f"2001:db8:0:ab{number:02x}::1"),
    st.integers(0, 2**24).map(lambda number: f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"),
)


@given(st.lists(hosts, max_size=400), st.integers(0, len(STEPS) - 1))
@settings(max_examples=50, deadline=None)
def test_whoever_has_said_something_is_never_pushed_out_by_any_number_of_silent_ones(strangers, steps):
    street = Street()
    for step in STEPS[: steps + 1]:
        street.lobby.reached("friend", step)
    for host in strangers:
        street.stranger(host)
    assert street.friend_is_there


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_whoever_takes_a_step_before_so_many_others_have_taken_it_is_never_pushed_out(data):
    """However far they come: SHARE of them if they are of any other network, CROWD if they are of its own."""
    street = Street()
    several = st.lists(st.tuples(hosts, st.sampled_from(Stage)), max_size=min(SHARE, CROWD) - 1)
    for host, stage in data.draw(st.lists(st.tuples(hosts, st.sampled_from(Stage)), max_size=200)):
        street.stranger(host, stage)
    if not street.friend_is_there:
        street.enter("friend", "203.0.113.7")
    for step in STEPS:
        for host, stage in data.draw(several):
            street.stranger(host, stage)
        assert street.friend_is_there
        street.lobby.reached("friend", step)


@pytest.mark.parametrize("stage", [Stage.SILENT, Stage.ANSWERED, Stage.SECURE, Stage.CLAIMED])
@pytest.mark.parametrize(
    "host",
    ["2001:db8::{:x}", "2001:db8:0:{:x}::1", "2001:db8:0:ab{:02x}::1", "10.0.0.{}"],
    ids=["/64", "/48", "/56", "/24"],
)
def test_a_crowd_of_one_owner_takes_places_from_itself(host, stage):
    """A friend who stays in that stage for longer than all of them together loses nothing."""
    street = Street()
    for step in STEPS[: max(0, stage - 1)]:
        street.lobby.reached("friend", step)
    for number in range(5 * PLACES):
        street.stranger(host.format(number % 256), stage)
    assert street.friend_is_there
    assert len(street.gone) == 4 * PLACES + 1


def test_of_the_friends_own_crowd_the_oldest_and_least_far_goes_first():
    street = Street("127.0.0.1")
    street.lobby.reached("friend", Stage.ANSWERED)
    for _ in range(2 * PLACES):
        street.stranger("127.0.0.1")
    assert street.friend_is_there
    assert street.gone == [f"stranger {number + 1}" for number in range(len(street.gone))]


def test_nobody_is_refused_because_of_others():
    street = Street("127.0.0.1")
    for number in range(1000):
        street.stranger("127.0.0.1")
        assert f"stranger {number + 1}" in street.lobby


def test_a_few_behind_one_router_are_no_crowd():
    """Otherwise two colleagues would be pushed out by strangers who come from everywhere, each alone."""
    street = Street("198.51.100.7")
    for number in range(PLACES - 2):
        street.stranger(f"10.0.{number}.1")
    street.stranger("198.51.100.8")
    street.stranger("10.1.0.1")
    assert street.gone == ["friend"]  # the oldest, and not for being one of two
    street.stranger("10.1.1.1")
    assert street.gone[-1] == "stranger 1"


def test_a_network_that_has_lost_many_places_is_a_crowd_also_when_few_of_it_are_there():
    """Strangers of a thousand networks, each with one connection at a time: they are known after a while."""
    street = Street()
    for number in range(CROWD * 100 * 2):
        street.stranger(f"10.0.{number % 100}.1", Stage.ANSWERED)
    street.enter("late friend", "203.0.113.7")
    street.lobby.reached("late friend", Stage.ANSWERED)
    for number in range(5 * PLACES):
        street.stranger(f"10.0.{number % 100}.1", Stage.ANSWERED)
    assert "late friend" in street.lobby


def test_what_a_network_has_lost_is_forgotten_in_time():
    """One of them that comes later goes before an older one of another network, as long as they count as a crowd."""

    def first_to_go(seconds: float) -> str | None:
        lobby: Lobby[str] = Lobby(2)
        for number in range(2 * CROWD + 2):  # all but two of them lose their places
            lobby.enter(f"{number}", "192.0.2.1", 0.0)
        for visitor in list(lobby):
            lobby.leave(visitor)
        lobby.enter("older", "198.51.100.7", seconds)
        lobby.enter("of that network", "192.0.2.9", seconds)
        return lobby.evict(seconds)

    assert first_to_go(0.0) == first_to_go(HALF_LIFE) == "of that network"
    assert first_to_go(1.1 * HALF_LIFE) == "older"


def test_memory_has_a_bound():
    lobby: Lobby[int] = Lobby(4)

    def enter(number: int) -> None:
        lobby.enter(number, f"10.{number >> 8}.{number & 255}.1", 0.0)

    assert outgrows(lobby, enter, MOST_NETWORKS) < 1.5


def test_who_was_told_goodbye_gives_up_its_place_before_others():
    street = Street()
    for _ in range(PLACES - 1):
        street.stranger("10.0.0.1", Stage.LEAVING)
    for _ in range(PLACES // 2):
        street.stranger("10.0.0.2")
    assert street.friend_is_there
    assert all(int(who.split()[1]) < PLACES for who in street.gone)


@pytest.mark.parametrize("places", [1, 2, 4, 5])
def test_a_tiny_lobby_has_room_for_whoever_comes(places):
    street = Street(places=places)
    for number in range(20):
        street.stranger(f"10.0.{number}.1", STEPS[number % len(STEPS)])
        assert len(street.lobby) <= places
        assert f"stranger {number + 1}" in street.lobby


def test_who_leaves_gives_up_its_place_and_an_empty_lobby_has_nobody_to_lose():
    lobby: Lobby[str] = Lobby(2)
    assert lobby.evict(0.0) is None
    for who in ("a", "b"):
        lobby.enter(who, "192.0.2.1", 0.0)
    lobby.leave("a")
    assert lobby.enter("c", "192.0.2.1", 0.0) is None
    assert list(lobby) == ["b", "c"]
    assert lobby.evict(0.0) == "b"


def test_to_choose_takes_no_time():
    lobby: Lobby[int] = Lobby(256)
    for number in range(256):
        lobby.enter(number, f"2001:db8:0:{number:x}::1", 0.0)
    began = time.process_time()
    for number in range(1000):
        lobby.enter(1000 + number, f"2001:db8:0:{number % 256:x}::1", 0.0)
    assert time.process_time() - began < 3  # 0.4 ms each; a machine may be slow
