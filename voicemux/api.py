"""Calls for programs: bots, bridges, tests. `voicemux` hands these out by the same names.

    with voicemux.dial("kitchen", code="42-beeswax-caravan", name="bot") as call:
        call.send("dinner is ready")
        for text in call.texts():
            print(text)

Errors are those of `voicemux.errors`. What goes wrong beside a call, which goes on, is logged as `voicemux`.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from voicemux.call import Call as _Call
from voicemux.dialling import reach
from voicemux.errors import ConnectionLost, OutOfResources, VoicemuxError
from voicemux.events import Ended, Stats, TextReceived
from voicemux.introduction import Introduced, answer, name_of, own_hello, receive
from voicemux.net.address import DEFAULT_PORT
from voicemux.net.line import Listener as _Listener
from voicemux.net.reception import Caller
from voicemux.net.refusals import Refusal
from voicemux.protocol.messages import Hello
from voicemux.security.files import usual_folder
from voicemux.threads import NAP
from voicemux.trust import Security, Trust
from voicemux.voice import USUAL_BITRATE, USUAL_FRAME_MS

if TYPE_CHECKING:
    from voicemux.audio.blocks import Booth
    from voicemux.audio.resample import Samples

_log = logging.getLogger("voicemux")


def dial(
    target: str,
    *,
    code: str = "",
    name: str = "",
    plain: bool = False,
    open: bool = False,
    home: Path | None = None,
    audio: bool = True,
) -> "Call":
    """Call an address (HOST, HOST:PORT, [IPv6]:PORT) or a contact. The call is up when this returns.

    `code` is what the other side was shown, for the first call; `open` calls somebody unknown without one, whose
    `words` are to be compared. `plain` calls without encryption. `name` is what the other side sees; without one it
    sees our address. `home` has our key and our contacts; default: where those of the command `voicemux` are.
    `audio=False` is for text only.

    Raises AddressError, Unreachable, CallRefused (busy, declined), SecurityError (not who was meant, or a wrong
    code), RemoteProtocolError (that is not voicemux) or ConnectionLost.
    """
    _check_plain(plain, code, open)
    trust = None if plain else Trust(Security(home or usual_folder(), code, is_open=open, own_name=name))
    booth = _booth(audio)
    met = reach(target, trust, lambda: _hello(name, booth))
    return Call(met, name_of(met, trust, _log.warning).name, booth)


def listen(
    *,
    host: str | None = None,
    port: int = DEFAULT_PORT,
    code: str = "",
    name: str = "",
    plain: bool = False,
    open: bool = False,
    allow: tuple[str, ...] = (),
    home: Path | None = None,
    audio: bool = True,
) -> "Listener":
    """Wait for callers on `host` (default: all addresses) and `port` (0: the system chooses).

    Contacts may call, and whoever knows the code: `code` as long as this listens, or one that is made for each first
    call. `open` lets anybody call, `allow` only the contacts of these names. The rest is as for `dial`.

    Raises Unreachable if the port cannot be had, SecurityError for a bad code or a name that is no contact's.
    """
    _check_plain(plain, code, open or bool(allow))
    trust = None
    if not plain:
        security = Security(
            home or usual_folder(), code, is_open=open, accepts_all=open, allowed=tuple(allow), own_name=name
        )
        trust = Trust(security)
    return Listener(host, port, trust, name, audio=audio)


class Call:
    """A call that is up, until somebody hangs up or the line breaks. It is closed at the end of a `with`.

    One thread may use `texts`, another one `hear`; everything else may be used by any thread. Nothing raises because
    a call ends: the loops end, `send` and `speak` return False, `ended` says how, and `error` why if not well.
    """

    def __init__(self, met: Introduced, name: str, booth: "Booth | None") -> None:
        """Not for programs: `dial` and `Listener` make calls."""
        playable = met.hello.playable
        transmitter = booth.make_transmitter(playable, USUAL_FRAME_MS, USUAL_BITRATE) if booth else None
        hello = replace(met.hello, name=name)
        player = booth.make_player() if booth else None
        self._source = booth.source if booth and transmitter else None
        self._sink = booth.sink if booth else None
        self._call = _Call(met.line, met.sending, met.receiving, hello, transmitter, player)
        self._read_all = self._closed = False
        self.name = self._call.name  # as we remember its peer, or as it says (made harmless), or its address
        self.address = met.line.peer.host
        self.security = met.security  # "plain", or what speaks for the peer: "known", "code", "open"
        self.words = met.words  # to be compared, if "open" and not known
        self._call.start()

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- text

    def send(self, text: str) -> bool:
        """Send a text; waits while 8 MB are queued. False if the call ended before it could be.

        Raises LocalProtocolError if it is not Unicode (lone surrogates).
        """
        return self._call.say(text)

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

        What is not taken within a second is dropped, the oldest first.
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

        False if nobody will hear it: the call has ended, or has no sound, or the peer plays none.
        Raises TypeError for samples of another type or shape.
        """
        if samples.dtype.name != "int16" or samples.ndim != 1:
            raise TypeError(f"expected int16 samples of shape (n,), got {samples.dtype} of shape {samples.shape}")
        if self._source is None:
            return False
        from voicemux.audio.endpoints import BLOCK_SAMPLES

        for start in range(0, len(samples), BLOCK_SAMPLES):
            pcm = samples[start : start + BLOCK_SAMPLES].tobytes()
            while not (self._call.goes_on and self._source.put(pcm, NAP)):
                if not self._call.goes_on:
                    return False
        return self._call.goes_on

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

    @property
    def ended(self) -> Ended | None:
        """How the call ended; None as long as it goes on."""
        return self._call.ended

    @property
    def error(self) -> VoicemuxError | None:
        """Why the call ended, if not well."""
        return self._call.error

    def hang_up(self) -> None:
        """Say goodbye behind the text that still waits. Returns at once: then the loops end."""
        self._call.took()
        self._call.hang_up()

    def replace(self) -> None:
        """Not for programs: the peer has called again, and gets a new call."""
        self._call.replace()

    def close(self) -> None:
        """Hang up, if nobody has, and wait until nothing of the call is left, some seconds at most.

        The thread that made the call, or got it from the listener; again does nothing.
        """
        if not self._closed:
            self._closed = True
            self.hang_up()
            self._call.close()


