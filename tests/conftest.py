import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import warm_start
from tests.second_chances import SecondChances
from tests.soundcards import SoundCards

# How long an example takes says more about the machine than about the code. Tests that need more examples than others
# say how many times as many: `max_examples=2 * settings().max_examples`.
for name, examples in {"short": 30, "long": 200}.items():
    settings.register_profile(
        name, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )

# Whoever runs the tests in the background has these ignored, and so would every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # Windows has none
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Hundreds of programs are started, and each would compile itself anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What measures delays, or makes much work, has the machine for itself (-m alone). Of the others that must not wait
# for a processor, three run at a time (-m timed). What mostly waits for the other side need not be either.
# A test that fails while the machine stands still is run again: tests/second_chances.py.
TESTS = Path(__file__).parent
ALONE = [TESTS / "program" / f"test_{name}.py" for name in ("bad_line", "echo")]
TIMED = [
    TESTS / f"{each}.py"
    for each in (
        "api/test_api",
        *(f"test_{name}" for name in ("bots", "threads")),
        *(f"audio/test_{name}" for name in ("arrays", "devices", "studio")),
        *(f"calls/test_{name}" for name in ("call", "endings")),
        *(f"console/test_{name}" for name in ("lines", "picture", "plain", "terminal")),
        *(f"net/test_{name}" for name in ("connecting", "demultiplexer", "listener", "reception", "tcp")),
        "sending/test_writer",
        *(f"program/test_{name}" for name in ("call", "demo", "devices", "echo_test", "exchange", "hints")),
        *(f"program/test_{name}" for name in ("mic_modes", "recordings", "sound_test", "sources", "voice", "volume")),
    )
]
# Of those that run beside others these begin first: else one is left at the end, and one worker alone with it.
LONGEST = [
    TESTS / f"{each}.py"
    for each in (
        *("conform/test_own_programs", "program/test_bad_input", "program/test_security", "conform/test_wrong_peers"),
        *("program/test_ringing", "test_examples", "program/test_tunnel", "program/test_signals"),
        *("audio/test_devices", "program/test_voice", "program/test_recordings", "program/test_call"),
    )
]
assert all(path.exists() for path in (*ALONE, *TIMED, *LONGEST)), "a test that has moved has lost its mark"
TASKS = Path(f"/proc/{os.getpid()}/task")  # of Linux: a folder for each thread of this process
SOUND_THREAD = "threaded-ml"  # the kernel's name for PulseAudio's, of which every open stream has one


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that are marked as long, too")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if config.getoption("--long") else "short")
    config.pluginmanager.register(SecondChances())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    items.sort(key=lambda item: LONGEST.index(item.path) if item.path in LONGEST else len(LONGEST))
    for item in items:
        places = {item.path, *item.path.parents}
        for mark, files in {"alone": ALONE, "timed": TIMED}.items():
            if not places.isdisjoint(files):
                item.add_marker(mark)


def pytest_sessionfinish() -> None:
    warm_start.close()


def pytest_collection_finish() -> None:
    """What is there before the tests is not gone through after each of them: that takes longer than most tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Every test ends with the threads that it began with; unclosed sockets become errors when they are collected.

    Those of sound libraries count, which Python does not know: a stream that is left open.
    """
    before, sounding = set(threading.enumerate()), sound_threads()
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(timeout=2)
    gc.collect()
    assert not [thread.name for thread in left if thread.is_alive()]
    deadline = time.monotonic() + 2
    while (left_open := sound_threads() - sounding) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left_open, "a stream of sound was left open"


def sound_threads() -> set[str]:
    """The numbers of this process's threads that belong to open streams."""
    found = set()
    for task in os.listdir(TASKS) if TASKS.exists() else []:
        try:
            if (TASKS / task / "comm").read_text().strip() == SOUND_THREAD:
                found.add(task)
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.fixture(scope="session")
def lasting_sound_cards() -> Iterator[SoundCards]:
    """Those of all tests of this process."""
    with SoundCards() as cards:
        yield cards


@pytest.fixture
def sound_cards(lasting_sound_cards: SoundCards) -> SoundCards:
    """Two sides with a microphone and a loudspeaker each. A test that breaks them makes its own."""
    lasting_sound_cards.revive()
    return lasting_sound_cards
