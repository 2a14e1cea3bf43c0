import pytest

from voicemux.sending.forth import Forth
from voicemux.sending.lateness import Moment
from voicemux.sending.sounding import HOLDS, LONG_SOUNDING, NOISE, SOUNDED, SOUNDING, Sounding


def sounded(rate: float, jitter: float = 0.0, size: int = SOUNDING, *, beside_latest: bool = False) -> Sounding:
    """On a line that takes so many bits a second, 2 s after it was wanted at 2."""
    forth = Forth()
    sounding = Sounding(forth, size, beside_latest=beside_latest)
    for look in range(40):
        now = look / 10
        longer = size * 8 / rate if look == 21 else 0.0
        forth.moments.add(Moment(now, 0.0, jitter + longer, now - 0.05))
        if look == 20:
            sounding.want(now)
        sounding.padding(now)
        sounding.look(now)
    return sounding


@pytest.mark.parametrize("rate", [64e3, 96e3, 200e3])
def test_it_is_known_what_the_line_takes_by_one_packet_that_was_longer(rate: float) -> None:
    assert sounded(rate).room(4.0) == pytest.approx(rate, rel=0.01)


def test_on_a_line_with_much_jitter_that_cannot_be_seen() -> None:
    assert sounded(64e3, jitter=NOISE).room(4.0) == float("inf")


@pytest.mark.parametrize("jitter", [0.0, 0.004, 0.040])
def test_beside_the_latest_packets_jitter_is_not_taken_for_a_slow_line(jitter: float) -> None:
    sounding = sounded(2e6, jitter, LONG_SOUNDING, beside_latest=True)
    assert sounding.room(4.0) == (pytest.approx(2e6) if jitter < NOISE else float("inf"))


def test_after_a_while_it_is_not_known_any_more_nor_on_a_line_that_has_changed() -> None:
    sounding = sounded(64e3)
    assert sounding.room(4.0 + HOLDS) is None
    sounding.forget()
    assert sounding.room(4.0) is None


def test_it_takes_one_packet_which_every_peer_skips() -> None:
    sounding = Sounding(Forth())
    assert not sounding.padding(0.0)
    sounding.want(1.0)
    frame = sounding.padding(1.0)
    assert len(frame) > SOUNDING
    assert not sounding.padding(1.02)
    sounding.look(1.0 + SOUNDED / 2)
    assert sounding.room(1.3) is None
