"""The design that voicemux began with, as a yardstick: two TCP sockets, one for text and one for voice.

Voice is raw PCM, 44.1 kHz stereo 16 bit, in chunks of 1024 samples, through blocking PyAudio with its default
latency; a thread sends what the microphone gives, another plays what arrives, in pieces of up to 1024 bytes.
What one side says meanwhile waits in the sockets: nothing is ever dropped or skipped.

    python -m bench.original listen ADDRESS PORT        text on PORT, voice on PORT + 1
    python -m bench.original dial ADDRESS PORT
"""

import contextlib
import socket
import sys
import threading
from typing import Any

import pyaudio

RATE, CHANNELS, CHUNK = 44_100, 2, 1024
PIECE = 1024  # bytes asked of the voice socket at a time
TEXT = 4096  # bytes asked of the text socket


def connect(role: str, address: str, port: int) -> list[socket.socket]:
    """The connection for text and the one for voice."""
    ports = (port, port + 1)
    if role == "dial":
        return [socket.create_connection((address, each)) for each in ports]
    servers = [socket.create_server((address, each), backlog=1) for each in ports]
    print("listening", flush=True)
    return [server.accept()[0] for server in servers]


def send_voice(voice: socket.socket, microphone: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            voice.sendall(microphone.read(CHUNK, exception_on_overflow=False))


def play_voice(voice: socket.socket, loudspeaker: Any) -> None:
    with contextlib.suppress(OSError):
        while data := voice.recv(PIECE):
            loudspeaker.write(data)


def send_text(text: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for line in sys.stdin:
            text.sendall(line.rstrip("\n").encode())


def open_streams() -> tuple[Any, Any]:
    audio = pyaudio.PyAudio()
    options: dict[str, Any] = {
        "format": pyaudio.paInt16,
        "channels": CHANNELS,
        "rate": RATE,
        "frames_per_buffer": CHUNK,
    }
    return audio.open(input=True, **options), audio.open(output=True, **options)


def main() -> None:
    role, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if role == "listen":  # its microphone runs while it waits, as the original's did
        microphone, loudspeaker = open_streams()
    text, voice = connect(role, address, port)
    if role == "dial":
        microphone, loudspeaker = open_streams()
    for body, *arguments in ((send_text, text), (play_voice, voice, loudspeaker), (send_voice, voice, microphone)):
        threading.Thread(target=body, args=arguments, daemon=True).start()
    while received := text.recv(TEXT):
        print(received.decode(errors="replace"), flush=True)


if __name__ == "__main__":
    main()
