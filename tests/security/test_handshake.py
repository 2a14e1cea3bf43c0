import copy
import hashlib
import secrets
from dataclasses import replace
from functools import partial
from typing import cast

import pytest
import spake2
from hypothesis import given
from hypothesis import strategies as st

from tests.security.people import Person
from voicemux.errors import Kind, NotAdmitted, RemoteProtocolError, SecurityError
from voicemux.protocol.messages import ByeCode, Challenge, Claim, Method, Welcome
from voicemux.security import handshake
from voicemux.security.handshake import Challenger, Dialler, Peer
from voicemux.security.identity import Identity, verify
from voicemux.security.words import spoken

CODE = "42-beeswax-caravan"


@pytest.fixture(scope="module")
def alice(tmp_path_factory):
    return Person(tmp_path_factory.mktemp("alice")).identity


@pytest.fixture(scope="module")
def bob(tmp_path_factory):
    return Person(tmp_path_factory.mktemp("bob")).identity


def meet(alice, bob, method: Method, dialled: str = "", used: str | None = None) -> tuple[Peer, Peer]:
    """Whom bob believes to be there, and whom alice does."""
    dialler = Dialler(alice, bob.certificate, method, dialled)
    listener = Challenger(bob.certificate, dialler.claim(), used)
    believed = listener.judge(dialler.prove(listener.challenge))
    return believed, dialler.accept(listener.welcome(believed.method))


@pytest.mark.parametrize(("method", "code"), [(Method.OPEN, ""), (Method.KNOWN, ""), (Method.CODE, CODE)])
def test_each_side_knows_the_others_key_and_both_have_the_same_words(alice, bob, method, code):
    by_bob, by_alice = meet(alice, bob, method, code, code or None)
    assert by_bob.fingerprint == alice.fingerprint
    assert by_alice.fingerprint == bob.fingerprint
    assert by_bob.method == by_alice.method == method
    assert by_bob.words == by_alice.words
    assert len(by_bob.words) == 4


def test_no_two_calls_have_the_same_words(alice, bob):
    assert len({meet(alice, bob, Method.OPEN)[0].words for _ in range(5)}) == 5


@pytest.mark.parametrize("used", ["42-beeswax-carbon", None, ""], ids=["another code", "none", "none any more"])
def test_a_wrong_code_is_a_wrong_code_whatever_is_in_use(alice, bob, used):
    with pytest.raises(NotAdmitted, match="a wrong code") as refused:
        meet(alice, bob, Method.CODE, CODE, used)
    assert refused.value.code == ByeCode.WRONG_CODE


def test_where_no_code_is_in_use_none_is_right_not_even_by_chance(alice, bob, monkeypatch):
    """What a guess is compared with there, so that it takes as long, could be guessed, too."""
    monkeypatch.setattr(handshake, "new_code", lambda: CODE)
    for used in (None, ""):
        with pytest.raises(NotAdmitted, match="a wrong code"):
            meet(alice, bob, Method.CODE, CODE, used)


@pytest.mark.parametrize("admitted", [Method.KNOWN, Method.CODE])
def test_a_listener_cannot_make_an_open_call_more_than_that(alice, bob, admitted):
    dialler = Dialler(alice, bob.certificate, Method.OPEN)
    listener = Challenger(bob.certificate, dialler.claim(), None)
    listener.judge(dialler.prove(listener.challenge))
    assert dialler.accept(listener.welcome(admitted)).method is Method.OPEN


def test_a_listener_admits_by_no_method_that_there_is_not(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.OPEN)
    listener = Challenger(bob.certificate, dialler.claim(), None)
    listener.judge(dialler.prove(listener.challenge))
    with pytest.raises(RemoteProtocolError, match="WELCOME by method 3, expected 0 to 2"):
        dialler.accept(Welcome(3))


def test_a_listener_that_admits_somebody_unknown_makes_the_call_an_open_one(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.KNOWN)
    listener = Challenger(bob.certificate, dialler.claim(), None)
    listener.judge(dialler.prove(listener.challenge))
    assert dialler.accept(listener.welcome(Method.OPEN)).method is Method.OPEN


@pytest.mark.parametrize("confirmation", [b"", bytes(32)])
def test_a_listener_that_does_not_confirm_the_code_is_not_believed(alice, bob, confirmation):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    listener = Challenger(bob.certificate, dialler.claim(), CODE)
    dialler.prove(listener.challenge)
    with pytest.raises(SecurityError, match="does not know it") as refused:
        dialler.accept(Welcome(Method.CODE, confirmation))
    assert refused.value.kind is Kind.MAN_IN_THE_MIDDLE


