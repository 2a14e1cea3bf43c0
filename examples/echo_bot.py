"""Listens, and echoes: text at once, sound half a second later.

python examples/echo_bot.py --port 8690
"""

import argparse
import sys
import threading
from collections import deque

import voicemux

DELAY = 100  # blocks of 5 ms


def echo_sound(call: voicemux.Call) -> None:
    waiting = deque()
    for block in call.hear():
        waiting.append(block)
        if len(waiting) > DELAY:
            call.speak(waiting.popleft())


def serve(call: voicemux.Call) -> None:
    ear = threading.Thread(target=echo_sound, args=(call,))
    ear.start()
    try:
        for text in call.texts():
            call.send(text)
    finally:
        call.hang_up()  # so that the other loop ends, whatever became of this one
        ear.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", help="listen on this address only")
    parser.add_argument("--port", type=int, default=8689, help="0 lets the system choose one")
    parser.add_argument("--code", default="", help="what callers must know; default: one is made for each")
    parser.add_argument("--name", default="echo", help="what callers see")
    options = parser.parse_args()
    with voicemux.listen(host=options.host, port=options.port, code=options.code, name=options.name) as listener:
        print(f"port {listener.port}, code {listener.code}", flush=True)
        for call in listener:
            with call:
                print(f"{call.address} calls; the next code is {listener.code}", flush=True)
                serve(call)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except (OSError, voicemux.VoicemuxError) as error:
        sys.exit(f"echo_bot: {error}")
