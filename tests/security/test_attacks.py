"""What a caller who means no good may try, over real TCP, and what it costs."""

import contextlib
import gc
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.peers import PATIENCE, PROMPTLY, Peer, dialling_tls, encode, stream_of, wait_until
from tests.security import certificates
from tests.security.people import House, Person, stream_to
from voicemux.calls.establishing import greet
from voicemux.calls.target import resolve
from voicemux.calls.trust import Security, Trust
from voicemux.errors import CallRefused, ConnectionLost, RemoteProtocolError, SecurityError, VoicemuxError
from voicemux.net import visitor as visitor_module
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.greeting import Greeting
from voicemux.net.listener import ListeningSockets
from voicemux.net.reception import Reception
from voicemux.net.tls import MOST_HANDSHAKE
from voicemux.protocol.frames import Frame, encode_frame
from voicemux.protocol.messages import Bye, Challenge, Claim, Hello, Method, Preface, Proof, Ringing, Welcome
from voicemux.protocol.wire import PREFACE
from voicemux.security import admission as admission_module
from voicemux.security.handshake import Dialler

CODE, GUESS = "42-beeswax-caravan", "42-beeswax-carbon"
CROWD = 1000
MEGABYTE = 1_000_000
DRIPPING = 0.05  # seconds between two bytes
WAITS = 3.0  # seconds for HELLO, and half of them for the preface


def talk(greeting: Greeting, *what) -> list:
    """Say these inside TLS, whatever the order, and hear all that comes until the end."""
    return say(greeting, PREFACE, *what)


def say(greeting: Greeting, *what) -> list:
    """The same, once the preface has been said."""
    greeting.stream.write(encode(*what))
    heard: list[Any] = []
    with contextlib.suppress(ConnectionLost):
        while data := greeting.stream.read():
            heard += greeting.receiving.receive(data)
    return heard


def hear_challenge(greeting: Greeting, claim: Claim) -> Challenge:
    greeting.stream.write(encode(PREFACE, claim))
    while True:
        for message in greeting.receiving.receive(greeting.stream.read()):
            if isinstance(message, Challenge):
                return message


# --- codes


def test_however_often_a_code_is_guessed_wrong_the_right_one_gets_in(alice, bob, mallory):
    with bob.listening(code=CODE) as house:
        for number in range(12):
            with pytest.raises(SecurityError, match="the code is wrong"):
                mallory.dial(house.port, Method.CODE, GUESS, source=f"127.0.0.{2 + number}")
        assert alice.dial(house.port, Method.CODE, CODE)[0].fingerprint == bob.identity.fingerprint
        assert house.codes == []
        assert set(house.turned_away) == {"a wrong code"}
        (warning,) = house.warnings
        assert warning.startswith("callers guess codes: 10 wrong ones so far, the last from 127.0.0.0/24")


@contextlib.contextmanager
def answering(house: House) -> Iterator[None]:
    """The next caller is answered meanwhile."""

    def answer() -> None:
        with house.caller():
            pass

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join(PATIENCE)


def test_a_code_that_was_made_here_is_good_for_one_call(alice, bob, mallory):
    with bob.listening(words=2) as house:
        first = house.admission.code
        with answering(house):
            alice.dial(house.port, Method.CODE, first, name="alice")
        with pytest.raises(SecurityError, match="the code is wrong"):
            mallory.dial(house.port, Method.CODE, first)
        assert house.admission.code not in ("", first)


def test_a_line_that_is_lost_before_hello_does_not_use_up_the_code(alice, bob):
    with bob.listening(words=2) as house:
        first = house.admission.code
        alice.dial(house.port, Method.CODE, first)
        assert house.admission.code == first
        with answering(house):
            assert alice.dial(house.port, Method.CODE, first, name="alice")
        assert house.codes == [(house.admission.code, "it has been used")]


