"""Calls for programs: both ends in this process, over real TCP."""

import contextlib
import doctest
import functools
import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

import voicemux
import voicemux.protocol
from tests.audio.speech import ALIKE, SYLLABLE, level, likeness, speech, tone
from tests.peers import PATIENCE, Peer, holds, wait_until
from tests.tries import best
from voicemux.api.call import inner
from voicemux.audio.blocks import MOST_HEARD, STANDING, USUAL_BACKLOG, BlockSink, BlockSource
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, RATE, TAIL_BLOCKS
from voicemux.audio.metronome import Metronome
from voicemux.audio.resample import to_pcm
from voicemux.errors import DeviceError, VoicemuxError
from voicemux.events import Event, PeerSwitched
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.protocol.messages import Bye, ByeCode, Text
from voicemux.protocol.wire import PREFACE, TEXT_WINDOW
from voicemux.security.files import usual_folder

CODE = "7-quiet-test"
FEW_WORDS = speech(seconds=2)

Serve = Callable[[voicemux.Call], None]


@contextlib.contextmanager
def answering(tmp_path: Path, serve: Serve, **options: object) -> Iterator[voicemux.Listener]:
    """A listener, whose calls are served in a thread; what fails there is raised here."""
    failures: list[BaseException] = []

    def run(listener: voicemux.Listener) -> None:
        try:
            for call in listener:
                with call:
                    serve(call)
        except BaseException as error:
            failures.append(error)

    options = {"host": "127.0.0.1", "port": 0, "name": "bob", "home": tmp_path / "bob", **options}
    if not options.get("plain") and "open" not in options:
        options.setdefault("code", CODE)
    with voicemux.listen(**options) as listener:  # type: ignore[arg-type]
        thread = threading.Thread(target=run, args=(listener,))
        thread.start()
        try:
            yield listener
        finally:
            listener.stop()
            thread.join()
    if failures:
        raise failures[0]


def dial(listener: voicemux.Listener, tmp_path: Path, **options: object) -> voicemux.Call:
    options = {"code": CODE, "name": "alice", "home": tmp_path / "alice", **options}
    return voicemux.dial(f"127.0.0.1:{listener.port}", **options)  # type: ignore[arg-type]


