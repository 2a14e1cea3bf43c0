#!/usr/bin/env python3
"""A voicemux client for text and PCM sound, with nothing but the standard library. README.md says how it is run.

It is meant to be read beside ../protocol.md: first wire.py, the bytes; then call.py, what happens in a call,
encrypted.py, who is who, and sound.py. This file is the command line.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import sys
import threading

from call import Call
from encrypted import Identity
from wire import note


async def run(options):
    """One call, or one after the other. Returns the exit code."""
    loop, options.lines = asyncio.get_running_loop(), asyncio.Queue(1)
    options.identity = options.plain or Identity(options.key, options.key_of_peer)

    def read_lines():
        for line in itertools.chain(sys.stdin.buffer, [b""]):
            asyncio.run_coroutine_threadsafe(options.lines.put(line), loop).result()

    threading.Thread(target=read_lines, daemon=True).start()
    *host, port = options.address
    if options.role == "dial":
        try:
            streams = await asyncio.open_connection(*host, port)
        except OSError as error:
            note(error)
            return 1
        return await Call(*streams, True, options).hold()
    turn, first = asyncio.Lock(), loop.create_future()

    async def answer(reader, writer):
        async with turn:
            code = await Call(reader, writer, False, options).hold()
        if options.once and not first.done():
            first.set_result(code)

    async with await asyncio.start_server(answer, *host or [None], port) as server:
        note(f"listening on port {server.sockets[0].getsockname()[1]}")
        return await first


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A voicemux client. What is typed is sent; its end hangs up.")
    parser.add_argument("role", choices=("dial", "listen"))
    parser.add_argument("address", nargs="+", help="dial HOST PORT, listen [HOST] PORT")
    parser.add_argument("--name", default="stranger", help="what the other side sees")
    parser.add_argument("--once", action="store_true", help="listen for one call")
    parser.add_argument("--plain", action="store_true", help="no encryption")
    parser.add_argument("--key", default="key.pem", help="our key and certificate; made if it is missing")
    parser.add_argument("--key-of-peer", metavar="FINGERPRINT", help="call or admit only this one; without: anybody")
    parser.add_argument("--audio", action="store_true", help="speak and hear: 16-bit little endian, 48 kHz, mono")
    parser.add_argument("--play", metavar="FILE", help="what we say; default: silence")
    parser.add_argument("--record", metavar="FILE", help="what we hear is appended to it")

    async def main():
        os._exit(await run(parser.parse_args()))  # without waiting for more to be typed

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