def test_the_right_code_makes_a_contact_though_the_line_is_busy(alice, bob, carol):
    """`on_missed` is what remembers; the code is used up by it."""
    bob.knows(carol, "carol")
    with bob.listening(words=2) as house, contextlib.closing(stream_to(house.port)) as stream:
        greeting = Greeting(stream)
        certificate = greeting.secure()
        greeting.open()
        greeting.authenticate(Dialler(carol.identity, certificate, Method.KNOWN))
        greeting.stream.write(greeting.sending.encode(Hello("carol")))
        with house.caller():
            first = house.admission.code
            with pytest.raises(CallRefused, match="is busy"):
                alice.dial(house.port, Method.CODE, first, name="alice")
            (missed,) = house.missed
            assert (missed.hello.name, missed.peer.method) == ("alice", Method.CODE)
            assert missed.peer.fingerprint == alice.identity.fingerprint
            assert house.codes == [(house.admission.code, "it has been used")]


def test_of_two_first_calls_at_the_same_time_one_gets_in(alice, bob, mallory):
    with bob.listening(words=2) as house, answering(house):
        code, outcomes = house.admission.code, []
        together = threading.Barrier(2)

        def call(person: Person) -> None:
            with person.dialling(house.port) as (greeting, certificate):
                greeting.open()
                greeting.authenticate(Dialler(person.identity, certificate, Method.CODE, code))
                together.wait(PATIENCE)
                try:
                    greeting.introduce(Hello("somebody"), lambda: None)
                    outcomes.append("in")
                except SecurityError:
                    outcomes.append("out")

        callers = [threading.Thread(target=call, args=(person,)) for person in (alice, mallory)]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
        assert sorted(outcomes) == ["in", "out"]


def test_where_too_many_codes_were_tried_whoever_tries_another_is_told_so_and_contacts_get_in(
    alice, bob, carol, mallory
):
    bob.knows(alice, "alice")
    with bob.listening(code="7-a-b") as house:  # so short that only three tries are allowed
        for _ in range(5):
            with pytest.raises(VoicemuxError) as refused:
                mallory.dial(house.port, Method.CODE, "7-a-c")
        assert isinstance(refused.value, CallRefused)
        assert str(refused.value).startswith("too many wrong codes have been tried there")
        assert alice.dial(house.port, Method.KNOWN)[0].method is Method.KNOWN
        assert len(house.warnings) == 1
        assert "a longer --code" in house.warnings[0]


def test_a_contact_with_an_old_code_guesses_nothing_and_gets_in_without(alice, bob):
    bob.knows(alice, "alice")
    with bob.listening(words=2) as house:
        for _ in range(5):
            with pytest.raises(SecurityError, match="the code is wrong"):
                alice.dial(house.port, Method.CODE, GUESS)
        assert set(house.turned_away) == {"alice said an old or wrong code, and needs none"}
        assert alice.dial(house.port, Method.KNOWN)[0].method is Method.KNOWN
        assert house.warnings == house.codes == []


def test_the_code_of_another_listener_is_no_use(alice, bob, mallory):
    with bob.listening(code=CODE) as house, mallory.listening(code=GUESS) as other:
        with pytest.raises(SecurityError):
            alice.dial(house.port, Method.CODE, GUESS)
        assert alice.dial(other.port, Method.CODE, GUESS)


def test_where_there_is_no_code_a_guess_learns_just_that_it_is_wrong(bob, mallory):
    with bob.listening() as house, pytest.raises(SecurityError, match="the code is wrong"):
        mallory.dial(house.port, Method.CODE, CODE)


# --- keys


def test_whoever_is_unknown_is_told_so_and_nothing_else(bob, mallory):
    with bob.listening() as house:
        for method in (Method.OPEN, Method.KNOWN):
            with pytest.raises(SecurityError) as refused:
                mallory.dial(house.port, method)
            assert str(refused.value) == "you are not known there"


def test_the_certificate_of_a_contact_without_its_key_is_no_use(alice, bob, mallory):
    bob.knows(alice, "alice")
    with bob.listening() as house, mallory.dialling(house.port) as (greeting, certificate):
        stolen = replace(mallory.identity, certificate=alice.identity.certificate)
        greeting.open()
        with pytest.raises(VoicemuxError) as refused:
            greeting.authenticate(Dialler(stolen, certificate, Method.KNOWN))
        assert "PROOF with a signature of something else" in refused.value.said