def once_it_is_free(dial: Callable[[], voicemux.Call]) -> voicemux.Call:
    """The call that it dials as soon as the listener is not busy with another one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return dial()
        except voicemux.CallRefused as refused:
            if "busy" not in str(refused) or time.monotonic() > deadline:
                raise


def echo(call: voicemux.Call) -> None:
    for text in call.texts():
        call.send(text)


def wait_for_the_end(call: voicemux.Call) -> None:
    wait_until(lambda: call.ended)


# --- what there is


def test_only_what_is_meant_to_be_kept_has_a_public_name():
    assert dir(voicemux) == sorted(
        [
            *("AddressError", "CallRefused", "ConnectionLost", "RemoteProtocolError", "SecurityError", "Unreachable"),
            *("Call", "Listener", "VoicemuxError", "dial", "errors", "events", "listen", "protocol", "__version__"),
        ]
    )
    for name in dir(voicemux):
        assert getattr(voicemux, name)
    with pytest.raises(AttributeError, match="no attribute 'dail'"):
        getattr(voicemux, "dail")  # noqa: B009


def test_who_subscribes_sees_each_event_until_it_wants_no_more(tmp_path):
    seen: list[Event] = []
    stopped: list[Event] = []
    with answering(tmp_path, echo) as listener, dial(listener, tmp_path, audio=False) as call:
        call.subscribe(seen.append)
        call.subscribe(stopped.append)()
        call.send("hi")
        assert next(call.texts()) == "hi"
    assert [each.text for each in seen if isinstance(each, voicemux.events.TextReceived)] == ["hi"]
    assert isinstance(seen[-1], voicemux.events.Ended)
    assert stopped == []


def test_a_call_has_only_names_that_are_meant_to_be_kept(tmp_path):
    with answering(tmp_path, echo) as listener, dial(listener, tmp_path, audio=False) as call:
        assert {each for each in dir(call) if not each.startswith("_")} == {
            *("name", "address", "security", "words", "ended", "error", "stats", "subscribe"),
            *("undelivered", "send", "texts", "hear", "speak", "wait_for_delivery", "hang_up", "close"),
            *("level", "record", "stop_recording", "relay"),
        }
        assert {each for each in dir(listener) if not each.startswith("_")} == {
            "at_relay",
            "code",
            "port",
            "stop",
            "close",
        }


def test_the_example_of_the_protocol_without_io_is_right():
    failed, attempted = doctest.testmod(voicemux.protocol)
    assert attempted
    assert not failed


# --- text


def test_text_goes_both_ways(tmp_path):
    with answering(tmp_path, echo) as listener, dial(listener, tmp_path, audio=False) as call:
        for text in ("hi", "", "two\nlines", "grüße 😀" * 2000):
            assert call.send(text)
            assert next(call.texts()) == text
        assert (call.name, call.address, call.security, call.words) == ("bob", "127.0.0.1", "code", [])
        assert call.wait_for_delivery()
        assert call.stats().texts_sent == call.stats().texts_received == 4
        assert call.ended is None
    assert call.ended is not None
    assert (call.ended.by, call.ended.undelivered, call.error) == ("us", False, None)


def test_text_is_acknowledged_when_the_loop_asks_for_the_next(tmp_path):
    may_go_on = threading.Event()

    def read_slowly(call: voicemux.Call) -> None:
        for _ in call.texts():
            may_go_on.wait(PATIENCE)

    with answering(tmp_path, read_slowly) as listener, dial(listener, tmp_path, audio=False) as call:
        call.send("hi")
        assert holds(lambda: call.undelivered, 0.3)
        may_go_on.set()
        assert call.wait_for_delivery()


def test_text_that_is_taken_last_is_acknowledged_when_the_call_is_hung_up(tmp_path):
    def read_one(call: voicemux.Call) -> None:
        assert next(call.texts()) == "hi"

    with answering(tmp_path, read_one) as listener, dial(listener, tmp_path, audio=False) as call:
        call.send("hi")
        assert list(call.texts()) == []
        assert call.ended
        assert (call.ended.by, call.ended.undelivered) == ("them", False)


def test_text_that_nobody_reads_is_not_acknowledged_and_stops_at_the_window(tmp_path):
    with answering(tmp_path, wait_for_the_end) as listener, dial(listener, tmp_path, audio=False) as call:
        for _ in range(2 * TEXT_WINDOW // 1000):
            call.send("x" * 1000)
        wait_until(lambda: call.stats().bytes_sent > TEXT_WINDOW - 2000)
        assert holds(lambda: call.stats().bytes_sent < 1.2 * TEXT_WINDOW, 0.2)
        assert call.ended is None
        call.hang_up()
    assert call.ended
    assert call.ended.undelivered


def test_who_has_hung_up_sends_nothing_and_hears_no_more(tmp_path):
    with answering(tmp_path, echo) as listener, dial(listener, tmp_path) as call:
        call.hang_up()
        assert not call.send("too late")
        assert not call.speak(FEW_WORDS)
        assert list(call.texts()) == []
        list(call.hear())


# --- sound


def test_sound_goes_both_ways(tmp_path):
    def echo_sound(call: voicemux.Call) -> None:
        for block in call.hear():
            call.speak(block)

    with answering(tmp_path, echo_sound) as listener, dial(listener, tmp_path) as call:
        heard: list[np.ndarray] = []
        ear = threading.Thread(target=lambda: heard.extend(call.hear()))
        ear.start()
        began = time.monotonic()
        assert call.speak(FEW_WORDS)
        assert time.monotonic() - began > 1  # of two seconds, half a one may wait
        assert call.wait_for_delivery()
        assert holds(lambda: call.ended is None, 0.5)
        call.hang_up()
        ear.join()
    assert {(block.dtype.name, block.shape) for block in heard} == {("int16", (BLOCK_SAMPLES,))}
    assert likeness(FEW_WORDS, np.concatenate(heard), SYLLABLE) > ALIKE


def test_a_program_records_both_sides_and_the_other_one_is_told(tmp_path):
    told: list[Event] = []

    def echo_sound(call: voicemux.Call) -> None:
        inner(call).watch_the_peer(0)
        call.subscribe(told.append)
        for block in call.hear():
            call.speak(block)

    def records() -> list[bool]:
        return [each.on for each in told if isinstance(each, PeerSwitched) and each.what == "records"]

    with answering(tmp_path, echo_sound) as listener, dial(listener, tmp_path) as call:
        path = call.record(str(tmp_path / "call.wav"))
        wait_until(lambda: records() == [True])
        with pytest.raises(DeviceError, match="is being recorded already"):
            call.record(str(tmp_path / "other.wav"))
        assert call.speak(FEW_WORDS)
        assert call.wait_for_delivery()
        wait_until(lambda: likeness(FEW_WORDS, soundfile.read(path, dtype="int16")[0][:, 1], SYLLABLE) > ALIKE)
        call.stop_recording()
        wait_until(lambda: records() == [True, False])
        call.hang_up()
        assert call.record(str(tmp_path / "after.wav")) == ""
        assert not (tmp_path / "after.wav").exists()
    left, _ = soundfile.read(path, dtype="int16")[0].T
    assert likeness(FEW_WORDS, left, SYLLABLE) > ALIKE


def test_a_call_without_sound_has_nothing_to_record(tmp_path):
    with answering(tmp_path, echo) as listener, dial(listener, tmp_path, audio=False) as call:
        with pytest.raises(DeviceError, match="there is no voice to record"):
            call.record(str(tmp_path / "call.wav"))
        call.stop_recording()
    assert not (tmp_path / "call.wav").exists()


def test_a_program_with_a_loudspeaker_sends_no_echo_if_it_asks_for_that(tmp_path):
    def loudspeaker_and_microphone(call: voicemux.Call) -> None:
        on_its_way = [np.zeros(BLOCK_SAMPLES, np.int16)] * 20  # 100 ms
        for block in call.hear():
            call.speak(on_its_way.pop(0))
            on_its_way.append(block)

    with (
        answering(tmp_path, loudspeaker_and_microphone, echo="on") as listener,
        dial(listener, tmp_path) as call,
    ):
        heard: list[np.ndarray] = []
        ear = threading.Thread(target=lambda: heard.extend(call.hear()))
        ear.start()
        said = speech(seconds=6)
        assert call.speak(said)
        assert call.wait_for_delivery()
        call.hang_up()
        ear.join()
    assert level(np.concatenate(heard)[4 * RATE :]) < level(said) / 5


def test_where_echo_cannot_be_cancelled_a_program_that_wants_it_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(VoicemuxError, match="no echo cancellation"):
        voicemux.listen(port=0, home=tmp_path, echo="auto")
    with answering(tmp_path, wait_for_the_end) as listener, dial(listener, tmp_path) as call:
        assert call.stats().echo == "off"


def test_an_unknown_way_to_treat_echo_is_refused():
    with pytest.raises(ValueError, match="expected echo to be one of off, auto, on, got 'maybe'"):
        voicemux.dial("localhost", echo="maybe")


def test_who_is_behind_with_hearing_still_gets_what_was_heard_before_the_end(tmp_path):
    def blocks_that_are_left() -> int:
        with answering(tmp_path, wait_for_the_end) as listener, dial(listener, tmp_path) as call:
            sound = call.hear()
            next(sound)
            assert holds(lambda: call.ended is None, 0.3)
            call.hang_up()
            return len(list(sound))

    assert best(blocks_that_are_left, 20) > 20


def test_a_call_without_sound_hears_nothing_and_says_so(tmp_path):
    with answering(tmp_path, echo) as listener, dial(listener, tmp_path, audio=False) as call:
        assert list(call.hear()) == []
        assert not call.speak(FEW_WORDS)


def test_who_plays_nothing_is_not_spoken_to(tmp_path):
    spoken: list[bool] = []

    def speak(call: voicemux.Call) -> None:
        spoken.append(call.speak(FEW_WORDS))

    with answering(tmp_path, speak) as listener, dial(listener, tmp_path, audio=False) as call:
        assert list(call.texts()) == []
    assert spoken == [False]


@pytest.mark.parametrize(
    "samples",
    [
        *(np.zeros(240, kind) for kind in (np.float32, np.uint16, np.int32)),
        *(np.zeros((240, 2), np.int16), b"\0\0" * 240, [0] * 240, None),
    ],
    ids=["floats", "unsigned", "wide", "stereo", "bytes", "list", "none"],
)
def test_samples_of_another_kind_are_refused(tmp_path, samples):
    with answering(tmp_path, echo) as listener, dial(listener, tmp_path) as call:
        with pytest.raises(TypeError, match=r"expected int16 samples of shape \(n,\)"):
            call.speak(samples)
        call.send("still there")
        assert next(call.texts()) == "still there"


def test_samples_in_another_order_of_bytes_or_with_gaps_are_said_as_they_sound(tmp_path):
    source = BlockSource()
    for samples in (FEW_WORDS.astype(">i2"), np.repeat(FEW_WORDS, 2)[::2]):
        assert to_pcm(samples) == FEW_WORDS.tobytes()
    assert source.put(to_pcm(FEW_WORDS[:240].astype(">i2")), 0)


def heard_of_a_call(tmp_path, speak: Callable[[voicemux.Call], None]) -> np.ndarray:
    """All that the listener hears of a call in which the dialler does nothing but `speak`."""
    heard: list[np.ndarray] = []
    has_ended = threading.Event()

    def hear(call: voicemux.Call) -> None:
        heard.extend(call.hear())
        has_ended.set()

    with answering(tmp_path, hear) as listener:
        with dial(listener, tmp_path) as call:
            speak(call)
        assert has_ended.wait(PATIENCE)
    return np.concatenate(heard)


def test_what_was_spoken_is_said_before_a_call_is_closed(tmp_path):
    second = FEW_WORDS[:RATE]

    def speak(call: voicemux.Call) -> None:
        assert call.speak(second)

    sound = heard_of_a_call(tmp_path, speak)
    assert likeness(second, sound, SYLLABLE) > ALIKE
    spoken = np.flatnonzero(np.abs(sound.astype(int)) > 300)
    assert spoken[-1] - spoken[0] > 0.9 * (np.flatnonzero(np.abs(second.astype(int)) > 300)[[0, -1]] @ [-1, 1])


def test_what_two_threads_speak_comes_one_after_the_other(tmp_path):
    def speak(call: voicemux.Call) -> None:
        tones = [tone(hertz, 0.8) for hertz in (400, 2000)]  # longer than what may wait
        threads = [threading.Thread(target=call.speak, args=(each,)) for each in tones]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    sound = heard_of_a_call(tmp_path, speak).astype(int)
    pieces = [piece for piece in np.array_split(sound, len(sound) // 960) if np.abs(piece).mean() > 2000]
    are_high = [bool(np.count_nonzero(np.diff(np.sign(piece))) > 40) for piece in pieces]  # 16 or 80 in 20 ms
    assert set(are_high) == {False, True}
    misplaced = [
        sum(each != wanted for each, wanted in zip(are_high, sorted(are_high, reverse=is_high_first), strict=True))
        for is_high_first in (False, True)
    ]
    assert min(misplaced) <= 3  # where one begins or ends, a piece may be of both, or be made up; of turns it is 40


def pass_beats(source: BlockSource, beats: int, piece: bytes = b"") -> None:
    """As the microphone's thread reads, without its pace; before each beat `piece` is spoken."""
    for _ in range(beats):
        if piece:
            assert source.put(piece, 0, len(piece))
        source.read()


