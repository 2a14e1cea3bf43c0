"""What the user is told of the other side, look by look."""

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from voicemux.calls.watch import (
    LATE,
    LATE_FOR,
    LATE_NO_MORE,
    LINE_QUIET,
    MICROPHONE_QUIET,
    SWITCHES,
    TOLD_AGAIN,
    VOICE_QUIET,
    Signs,
    Watch,
)
from voicemux.events import Late, PeerSwitched, Quiet, Voice

LOOK = 0.1  # seconds
TALKING = Voice(sends=True, plays=True)
STILL = Signs(bytes_read=100, packets=0, paused=False, peer_voice=None, late=None, own_silence=0.0)


class Clock:
    """Looks ten times a second at what does not change, and keeps what was told, with its time."""

    def __init__(self, peer: Voice | None = None, *, hears: bool = True) -> None:
        self.watch = Watch("bob", hears=hears)
        self.watch.begin(peer, hears=False)
        self.signs = replace(STILL, peer_voice=peer)
        self.now = 1000.0
        self.told: list[tuple[float, Quiet | Late | PeerSwitched]] = []

    def look(self, **signs: object) -> list[Quiet | Late | PeerSwitched]:
        self.signs = replace(self.signs, **signs)  # type: ignore[arg-type]
        told = self.watch.look(self.now, self.signs)
        self.told += [(self.now, each) for each in told]
        return told

    def wait(self, seconds: float, *, bytes_come: bool = False, voice_comes: bool = False, **signs: object) -> list:
        """What is told meanwhile."""
        told: list[Quiet | Late | PeerSwitched] = []
        for _ in range(round(seconds / LOOK)):
            self.now += LOOK
            more = bytes_come or voice_comes
            told += self.look(
                bytes_read=self.signs.bytes_read + more, packets=self.signs.packets + voice_comes, **signs
            )
        return told


def test_a_line_on_which_nothing_comes_is_told_once_and_once_more_when_it_is_over():
    clock = Clock()
    assert clock.wait(LINE_QUIET - 2 * LOOK) == []
    assert clock.wait(60) == [Quiet("line", True, "bob", LINE_QUIET)]
    assert clock.wait(1, bytes_come=True) == [Quiet("line", False, "bob", LINE_QUIET)]
    assert clock.wait(10) == [Quiet("line", True, "bob", LINE_QUIET)]


def test_voice_that_is_missing_is_told_once_and_once_more_when_it_comes():
    clock = Clock(TALKING)
    assert clock.wait(20, bytes_come=True) == [Quiet("voice", True, "bob", VOICE_QUIET)]
    assert clock.wait(20, voice_comes=True) == [Quiet("voice", False, "bob", VOICE_QUIET)]
    assert clock.wait(VOICE_QUIET - 2 * LOOK, bytes_come=True) == []


def test_voice_is_not_missed_of_who_sends_none_has_muted_pauses_or_is_not_heard_here():
    for peer in (None, Voice(), replace(TALKING, muted=True)):
        assert Clock(peer).wait(20, bytes_come=True) == []
    assert Clock(TALKING).wait(20, bytes_come=True, paused=True) == []
    assert Clock(TALKING, hears=False).wait(20, bytes_come=True) == []


def test_where_nothing_comes_at_all_voice_is_not_missed_too():
    assert Clock(TALKING).wait(20) == [Quiet("line", True, "bob", LINE_QUIET)]


def test_a_microphone_that_gives_digital_silence_is_told_of():
    clock = Clock()
    assert clock.wait(1, bytes_come=True, own_silence=MICROPHONE_QUIET - 0.1) == []
    assert clock.wait(9, bytes_come=True, own_silence=MICROPHONE_QUIET) == [
        Quiet("microphone", True, "bob", MICROPHONE_QUIET)
    ]
    for no_sound in (None, 0.01, MICROPHONE_QUIET):  # it is muted; another one is used, which is as silent
        assert clock.wait(9, bytes_come=True, own_silence=no_sound) == []
    assert clock.wait(1, bytes_come=True, own_silence=0.0) == [Quiet("microphone", False, "bob", MICROPHONE_QUIET)]


