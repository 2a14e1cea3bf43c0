"""Programs that leave calls and listeners open: they end, and say goodbye."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

import voicemux
from tests.peers import holds
from tests.running import PATIENCE, environment

SOON = 10.0  # seconds for a program to end on a busy machine; 0.2 here


def start(body: str, home: str) -> subprocess.Popen:
    program = f"import sys, threading, time, voicemux\n{textwrap.dedent(body)}"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def bot(body: str, tmp_path, port: int) -> subprocess.Popen:
    call = f"call = voicemux.dial('127.0.0.1:{port}', plain=True, name='bot')"
    return start(f"{call}\nprint('up', flush=True)\n{textwrap.dedent(body)}", str(tmp_path / "bot"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('a bug of the bot')", 1),
        ("listener = voicemux.listen(port=0, plain=True)", 0),
        ("threading.Thread(target=lambda: time.sleep(0.2)).start()", 0),
        ("del call", 0),
    ],
    ids=["end", "exit", "exception", "listener", "thread", "forgotten"],
)
def test_a_program_that_closes_nothing_ends_with_a_goodbye(body, code, tmp_path):
    with voicemux.listen(host="127.0.0.1", port=0, plain=True) as listener:
        process = bot(body, tmp_path, listener.port)
        for call in listener:
            with call:
                assert list(call.texts()) == []
                assert call.ended
                assert (call.ended.by, call.error) == ("them", None)
                break
        _, err = process.communicate(timeout=SOON)
        assert process.returncode == code
        assert ("Traceback" in err) == (code == 1)


@pytest.mark.parametrize(
    "body",
    ["time.sleep(60)", "list(call.texts())", "list(call.hear())", "with call: time.sleep(60)"],
    ids=["sleep", "texts", "hear", "with"],
)
def test_a_program_that_is_asked_to_end_says_goodbye(body, tmp_path):
    with voicemux.listen(host="127.0.0.1", port=0, plain=True) as listener:
        process = bot(body, tmp_path, listener.port)
        for call in listener:
            with call:
                assert process.stdout
                assert process.stdout.readline() == "up\n"
                assert holds(lambda: process.poll() is None, 0.2)
                process.send_signal(signal.SIGTERM)
                asked = time.monotonic()
                assert list(call.texts()) == []
                assert time.monotonic() - asked < SOON
                assert call.error is None
                break
        assert process.communicate(timeout=SOON)[1] == ""
        assert process.returncode == 0


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_loop_over_callers_needs_to_be_interrupted_once(signal_number, tmp_path):
    body = """
        listener = voicemux.listen(host="127.0.0.1", port=0, plain=True)
        print("up", flush=True)
        for call in listener:
            pass
    """
    process = start(body, str(tmp_path))
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    assert holds(lambda: process.poll() is None, 0.2)
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=SOON)
    assert process.returncode == (0 if signal_number == signal.SIGTERM else -signal.SIGINT)
    assert ("KeyboardInterrupt" in err) == (signal_number == signal.SIGINT)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("body", ["call.texts()", "call.hear()"])
def test_a_call_in_a_thread_of_its_own_does_not_outlive_the_main_thread(body, signal_number, tmp_path):
    serve = f"""
    listener = voicemux.listen(host='127.0.0.1', port=0, plain=True)
    print(listener.port, flush=True)
    for call in listener:
        threading.Thread(target=lambda: list({body})).start()
        print('up', flush=True)
    """
    process = start(serve, str(tmp_path / "bot"))
    assert process.stdout
    with voicemux.dial(f"127.0.0.1:{int(process.stdout.readline())}", plain=True) as call:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal_number)
        assert list(call.texts()) == []
        assert call.ended
        assert call.ended.by == "them"
    process.communicate(timeout=SOON)
    assert process.returncode == (0 if signal_number == signal.SIGTERM else -signal.SIGINT)


def test_a_program_with_a_handler_of_its_own_keeps_it(tmp_path):
    body = """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))
        listener = voicemux.listen(host="127.0.0.1", port=0, plain=True)
        print("up", flush=True)
        time.sleep(0.5)
    """
    process = start(body, str(tmp_path))
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=PATIENCE)[0] == "mine\n"


def test_when_all_is_closed_signals_are_as_before():
    before = signal.getsignal(signal.SIGTERM)
    with voicemux.listen(host="127.0.0.1", port=0, plain=True):
        if before is signal.SIG_DFL:
            assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