class Pace(Metronome):
    """Beats as soon as it is waited for."""

    def wait(self) -> int:
        return 1


def rest_of(source: BlockSource) -> bytes:
    """What waits in it to be said: whole blocks, and the last one as far as it is spoken."""
    pcm = b""
    while not source.wait_until_said(0):
        block = source.read()
        assert block
        pcm += block.pcm
    return pcm[: -TAIL_BLOCKS * BLOCK_BYTES]


def test_in_a_stream_that_comes_as_fast_as_it_is_said_nothing_waits_for_good():
    source = BlockSource(Pace(first=1))
    for _ in range(80):  # behind after a pause
        source.put(bytes(BLOCK_BYTES), 0, BLOCK_BYTES)
    pass_beats(source, 2 * STANDING, bytes(BLOCK_BYTES))
    assert len(rest_of(source)) <= USUAL_BACKLOG * BLOCK_BYTES


@pytest.mark.parametrize(("pieces", "each"), [(1, 90), (30, 3), (2, 45)], ids=["whole", "in pieces", "in two"])
def test_what_is_not_said_while_it_is_made_is_said_whole(pieces, each):
    source = BlockSource(Pace(first=1))
    for _ in range(pieces):
        for _ in range(each):
            assert source.put(bytes(BLOCK_BYTES), 0, each * BLOCK_BYTES)
    pass_beats(source, 89)
    assert len(rest_of(source)) == BLOCK_BYTES


