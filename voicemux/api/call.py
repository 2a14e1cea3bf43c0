"""The class Call of the Python API."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from voicemux.api import arguments, leftovers
from voicemux.api.recording import RecordedCall
from voicemux.calls.call import RunningCall
from voicemux.calls.establishing import own_hello
from voicemux.calls.introduction import Introduced
from voicemux.errors import VoicemuxError
from voicemux.events import Ended, Level, Stats, TextReceived
from voicemux.protocol.messages import Hello
from voicemux.threads import NAP

if TYPE_CHECKING:
    from voicemux.audio.blocks import BlockSource, Booth
    from voicemux.audio.resample import Samples
    from voicemux.calls.event_queue import Watcher

LAST_WORDS = 2.0  # seconds at most for what was spoken before a call is closed: 0.8 on a machine that keeps up
SHORT_NAP = 0.05  # seconds


class Call(RecordedCall):
    """A call that is up, until one side hangs up or the line breaks. It is closed at the end of a `with`.

    One thread may use `texts`, another one `hear`; everything else may be used by any thread. Nothing raises because
    a call ends: the loops end, `send` and `speak` return False, `ended` says how, and `error` why if not well.

    A call that is never closed ends with the program, with a goodbye.
    """

    def __init__(self, met: Introduced, name: str, booth: "Booth | None") -> None:
        """Not for programs: `dial` and `Listener` make calls."""
        playable = met.hello.playable
        transmitter = booth.make_transmitter(playable) if booth else None
        hello = replace(met.hello, name=name)
        player = booth.make_player() if booth else None
        self._source = booth.source if booth and transmitter else None
        self._sink = booth.sink if booth else None
        self._call = RunningCall(met.stream, met.sending, met.receiving, hello, transmitter, player, bond=met.bond)
        RecordedCall.__init__(self, self._call, booth.make_sides(transmitter) if booth else None)
        self._read_all = self._closed = False
        self._speaking = threading.Lock()  # by one thread at a time
        self._closing = threading.Lock()
        self._relay = met.stream.relay
        self._address, self._security, self._words = met.stream.place, met.security, tuple(met.words)
        self._call.start()
        leftovers.keep(self, self.hang_up)

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # what has failed waits for no last words
            self.hang_up()
        self.close()

    def __repr__(self) -> str:
        ended = self.ended
        state = f"ended by {ended.by}" if ended else "up"
        return f"<voicemux.Call with {self.name!r} ({self.address}), {self.security}, {state}>"

    @property
    def name(self) -> str:
        """The peer's name: as its contact is called, else as it calls itself, else its address.

        A peer chooses its name, and may call itself `../../etc/passwd`, or by the name of another person. The name is
        one line of printable text; do not make a path or a command of it. Look at `security` to know who it is.
        """
        return self._call.name

    @property
    def address(self) -> str:
        """The peer's IP address, that of a tunnel or relay if it comes through one; unix:PATH for a Unix socket."""
        return self._address

    @property
    def relay(self) -> str:
        """The relay through which the call began, as HOST or HOST:PORT; empty if it was direct."""
        return self._relay

    @property
    def security(self) -> str:
        """What speaks for the peer: "known" (its key is a contact's), "code" (it knew the code), "open" (nothing,
        until the words are compared), or "plain" (nothing, and the call is not encrypted)."""
        return self._security

    @property
    def words(self) -> list[str]:
        """Four words to compare by voice if `security` is "open" and the peer is not known; else none."""
        return list(self._words)

    # --- text

    def send(self, text: str) -> bool:
        """Send a text; waits while 8 MB are queued. False if the call ended before it could be.

        True says that it is on its way: `wait_for_delivery` and `undelivered` tell whether it has arrived.
        Raises TypeError if it is not a str, LocalProtocolError if it is not Unicode (lone surrogates).
        """
        arguments.text("text", text)
        return self._call.say(text)

    @property
    def undelivered(self) -> list[str]:
        """The texts that the peer has not acknowledged, the oldest first; of a long text, the part that is not
        acknowledged.

        Once the call has ended, these texts may have arrived or not; all others have arrived.
        """
        return self._call.undelivered

    def texts(self) -> Iterator[str]:
        """The peer's texts, as they came, until the call ends.

        The peer learns that a text has arrived when the loop asks for the next one, or the call is hung up here. Of
        texts that are not taken, it can send 64 KiB; the rest waits there.
        """
        while not self._read_all:
            event = self._call.next_event()
            if isinstance(event, TextReceived):
                yield event.text
            self._read_all = isinstance(event, Ended)

    # --- sound: int16, 48 kHz, mono

    def hear(self) -> "Iterator[Samples]":
        """What is heard, a block of shape (240,) every 5 ms, until the call ends; nothing in a call without sound.

        It is live: what is not taken within a second is dropped, the oldest first. So is what would be late for ever:
        what a program that takes blocks no faster than they come has been behind by for a third of a second. Who
        needs every sample takes it at once, and keeps it.
        """
        if self._sink is None:
            return
        from voicemux.audio.resample import from_bytes

        while self._call.goes_on:
            if pcm := self._sink.take(NAP):
                yield from_bytes(pcm)
        yield from map(from_bytes, self._sink.rest())

    def speak(self, samples: "Samples") -> bool:
        """Say `samples`, of shape (n,); waits while half a second is queued. Between them, silence is sent.

        What several threads say comes one after the other. In a stream of short pieces that come as fast as they are
        said (an echo, a bridge), what has come to wait for good after a pause is cut out.

        False if it will not be heard: the call has ended, or has no sound, or the peer plays none.
        Raises TypeError for samples of another type or shape.
        """
        from voicemux.audio.resample import to_pcm

        pcm = to_pcm(samples)
        while not self._speaking.acquire(timeout=NAP):
            if not self._call.goes_on:
                return False
        try:
            return self._source is not None and _speak(self._call, self._source, pcm)
        finally:
            self._speaking.release()

    # --- the call itself

    def wait_for_delivery(self) -> bool:
        """Wait until all that was spoken has been said, and all text acknowledged. False if that cannot be.

        It cannot if the call ends, or nothing is acknowledged for 10 seconds.
        """
        while self._source and not self._source.wait_until_said(NAP):
            if not self._call.goes_on:
                return False
        return self._call.wait_for_delivery()

    def stats(self) -> Stats:
        """Figures of the call so far."""
        return self._call.stats()

    def level(self) -> Level:
        """How loud both voices were in the last ten seconds: what is spoken here, and what is heard."""
        return self._call.states.level()

    def subscribe(self, watcher: "Watcher") -> Callable[[], None]:
        """Have `watcher` called with each event, at once and in any thread: it must not wait. What this returns ends
        that; so does an exception of `watcher`, which is logged."""
        return self._call.subscribe(watcher)

    @property
    def ended(self) -> Ended | None:
        """How the call ended; None as long as it goes on."""
        return self._call.ended

    @property
    def error(self) -> VoicemuxError | None:
        """Why the call ended, if not well."""
        return self._call.error

    def hang_up(self) -> None:
        """Say goodbye after the texts that still wait. Returns at once; `texts` and `hear` end with the call."""
        self._call.took()
        self._call.hang_up()

    def close(self) -> None:
        """Let what was spoken be said, hang up if neither side has, and wait until nothing of the call is left. That
        takes some seconds at most. Calling it again does nothing."""
        with self._closing:
            if self._closed:
                return
            if self._source and self._call.goes_on:
                _finish_speaking(self._call, self._source)
            self.hang_up()
            try:
                self._call.close()
                self._end_recordings()
            except Exception:
                self._closed = True  # after a bug; after an interruption the program may close it again
                leftovers.forget(self)
                raise
            self._closed = True
            leftovers.forget(self)


