"""The floor: what two sound cards and PortAudio cost by themselves. No codec, no network, no jitter buffer.

The microphone's callback hands its 5 ms to the loudspeaker's. Between the two there are never more than the two
blocks that hide the scheduling of threads.
"""

import threading
from collections import deque
from typing import Any

import pyaudio

RATE = 48_000
BLOCK = RATE // 200  # samples: 5 ms
SILENCE = bytes(2 * BLOCK)
BLOCKS = 2


def main() -> None:
    blocks: deque[bytes] = deque(maxlen=BLOCKS)

    def listen(data: bytes | None, *_: Any) -> tuple[None, int]:
        blocks.append(data or SILENCE)
        return None, pyaudio.paContinue

    def speak(*_: Any) -> tuple[bytes, int]:
        return (blocks.popleft() if blocks else SILENCE), pyaudio.paContinue

    audio = pyaudio.PyAudio()
    options: dict[str, Any] = {"format": pyaudio.paInt16, "channels": 1, "rate": RATE, "frames_per_buffer": BLOCK}
    streams = [
        audio.open(output=True, stream_callback=speak, **options),
        audio.open(input=True, stream_callback=listen, **options),
    ]
    threading.Event().wait()  # until somebody ends this process
    del streams


if __name__ == "__main__":
    main()