def test_a_key_that_has_changed_is_refused_until_it_is_forgotten(alice, bob, mallory):
    """Somebody else answers where bob was."""
    with mallory.listening(code=CODE) as house:
        address = Address("127.0.0.1", house.port)
        alice.contacts.remember("bob", bob.identity.fingerprint, str(address), "code")
        before = alice.contacts.directory().all()

        def call(code: str) -> None:
            with contextlib.closing(connect(address)) as stream:
                trust = Trust(Security(alice.folder, code))
                greet(Greeting(stream), resolve("bob", trust.known), address, trust)

        for code in ("", CODE):  # not even a code makes up for it
            with pytest.raises(SecurityError, match=r"has changed.*voicemux contacts forget bob"):
                call(code)
        assert alice.contacts.directory().all() == before
        alice.contacts.forget("bob")
        call(CODE)


def greet_at(person: Person, target: str, address: Address, port: int):
    """Call as the program does. The port is one of this machine, and said to be at that address."""
    with contextlib.closing(stream_to(port)) as stream:
        trust = Trust(Security(person.folder, CODE))
        return greet(Greeting(stream), resolve(target, trust.known), address, trust)


def test_who_answers_at_the_address_of_a_contact_must_be_somebody_we_know(alice, bob, mallory):
    """Whoever dials an address means who was there last. A code does not make up for it."""
    with mallory.listening(code=CODE) as house:
        address = Address("192.0.2.7", 8689)
        alice.contacts.remember("bob", bob.identity.fingerprint, str(address), "code")
        with pytest.raises(SecurityError, match=r"the key of bob at 192\.0\.2\.7 has changed"):
            greet_at(alice, "192.0.2.7", address, house.port)
        with pytest.raises(SecurityError, match="the key of bob at"):
            greet_at(alice, "BOB", address, house.port)
        assert house.turned_away == []
        alice.knows(mallory, "mallory")
        mallory.knows(alice, "alice")
        assert greet_at(alice, "192.0.2.7", address, house.port).fingerprint == mallory.identity.fingerprint
        with pytest.raises(
            SecurityError, match="the key of bob at"
        ):  # a name means that one key, whoever else we know
            greet_at(alice, "bob", address, house.port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_an_address_of_this_machine_means_nobody_and_a_name_there_still_does(alice, bob, mallory, host):
    """Tunnels lead from there to many people."""
    with mallory.listening(code=CODE) as house:
        address = Address(host, 8689)
        alice.contacts.remember("bob", bob.identity.fingerprint, str(address), "code")
        assert greet_at(alice, str(address), address, house.port).fingerprint == mallory.identity.fingerprint
        with pytest.raises(SecurityError, match="the key of bob at"):
            greet_at(alice, "bob", address, house.port)


def test_a_proof_that_was_recorded_is_no_use_later(alice, bob):
    """Even to whoever has all of it: the listener's nonce is another."""
    bob.knows(alice, "alice")
    with bob.listening() as house:
        with alice.dialling(house.port) as (greeting, certificate):
            dialler = Dialler(alice.identity, certificate, Method.KNOWN)
            claim = dialler.claim()
            proof = dialler.prove(hear_challenge(greeting, claim))
        with alice.dialling(house.port) as (greeting, _):
            *_, bye = talk(greeting, claim, proof)
        assert isinstance(bye, Bye)
        assert "signature" in bye.reason


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        ("rsa", "PROOF with a signature"),
        ("no certificate", "PROOF with a signature"),
        ("too long", "the limit is 2048"),
    ],
)
def test_a_strange_certificate_of_a_dialler_is_refused(alice, bob, certificate, message):
    der = {"rsa": certificates.rsa, "no certificate": lambda: b"0\x82", "too long": lambda: bytes(2049)}[
        certificate
    ]()
    with bob.listening(is_open=True) as house, alice.dialling(house.port) as (greeting, theirs):
        strange = replace(alice.identity, certificate=der)
        greeting.open()
        with pytest.raises(VoicemuxError) as refused:
            greeting.authenticate(Dialler(strange, theirs, Method.OPEN))
        assert message in refused.value.said


@pytest.mark.parametrize("kind", ["expired", "not yet valid"])
def test_what_dates_a_certificate_has_is_nobodys_business(alice, bob, kind):
    """Clocks may be wrong: the key is what counts."""
    for person in (alice, bob):
        (person.folder / "identity.pem").write_bytes(certificates.dated(2001 if kind == "expired" else 2999))
    old_alice, old_bob = Person(alice.folder), Person(bob.folder)
    with old_bob.listening(code=CODE) as house:
        peer, _ = old_alice.dial(house.port, Method.CODE, CODE)
        assert peer.fingerprint == old_bob.identity.fingerprint
        old_bob.knows(old_alice, "alice")
        assert old_alice.dial(house.port, Method.KNOWN)[0].method is Method.KNOWN