def test_what_is_made_faster_than_it_is_said_is_said_whole():
    source = BlockSource(Pace(first=1))
    said = 0
    for beat in range(1000):
        for _ in range(2 if beat % 2 else 1):  # half as fast again
            said += source.put(bytes(BLOCK_BYTES), 0, BLOCK_BYTES)
        source.read()
    assert len(rest_of(source)) == (said - 1000) * BLOCK_BYTES


def test_who_takes_no_faster_than_it_comes_does_not_stay_behind():
    sink = BlockSink()
    for _ in range(100):
        sink.write(bytes(BLOCK_BYTES))
    for _ in range(2 * STANDING):
        sink.write(bytes(BLOCK_BYTES))
        assert sink.take(0)
    assert len(sink.rest()) <= USUAL_BACKLOG + 1


def test_who_takes_much_at_a_time_gets_all():
    sink = BlockSink()
    taken = 0
    for beat in range(1, 1001):
        sink.write(bytes(BLOCK_BYTES))
        if beat % (STANDING - 2) == 0:
            taken += len(sink.rest())
    assert taken + len(sink.rest()) == 1000


def test_what_nobody_hears_is_dropped_the_oldest_first():
    sink = BlockSink()
    for number in range(MOST_HEARD + 3):
        sink.write(bytes([number % 256]) * BLOCK_BYTES)
    blocks = sink.rest()
    assert blocks[-1] == bytes([(MOST_HEARD + 2) % 256]) * BLOCK_BYTES
    assert len(blocks) <= MOST_HEARD
    assert sink.take(0) is None