class Listener:
    """Callers, one after the other: whoever calls meanwhile is told "busy". It is closed at the end of a `with`."""

    def __init__(self, host: str | None, port: int, trust: Trust | None, name: str, *, audio: bool) -> None:
        """Not for programs: `listen` makes listeners."""
        listener = _Listener(host, port)
        self.port = listener.port
        self._trust, self._name, self._audio = trust, name, audio
        self._current: Call | None = None
        self._reception, self._admission = receive(
            listener, trust, _turned_away, _new_code, _log.warning, self._on_replaced
        )
        self._closed = False
        self._reception.start()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def code(self) -> str:
        """What unknown callers must know now; empty if no code helps, or none is needed."""
        return self._admission.code if self._admission else ""

    def __iter__(self) -> Iterator[Call]:
        """Calls, until `stop`. A call is closed before the next one is answered."""
        try:
            while True:
                caller = self._reception.next_caller()
                try:
                    if call := self._answer(caller):
                        with call:
                            self._current = call
                            if self._reception.is_replaced:
                                call.replace()
                            yield call
                finally:
                    self._current = None
                    self._reception.free()
        except _Stopped:
            return

    def stop(self) -> None:
        """End the loop over callers when it asks for the next one. Any thread."""
        self._reception.interrupt(_Stopped())

    def close(self) -> None:
        """Listen no more. The thread that takes the calls; again does nothing."""
        if not self._closed:
            self._closed = True
            self._reception.close()

    def _answer(self, caller: Caller) -> Call | None:
        booth = _booth(self._audio)
        try:
            met = answer(caller, lambda: _hello(self._name, booth))
            return Call(met, name_of(met, self._trust, _log.warning).name, booth) if met else None
        except ConnectionLost as error:
            _log.info("the caller has gone: %s", error)
        except OutOfResources as error:
            _log.warning("%s; that call was not answered", error)
        return None

    def _on_replaced(self) -> None:
        """The caller has called again."""
        if call := self._current:
            call.replace()


class _Stopped(Exception):
    """Nobody is to be answered any more."""


def _check_plain(plain: bool, code: str, unchecked: bool) -> None:
    if plain and (code or unchecked):
        raise ValueError("plain goes with none of code, open and allow: anybody may call then")


def _booth(audio: bool) -> "Booth | None":
    if not audio:
        return None
    from voicemux.audio.blocks import Booth

    return Booth()


def _hello(name: str, booth: "Booth | None") -> Hello:
    return own_hello(name, booth.playable if booth else ())


def _turned_away(refusal: Refusal) -> None:
    who = f"{refusal.name or 'somebody'} at {refusal.address}"
    _log.info("%s was not answered (%d): %s", who, refusal.times, refusal.why)


def _new_code(code: str, why: str) -> None:
    _log.info("the code is over: %s", why)
