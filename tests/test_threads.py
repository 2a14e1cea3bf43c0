import functools
import threading
from typing import Any

import pytest

from tests.peers import PATIENCE, PROMPTLY, wait_until
from voicemux.threads import Threads, within


def test_each_thread_has_a_name_that_tells_whose_it_is():
    names = []
    threads = Threads()
    threads.start("writer", lambda: names.append(threading.current_thread().name))
    threads.start("timer", lambda: names.append(threading.current_thread().name))
    threads.join()
    assert sorted(names) == ["voicemux-timer", "voicemux-writer"]


def test_joining_waits_for_all_of_them():
    gate, done = threading.Event(), list[int]()

    def wait(number: int) -> None:
        if gate.wait(PATIENCE):
            done.append(number)

    threads = Threads()
    for number in range(3):
        threads.start("waiting", functools.partial(wait, number))
    threading.Timer(0.1, gate.set).start()
    threads.join()
    assert sorted(done) == [0, 1, 2]
    assert not [each for each in threading.enumerate() if each.name == "voicemux-waiting"]


def test_joining_nobody_or_again_is_nothing():
    threads = Threads()
    threads.join()
    threads.start("short", lambda: None)
    threads.join()
    threads.join()


def test_a_bug_is_told_in_the_thread_that_has_it_and_harms_no_other():
    told, done = list[tuple[str, str]](), list[bool]()
    threads = Threads(lambda error: told.append((threading.current_thread().name, str(error))))

    def stumble() -> None:
        raise ValueError("a bug")

    threads.start("bad", stumble)
    threads.start("good", lambda: done.append(True))
    threads.join()
    assert told == [("voicemux-bad", "a bug")]
    assert done == [True]


def test_a_wish_to_exit_inside_a_thread_is_told_like_a_bug():
    told: list[Any] = []
    threads = Threads(told.append)

    def leave() -> None:
        raise SystemExit(3)

    threads.start("leaving", leave)
    threads.join()
    assert [type(error) for error in told] == [SystemExit]


def test_a_bug_that_nobody_is_to_be_told_of_is_a_crash(monkeypatch):
    crashes = []
    monkeypatch.setattr(threading, "excepthook", lambda args: crashes.append((args.thread.name, str(args.exc_value))))

    def stumble() -> None:
        raise ValueError("a bug")

    threads = Threads()
    threads.start("bad", stumble)
    threads.join()
    assert crashes == [("voicemux-bad", "a bug")]


def test_a_daemon_keeps_nobody_waiting():
    gate, threads = threading.Event(), Threads()

    def wait() -> None:
        gate.wait(PATIENCE)

    threads.start("keyboard", wait, daemon=True)
    joiner = threading.Thread(target=threads.join)
    joiner.start()
    joiner.join(PROMPTLY)
    assert not joiner.is_alive()
    (keyboard,) = [each for each in threading.enumerate() if each.name == "voicemux-keyboard"]
    assert keyboard.daemon
    gate.set()
    wait_until(lambda: not keyboard.is_alive())


def test_what_takes_too_long_is_left_behind():
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.05, "library", lambda: gate.wait(PATIENCE))
    (left,) = [each for each in threading.enumerate() if each.name == "voicemux-library"]
    gate.set()
    left.join(PATIENCE)
    assert not left.is_alive()


def test_what_ends_in_time_gives_its_answer_or_its_error():
    assert within(PATIENCE, "library", lambda: "answer") == "answer"
    with pytest.raises(OSError, match="no such device"):
        within(PATIENCE, "library", lambda: (_ for _ in ()).throw(OSError("no such device")))