def test_blocks_are_cut_from_sound_of_any_length():
    sink = BlockSink()
    sound = bytes(range(256)) * 15  # 8 blocks
    for start in range(0, len(sound), 100):
        sink.write(sound[start : start + 100])
    assert b"".join(sink.rest()) == sound


def test_half_a_second_may_wait_to_be_said():
    source = BlockSource()
    put = 0
    while source.put(bytes(BLOCK_BYTES), 0):
        put += BLOCK_SAMPLES
    assert put == RATE // 2
    assert not source.wait_until_said(0)


# --- who is there


def test_nobody_there(tmp_path):
    with answering(tmp_path, echo) as listener:
        port = listener.port
    with pytest.raises(voicemux.Unreachable):
        voicemux.dial(f"127.0.0.1:{port}", plain=True)


def test_what_is_no_address():
    with pytest.raises(voicemux.AddressError):
        voicemux.dial("somebody:else", plain=True)


def test_a_wrong_code(tmp_path):
    with answering(tmp_path, echo) as listener, pytest.raises(voicemux.SecurityError, match="the code is wrong"):
        dial(listener, tmp_path, code="8-wrong-test")


def test_nobody_unknown_is_called_without_a_code_unless_that_is_wanted(tmp_path):
    with answering(tmp_path, echo, open=True) as listener:
        with pytest.raises(voicemux.SecurityError, match="the first call needs a code"):
            dial(listener, tmp_path, code="").close()
        with dial(listener, tmp_path, code="", open=True, audio=False) as call:
            assert (call.security, len(call.words)) == ("open", 4)


def test_who_has_called_with_a_code_is_known_the_next_time(tmp_path):
    with answering(tmp_path, echo) as listener:
        with dial(listener, tmp_path, audio=False) as call:
            assert call.security == "code"
        with dial(listener, tmp_path, code="", audio=False) as call:
            assert (call.security, call.name) == ("known", "bob")


def test_a_code_that_was_made_is_good_for_one_call(tmp_path):
    with answering(tmp_path, echo, code="") as listener:
        code = listener.code
        with dial(listener, tmp_path, code=code, audio=False):
            assert listener.code not in ("", code)


def test_a_plain_call_needs_neither_code_nor_home(tmp_path):
    with answering(tmp_path, echo, plain=True) as listener:
        assert listener.code == ""
        with dial(listener, tmp_path, code="", plain=True, audio=False) as call:
            assert call.security == "plain"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"code": "7-quiet-test"}, {"open": True}], ids=["code", "open"])
def test_plain_goes_with_nothing_that_is_checked(options):
    for begin in (
        lambda: voicemux.dial("localhost", plain=True, **options),
        lambda: voicemux.listen(plain=True, **options),
    ):
        with pytest.raises(ValueError, match="plain goes with none of"):
            begin()