def test_the_diallers_own_confirmation_is_no_listeners(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    listener = Challenger(bob.certificate, dialler.claim(), CODE)
    proof = dialler.prove(listener.challenge)
    with pytest.raises(SecurityError):
        dialler.accept(Welcome(Method.CODE, proof.confirmation))


def test_the_listeners_own_confirmation_is_no_diallers(alice, bob):
    """Not even that of the same conversation, which nobody can know yet."""
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    listener = Challenger(bob.certificate, dialler.claim(), CODE)
    proof = dialler.prove(listener.challenge)
    twin = copy.deepcopy(listener)
    twin.judge(proof)
    theirs = twin.welcome(Method.CODE).confirmation
    with pytest.raises(NotAdmitted, match="a wrong code"):
        listener.judge(replace(proof, confirmation=theirs))


def test_a_listeners_share_in_a_claim_is_refused_though_all_else_is_right(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    mirrored = replace(dialler.claim(), share=Challenger(bob.certificate, dialler.claim(), CODE).challenge.share)
    with pytest.raises(RemoteProtocolError, match="not a share"):
        answer(dialler, bob, mirrored)


@pytest.mark.parametrize("share", [b"", b"A", b"A" * 32, b"A" + b"\xff" * 32, b"A" + bytes(32), b"A" * 255])
def test_a_claim_with_a_share_that_is_none_is_refused_though_all_else_is_right(alice, bob, share):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    with pytest.raises(RemoteProtocolError, match="not a share"):
        answer(dialler, bob, replace(dialler.claim(), share=share))


def answer(dialler: Dialler, bob, claim: Claim) -> None:
    """Say a claim that the dialler has not made, and prove it as well as whoever has its key can."""
    listener = Challenger(bob.certificate, claim, CODE)
    dialler.claim = lambda: claim
    listener.judge(dialler.prove(listener.challenge))


@pytest.mark.parametrize("method", [Method.OPEN, Method.KNOWN])
def test_without_a_code_nobody_says_what_only_a_code_needs(alice, bob, method):
    dialler = Dialler(alice, bob.certificate, method)
    listener = Challenger(bob.certificate, dialler.claim(), None)
    proof = dialler.prove(listener.challenge)
    for what, take in {
        "CLAIM with a share": lambda: Challenger(bob.certificate, replace(dialler.claim(), share=b"x"), None),
        "CHALLENGE with a share": lambda: dialler.prove(replace(listener.challenge, share=b"x")),
        "PROOF with a confirmation": lambda: listener.judge(replace(proof, confirmation=b"x")),
        "WELCOME with a confirmation": lambda: dialler.accept(Welcome(method, b"x")),
    }.items():
        with pytest.raises(RemoteProtocolError, match=f"{what} of 1 bytes, expected none without a code"):
            take()


def test_a_nonce_that_was_not_committed_to_is_refused(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.OPEN)
    listener = Challenger(bob.certificate, dialler.claim(), None)
    proof = dialler.prove(listener.challenge)
    with pytest.raises(RemoteProtocolError, match="committed to"):
        listener.judge(replace(proof, nonce=bytes(32)))


def claims_of(dialler: Dialler, bob) -> dict[str, Claim]:
    claim = dialler.claim()
    return {
        "another method": replace(claim, method=Method.KNOWN),
        "another certificate": replace(claim, certificate=bob.certificate),
    }


@pytest.mark.parametrize("what", ["another method", "another certificate"])
def test_a_claim_that_was_changed_on_its_way_is_noticed(alice, bob, what):
    dialler = Dialler(alice, bob.certificate, Method.OPEN)
    listener = Challenger(bob.certificate, claims_of(dialler, bob)[what], None)
    with pytest.raises(RemoteProtocolError, match="signature"):
        listener.judge(dialler.prove(listener.challenge))


def test_a_proof_for_one_challenge_is_none_for_another(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.KNOWN)
    proof = dialler.prove(Challenger(bob.certificate, dialler.claim(), None).challenge)
    with pytest.raises(RemoteProtocolError, match="signature"):
        Challenger(bob.certificate, dialler.claim(), None).judge(proof)


def test_a_proof_for_one_listener_is_none_for_another(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.KNOWN)
    listener = Challenger(alice.certificate, dialler.claim(), None)
    with pytest.raises(RemoteProtocolError, match="signature"):
        listener.judge(dialler.prove(listener.challenge))


@pytest.mark.parametrize("method", [3, 26, 255])
def test_a_method_that_does_not_exist_is_refused(bob, method):
    with pytest.raises(RemoteProtocolError, match=f"CLAIM of method {method}, expected 0 to 2"):
        Challenger(bob.certificate, Claim(method, bytes(32), b"", b""), None)


def test_a_share_that_is_none_is_refused_by_both(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    with pytest.raises(RemoteProtocolError, match="not a share"):
        dialler.prove(Challenge(bytes(32), b"B" + bytes(3)))


def test_the_construction_is_what_protocol_md_says(alice, bob, monkeypatch):
    """Made by hand from section 12: whoever changes a byte of it changes the protocol."""

    def sha256(*parts: bytes) -> bytes:
        return hashlib.sha256(b"".join(parts)).digest()

    monkeypatch.setattr(secrets, "token_bytes", lambda size: b"n" * size)
    dialler = Dialler(alice, bob.certificate, Method.OPEN)
    claim = dialler.claim()
    assert claim.commitment == sha256(b"voicemux/1 commitment\0", b"n" * 32)
    proof = dialler.prove(Challenge(b"l" * 32))
    assert proof.nonce == b"n" * 32
    transcript = sha256(
        b"voicemux/1 transcript\0",
        *(sha256(bob.certificate), sha256(alice.certificate)),
        *(b"\0", b"n" * 32, b"l" * 32),
        *(b"\0", b"\0"),
    )
    assert verify(alice.certificate, proof.signature, b"voicemux/1 dialler\0" + transcript)
    words = spoken(sha256(b"voicemux/1 words\0", transcript)[:4])
    assert dialler.accept(Welcome(Method.OPEN)).words == tuple(words)


SIGNED = b"voicemux/1 dialler\0".hex()  # and the transcript


class Key:
    """Signs nothing: what it is asked to sign is what counts."""

    def __init__(self, certificate: bytes) -> None:
        self.certificate = certificate
        self.signed: list[bytes] = []

    def sign(self, data: bytes) -> bytes:
        self.signed.append(data)
        return b"signature"


def test_the_construction_is_what_it_was(monkeypatch):
    """Frozen: if these bytes change, nobody understands those who have not updated, and words differ."""
    monkeypatch.setattr(secrets, "token_bytes", lambda size: bytes(range(size)))
    dialler = Dialler(
        cast("Identity", key := Key(b"the dialler's certificate")), b"the listener's certificate", Method.OPEN
    )
    claim = dialler.claim()
    dialler.prove(Challenge(bytes(range(32, 64))))
    assert claim.commitment.hex() == "e97699570b86d059c7a10c7657b69ee5b36c5ce457bfba0a2405f5e0572d29d7"
    assert [each.hex() for each in key.signed] == [
        SIGNED + "ddcd40071e767e4a5611f272b1b8a28f3cbf37f4425b9665900ace48b915f480"
    ]
    assert dialler.accept(Welcome(Method.OPEN)).words == ("dogsled", "penetrate", "upset", "fascinate")


def test_the_construction_with_a_code_is_what_it_was(monkeypatch):
    """Frozen, too, with the shares, the key and the confirmations that come of it."""
    monkeypatch.setattr(secrets, "token_bytes", lambda size: bytes(range(size)))
    for side, byte in (("SPAKE2_A", 1), ("SPAKE2_B", 2)):
        numbers = partial(getattr(spake2, side), entropy_f=lambda size, byte=byte: bytes([byte]) * size)
        monkeypatch.setattr(spake2, side, numbers)
    monkeypatch.setattr(handshake, "verify", lambda *_: True)
    dialler = Dialler(
        cast("Identity", key := Key(b"the dialler's certificate")), b"the listener's certificate", Method.CODE, CODE
    )
    listener = Challenger(b"the listener's certificate", dialler.claim(), CODE)
    proof = dialler.prove(listener.challenge)
    assert dialler.claim().share.hex() == "41513dbe09dccfd87385ec321d6fbef59f34ada965944622f68df7488dc45c4152"
    assert listener.challenge.share.hex() == "42124343dcbe76b9a5521165976f83b4a44994ca2a2a718e925a1497a3a69f3346"
    assert [each.hex() for each in key.signed] == [
        SIGNED + "643947d4671fedfef0810bbdcf9e2f65746c061a8a84a995e39e3cbe6de05a08"
    ]
    assert proof.confirmation.hex() == "d11e5064909ef09103a55974f4b4279f5578b74ed3d1a73fc9ee8bb7796fa011"
    assert listener.judge(proof).words == ("glucose", "atlantic", "bluebird", "universe")
    welcome = listener.welcome(Method.CODE)
    assert welcome.confirmation.hex() == "d81acbe6e92c05968edcb9c0458948ba3a0653e61686d4eadb4de0c758516fd0"


PLACES = [
    "commitment",
    "share",
    "certificate",
    "nonce",
    "their share",
    "our nonce",
    "confirmation",
    "their confirmation",
]


def first_call(alice, bob, change) -> Peer:
    """Whom alice believes to be there. `change(place, value)` is what arrives of each value."""

    def arrives(message, **places: str):
        return replace(message, **{name: change(place, getattr(message, name)) for name, place in places.items()})

    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    claim = arrives(dialler.claim(), commitment="commitment", share="share", certificate="certificate")
    listener = Challenger(bob.certificate, claim, CODE)
    proof = dialler.prove(arrives(listener.challenge, nonce="nonce", share="their share"))
    listener.judge(arrives(proof, nonce="our nonce", confirmation="confirmation"))
    return dialler.accept(arrives(listener.welcome(Method.CODE), confirmation="their confirmation"))


@given(where=st.sampled_from(PLACES), part=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_whatever_byte_is_changed_on_its_way_somebody_notices(alice, bob, where, part, bits):
    """The signature is left out: there is more than one way to write down the same."""

    def change(place: str, value: bytes) -> bytes:
        if place != where:
            return value
        number = int(part * len(value))
        return value[:number] + bytes([value[number] ^ bits]) + value[number + 1 :]

    with pytest.raises((NotAdmitted, RemoteProtocolError, SecurityError)):
        first_call(alice, bob, change)


def test_if_nothing_is_changed_on_its_way_it_is_a_call(alice, bob):
    assert first_call(alice, bob, lambda place, value: value).fingerprint == bob.fingerprint
