import numpy as np

from voicemux.audio.endpoints import BLOCK_BYTES, SILENT_BLOCK
from voicemux.audio.mirror import HELD, SLACK, Mirror


def block(number: int) -> bytes:
    return np.full(BLOCK_BYTES // 2, number, np.int16).tobytes()


def test_what_was_heard_is_said_seconds_later_in_its_order() -> None:
    mirror = Mirror()
    later = HELD // BLOCK_BYTES
    said = []
    for number in range(1, later + 11):
        mirror.write(block(number))
        said.append(mirror.take())
    assert set(said[:later]) == {SILENT_BLOCK}
    assert said[later:] == [block(number) for number in range(1, 11)]


def test_what_waits_too_long_is_dropped_the_oldest_first() -> None:
    mirror = Mirror()
    count = (HELD + SLACK) // BLOCK_BYTES + 2
    for number in range(1, count + 1):
        mirror.write(block(number))
    assert mirror.take() in {SILENT_BLOCK, *map(block, range(count - HELD // BLOCK_BYTES, count))}


def test_it_ends_when_it_is_stopped() -> None:
    mirror = Mirror()
    mirror.source.start()
    mirror.start()
    assert mirror.source.read()
    mirror.source.stop()
    mirror.stop()
    assert mirror.source.read() is None
    assert not mirror.ready()