def test_whoever_calls_meanwhile_is_told_busy_and_may_call_again(tmp_path):
    with answering(tmp_path, echo) as listener:
        with dial(listener, tmp_path, audio=False) as call:
            with pytest.raises(voicemux.CallRefused, match="busy"):
                dial(listener, tmp_path, home=tmp_path / "carol")
            call.send("still here")
            assert next(call.texts()) == "still here"
        with once_it_is_free(lambda: dial(listener, tmp_path, audio=False)) as call:
            call.send("again")
            assert next(call.texts()) == "again"


def test_an_encrypted_call_to_who_takes_plain_ones_only(tmp_path):
    with (
        answering(tmp_path, echo, plain=True) as listener,
        pytest.raises(voicemux.SecurityError, match="plain calls"),
    ):
        dial(listener, tmp_path)


def test_who_breaks_the_protocol_is_told_so():
    with socket.create_server(("127.0.0.1", 0)) as server:
        failed = threading.Event()

        def call_it() -> None:
            with contextlib.suppress(voicemux.RemoteProtocolError):
                voicemux.dial(f"127.0.0.1:{server.getsockname()[1]}", plain=True, audio=False)
            failed.set()

        thread = threading.Thread(target=call_it)
        thread.start()
        with Peer(server.accept()[0]) as peer:
            peer.send(PREFACE, Text(1, "before HELLO"))
            assert peer.hear(Bye).code == ByeCode.PROTOCOL
        thread.join()
    assert failed.is_set()


def test_a_port_that_cannot_be_had(tmp_path):
    with answering(tmp_path, echo) as listener, pytest.raises(voicemux.Unreachable):
        voicemux.listen(host="127.0.0.1", port=listener.port, plain=True)


def test_a_bad_code_leaves_no_listener_behind(tmp_path):
    with pytest.raises(voicemux.SecurityError):
        voicemux.listen(host="127.0.0.1", port=0, allow=("nobody",), home=tmp_path)
    gc.collect()