def _speak(call: RunningCall, source: "BlockSource", pcm: bytes) -> bool:
    from voicemux.audio.endpoints import BLOCK_BYTES

    for start in range(0, len(pcm), BLOCK_BYTES):
        while not (call.goes_on and source.put(pcm[start : start + BLOCK_BYTES], NAP, len(pcm))):
            if not call.goes_on:
                return False
    return call.goes_on


def _finish_speaking(call: RunningCall, source: "BlockSource") -> None:
    deadline = time.monotonic() + LAST_WORDS
    while call.goes_on and not source.wait_until_said(SHORT_NAP) and time.monotonic() < deadline:
        pass


def inner(call: Call) -> RunningCall:
    """The call of `voicemux.calls` that one of ours stands for: for the listener that has made it."""
    return call._call


def make_booth(audio: bool, echo: str, dtx: bool) -> "Booth | None":
    """The sound of a call; None for a call of text only. Raises LibraryMissing if echo cannot be cancelled."""
    if not audio:
        return None
    from voicemux.audio.blocks import Booth
    from voicemux.audio.choices import EchoChoice

    return Booth(EchoChoice(echo), dtx=dtx)


def make_hello(name: str, booth: "Booth | None") -> Hello:
    """Return the HELLO that tells the peer our name and what we can play."""
    return own_hello(name, booth.playable if booth else ())
