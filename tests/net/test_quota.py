import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.strategies import in_call
from voicemux.net.quota import BURST, EACH, RATE, Quota
from voicemux.protocol.messages import Audio, Ping, Text, TextAck

PCM = Audio(1, 0, 0, 0, bytes(480))  # 5 ms
FRAME = 12 + 480  # bytes


def test_voice_without_loss_for_hours_is_not_too_much():
    quota = Quota(0.0)
    assert all(quota.take(FRAME, [PCM], number * 0.005) for number in range(200 * 3600))


def test_what_an_outage_has_held_back_is_not_too_much():
    quota = Quota(0.0)
    assert all(quota.take(FRAME, [PCM], 5.0) for _ in range(200 * 5))


@pytest.mark.parametrize("characters", ["a", "語"])
def test_text_is_free_however_fast_it_comes(characters):
    text = Text(1, characters * 340)
    size = 8 + len(text.text.encode())
    quota = Quota(0.0)
    assert all(quota.take(size, [text], 0.0) for _ in range(100_000))


@pytest.mark.parametrize(
    ("size", "messages"), [(12, [Ping(bytes(8))]), (FRAME, [PCM]), (4100, []), (8, [TextAck(1)])], ids=str
)
def test_a_flood_is_noticed_before_it_has_cost_much(size, messages):
    quota = Quota(0.0)
    taken = 0
    while quota.take(size, messages, taken / 1e6):  # a million messages a second
        taken += 1
        assert taken < 2 * BURST / size


@given(st.lists(st.tuples(st.floats(0, 10), st.lists(in_call, max_size=5)), max_size=30))
def test_whoever_keeps_below_the_rate_is_never_cut_off(steps):
    quota, now = Quota(0.0), 0.0
    for pause, messages in steps:
        size = sum(4000 for _ in messages)
        now += max(pause, (size + EACH * len(messages)) / RATE)
        assert quota.take(size, messages, now)
