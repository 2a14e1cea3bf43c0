"""A call that outlives its line: both ends in this process, over real TCP that a test breaks."""

import contextlib
import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import voicemux
from tests.breakable import BreakableLine
from tests.peers import PATIENCE, Peer, wait_until
from voicemux.calls import establishing
from voicemux.calls import parts as parts_module
from voicemux.events import Ended, Event, Interrupted, Notice, Resumed
from voicemux.protocol.messages import Bye, ByeCode, Hello, Text
from voicemux.protocol.wire import PREFACE

CODE = "7-quiet-test"
SECURITY: dict[str, dict[str, Any]] = {"plain": {"plain": True}, "code": {"code": CODE}}


class End:
    """One end of a call: its texts, which a thread of its own reads, and its events."""

    def __init__(self, call: voicemux.Call) -> None:
        self.call = call
        self.texts: list[str] = []
        self.events: list[Event] = []
        self.unsubscribe = call.subscribe(self.events.append)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for text in self.call.texts():
            self.texts.append(text)

    def close(self) -> None:
        self.call.close()
        self._reader.join()

    def wait_for_end(self) -> Ended:
        wait_until(lambda: self.call.ended)
        assert self.call.ended
        return self.call.ended

    def wait_for_text(self, text: str) -> None:
        wait_until(lambda: self.texts[-1:] == [text])

    def wait_until_delivered(self) -> None:
        wait_until(lambda: not self.call.undelivered)

    def wait_until_down(self) -> None:
        wait_until(lambda: len(self.of(Interrupted)) > len(self.of(Resumed)))

    def of(self, kind: type) -> list[Event]:
        return [each for each in self.events if isinstance(each, kind)]


class Party:
    """A listener behind a line that breaks, and a dialler: both in a call."""

    def __init__(self, home: Path, line: BreakableLine, listener: voicemux.Listener, options: dict[str, Any]) -> None:
        self.home, self.line, self.listener = home, line, listener
        self.options = options
        self._calls = iter(listener)
        self.dialler, self.far = self.call(self.dial)

    def dial(self, who: str = "alice", **options: Any) -> voicemux.Call:
        options = {"name": who, "home": self.home / who, "audio": False, **self.options, **options}
        return voicemux.dial(f"127.0.0.1:{self.line.port}", **options)

    def call(self, dial: Callable[[], voicemux.Call]) -> tuple[End, End]:
        """Both ends of one: the listener's side is answered in a thread."""
        answered: list[voicemux.Call] = []
        answering = threading.Thread(target=lambda: answered.append(next(self._calls)))
        answering.start()
        dialler = End(dial())
        answering.join()
        return dialler, End(answered[0])

    @property
    def ends(self) -> tuple[End, End]:
        return self.dialler, self.far

    def wait_until_down(self) -> None:
        for each in self.ends:
            each.wait_until_down()

    def talk_until(self, count: int, between: Callable[[int], None] = lambda number: None) -> None:
        """Numbered texts both ways, and all of them have arrived, once and in order."""
        for number in range(count):
            for each in self.ends:
                assert each.call.send(f"{number}")
            between(number)
        for each in self.ends:
            assert each.call.wait_for_delivery()
        assert [each.texts for each in self.ends] == [[f"{number}" for number in range(count)]] * 2


@contextlib.contextmanager
def party(home: Path, dials: dict[str, Any] | None = None, **options: Any) -> Iterator[Party]:
    """`dials` are options of the dialler alone."""
    options = options or SECURITY["plain"]
    with (
        voicemux.listen(host="127.0.0.1", port=0, name="bob", home=home / "bob", audio=False, **options) as listener,
        BreakableLine(listener.port) as line,
    ):
        both = Party(home, line, listener, {**options, **(dials or {})})
        try:
            yield both
        finally:
            for each in both.ends:
                each.call.hang_up()
            for each in both.ends:
                each.close()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    yield
    wait_until(lambda: not [each for each in threading.enumerate() if each.name.startswith("voicemux-")])
    gc.collect()
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before


def threads_of_connections() -> int:
    return sum(each.name in ("voicemux-demultiplexer", "voicemux-writer") for each in threading.enumerate())


