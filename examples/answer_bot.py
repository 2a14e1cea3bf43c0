"""Listens, plays a WAV file to each caller, and says goodbye.

python examples/answer_bot.py closed.wav --text "We are open from 9 to 5."
"""

import argparse
import sys
import wave

import numpy as np

import voicemux


def load(path: str) -> np.ndarray:
    """The samples of a file that is as the call wants them."""
    with wave.open(path, "rb") as file:
        got = file.getsampwidth() * 8, file.getframerate(), file.getnchannels()
        if got != (16, 48_000, 1):
            sys.exit("{}: expected 16 bits, 48000 Hz, 1 channel, got {}, {}, {}".format(path, *got))
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wav", help="16 bits, 48000 Hz, mono")
    parser.add_argument("--text", default="", help="is sent, too")
    parser.add_argument("--host", help="listen on this address only")
    parser.add_argument("--port", type=int, default=8689, help="0 lets the system choose one")
    parser.add_argument("--code", default="", help="what callers must know; default: one is made for each")
    parser.add_argument("--name", default="answer", help="what callers see")
    options = parser.parse_args()
    sound = load(options.wav)
    with voicemux.listen(host=options.host, port=options.port, code=options.code, name=options.name) as listener:
        print(f"port {listener.port}, code {listener.code}", flush=True)
        for call in listener:
            with call:
                if options.text:
                    call.send(options.text)
                call.speak(sound)
                call.wait_for_delivery()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except (EOFError, OSError, wave.Error, voicemux.VoicemuxError) as error:
        sys.exit(f"answer_bot: {error}")
