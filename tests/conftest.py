import gc
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.soundcards import SoundCards

# How long an example takes says more about the machine than about the code.
settings.register_profile("voicemux", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voicemux")

# Whoever runs the tests in the background has these ignored, and so would every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """What is there before the tests is not gone through after each of them: that takes longer than most tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Every test ends with the threads that it began with; unclosed sockets become errors when they are collected."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(timeout=2)
    gc.collect()
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture(scope="session")
def sound_cards() -> Iterator[SoundCards]:
    """Two sides with a microphone and a loudspeaker each. A test that breaks them makes its own."""
    with SoundCards() as cards:
        yield cards
