import time

from tests.audio.null import Nowhere
from voicemux.audio.endpoints import BLOCK_SECONDS, SILENT_BLOCK

BLOCKS = 20


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
