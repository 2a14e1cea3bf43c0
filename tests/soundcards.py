"""Virtual sound cards: a PulseAudio of our own with null sinks, and programs that play into and record from them.

Each side has two: what is played into its microphone's sink is what its microphone hears, and what its
loudspeaker's sink plays can be recorded. `wide_mic` is one more microphone, a stereo one. The server is reached by a
socket in a folder of its own; the user's, if there is one, is not touched. It ends when its standard input does:
it cannot survive us.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.peers import wait_until

RATE = 48_000
PATIENCE = 20.0  # seconds
CHUNK = 480  # bytes: 5 ms
SINKS = ("a_mic", "a_spk", "b_mic", "b_spk")

# Without this, the kernel kills PulseAudio when a real-time thread of it has run for 0.2 s. Time in which a virtual
# machine stands still counts, too.
DAEMON = "rlimit-rttime = -1\n"
# The socket comes last: once it is there, so is everything else. norewinds: played is played, as on real hardware.
STARTUP = "\n".join(
    [
        *(f"load-module module-null-sink sink_name={sink} rate={RATE} channels=1 norewinds=1" for sink in SINKS),
        f"load-module module-null-sink sink_name=wide_mic rate={RATE} channels=2 norewinds=1",
        "load-module module-cli exit_on_eof=1",
        "load-module module-native-protocol-unix auth-anonymous=1 socket={folder}/native",
        "",
    ]
)

# Nothing of the machine's own configuration or cards. The headset is side b's, whoever uses it.
ALSA = """\
pcm.!default { type pulse }
pcm.headset {
    type asym
    playback.pcm { type pulse device b_spk }
    capture.pcm { type pulse device "b_mic.monitor" }
}
pcm.headphones {
    type asym
    playback.pcm { type pulse device b_spk }
}
"""

# For pipewire.conf: a sink, and the server of PulseAudio's protocol in the same process, so that all can be frozen.
SINK_OF_PIPEWIRE = """{{ factory = adapter args = {{ factory.name = support.null-audio-sink node.name = {0}
    media.class = Audio/Sink object.linger = true audio.position = [ MONO ] }} }} """
PULSE_OF_PIPEWIRE = """{ name = libpipewire-module-protocol-pulse
    args = { server.address = [ "unix:FOLDER/native" ] } } """

Samples = NDArray[np.int16]


# PortAudio asserts that there is a device, if only one that cannot be opened.
NO_CARD = "pcm.!default { type hw card 31 }"


def without_sound(folder: Path) -> dict[str, str]:
    """The environment of a program on a machine that has no sound card and no sound server."""
    (folder / "asound.conf").write_text(NO_CARD)
    return {**_alone(folder), "PULSE_SERVER": f"unix:{folder}/nobody"}


def _alone(folder: Path) -> dict[str, str]:
    """Nothing of the user's: not its configuration, sound servers (Pulse, PipeWire, JACK) or buses."""
    return {
        **dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(folder)),
        **dict.fromkeys(("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"), f"unix:path={folder}/nobody"),
        "JACK_DEFAULT_SERVER": "nobody",
        "JACK_NO_START_SERVER": "1",
        "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
    }


