import contextlib
import select
import threading
import time
from collections.abc import Iterator

import pytest

from tests.peers import PATIENCE, PROMPTLY, Peer, connected, greeted, holds, wait_until
from voicemux.audio.capture.ladder import Ladder, Rung
from voicemux.errors import ConnectionLost, LocalProtocolError
from voicemux.net.tcp import TcpStream
from voicemux.protocol.connection import Sending
from voicemux.protocol.messages import Audio, Bye, Ping, Pong, Report, Text, TextAck
from voicemux.sending.writer import NO_WAIT, Writer
from voicemux.trace.facts import Fact, LineSeen

LONG = "x" * 300_000
WAIT = 2.5  # seconds without progress, each of which is interrupted after a third of them


def audio(sequence: int, size: int = 80) -> Audio:
    return Audio(2, 0, sequence % 65536, sequence * 960 % 2**32, bytes(size))


def payloads(texts: list[Text]) -> int:
    """What the window counts."""
    return sum(len(text.text) + 4 for text in texts)


def wait_until_stuck(stream: TcpStream) -> int:
    """Wait until nothing more fits into the stream. How much did."""
    wait_until(lambda: stream.bytes_written)

    def nothing_fits() -> bool:
        return stream.bytes_written == written and not select.select([], [stream.fileno()], [], 0)[1]

    written = stream.bytes_written
    while not holds(nothing_fits, 0.2):
        written = stream.bytes_written
    return written


@contextlib.contextmanager
def running(writer: Writer, stream: TcpStream) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield thread
    finally:
        writer.finish(Bye(), 0)
        stream.cut()
        thread.join()


@contextlib.contextmanager
def writing(buffers: int = 0) -> Iterator[tuple[Writer, TcpStream, Peer]]:
    """A writer at work in a thread of its own, and who reads what it writes."""
    with greeted(buffers=buffers) as (stream, sending, _, peer):
        writer = Writer(stream, sending)
        with running(writer, stream):
            yield writer, stream, peer


def test_control_goes_before_voice_before_text_before_the_goodbye():
    with greeted() as (stream, sending, _, peer):
        writer = Writer(stream, sending)
        writer.send_text("first")
        writer.send_text("second")
        writer.finish(Bye(), PATIENCE)
        writer.send(TextAck(7))
        writer.send_ping(lambda: Ping(bytes(8)))
        expected = [TextAck(7), Ping(bytes(8)), Text(1, "first"), Text(2, "second"), Bye()]
        with running(writer, stream):
            assert peer.hear_to_the_end() == expected


def test_many_threads_never_tear_a_frame():
    each_sends, speakers = 150, 4

    def speak(writer: Writer, speaker: int) -> None:
        for number in range(each_sends):
            writer.send_text(f"{speaker} {number} {LONG[: number * 20]}")
            writer.send_audio(audio(number, size=number))
            writer.send(Pong(number.to_bytes(8, "big")))

    with writing(buffers=4096) as (writer, _, peer):
        threads = [threading.Thread(target=speak, args=(writer, number)) for number in range(speakers)]
        for thread in threads:
            thread.start()
        texts, parts = list[str](), list[str]()
        while len(texts) < speakers * each_sends:
            text = peer.hear(Text)  # Receiving has judged every frame on the way
            parts.append(text.text)
            if not text.more:
                texts.append("".join(parts))
                parts.clear()
            writer.feedback.received(TextAck(text.id))
        for thread in threads:
            thread.join()
        for speaker in range(speakers):
            own = [text for text in texts if text.startswith(f"{speaker} ")]
            assert own == [f"{speaker} {number} {LONG[: number * 20]}" for number in range(each_sends)]


def test_a_stuck_peer_never_makes_anybody_wait():
    with writing(buffers=4096) as (writer, stream, _):
        writer.send_text(LONG)
        wait_until_stuck(stream)
        writer.send_audio(audio(0, size=4000))  # it still has room
        written, began = wait_until_stuck(stream), time.monotonic()
        for number in range(1, 101):
            writer.send_audio(audio(number, size=4000))
            writer.send(Pong(bytes(8)))
            writer.send_text(LONG[:1000])
        writer.finish(Bye(), PATIENCE)
        assert time.monotonic() - began < PROMPTLY
        assert stream.bytes_written == written, "it was not stuck"


def test_a_goodbye_comes_behind_the_last_text_and_the_stream_ends_but_for_what_the_peer_says():
    with writing() as (writer, stream, peer):
        writer.send_text("last words")
        writer.finish(Bye(0, "so long"), PATIENCE)
        assert peer.hear_to_the_end() == [Text(1, "last words"), Bye(0, "so long")]
        writer.wait_until_finished(PATIENCE)
        peer.send(b"still here")
        assert stream.read() == b"still here"


def test_nothing_is_sent_after_the_goodbye_and_only_the_first_goodbye_counts():
    with writing() as (writer, _, peer):
        writer.finish(Bye(0, "first"), PATIENCE)
        writer.finish(Bye(3, "second"), PATIENCE)
        writer.wait_until_finished(PATIENCE)
        writer.send(Pong(bytes(8)))
        writer.send_audio(audio(1))
        assert not writer.send_text("too late")
        assert peer.hear_to_the_end() == [Bye(0, "first")]