@pytest.mark.parametrize("security", SECURITY)
def test_text_goes_on_over_a_line_that_is_cut_again_and_again(security, tmp_path):
    def cut(number: int) -> None:
        if number % 40 == 20:
            wait_until(lambda: min(len(each.texts) for each in both.ends) > number - number // 10)
            both.line.cut()

    with party(tmp_path, None, **SECURITY[security]) as both:
        both.talk_until(280, cut)
        assert len(both.dialler.of(Resumed)) == len(both.dialler.of(Interrupted)) > 3
        stats = both.dialler.call.stats()
        assert (stats.interruptions > 3, stats.texts_waiting) == (True, 0)
        assert [each.call.ended for each in both.ends] == [None, None]
        wait_until(lambda: threads_of_connections() == 4)


def test_a_line_that_swallows_everything_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(parts_module, "SUSPICION", 0.8)
    with party(tmp_path) as both:
        both.talk_until(5)
        both.line.swallow()
        for each in both.ends:
            each.call.send("meanwhile")
            assert each.call.stats().texts_waiting >= 1
        wait_until(lambda: all(each.of(Resumed) for each in both.ends))
        resumed = both.dialler.of(Resumed)[0]
        assert isinstance(resumed, Resumed)
        assert (resumed.name, resumed.path) == ("bob", f"127.0.0.1:{both.line.port}")
        assert resumed.after_s >= 0.8
        wait_until(lambda: all(each.texts[-1] == "meanwhile" for each in both.ends))


RELAY = """
import socket, sys, threading

def pump(read, write, end):
    while data := read():
        write(data)
    end()

line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
out = sys.stdout.buffer
say = lambda data: (out.write(data), out.flush())
threading.Thread(target=pump, args=(lambda: line.recv(65536), say, out.close), daemon=True).start()
pump(lambda: sys.stdin.buffer.read1(65536), line.sendall, lambda: line.shutdown(socket.SHUT_WR))
"""


def test_what_went_through_a_proxy_goes_through_it_again(tmp_path):
    script = tmp_path / "relay.py"
    script.write_text(RELAY)
    command = f"{sys.executable} {script} %h %p"
    with party(tmp_path, dials={"proxy_command": command}, plain=True) as both:
        both.talk_until(5)
        both.line.cut()
        wait_until(lambda: all(each.of(Resumed) for each in both.ends))
        for each in both.ends:
            each.call.send("through it again")
        for each in both.ends:
            each.wait_for_text("through it again")


def test_a_stall_costs_nothing_whichever_connection_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(parts_module, "SUSPICION", 0.8)

    def is_suspect() -> bool:
        return len(both.dialler.of(Interrupted)) > len(both.dialler.of(Resumed))

    with party(tmp_path) as both:
        both.talk_until(5)
        for until in ("at once", "suspect", "dialled"):
            taken = both.line.taken
            with both.line.stalled():
                for each in both.ends:
                    each.call.send(until)
                if until != "at once":
                    wait_until(is_suspect)
                if until == "dialled":
                    wait_until(lambda taken=taken: both.line.taken > taken)  # type: ignore[misc]
            for each in both.ends:
                each.wait_for_text(until)
            wait_until(lambda: not is_suspect())
        for each in both.ends:
            each.wait_until_delivered()
            assert each.texts[5:] == ["at once", "suspect", "dialled"]


def test_what_is_sent_while_there_is_no_line_waits_and_arrives_once(tmp_path):
    with party(tmp_path) as both:
        both.talk_until(3)
        with both.line.out():
            both.wait_until_down()
            for each in both.ends:
                for number in range(50):
                    assert each.call.send(f"down {number}")
                assert each.call.stats().texts_waiting == 50
            waiter = threading.Thread(target=both.dialler.call.wait_for_delivery)
            waiter.start()
            waiter.join(0.5)
            assert waiter.is_alive()
        waiter.join(PATIENCE)
        assert not waiter.is_alive()
        for each in both.ends:
            each.wait_for_text("down 49")
            assert each.texts[3:] == [f"down {number}" for number in range(50)]


def test_hanging_up_while_down_ends_it_at_once_and_the_listeners_word_is_gone(tmp_path):
    with party(tmp_path) as both:
        with both.line.out():
            both.wait_until_down()
            both.far.call.send("never arrives")
            both.far.call.hang_up()
            assert both.far.wait_for_end().undelivered == 1
        assert both.dialler.wait_for_end().by == "error"
        assert "no longer has the call" in str(both.dialler.call.error)


def test_a_dialler_that_hangs_up_while_down_does_not_come_back(tmp_path):
    with party(tmp_path, plain=True, grace=2) as both:
        with both.line.out():
            both.wait_until_down()
            both.dialler.call.send("never arrives")
            both.dialler.call.hang_up()
            ended = both.dialler.wait_for_end()
            assert (ended.by, ended.undelivered) == ("us", 1)
        assert both.far.wait_for_end().by == "error"
        assert not both.far.of(Resumed)


def test_after_the_grace_both_sides_end_and_own_up_to_what_did_not_arrive(tmp_path):
    with party(tmp_path, plain=True, grace=2) as both, both.line.out():
        both.wait_until_down()
        for each in both.ends:
            each.call.send("one")
            each.call.send("two")
        for each in both.ends:
            ended = each.wait_for_end()
            assert (ended.by, [text.text for text in ended.undelivered_texts]) == ("error", ["one", "two"])
            assert "did not come back within 2 s" in ended.reason
            assert not each.call.send("too late")
            assert not each.call.wait_for_delivery()


def test_a_listener_that_was_started_anew_does_not_ring_and_the_call_is_over(tmp_path):
    with party(tmp_path) as both:
        port = both.listener.port
        both.listener.close()
        with voicemux.listen(host="127.0.0.1", port=port, home=tmp_path / "bob", audio=False, plain=True):
            both.line.cut()
            both.dialler.wait_for_end()
            assert "no longer has the call" in str(both.dialler.call.error)
            assert both.far.wait_for_end().by == "error"


def test_another_key_that_answers_for_a_while_is_told_nothing_and_ends_no_call(tmp_path):
    """As a hotel's page does, or a router's that starts."""
    with (
        party(tmp_path, None, **SECURITY["code"]) as both,
        voicemux.listen(host="127.0.0.1", port=0, home=tmp_path / "mallory", audio=False) as other,
    ):
        with both.line.leading_to(other.port):
            both.wait_until_down()
            wait_until(lambda: any("another key" in str(each) for each in both.dialler.of(Notice)))
            both.dialler.call.send("not for others")
        wait_until(lambda: "not for others" in both.far.texts)
        assert len(both.dialler.of(Notice)) == 1


def test_others_are_told_busy_while_it_is_down(tmp_path):
    with party(tmp_path, None, **SECURITY["code"]) as both, both.line.out():
        both.wait_until_down()
        with pytest.raises(voicemux.CallRefused, match="busy"):
            voicemux.dial(
                f"127.0.0.1:{both.listener.port}", code=CODE, name="carol", home=tmp_path / "carol", audio=False
            )


def test_the_same_key_that_calls_anew_takes_the_place_of_its_call_that_is_down(tmp_path):
    with party(tmp_path, None, **SECURITY["code"]) as both:
        with both.line.out():
            both.wait_until_down()
            began = time.monotonic()
            again, far = both.call(
                lambda: voicemux.dial(
                    f"127.0.0.1:{both.listener.port}", code=CODE, name="alice", home=tmp_path / "alice", audio=False
                )
            )
            with contextlib.closing(again), contextlib.closing(far):
                assert time.monotonic() - began < PATIENCE
                again.call.send("anew")
                wait_until(lambda: far.texts == ["anew"])
                assert both.far.wait_for_end().reason == "called again"
                again.call.hang_up()
        both.dialler.wait_for_end()


def test_a_plain_call_that_is_down_gives_way_to_a_new_one_from_the_same_address(tmp_path):
    with party(tmp_path) as both:
        with both.line.out():
            both.wait_until_down()
            again, far = both.call(
                lambda: voicemux.dial(
                    f"127.0.0.1:{both.listener.port}",
                    name="alice",
                    home=tmp_path / "alice",
                    audio=False,
                    plain=True,
                )
            )
            with contextlib.closing(again), contextlib.closing(far):
                again.call.send("anew")
                far.wait_for_text("anew")
                assert both.far.wait_for_end().reason == "called again"
                again.call.hang_up()
        both.dialler.wait_for_end()


SESSION = bytes(range(16))


@pytest.fixture
def session(monkeypatch) -> bytes:
    """That of the next call."""
    monkeypatch.setattr(establishing, "offered", lambda hello, grace: replace(hello, session=SESSION, grace=grace))
    return SESSION


def resume_by_hand(both: Party, session: bytes, last_text: int) -> Peer:
    peer = Peer(socket.create_connection(("127.0.0.1", both.listener.port)))
    peer.send(PREFACE, Hello("mallory", session=session, last_text=last_text))
    return peer


@pytest.mark.parametrize("last_text", [2, 4000])
def test_an_impossible_last_text_ends_only_its_own_connection(last_text, session, tmp_path):
    with party(tmp_path) as both:
        both.talk_until(5)
        with resume_by_hand(both, session, last_text) as peer:
            assert peer.hear(Bye).code == ByeCode.PROTOCOL
        for each in both.ends:
            each.call.send("still here")
        for each in both.ends:
            each.wait_for_text("still here")
        assert not both.far.of(Interrupted)


def test_a_session_that_is_not_there_is_gone(session, tmp_path):
    with party(tmp_path) as both, resume_by_hand(both, bytes(16), 0) as peer:
        assert peer.hear(Bye) == Bye(ByeCode.GONE)


def test_a_thief_with_another_key_hears_that_the_session_is_gone(session, tmp_path, monkeypatch):
    with party(tmp_path, None, **SECURITY["code"]) as both:
        monkeypatch.setattr(establishing, "offered", lambda hello, _: replace(hello, session=session, last_text=0))
        with pytest.raises(voicemux.CallRefused, match="no longer has the call"):
            both.dial("carol")
        both.dialler.call.send("still here")
        both.far.wait_for_text("still here")
        assert not both.far.of(Interrupted)


def test_a_peer_that_resumes_without_end_is_held_back(session, tmp_path):
    with party(tmp_path) as both:
        answered = 0
        for _ in range(100):
            with contextlib.suppress(EOFError, OSError), resume_by_hand(both, session, 0) as peer:
                peer.hear(Hello)
                answered += 1
        assert 20 <= answered <= 60


def test_two_resumes_at_once_leave_one_connection_and_the_newest_counts(session, tmp_path):
    with party(tmp_path) as both:
        with both.line.out():
            both.wait_until_down()
        wait_until(lambda: both.dialler.of(Resumed))
        with resume_by_hand(both, session, 0) as first, resume_by_hand(both, session, 0) as second:
            assert isinstance(second.hear(Hello), Hello)
            assert first.hear(Bye).code == ByeCode.REPLACED
            second.send(Text(1, "the newest"))
            wait_until(lambda: both.far.texts == ["the newest"])


def test_a_side_without_a_grace_ends_with_its_line(tmp_path):
    with party(tmp_path, plain=True, grace=0) as both:
        both.talk_until(3)
        both.line.cut()
        for each in both.ends:
            assert each.wait_for_end().by == "error"
            assert not each.of(Interrupted)


@pytest.mark.parametrize("moment", ["cut", "dialled", "resumed"])
@pytest.mark.parametrize("who", ["dialler", "far"])
def test_hanging_up_at_any_moment_of_a_resume_hangs_nothing(who, moment, tmp_path):
    for _ in range(3):
        with party(tmp_path) as both:
            taken = both.line.taken
            both.line.cut()
            if moment == "dialled":
                wait_until(lambda taken=taken: both.line.taken > taken)  # type: ignore[misc]
            if moment == "resumed":
                wait_until(lambda: both.dialler.of(Resumed))
            end: End = getattr(both, who)
            began = time.monotonic()
            end.call.hang_up()
            end.close()
            assert time.monotonic() - began < PATIENCE
