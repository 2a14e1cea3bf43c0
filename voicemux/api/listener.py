"""The class Listener of the Python API: it yields calls, one after the other."""

import logging
import threading
from collections.abc import Iterator
from functools import partial

from voicemux.api import leftovers
from voicemux.api.call import Call, inner, make_booth, make_hello
from voicemux.calls.establishing import answer, receive
from voicemux.calls.introduction import name_peer
from voicemux.calls.trust import Trust
from voicemux.calls.waiting import wait_at
from voicemux.errors import ConnectionLost, OutOfResources
from voicemux.net.caller import Caller
from voicemux.net.listener import ListeningSockets
from voicemux.net.refusals import Refusal
from voicemux.relay.places import RelayPlace
from voicemux.threads import NAP

_log = logging.getLogger("voicemux")


class Listener:
    """Answers callers, one after the other; further callers are told "busy". It is closed at the end of a `with`."""

    def __init__(
        self,
        host: str | None,
        port: int,
        trust: Trust | None,
        name: str,
        *,
        audio: bool,
        echo: str,
        dtx: bool,
        grace: int,
        relay: RelayPlace | None = None,
        hides: bool = False,
    ) -> None:
        """Not for programs: `listen` makes listeners."""
        listener = ListeningSockets(host, port)
        self._posts = wait_at(relay, listener, trust, _log.warning)
        self._port = listener.port
        self._trust, self._name, self._grace = trust, name, grace
        self._make_booth = partial(make_booth, audio, echo, dtx)
        self._reception, self._admission = receive(
            listener, trust, _turned_away, _new_code, _log.warning, self._on_replaced, hides=hides
        )
        self._closing = threading.Lock()
        self._closed = self._stopped = False
        self._caller: Caller | None = None  # who has been handed out, and whose place has not been freed
        self._latest: Call | None = None
        self._reception.start()
        leftovers.keep(self, self.stop)

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<voicemux.Listener on port {self.port}, {'closed' if self._closed else 'open'}>"

    @property
    def port(self) -> int:
        """The TCP port on which the listener waits."""
        return self._port

    @property
    def code(self) -> str:
        """What unknown callers must know now; empty if no code helps, or none is needed."""
        return self._admission.code if self._admission else ""

    @property
    def at_relay(self) -> str:
        """What unknown callers dial now, CODE@RELAY; empty without a relay, and if only contacts may call."""
        return self._posts.target(self.code) if self._posts else ""

    def __iter__(self) -> Iterator[Call]:
        """Yield calls, until `stop` or `close` is called.

        The code that gets a call closes it (`with`), here or in a thread of its own. The next caller is answered when
        the call has ended; until then callers are told "busy".
        """
        try:
            while True:
                self._wait_for_the_end()
                caller = self._caller = self._reception.calls.next_caller()
                self._latest = self._answer(caller)
                if self._latest:
                    if self._reception.calls.replacement_of(caller):
                        self._on_replaced(caller)
                    yield self._latest
        except _Stopped:
            self._stopped = False

    def _wait_for_the_end(self) -> None:
        """Wait until the call that was yielded last has ended."""
        while self._latest and self._latest.ended is None:
            if self._stopped:
                raise _Stopped
            inner(self._latest).wait_for_the_end(NAP)
        if self._latest:
            self._latest.close()
        if self._closed:
            raise _Stopped
        if self._caller:
            self._reception.calls.free(self._caller)
            self._caller = None

    def stop(self) -> None:
        """End the loop over callers when it asks for the next one. Any thread."""
        self._stopped = True
        self._reception.calls.interrupt(_Stopped())

    def close(self) -> None:
        """Listen no more, and end the loop over callers when it asks for the next one; a call goes on. Any thread;
        again does nothing."""
        with self._closing:
            if not self._closed:
                self._reception.close()
                self._closed = True
                leftovers.forget(self)
                self.stop()

    def _answer(self, caller: Caller) -> Call | None:
        booth = self._make_booth()
        try:
            hello = partial(make_hello, self._name, booth)
            met = answer(caller, hello, self._reception.sessions, self._grace)
            return Call(met, name_peer(met, self._trust, _log.warning).name, booth)
        except ConnectionLost as error:
            _log.info("the caller has gone: %s", error)
        except OutOfResources as error:
            _log.warning("%s; that call was not answered", error)
        return None

    def _on_replaced(self, _: Caller) -> None:
        """End the present call, because its caller has called again."""
        if call := self._latest:
            inner(call).replace()


class _Stopped(Exception):
    """Raised in the waiting thread by `stop`: no more calls are answered."""


def _turned_away(refusal: Refusal) -> None:
    who = f"{refusal.name or 'a caller'} at {refusal.address}"
    _log.info("%s was not answered (%d): %s", who, refusal.times, refusal.why)


def _new_code(code: str, why: str) -> None:
    _log.info("the code is over: %s", why)