def test_voice_that_comes_late_is_told_of_and_that_it_is_on_time_again():
    clock = Clock(TALKING)
    assert clock.wait(LATE_FOR - 2 * LOOK, voice_comes=True, late=1.23) == []
    assert clock.wait(60, voice_comes=True, late=1.23) == [Late(True, "bob", 1.2)]
    assert clock.wait(60, voice_comes=True, late=(LATE + LATE_NO_MORE) / 2) == []
    assert clock.wait(60, voice_comes=True, late=0.05) == [Late(False, "bob", 0.1)]


def test_a_moment_of_it_is_not_told_nor_what_nobody_hears():
    for clock in (Clock(TALKING), Clock(TALKING, hears=False)):
        for _ in range(10):
            assert clock.wait(LATE_FOR - 2 * LOOK, voice_comes=True, late=1.0) == []
            assert clock.wait(1, voice_comes=True, late=0.0) == []
    assert Clock(TALKING, hears=False).wait(60, voice_comes=True, late=2.0) == []


def test_while_no_voice_comes_it_is_neither_late_nor_on_time():
    clock = Clock(TALKING)
    clock.wait(LATE_FOR + 1, voice_comes=True, late=1.0)
    assert clock.wait(VOICE_QUIET - 1, bytes_come=True, late=None) == []
    assert clock.wait(5, voice_comes=True, late=0.0) == [Late(False, "bob", 0.0)]


def test_what_the_peer_switches_is_told_and_what_was_known_at_the_beginning_is_not():
    clock = Clock(replace(TALKING, records=True))
    assert clock.look() == []
    assert clock.look(peer_voice=replace(TALKING, records=True, muted=True)) == [PeerSwitched("bob", "muted", True)]
    clock.now += TOLD_AGAIN
    assert clock.look(peer_voice=TALKING) == [
        PeerSwitched("bob", "muted", False),
        PeerSwitched("bob", "records", False),
    ]


def test_of_a_peer_that_had_said_nothing_the_first_thing_known_is_told():
    assert Clock().look(peer_voice=TALKING) == [PeerSwitched("bob", "sends", True)]
    assert Clock().look(peer_voice=Voice()) == [PeerSwitched("bob", "sends", False)]
    assert Clock().look(packets=1) == [PeerSwitched("bob", "sends", True)]


def test_of_voice_that_is_not_played_here_nobody_is_told():
    clock = Clock(hears=False)
    assert clock.look(peer_voice=Voice()) == []
    assert clock.look(peer_voice=replace(TALKING, muted=True)) == []
    assert clock.look(peer_voice=replace(TALKING, records=True)) == [PeerSwitched("bob", "records", True)]


def test_a_stall_of_our_own_is_no_silence_of_the_peers():
    clock = Clock(TALKING)
    clock.wait(1, voice_comes=True)
    clock.now += 60
    assert clock.look() == []
    assert clock.wait(2) == []


voices = st.builds(Voice, sends=st.booleans(), muted=st.booleans(), deafened=st.booleans(), records=st.booleans())


@given(st.lists(st.none() | voices, max_size=200))
def test_whatever_the_peer_says_little_is_told_and_in_the_end_what_is_so(said):
    clock = Clock()
    for peer in said:
        clock.wait(LOOK, bytes_come=True, peer_voice=peer or clock.signs.peer_voice)
    clock.wait(2 * TOLD_AGAIN, bytes_come=True)
    told = [each for _, each in clock.told if isinstance(each, PeerSwitched)]
    assert len(told) <= len(SWITCHES) * (1 + clock.now - 1000) / TOLD_AGAIN
    last = clock.signs.peer_voice
    for what in SWITCHES:
        lines = [each.on for each in told if each.what == what]
        assert all(before != after for before, after in itertools.pairwise(lines))
        if last:
            assert (lines[-1] if lines else False) == getattr(last, what)