def test_a_goodbye_does_not_wait_behind_voice_that_never_ends():
    with writing(buffers=4096) as (writer, stream, peer):
        stop = threading.Event()

        def speak() -> None:
            number = 0
            while not stop.wait(0.002):
                writer.send_audio(audio(number := number + 1, size=4000))

        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            wait_until_stuck(stream)
            writer.send_text("last words")
            writer.finish(Bye(), PATIENCE)
            said = []
            deadline = time.monotonic() + PATIENCE
            while Bye() not in said and time.monotonic() < deadline:
                time.sleep(0.02)  # a stream that takes a tenth of what is spoken
                said.append(peer.hear())
            assert said[-2:] == [Text(1, "last words"), Bye()]
        finally:
            stop.set()
            speaker.join()


def test_a_stream_that_breaks_ends_the_writer_and_wakes_the_reader():
    with greeted() as (stream, sending, _, peer):
        writer = Writer(stream, sending)
        with running(writer, stream) as thread:
            peer.reset()
            wait_until(lambda: writer.send(Pong(bytes(8))) or not thread.is_alive())
            writer.wait_until_finished(0)
            assert str(writer.failure).startswith("the connection broke: ")
            assert stream.read() == b""


def test_a_stream_that_breaks_under_who_speaks_ends_the_writer_all_the_same(monkeypatch):
    def breaks(stream: TcpStream, data: bytes) -> None:
        raise ConnectionLost("the cable was cut")

    with greeted() as (stream, sending, _, peer):
        writer = Writer(stream, sending)
        with running(writer, stream) as thread:
            writer.send(Pong(bytes(8)))
            peer.hear(Pong)
            monkeypatch.setattr(TcpStream, "write", breaks)
            writer.send_audio(audio(0))
            thread.join(PATIENCE)
            assert not thread.is_alive()
            assert str(writer.failure) == "the cable was cut"


@pytest.mark.parametrize("in_flight", [0, NO_WAIT, NO_WAIT + 1, None])
def test_who_speaks_writes_where_there_is_room_for_sure_and_the_writing_thread_where_it_may_have_to_wait(
    in_flight, monkeypatch
):
    wrote = []
    write = TcpStream.write
    monkeypatch.setattr(TcpStream, "bytes_in_flight", lambda self: in_flight)
    monkeypatch.setattr(TcpStream, "write", lambda *args: (wrote.append(threading.current_thread()), write(*args)))
    with greeted() as (stream, sending, _, peer):
        writer = Writer(stream, sending)
        with running(writer, stream) as thread:
            writer.send(Pong(bytes(8)))
            peer.hear(Pong)
            is_sure = in_flight is not None and in_flight <= NO_WAIT
            expected = threading.current_thread() if is_sure else thread
            for number in range(100):  # the peer may hear before who wrote has given the turn back
                wrote.clear()
                writer.send_audio(audio(number))
                peer.hear(Audio)
                if wrote == [expected]:
                    break
            assert wrote == [expected]


def test_a_peer_that_takes_nothing_breaks_the_line_and_the_reader_is_woken():
    with greeted(buffers=4096) as (stream, sending, _, _peer):
        stream.set_timeout(0.2)
        writer = Writer(stream, sending)
        with running(writer, stream) as thread:
            writer.send_text(LONG)
            thread.join(PATIENCE)
            assert str(writer.failure) == "the other side takes nothing for 0.2 s"
            stream.set_timeout(PATIENCE)
            assert stream.read() == b""


def test_what_cannot_be_sent_yet_is_a_fault_of_our_own():
    with connected() as (stream, _):
        writer = Writer(stream, Sending())
        writer.send(Pong(bytes(8)))
        with pytest.raises(LocalProtocolError, match="PONG cannot be sent in state START"):
            writer.run()
        writer.wait_until_finished(0)


def test_what_the_connection_was_like_when_it_was_empty_is_known_before_a_ping_is_answered(monkeypatch):
    monkeypatch.setattr(TcpStream, "min_round_trip", lambda self: 0.03)
    told: list[Fact] = []
    with greeted() as (stream, sending, _, peer):
        writer = Writer(stream, sending, trace=told.append)
        with running(writer, stream):
            writer.send(Pong(bytes(8)))
            peer.hear(Pong)
            writer.feedback.on_round_trip(1.5)
            writer.judge(Ladder(Rung(20, 32_000)), calm=True, roomy=True)
        assert [each.least_round_trip_ms for each in told if isinstance(each, LineSeen)] == [30.0]


def test_a_report_is_written_once_it_has_waited_long_enough_though_nothing_else_happens():
    with writing() as (writer, _, peer):
        writer.send(Report(0, 1, 2, 3, 4))
        assert peer.hear() == Report(0, 1, 2, 3, 4)


def test_a_goodbye_is_written_once_it_has_waited_long_enough_though_nothing_else_happens():
    with writing() as (writer, _, peer):
        writer.send_text(LONG)
        began = time.monotonic()
        writer.finish(Bye(), 0.3)
        assert peer.hear_to_the_end()[-1] == Bye()
        assert 0.3 <= time.monotonic() - began < 0.3 + PROMPTLY
