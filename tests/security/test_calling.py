"""Whom a dialler calls, and what it sends to whom: of the program's own dialling, over real TCP and TLS."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.peers import PATIENCE
from tests.security.people import House, Person
from voicemux.calls.establishing import establish
from voicemux.calls.introduction import Introduced
from voicemux.calls.target import resolve
from voicemux.calls.trust import Security, Trust
from voicemux.errors import Kind, SecurityError, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.listener import ListeningSockets
from voicemux.net.stream import Stream
from voicemux.net.tcp import TcpStream
from voicemux.net.tls import TlsStream, listener_context
from voicemux.protocol.encoding import to_frame
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Bye, ByeCode, Hello, Method, Welcome
from voicemux.protocol.wire import PREFACE

CODE, OLD_CODE = "42-beeswax-caravan", "17-atlas-bravado"


class Trap:
    """Takes any call with a fresh key, says what lets everybody in, and keeps what it is told inside TLS."""

    def __init__(self, owner: Person) -> None:
        self.heard: list[bytes] = []
        self.calls = 0
        self._owner = owner
        self._listener = ListeningSockets("127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._listener.port}"
        self._thread = threading.Thread(target=self._serve)
        self._is_over = threading.Event()

    def __enter__(self) -> "Trap":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        accepting = self._listener.sockets[0]
        accepting.settimeout(0.05)
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, place = accepting.accept()
                self.calls += 1
                with (
                    contextlib.closing(TcpStream(connection, Address(*place))) as stream,
                    contextlib.suppress(VoicemuxError),
                ):
                    self._lure(stream)

    def _secure(self, stream: Stream) -> tuple[Stream, bytes | None]:
        secured = TlsStream(stream, listener_context(self._owner.identity.path), is_server=True)
        first = secured.answer(stream.read())
        while not secured.is_secure:
            first = secured.receive()
        return secured, first

    def _lure(self, stream: Stream) -> None:
        stream.set_timeout(PATIENCE)
        stream, first = self._secure(stream)
        stream.write(PREFACE + encode_frame(to_frame(Welcome(Method.OPEN))) + encode_frame(Frame(1, 0, b"")))
        while data := first or stream.read():
            self.heard.append(data)
            first = None


@pytest.fixture
def trap(mallory: Person) -> Iterator[Trap]:
    with Trap(mallory) as trap:
        yield trap


def call(person: Person, target: str, code: str = "", **options: object) -> Introduced:
    """As the program does."""
    chosen = {name: options.pop(name) for name in ("is_open",) if name in options}
    trust = Trust(Security(person.folder, code, **chosen))  # type: ignore[arg-type]
    meant = resolve(target, trust.known, options.get("tell", lambda _: None))  # type: ignore[arg-type]
    return establish(meant, trust, lambda: Hello("alice"), **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def meeting(house: House) -> Iterator[None]:
    """The house takes one call."""

    def take() -> None:
        with house.caller():
            pass

    thread = threading.Thread(target=take)
    thread.start()
    yield
    thread.join(PATIENCE)


def met(house: House, person: Person, code: str = "", target: str = "", **options: object) -> Introduced:
    with meeting(house):
        found = call(person, target or f"127.0.0.1:{house.port}", code, **options)
        found.stream.close()
    return found


# --- nothing is sent to somebody unknown


def test_somebody_unknown_is_sent_nothing_without_a_code_or_the_users_wish(alice, trap):
    with pytest.raises(SecurityError, match="you do not know who answers") as refused:
        call(alice, trap.address)
    assert refused.value.kind is Kind.UNKNOWN_LISTENER
    assert (trap.calls, trap.heard) == (1, [])


def test_the_code_is_asked_for_when_the_key_is_unknown_and_no_code_is_no_call(alice, trap):
    asked = []
    with pytest.raises(SecurityError) as refused:
        call(alice, trap.address, ask_code=lambda address: asked.append(address) or "")
    assert refused.value.kind is Kind.UNKNOWN_LISTENER
    assert asked == [trap.address]
    assert (trap.calls, trap.heard) == (1, [])


def test_an_open_call_is_made_if_the_user_wants_it(alice, bob):
    with bob.listening(is_open=True) as house:
        assert met(house, alice, is_open=True).security == "open"


# --- one after the other


def test_another_key_at_the_first_address_is_told_and_the_friend_is_called_at_the_second(alice, bob, trap):
    know_each_other(alice, bob)
    told: list[str] = []
    with bob.listening() as house:
        alice.contacts.add_address("other", f"127.0.0.1:{house.port}")
        alice.contacts.add_address("other", trap.address)
        assert met(house, alice, target="other", tell=told.append).security == "known"
    assert told == [f"another key answers at {trap.address}, not that of other: nothing was said there"]
    assert trap.heard == []


def test_an_address_that_is_none_is_told_and_the_friend_is_called_at_the_next(alice, bob):
    know_each_other(alice, bob)
    told: list[str] = []
    with bob.listening() as house:
        alice.contacts.add_address("other", f"127.0.0.1:{house.port}")
        alice.contacts.add_address("other", "bob.example:voice")
        assert met(house, alice, target="other", tell=told.append).security == "known"
    assert told == ["an address of other cannot be used: 'voice' is not a port: expected a number from 1 to 65535"]


# --- a code


def test_a_code_that_is_typed_when_asked_for_is_used_in_a_new_connection(alice, bob):
    with bob.listening(code=CODE) as house:
        assert met(house, alice, ask_code=lambda _: "42 Beeswax caravan").security == "code"


@pytest.mark.parametrize("code", ["8689", "bedlamp company", "26-bedlamp", "192.168.1.5", "bob"])
def test_what_is_no_code_is_refused_before_anybody_is_called(alice, trap, code):
    alice.contacts.remember("bob", "b" * 64, "", "code")
    with pytest.raises(SecurityError) as refused:
        call(alice, trap.address, code)
    assert refused.value.kind is Kind.MALFORMED_CODE
    assert trap.calls == 0


def test_what_is_no_code_is_none_of_a_listeners_either(alice):
    trust = Trust(Security(alice.folder))
    with pytest.raises(SecurityError, match="not a code"):
        Trust(Security(alice.folder, "sesame"))
    assert not trust.has_code


# --- known keys before codes


def know_each_other(one: Person, other: Person) -> None:
    one.knows(other, "other")
    other.knows(one, "one")


def test_who_is_known_on_both_sides_gets_in_whatever_old_code_is_repeated(alice, bob):
    know_each_other(alice, bob)
    with bob.listening(code=CODE) as house:
        for _ in range(4):
            assert met(house, alice, OLD_CODE).security == "known"
        assert house.turned_away == house.codes == []
        assert house.admission.code == CODE


def test_a_known_key_at_a_new_address_is_not_asked_about(alice, bob):
    know_each_other(alice, bob)
    with bob.listening() as house:
        assert met(house, alice, ask_code=lambda _: pytest.fail("a code was asked for")).security == "known"


def test_who_was_forgotten_by_the_listener_gets_in_by_its_code(alice, bob):
    alice.knows(bob, "bob")
    with bob.listening(code=CODE) as house:
        assert met(house, alice, CODE).security == "code"
        assert house.turned_away == ["no contact, and no code"]


def test_who_was_forgotten_by_the_listener_and_has_no_code_is_told_so(alice, bob):
    alice.knows(bob, "bob")
    with bob.listening(code=CODE) as house:
        with pytest.raises(SecurityError) as refused:
            call(alice, f"127.0.0.1:{house.port}")
        assert refused.value.kind is Kind.UNKNOWN_CALLER
        with pytest.raises(SecurityError) as refused:
            call(alice, f"127.0.0.1:{house.port}", OLD_CODE)
        assert refused.value.kind is Kind.WRONG_CODE


def test_a_listener_that_always_says_that_it_does_not_know_us_is_called_twice_and_no_more(alice, mallory):
    alice.knows(mallory, "mallory")

    class Liar(Trap):
        def _lure(self, stream: Stream) -> None:
            stream, first = self._secure(stream)
            assert first is not None or stream.read()
            stream.write(PREFACE + encode_frame(to_frame(Bye(ByeCode.UNKNOWN_CALLER))))
            stream.finish()
            while stream.read():
                pass

    with Liar(mallory) as liar, pytest.raises(SecurityError):
        call(alice, liar.address, CODE)
    assert liar.calls == 2
