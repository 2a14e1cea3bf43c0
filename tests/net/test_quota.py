import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.strategies import in_call
from voicemux.net.quota import BURST, EACH, EACH_READ, LEAST_PART, RATE, Quota
from voicemux.protocol.messages import Audio, Message, Ping, Text, TextAck

PCM = Audio(1, 0, 0, 0, bytes(480))  # 5 ms
FRAME = 12 + 480  # bytes
RECORD = 22  # bytes that TLS adds


def take(quota: Quota, size: int, messages: list[Message], now: float) -> bool:
    goes_on = quota.read(size, now)
    for message in messages:
        quota.took(message)
    return goes_on


def test_voice_without_loss_for_hours_is_not_too_much():
    quota = Quota(0.0)
    assert all(take(quota, FRAME + RECORD, [PCM], number * 0.005) for number in range(200 * 3600))


def test_what_an_outage_has_held_back_is_not_too_much():
    quota = Quota(0.0)
    assert all(take(quota, FRAME + RECORD, [PCM], 5.0) for _ in range(200 * 5))


@pytest.mark.parametrize("text", ["", "y", "a" * 340, "語" * 340], ids=len)
def test_text_is_free_however_fast_it_comes(text):
    """Each line in a record of its own, and each record in a packet of its own."""
    size = 8 + len(text.encode()) + RECORD
    quota = Quota(0.0)
    assert all(take(quota, size, [Text(number, text)], 0.0) for number in range(1, 100_000))


def test_text_is_free_however_the_network_cuts_it():
    """Frames of 1032 bytes in records of 16 kB, in packets of 1448: a packet says nothing, or ends many."""
    quota, number, unread = Quota(0.0), 0, 0
    for _ in range(50_000):
        unread += 1448
        messages: list[Message] = []
        if unread >= 16_384:
            unread -= 16_384
            for _ in range(15):
                number += 1
                messages.append(Text(number, "x" * 1020, more=True))
        assert take(quota, 1448, messages, 0.0)


@pytest.mark.parametrize(
    ("size", "messages"),
    [
        (12, [Ping(bytes(8))]),
        (FRAME, [PCM]),
        (4100, []),
        (8, [TextAck(1)]),
        (8, [TextAck(0)]),
        (4008, [Text(1, "x" * 4000)]),
        (8, [Text(0, "")]),
        (1, []),
        (27, []),
    ],
    ids=["ping", "pcm", "unknown", "ack again", "ack of nothing", "old text", "id 0", "a byte of TLS", "KeyUpdate"],
)
def test_a_flood_is_noticed_before_it_has_cost_much(size, messages):
    quota = Quota(0.0)
    taken = 0
    while take(quota, size, messages, taken / 1e6):  # a million messages a second
        taken += 1
        assert taken < 2 * BURST / size


@pytest.mark.parametrize("text", ["", "x", "x" * (LEAST_PART - 1)], ids=len)
def test_a_message_cut_into_crumbs_is_a_flood(text):
    quota, number = Quota(0.0), 0
    while take(quota, 8 + len(text), [Text(number := number + 1, text, more=True)], 0.0):
        assert number < 100_000


@pytest.mark.parametrize(("records", "size"), [(1000, 23), (1000, 16_406)], ids=["a byte each", "padding"])
def test_text_in_records_that_are_all_wrapping_is_a_flood(records, size):
    quota, number = Quota(0.0), 0
    while all(quota.read(size, 0.0) for _ in range(records)):
        quota.took(Text(number := number + 1, "x" * records))
        assert number < 10_000


def test_text_pays_for_nothing_else():
    quota, number = Quota(0.0), 0
    while take(quota, 4100 + 12, [Text(number := number + 1, "x" * 1000), Ping(bytes(8))], 0.0):
        assert number < 2 * BURST / 3000


@given(st.lists(st.tuples(st.floats(0, 10), st.lists(in_call, max_size=5)), max_size=30))
def test_whoever_keeps_below_the_rate_is_never_cut_off(steps):
    quota, now = Quota(0.0), 0.0
    for pause, messages in steps:
        size = sum(4000 for _ in messages)
        now += max(pause, (size + EACH_READ + EACH * len(messages)) / RATE)
        assert take(quota, size, messages, now)