def test_the_usual_folder_is_where_other_programs_have_theirs(monkeypatch):
    monkeypatch.delenv("VOICEMUX_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert usual_folder() == Path(click.get_app_dir("voicemux", roaming=False))
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert usual_folder() == Path(click.get_app_dir("voicemux", roaming=False))
    monkeypatch.setenv("VOICEMUX_HOME", "/chosen")
    assert usual_folder() == Path("/chosen")


# --- endings


def test_a_caller_who_leaves_ends_all_loops(tmp_path):
    seen: list[str] = []

    def take_all(call: voicemux.Call) -> None:
        list(call.hear())
        seen.extend(call.texts())
        assert call.ended
        seen.append(call.ended.by)

    with answering(tmp_path, take_all) as listener, dial(listener, tmp_path) as call:
        call.send("bye")
    assert seen == ["bye", "them"]


def test_a_line_that_breaks_is_an_error_of_the_call_and_the_next_is_served(tmp_path):
    errors: list[voicemux.VoicemuxError | None] = []

    def serve(call: voicemux.Call) -> None:
        echo(call)
        errors.append(call.error)

    with answering(tmp_path, serve) as listener:
        call = dial(listener, tmp_path, audio=False, grace=0)
        inner(call).abandon()
        call.close()
        wait_until(lambda: errors)
        with dial(listener, tmp_path, audio=False) as call:
            call.send("hi")
            assert next(call.texts()) == "hi"
    assert [type(error) for error in errors] == [voicemux.ConnectionLost, type(None)]


def test_who_connects_and_says_nothing_keeps_nobody_waiting(tmp_path):
    with answering(tmp_path, echo) as listener:
        stream = connect(Address("127.0.0.1", listener.port))
        with dial(listener, tmp_path, audio=False) as call:
            call.send("hi")
            assert next(call.texts()) == "hi"
        stream.close()


def test_what_fails_in_the_loop_ends_the_call(tmp_path):
    def fail(call: voicemux.Call) -> None:
        raise RuntimeError("a bug of the bot's")

    with (
        pytest.raises(RuntimeError, match="a bug of the bot's"),
        answering(tmp_path, fail) as listener,
        dial(listener, tmp_path, audio=False) as call,
    ):
        assert list(call.texts()) == []


def test_a_listener_that_is_closed_by_another_thread_ends_its_loop(tmp_path):
    listener = voicemux.listen(host="127.0.0.1", port=0, plain=True)
    threading.Timer(0.2, listener.close).start()
    assert list(listener) == []
    assert list(listener) == []


def test_a_call_may_be_served_in_a_thread_of_its_own_and_the_next_is_answered_when_it_has_ended(tmp_path):
    threads: list[threading.Thread] = []
    with voicemux.listen(host="127.0.0.1", port=0, plain=True) as listener:

        def loop() -> None:
            for call in listener:
                threads.append(threading.Thread(target=echo, args=(call,)))
                threads[-1].start()

        looping = threading.Thread(target=loop)
        looping.start()
        for text in ("hi", "hi again"):
            dial_plainly = functools.partial(voicemux.dial, f"127.0.0.1:{listener.port}", plain=True, audio=False)
            with once_it_is_free(dial_plainly) as call:
                assert holds(lambda: call.ended is None, 0.3)
                call.send(text)
                assert next(call.texts()) == text
        listener.stop()
        looping.join()
    for thread in threads:
        thread.join()


def test_a_caller_may_be_taken_out_of_the_loop(tmp_path):
    taken: list[voicemux.Call] = []

    def serve_one() -> None:
        taken.append(next(iter(listener)))
        echo(taken[0])

    with voicemux.listen(host="127.0.0.1", port=0, plain=True) as listener:
        thread = threading.Thread(target=serve_one)
        thread.start()
        with voicemux.dial(f"127.0.0.1:{listener.port}", plain=True, audio=False) as call:
            call.send("hi")
            assert next(call.texts()) == "hi"
        thread.join()
        taken[0].close()


def test_which_texts_have_not_arrived_can_be_asked(tmp_path):
    with answering(tmp_path, wait_for_the_end) as listener, dial(listener, tmp_path, audio=False) as call:
        call.send("read by nobody")
        call.send("nor this")
        assert call.undelivered == ["read by nobody", "nor this"]
    assert call.undelivered == ["read by nobody", "nor this"]
    assert call.ended
    assert call.ended.undelivered == 2


def test_what_there_is_shows_what_it_is(tmp_path):
    with answering(tmp_path, echo) as listener:
        assert repr(listener) == f"<voicemux.Listener on port {listener.port}, open>"
        with dial(listener, tmp_path, audio=False) as call:
            assert repr(call) == "<voicemux.Call with 'bob' (127.0.0.1), code, up>"
        assert repr(call) == "<voicemux.Call with 'bob' (127.0.0.1), code, ended by us>"
    for name in ("name", "address", "security", "words"):
        assert getattr(voicemux.Call, name).__doc__


@pytest.mark.parametrize(
    "arguments",
    [
        *({"home": 5}, {"code": 7}, {"name": b"bob"}, {"allow": "alice"}, {"allow": [1]}, {"allow": 5}),
        *({"port": "8689"}, {"port": True}, {"host": 1}, {"echo": True}),
    ],
    ids=str,
)
def test_what_is_of_a_wrong_type_is_said_so(arguments):
    with pytest.raises(TypeError, match="expected "):
        voicemux.listen(**({"port": 0} | arguments))


def test_what_is_no_text_is_said_so(tmp_path):
    with pytest.raises(TypeError, match="expected target to be a str, got int"):
        voicemux.dial(8689)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a port of 0 to 65535, got 70000"):
        voicemux.listen(port=70_000)
    with answering(tmp_path, echo, home=str(tmp_path / "bob")) as listener, dial(listener, tmp_path) as call:
        call.send("hi")
        with pytest.raises(TypeError, match="expected text to be a str, got bytes"):
            call.send(b"hi")  # type: ignore[arg-type]


def test_closing_twice_does_nothing(tmp_path):
    with answering(tmp_path, echo) as listener:
        call = dial(listener, tmp_path)
        call.close()
        call.close()
    listener.close()


def test_open_and_allow_contradict_each_other(tmp_path):
    with pytest.raises(ValueError, match="open and allow contradict each other"):
        voicemux.listen(port=0, open=True, allow=("alice",), home=tmp_path)


@pytest.mark.parametrize("name", ["../../etc/passwd", "\x1b[2Jalice", "..", "a\nb", "\u202ebob"])
def test_the_name_of_a_call_can_be_shown_and_is_no_path(tmp_path, name):
    names: list[str] = []
    with (
        answering(tmp_path, lambda call: names.append(call.name), open=True) as listener,
        dial(listener, tmp_path, name=name, code="", open=True, audio=False),
    ):
        wait_until(lambda: names)
    assert names[0].isprintable()
    assert not {"/", "\\"} & set(names[0])
    assert names[0] not in ("", ".", "..")
