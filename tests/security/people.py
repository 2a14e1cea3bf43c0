"""People who listen and who dial, each with a key of their own, over real TCP and TLS."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.peers import PATIENCE
from voicemux.errors import VoicemuxError
from voicemux.net.address import Address
from voicemux.net.caller import Caller
from voicemux.net.greeting import Greeting
from voicemux.net.listener import ListeningSockets
from voicemux.net.reception import Reception
from voicemux.net.refusals import Refusal
from voicemux.net.stream import Stream
from voicemux.net.tcp import TcpStream
from voicemux.protocol.messages import Hello, Method
from voicemux.security.admission import Admission
from voicemux.security.contacts import Contacts
from voicemux.security.handshake import Dialler, Peer
from voicemux.security.identity import fingerprint_of, load_identity


class Person:
    """Has a key, and contacts, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity = load_identity(folder)
        self.contacts = Contacts(folder)

    def knows(self, other: "Person", name: str) -> None:
        self.contacts.remember(name, other.identity.fingerprint, "", "code")

    @contextlib.contextmanager
    def listening(self, **chosen: Any) -> Iterator["House"]:
        """`chosen` are arguments of Admission, and the `capacity`."""
        house = House(self, **chosen)
        house.reception.start()
        try:
            yield house
        finally:
            house.reception.close()

    def dial(
        self, port: int, method: Method, code: str = "", *, name: str = "", source: str = "127.0.0.1"
    ) -> tuple[Peer, Hello | None]:
        """Call, and say HELLO and wait for theirs if there is a `name`. Raises what a dialler is told."""
        with self.dialling(port, source) as (greeting, certificate):
            greeting.open()
            peer = greeting.authenticate(Dialler(self.identity, certificate, method, code))
            return peer, greeting.introduce(Hello(name), lambda: None) if name else None

    @contextlib.contextmanager
    def dialling(self, port: int, source: str = "127.0.0.1") -> Iterator[tuple[Greeting, bytes]]:
        """A greeting inside TLS, and the listener's certificate."""
        with contextlib.closing(stream_to(port, source)) as stream:
            greeting = Greeting(stream)
            yield greeting, greeting.secure()


class House:
    """A listener at work: who comes, who was turned away, and which codes there were."""

    def __init__(self, owner: Person, capacity: int = 1, **chosen: Any) -> None:
        self.turned_away: list[str] = []
        self.codes: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.missed: list[Caller] = []
        self.replaced = 0
        self.admission = Admission(
            owner.identity,
            owner.contacts,
            lambda code, why: self.codes.append((code, why)),
            on_guessing=self.warnings.append,
            **chosen,
        )
        listener = ListeningSockets("127.0.0.1", 0)
        self.port = listener.port
        self.reception = Reception(
            listener,
            self._turn_away,
            self.admission,
            owner.identity.path,
            on_missed=self._miss,
            on_replaced=self._replace,
            capacity=capacity,
        )

    def _turn_away(self, refusal: Refusal) -> None:
        self.turned_away.append(refusal.why)

    def _miss(self, caller: Caller) -> str:
        self.missed.append(caller)
        return "somebody"

    def _replace(self, _: Caller) -> None:
        self.replaced += 1

    @contextlib.contextmanager
    def caller(self, name: str = "the owner") -> Iterator[Caller]:
        """The next caller, answered."""
        caller = self.reception.calls.next_caller()
        with contextlib.closing(caller.stream):
            caller.stream.write(caller.sending.encode(Hello(name)))
            yield caller
        self.reception.calls.free(caller)


class Middle:
    """Somebody in the middle who terminates TLS on both sides, and passes on what is inside unchanged."""

    def __init__(self, attacker: Person, port: int) -> None:
        """`port` is the true listener's; what is dialled is `self.port`."""
        self.said: list[bytes] = []  # by the dialler, inside TLS
        self._attacker = attacker
        self._listener = ListeningSockets("127.0.0.1", 0)
        self.port = self._listener.port
        self._true_port = port
        self._threads = [threading.Thread(target=self._attack)]

    def __enter__(self) -> "Middle":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _attack(self) -> None:
        from voicemux.net.tls import TlsStream, dialler_context, listener_context

        accepting = self._listener.sockets[0]
        accepting.settimeout(PATIENCE)
        connection, place = accepting.accept()
        victim = TcpStream(connection, Address(*place))
        true = stream_to(self._true_port)
        with contextlib.closing(victim), contextlib.closing(true), contextlib.suppress(VoicemuxError):
            secured = TlsStream(victim, listener_context(self._attacker.identity.path), is_server=True)
            first = secured.answer(victim.read())
            truly = TlsStream(true, dialler_context(), is_server=False)
            truly.begin()
            while not secured.is_secure:
                first = secured.receive()
            while not truly.is_secure:
                truly.receive()
            back = threading.Thread(target=self._pass_on, args=(truly, secured))
            back.start()
            self._pass_on(secured, truly, first or b"")
            back.join(PATIENCE)

    def _pass_on(self, mouth: Stream, ear: Stream, first: bytes = b"") -> None:
        with contextlib.suppress(VoicemuxError):
            data: bytes = first or mouth.read()
            while data:
                if ear.peer_address.port == self._true_port:
                    self.said.append(data)
                ear.write(data)
                data = mouth.read()
        ear.finish()


def stream_to(port: int, source: str = "127.0.0.1") -> TcpStream:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
    return TcpStream(connection, Address("127.0.0.1", port))


def fingerprint_at(port: int) -> str:
    with contextlib.closing(stream_to(port)) as stream:
        return fingerprint_of(Greeting(stream).secure())