# --- bytes


@pytest.mark.parametrize(
    "said",
    [
        [Hello("mallory")],
        [Proof(bytes(32), b"", b"")],
        [Claim(0, bytes(32), b"", b""), Claim(0, bytes(32), b"", b"")],
        [Claim(0, bytes(32), b"", b""), Hello("mallory")],
        [Challenge(bytes(32))],
        [Claim(0, bytes(32), b"", b""), Welcome(1)],
        [Claim(9, bytes(32), b"", b"")],
        [Claim(2, bytes(32), b"", b""), Proof(bytes(32), b"", b"")],
        [Claim(2, bytes(32), b"B" + bytes(32), b""), Proof(bytes(32), b"", b"")],
        [Ringing()],
    ],
    ids=lambda said: " ".join(type(each).__name__ for each in said),
)
def test_whatever_is_said_out_of_order_or_makes_no_sense_ends_with_a_goodbye(bob, mallory, said):
    with bob.listening(is_open=True, code=CODE) as house, mallory.dialling(house.port) as (greeting, _):
        heard = talk(greeting, *said)
        assert isinstance(heard[0], Preface)
        assert isinstance(heard[-1], Bye)
        assert not [each for each in heard if isinstance(each, Welcome | Hello)]
        assert len(house.turned_away) == 1


def prove_with(share: bytes, person: Person, port: int) -> list:
    """Claim to know the code, by that share; all else is right. What the listener says to it."""
    with person.dialling(port) as (greeting, certificate):
        dialler = Dialler(person.identity, certificate, Method.CODE, GUESS)
        claim = replace(dialler.claim(), share=share)
        dialler.claim = lambda: claim  # so that it signs what it has said
        return say(greeting, dialler.prove(hear_challenge(greeting, claim)))


def test_a_share_that_a_listener_has_said_cannot_be_said_back_to_it(bob, mallory):
    with bob.listening(code=CODE) as house:
        with mallory.dialling(house.port) as (greeting, certificate):
            claim = Dialler(mallory.identity, certificate, Method.CODE, GUESS).claim()
            theirs = hear_challenge(greeting, claim).share
            for share in (theirs, b"A" + theirs[1:]):
                assert [type(each) for each in prove_with(share, mallory, house.port)] == [Bye]
        assert [
            why for why in house.turned_away if "not a share" in why or "a wrong code" in why
        ] == house.turned_away
        assert len(house.turned_away) == 2


@pytest.mark.parametrize("share", [b"", b"A", b"A" + bytes(32), b"A" + b"\xff" * 32, b"A" * 255], ids=len)
def test_a_share_that_is_none_ends_with_a_goodbye_and_is_no_guess(bob, mallory, share):
    with bob.listening(code=CODE) as house:
        (bye,) = prove_with(share, mallory, house.port)
        assert "not a share" in bye.reason
        assert house.turned_away == ["bytes that are not a share of a code's exchange"]
        assert house.codes == []


