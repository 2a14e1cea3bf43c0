"""The voice of two connections, in its order. No clock: time is a number."""

from voicemux.calls.handover import MOST_HELD, Handover, Playable
from voicemux.protocol.messages import Audio


def packet(number: int) -> Audio:
    return Audio(1, 0, number, number * 960, b"\1\0")


def test_alone_each_packet_is_played_at_once():
    handover = Handover()
    assert handover.take(packet(1), 5.0) == Playable([(packet(1), 5.0)])


def test_voice_waits_for_the_end_of_the_connection_before_and_is_played_with_its_own_times():
    handover, ends = Handover(), [False, False, True]
    handover.follow(lambda: ends.pop(0))
    assert handover.take(packet(1), 5.0).packets == []
    assert handover.take(packet(2), 5.02).packets == []
    rest = [(packet(1), 5.0), (packet(2), 5.02), (packet(3), 5.04)]
    assert handover.take(packet(3), 5.04) == Playable(rest, is_first=True)
    assert handover.take(packet(4), 5.06) == Playable([(packet(4), 5.06)])


def test_it_does_not_wait_for_long():
    handover = Handover()
    handover.follow(lambda: False)
    assert handover.take(packet(1), 5.0).packets == []
    assert len(handover.take(packet(2), 5.0 + MOST_HELD).packets) == 2
    assert len(handover.take(packet(3), 5.4).packets) == 1
