import time

import pytest

from voicemux.audio.endpoints import BLOCK_SAMPLES, BLOCK_SECONDS, SILENT_BLOCK, Block
from voicemux.audio.null import Nowhere, Silence

BLOCKS = 20


def test_silence_comes_at_the_pace_of_a_sound_card_until_it_is_stopped() -> None:
    source = Silence()
    began = source.start()
    assert [source.read() for _ in range(BLOCKS)] == [Block(i * BLOCK_SAMPLES, SILENT_BLOCK) for i in range(BLOCKS)]
    assert time.monotonic() - began >= BLOCKS * BLOCK_SECONDS - 0.001
    source.stop()
    assert source.read() is None
    source.close()


def test_nowhere_takes_sound_at_the_pace_of_a_sound_card_until_it_is_stopped() -> None:
    sink = Nowhere()
    began = sink.start()
    for _ in range(BLOCKS):
        assert sink.ready()
        sink.write(SILENT_BLOCK)
    assert time.monotonic() - began >= (BLOCKS - 1) * BLOCK_SECONDS - 0.001
    sink.stop()
    assert not sink.ready()
    sink.close()


@pytest.mark.parametrize("end", [Silence, Nowhere])
def test_they_have_a_name_and_no_delay(end: type[Silence] | type[Nowhere]) -> None:
    assert end.label
    assert end.delay_ms == 0