def test_a_dialler_holds_a_listener_to_the_order_too(alice):
    """A listener that says hello without having proved anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(alice.identity.path)
            with context.wrap_socket(server.accept()[0], server_side=True) as connection, Peer(connection) as peer:
                peer.send(PREFACE, Hello("bob"))
                with contextlib.suppress(OSError, EOFError, RemoteProtocolError):
                    peer.hear(Hello)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RemoteProtocolError, match="HELLO out of order"):
            alice.dial(port, Method.OPEN)
        thread.join()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"\x16\x03\x01\x02\x00" + bytes(600), "no TLS 1.3 with the other side: "),
        (b"\x16" * (MOST_HANDSHAKE + 1), f"a TLS handshake of over {MOST_HANDSHAKE} bytes"),
    ],
    ids=["bad", "long"],
)
def test_bytes_that_only_begin_like_tls_are_refused(bob, said, words):
    with bob.listening() as house, socket.create_connection(("127.0.0.1", house.port)) as stranger:
        stranger.sendall(said)
        wait_until(lambda: house.turned_away)
        assert house.turned_away[0].startswith(words)


def test_who_leaves_in_the_middle_of_the_handshake_is_no_news(bob):
    """A dialler does so that wants another connection no more: its line is back."""
    with bob.listening() as house:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", house.port)) as leaving:
                dialling_tls(stream_of(leaving))
                assert leaving.recv(1)
                leaving.shutdown(socket.SHUT_WR)
                while leaving.recv(65_536):
                    pass
        with socket.create_connection(("127.0.0.1", house.port)) as stranger:
            stranger.sendall(b"\x15" * 100)
            wait_until(lambda: house.turned_away)
        assert [each[:20] for each in house.turned_away] == ["that is not voicemux"]


def test_a_handshake_that_never_becomes_whole_is_cut_off_by_size(bob):
    hello = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + bytes(16_000)
    with bob.listening() as house, socket.create_connection(("127.0.0.1", house.port)) as stranger:
        with contextlib.suppress(OSError):
            for byte in range(0, len(hello) + MOST_HANDSHAKE, 1000):
                stranger.sendall(hello[byte : byte + 1000].ljust(1000, b"\x16"))
        wait_until(lambda: house.turned_away)
        assert house.turned_away == [f"a TLS handshake of over {MOST_HANDSHAKE} bytes"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2], ids=["1.2"])
def test_an_old_tls_is_refused_on_both_sides_with_one_clear_line(alice, bob, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, version
    with bob.listening() as house, socket.create_connection(("127.0.0.1", house.port)) as old:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(old)
        wait_until(lambda: house.turned_away)
        assert house.turned_away == ["no TLS 1.3 with the other side: unsupported protocol"]

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.maximum_version = version
            context.load_cert_chain(alice.identity.path)
            with contextlib.suppress(ssl.SSLError), server.accept()[0] as connection:
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RemoteProtocolError, match=r"^no TLS 1\.3 with the other side: "):
            alice.dial(server.getsockname()[1], Method.OPEN)
        thread.join()


def test_a_plain_caller_of_an_encrypted_listener_is_told_and_the_reverse(bob):
    with bob.listening() as house, Peer(socket.create_connection(("127.0.0.1", house.port))) as plain:
        plain.send(PREFACE)
        assert plain.hear_to_the_end() == [Preface(), Bye(9)]
        assert house.turned_away == ["a plain call, and only encrypted ones are taken"]
    turned_away: list[str] = []
    listener = ListeningSockets("127.0.0.1", 0)
    reception = Reception(listener, lambda refusal: turned_away.append(refusal.why))
    reception.start()
    with pytest.raises(SecurityError, match=r"^plain calls are taken there, not encrypted ones$"):
        bob.dial(listener.port, Method.OPEN)
    reception.close()
    assert turned_away == ["an encrypted call, and only plain ones are taken"]


# --- time, and numbers


def drip(greeting: Greeting) -> Iterator[None]:
    """A byte of a frame of an unknown tag at a time, which is allowed anywhere."""
    while True:
        for byte in encode_frame(Frame(0xFA, 0, b"drip")):
            greeting.stream.write(bytes([byte]))
            yield


@pytest.mark.parametrize("until", ["the preface", "the claim", "the proof", "HELLO"])
def test_who_says_a_byte_now_and_then_is_cut_off_in_time(alice, bob, monkeypatch, until):
    """A slow loris: each byte is a sign of life, and none comes to the point. Not even a contact may do that."""
    monkeypatch.setattr(visitor_module, "PREFACE_TIMEOUT", WAITS / 2)
    monkeypatch.setattr(visitor_module, "HELLO_TIMEOUT", WAITS)
    bob.knows(alice, "alice")
    with bob.listening() as house, alice.dialling(house.port) as (greeting, certificate):
        began = time.monotonic()
        if until == "the preface":
            with contextlib.suppress(ConnectionLost):
                for byte in PREFACE[:-1]:
                    greeting.stream.write(bytes([byte]))
                    time.sleep(WAITS / 10)
        else:
            greeting.open()
        dialler = Dialler(alice.identity, certificate, Method.KNOWN)
        if until == "the proof":
            greeting.stream.write(encode(dialler.claim()))
        if until == "HELLO":
            greeting.authenticate(dialler)
        with contextlib.suppress(ConnectionLost):
            for _ in drip(greeting):
                time.sleep(DRIPPING)
                assert time.monotonic() - began < PATIENCE
        assert time.monotonic() - began > 0.2
        assert house.turned_away == ["it said nothing that voicemux understands in time"]


@pytest.mark.parametrize("until", ["TLS", "the preface", "the proof"])
def test_who_never_comes_to_the_point_is_cut_off_in_time(bob, mallory, monkeypatch, until):
    monkeypatch.setattr(visitor_module, "PREFACE_TIMEOUT", WAITS / 2)
    monkeypatch.setattr(visitor_module, "HELLO_TIMEOUT", WAITS)
    with bob.listening() as house, contextlib.ExitStack() as stack:
        began = time.monotonic()
        if until == "TLS":
            stream = stack.enter_context(contextlib.closing(stream_to(house.port)))
            with contextlib.suppress(ConnectionLost):
                for byte in b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + bytes(100):
                    stream.write(bytes([byte]))
                    time.sleep(0.02)
        else:
            greeting, certificate = stack.enter_context(mallory.dialling(house.port))
            if until == "the proof":
                greeting.stream.write(encode(PREFACE, Dialler(mallory.identity, certificate, Method.OPEN).claim()))
            with contextlib.suppress(ConnectionLost):
                while greeting.stream.read():
                    pass
        assert 0.2 < time.monotonic() - began < PATIENCE
        assert house.turned_away == ["it said nothing that voicemux understands in time"]


@pytest.mark.parametrize("halfway", ["TLS", "the challenge", "the challenge and a goodbye"])
def test_who_leaves_halfway_again_and_again_is_no_news(bob, mallory, halfway):
    with bob.listening(code=CODE) as house:
        for _ in range(10):
            with mallory.dialling(house.port, "127.0.0.2") as (greeting, certificate):
                if halfway != "TLS":
                    hear_challenge(greeting, Dialler(mallory.identity, certificate, Method.CODE, GUESS).claim())
                if "goodbye" in halfway:
                    assert say(greeting, Bye()) == [Bye()]
        assert house.turned_away == house.codes == house.warnings == []


def test_whatever_came_from_an_address_a_friend_there_gets_in(alice, bob, carol, mallory):
    """Strangers behind the same router, proxy or tunnel: only codes are counted."""
    bob.knows(alice, "alice")
    with bob.listening(code=CODE) as house:
        for _ in range(10):
            with pytest.raises(SecurityError, match="you are not known there"):
                mallory.dial(house.port, Method.OPEN)
            with socket.create_connection(("127.0.0.1", house.port)) as stranger:
                stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert stranger.recv(100) == b""
            with pytest.raises(SecurityError, match="the code is wrong"):
                mallory.dial(house.port, Method.CODE, GUESS)
        began = time.monotonic()
        assert alice.dial(house.port, Method.KNOWN)[0].method is Method.KNOWN
        assert carol.dial(house.port, Method.CODE, CODE)[0].method is Method.CODE
        assert time.monotonic() - began < PROMPTLY


@pytest.mark.parametrize("capacity", [1, 2])
def test_who_has_the_line_and_calls_again_takes_the_place_of_its_own_call(alice, bob, carol, mallory, capacity):
    """Its network has died, and ours has not noticed yet. Only the same key can do that."""
    for person, name in ((alice, "alice"), (mallory, "mallory"), (carol, "carol")):
        bob.knows(person, name)
    with bob.listening(capacity=capacity) as house, contextlib.ExitStack() as stack:

        def call(person: Person) -> None:
            greeting, certificate = stack.enter_context(person.dialling(house.port))
            greeting.open()
            greeting.authenticate(Dialler(person.identity, certificate, Method.KNOWN))
            greeting.stream.write(greeting.sending.encode(Hello("me")))
            if person is mallory:
                with pytest.raises(CallRefused, match="is busy"):
                    greeting.introduce(Hello("me"), lambda: None)

        calls = house.reception.calls
        if capacity > 1:  # somebody else has the other place, and keeps it
            call(carol)
            stack.enter_context(contextlib.closing(calls.next_caller().stream))
        call(alice)
        first = calls.next_caller()
        stack.enter_context(contextlib.closing(first.stream))
        with pytest.raises(CallRefused, match="is busy"):
            mallory.dial(house.port, Method.KNOWN, name="alice")
        assert (house.replaced, calls.replacement_of(first)) == (0, None)
        call(alice)
        wait_until(lambda: house.replaced)
        calls.free(first)
        again = calls.next_caller()
        stack.enter_context(contextlib.closing(again.stream))
        assert again is not first
        assert not calls.replacement_of(again)
        with pytest.raises(CallRefused, match="is busy"):  # the line is not free in between
            mallory.dial(house.port, Method.KNOWN, name="mallory")


def test_a_code_that_somebody_chose_makes_some_contacts_an_hour_and_no_more(alice, bob, tmp_path, monkeypatch):
    """Whoever knows it could otherwise lay in keys that outlive it."""
    monkeypatch.setattr(admission_module, "MOST_CONTACTS", 3)
    with bob.listening(code=CODE) as house:
        for number in range(3):
            with answering(house):
                Person(tmp_path / f"key {number}").dial(house.port, Method.CODE, CODE, name="me")
        with pytest.raises(CallRefused, match="try again"):
            alice.dial(house.port, Method.CODE, CODE, name="alice")
        assert house.turned_away == ["the code has made 3 contacts within an hour"]
        bob.knows(alice, "alice")
        with answering(house):
            assert alice.dial(house.port, Method.KNOWN, name="alice")


def knock(port: int, stack: contextlib.ExitStack, hosts: int, each: int) -> None:
    """So many connections that say nothing, of each of so many hosts in turn. All have been looked at afterwards."""
    for number in range(hosts * each):
        source = (f"127.0.0.{2 + number % hosts}", 0)
        stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE, source))
    last = stack.enter_context(Peer(socket.create_connection(("127.0.0.1", port), PATIENCE, ("127.0.1.1", 0))))
    last.send(PREFACE)
    assert last.hear() == Preface()


@pytest.mark.parametrize("halfway", ["TCP", "TLS", "the preface"])
def test_a_crowd_that_comes_while_a_friend_is_halfway_does_not_push_it_out(alice, bob, halfway):
    """Over a real network a friend needs a second, in which hundreds may come."""
    bob.knows(alice, "alice")
    with bob.listening() as house, contextlib.ExitStack() as crowd:
        stream = crowd.enter_context(contextlib.closing(stream_to(house.port)))
        greeting = Greeting(stream)
        if halfway == "TCP":
            knock(house.port, crowd, hosts=8, each=40)
        certificate = greeting.secure()
        if halfway == "TLS":
            knock(house.port, crowd, hosts=8, each=40)
        greeting.open()
        if halfway == "the preface":
            knock(house.port, crowd, hosts=8, each=40)
        dialler = Dialler(alice.identity, certificate, Method.KNOWN)
        assert greeting.authenticate(dialler).fingerprint == bob.identity.fingerprint


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as Linux tells it")
def test_among_a_thousand_strangers_a_friend_gets_through_and_memory_stays(alice, bob):
    bob.knows(alice, "alice")
    with bob.listening() as house:
        alice.dial(house.port, Method.KNOWN)
        gc.collect()
        before, open_before = resident(), descriptors()
        with contextlib.ExitStack() as crowd:
            for number in range(CROWD):
                source = (f"127.0.0.{2 + number % 8}", 0)
                crowd.enter_context(socket.create_connection(("127.0.0.1", house.port), PATIENCE, source))
            began = time.monotonic()
            assert alice.dial(house.port, Method.KNOWN)[0].method is Method.KNOWN
            assert time.monotonic() - began < PROMPTLY
            assert resident() - before < 5 * MEGABYTE
        wait_until(lambda: descriptors() <= open_before + 1)


# --- our own files


def test_contacts_that_are_damaged_while_we_listen_let_nobody_in_and_the_listener_lives_on(alice, bob):
    bob.knows(alice, "alice")
    with bob.listening() as house:
        whole = (bob.folder / "contacts.json").read_text()
        (bob.folder / "contacts.json").write_text("[")
        with pytest.raises(CallRefused):
            alice.dial(house.port, Method.KNOWN)
        assert "is damaged" in house.turned_away[0]
        (bob.folder / "contacts.json").write_text(whole)
        assert alice.dial(house.port, Method.KNOWN)
