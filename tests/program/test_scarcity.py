"""A listener that the system gives little."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import voicemux
from tests.running import CODE, PATIENCE

STRANGERS = 60

pytestmark = pytest.mark.skipif(os.name != "posix" or not shutil.which("sh"), reason="limits are of POSIX shells")


def test_a_listener_with_few_descriptors_takes_a_friend_beside_more_strangers_than_it_can_hold(tmp_path):
    command = f"ulimit -n 32; exec {sys.executable} -m voicemux listen --no-audio --host 127.0.0.1 --port 0"
    environment = {**os.environ, "VOICEMUX_HOME": str(tmp_path / "bob"), "VOICEMUX_CODE": CODE}
    with subprocess.Popen(
        ["sh", "-c", command], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as bob:
        try:
            assert bob.stderr
            port = int(bob.stderr.readline().split("port ")[1].split()[0])
            strangers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(STRANGERS)]
            with voicemux.dial(f"127.0.0.1:{port}", code=CODE, home=tmp_path / "alice", audio=False) as call:
                assert call.security == "code"
            for each in strangers:
                each.close()
        finally:
            bob.kill()


def test_a_call_for_which_there_is_no_thread_is_not_held_and_the_listener_goes_on(tmp_path, monkeypatch):
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "voicemux-writer" and threading.current_thread() is serving:
            raise RuntimeError("can't start new thread")
        start(thread)

    def serve() -> None:
        for call in listener:
            heard.extend(call.texts())

    heard: list[str] = []
    with voicemux.listen(host="127.0.0.1", port=0, code=CODE, home=tmp_path / "bob", audio=False) as listener:
        serving = threading.Thread(target=serve)
        serving.start()
        place = f"127.0.0.1:{listener.port}"
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with voicemux.dial(place, code=CODE, home=Path(tmp_path / "alice"), audio=False) as call:
            assert list(call.texts()) == []
            assert call.ended
            assert call.ended.by == "error"
        monkeypatch.undo()
        with voicemux.dial(place, code=CODE, home=Path(tmp_path / "alice"), audio=False) as call:
            call.send("still there?")
            assert call.wait_for_delivery()
        listener.stop()
        serving.join(PATIENCE)
    assert heard == ["still there?"]