class SoundCards:
    """A context manager: at its end the server has gone. Without PulseAudio the test fails: sound would be untested.

    Whoever means that sets VOICEMUX_TEST_NO_SOUND; then it is skipped.
    """

    needed: tuple[str, ...] = ("pulseaudio", "paplay", "parec")

    def __init__(self) -> None:
        if missing := [program for program in self.needed if not shutil.which(program)]:
            reason = f"virtual sound cards need {' and '.join(missing)}"
            if os.environ.get("VOICEMUX_TEST_NO_SOUND"):
                pytest.skip(reason)
            raise RuntimeError(f"{reason}; beside pipewire-alsa they cannot be: VOICEMUX_TEST_NO_SOUND=1 skips them")
        self._folder = Path(tempfile.mkdtemp(prefix="voicemux-sound-"))
        self._environment = {**_alone(self._folder), "PULSE_SERVER": f"unix:{self._folder}/native"}

    def __enter__(self) -> "SoundCards":
        (self._folder / "asound.conf").write_text(ALSA)
        (self._folder / "pulse.pa").write_text(STARTUP.format(folder=self._folder))
        (self._folder / "daemon.conf").write_text(DAEMON)
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def kill(self) -> None:
        """End the sound server under whoever uses it."""
        self._server.kill()
        self._server.wait()
        if self._server.stdin:
            self._server.stdin.close()

    def revive(self) -> None:
        """Have a sound server again if it has ended by itself: one test fails then, and not all that follow."""
        if self._server.poll() is not None:
            self.kill()
            self.restart()

    def restart(self) -> None:
        """Have a sound server again, after `kill`."""
        (self._folder / "native").unlink(missing_ok=True)
        with open(self._folder / "log", "wb") as log:
            self._server = self._start(log)
        deadline = time.monotonic() + PATIENCE
        while not (self._folder / "native").exists():
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"{self.needed[0]} does not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.02)

    def _start(self, log: BinaryIO) -> "subprocess.Popen[bytes]":
        fast = "yes" if os.geteuid() == 0 else "no"
        return subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(self._folder / "pulse.pa"), "--daemonize=no", "--use-pid-file=no",
             "--exit-idle-time=-1", f"--high-priority={fast}", f"--realtime={fast}"],
            env={**os.environ, **self._environment, "PULSE_CONFIG": str(self._folder / "daemon.conf")},
            stdin=subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The sound server answers nobody meanwhile."""
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    def env(self, side: str) -> dict[str, str]:
        """The environment of a program on side "a" or "b": its default devices are that side's. "" for those that the
        server has chosen."""
        if not side:
            return dict(self._environment)
        return {**self._environment, "PULSE_SOURCE": f"{side}_mic.monitor", "PULSE_SINK": f"{side}_spk"}

    def put_in_a_room(self, side: str, reflections: Mapping[int, float]) -> None:
        """Have that side's microphone hear its loudspeaker: as late as so many ms, each at so many dB.

        The sound server does it (module-loopback), so that a machine that stalls does not shift the echo.
        """
        for delay, db in reflections.items():
            module = self._pactl(
                "load-module", "module-loopback", f"source={side}_spk.monitor", f"sink={side}_mic",
                f"latency_msec={delay}", "adjust_time=0", "source_dont_move=yes", "sink_dont_move=yes",
            ).strip()  # fmt: skip
            listed = json.loads(self._pactl("-f", "json", "list", "sink-inputs"))
            (stream,) = [each["index"] for each in listed if str(each["owner_module"]) == module]
            self._pactl("set-sink-input-volume", str(stream), f"{db}dB")

    def cancel_echo(self, side: str) -> None:
        """Have the server cancel that side's echo, in sources and sinks that become the default."""
        self._pactl(
            "load-module", "module-echo-cancel", f"source_master={side}_mic.monitor", f"sink_master={side}_spk"
        )
        self._pactl("set-default-source", f"{side}_mic.monitor.echo-cancel")

    def add_microphone(self, name: str, description: str, sink: str) -> str:
        """Plug in a microphone that hears what is played into `sink`; what `unplug` takes."""
        return self._pactl(
            "load-module", "module-remap-source", f"master={sink}.monitor", f"source_name={name}",
            f"source_properties=device.description={description}",
        ).strip()  # fmt: skip

    def add_array(self, name: str, positions: Sequence[str], sink: str) -> str:
        """Plug in a microphone with a channel at each of the `positions`, of which the last hears what is played into
        `sink`, which has one channel; what `unplug` takes."""
        others = ("aux20", "aux21", "aux22", "aux23", "aux24", "aux25", "aux26")[: len(positions) - 1]
        return self._pactl(
            "load-module", "module-remap-source", f"master={sink}.monitor", f"source_name={name}", "remix=no",
            f"channels={len(positions)}", f"channel_map={','.join(positions)}",
            f"master_channel_map={','.join((*others, 'mono'))}", f"source_properties=device.description={name}",
        ).strip()  # fmt: skip

    def add_loudspeaker(self, name: str, positions: Sequence[str] = ("mono",), *, rewinds: bool = False) -> str:
        """Plug in a loudspeaker; what `unplug` takes. One that `rewinds` is as the server makes them without options:
        it plays silence 2 s ahead while no program uses it."""
        return self._pactl(
            "load-module", "module-null-sink", f"sink_name={name}", f"rate={RATE}", f"channels={len(positions)}",
            f"channel_map={','.join(positions)}", f"norewinds={int(not rewinds)}",
        ).strip()  # fmt: skip

    def ahead(self, sink: str) -> float:
        """Seconds of sound that `sink` has taken and not played."""
        told = self._pactl("list", "sinks").partition(f"Name: {sink}\n")[2].partition("Latency: ")[2]
        return int(told.split()[0]) / 1_000_000

    def unplug(self, device: str) -> None:
        """Take away what was plugged in."""
        self._pactl("unload-module", device)

    def set_default(self, kind: str, name: str) -> None:
        """`kind` is "input" or "output". Programs whose environment names a device do not follow."""
        self._pactl(f"set-default-{'source' if kind == 'input' else 'sink'}", name)

    def _pactl(self, *command: str) -> str:
        env = {**os.environ, **self._environment, "LC_ALL": "C.UTF-8"}
        return subprocess.run(["pactl", *command], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout

    def play(self, file: str | Path, sink: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["paplay", f"--device={sink}", "--latency-msec=20", str(file)], env={**os.environ, **self._environment}
        )

    def record(self, sink: str) -> "Recording":
        """Begin to record what `sink` plays."""
        return Recording(sink, {**os.environ, **self._environment})


class PipeWireCards(SoundCards):
    """The same sinks of a PipeWire that is there in PulseAudio's place. Its log is that of both programs."""

    needed = ("pipewire", "wireplumber", "dbus-run-session", "paplay", "parec")

    def kill(self) -> None:
        super().kill()
        self._manager.wait(PATIENCE)  # it ends with the server

    def _start(self, log: BinaryIO) -> "subprocess.Popen[bytes]":
        folder = self._folder
        text = Path("/usr/share/pipewire/pipewire.conf").read_text()
        for what, more in (("objects", "".join(map(SINK_OF_PIPEWIRE.format, SINKS))), ("modules", PULSE_OF_PIPEWIRE)):
            assert f"context.{what} = [" in text
            text = text.replace(f"context.{what} = [", f"context.{what} = [ {more.replace('FOLDER', str(folder))}", 1)
        (folder / "pipewire.conf").write_text(text)
        # What is there already belongs to a server that was killed.
        (folder / "pipewire-0").unlink(missing_ok=True)
        here = {"PIPEWIRE_RUNTIME_DIR": str(folder)}
        env = {**os.environ, **self._environment, **here}
        server = subprocess.Popen(
            ["pipewire", "-c", str(folder / "pipewire.conf")], env=env, stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        with contextlib.suppress(AssertionError):
            wait_until(lambda: (folder / "pipewire-0").exists() or server.poll() is not None, PATIENCE)
        self._manager = subprocess.Popen(["dbus-run-session", "--", "wireplumber"], env=env, stdout=log, stderr=log)
        return server


class Recording:
    """What a sink plays, from now to `stop()`. `began` is the monotonic time of the first sample, a little late."""

    def __init__(self, sink: str, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["parec", f"--device={sink}.monitor", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1",
             "--latency-msec=5"],
            env=env, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        self._pcm = bytearray()
        self.began = float("inf")
        self._ready = threading.Event()
        self._grown = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._ready.wait(PATIENCE)

    def stop_after(self, seconds: float) -> Samples:
        """When it is that long."""
        while len(self._pcm) < seconds * RATE * 2:
            self._grown.clear()
            assert self._grown.wait(PATIENCE)
        return self.stop()

    def stop(self) -> Samples:
        self._process.terminate()
        self._reader.join()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
        return self.so_far

    @property
    def so_far(self) -> Samples:
        return np.frombuffer(bytes(self._pcm[: len(self._pcm) // 2 * 2]), np.int16)

    def _read(self) -> None:
        assert self._process.stdout
        while chunk := self._process.stdout.read(CHUNK):
            self._pcm += chunk
            self._grown.set()
            # The chunk that waited least tells best when the recording began.
            self.began = min(self.began, time.monotonic() - len(self._pcm) / (2 * RATE))
            self._ready.set()
