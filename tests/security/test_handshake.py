import hashlib
import secrets
from dataclasses import replace

import pytest

from tests.security.people import Person
from voicemux.errors import NotAdmitted, RemoteProtocolError, SecurityError
from voicemux.protocol.messages import ByeCode, Challenge, Claim, Method, Welcome
from voicemux.security import handshake
from voicemux.security.handshake import Dialler, Listener, Peer

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
    listener = Listener(bob.certificate, dialler.claim(), used)
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


def test_a_listener_that_admits_somebody_unknown_makes_the_call_an_open_one(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.KNOWN)
    listener = Listener(bob.certificate, dialler.claim(), None)
    listener.judge(dialler.prove(listener.challenge))
    assert dialler.accept(listener.welcome(Method.OPEN)).method is Method.OPEN


@pytest.mark.parametrize("confirmation", [b"", bytes(32)])
def test_a_listener_that_does_not_confirm_the_code_is_not_believed(alice, bob, confirmation):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    listener = Listener(bob.certificate, dialler.claim(), CODE)
    dialler.prove(listener.challenge)
    with pytest.raises(SecurityError, match="does not know the code"):
        dialler.accept(Welcome(Method.CODE, confirmation))


def test_the_diallers_own_confirmation_is_no_listeners(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    listener = Listener(bob.certificate, dialler.claim(), CODE)
    proof = dialler.prove(listener.challenge)
    with pytest.raises(SecurityError):
        dialler.accept(Welcome(Method.CODE, proof.confirmation))


def test_a_nonce_that_was_not_committed_to_is_refused(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.OPEN)
    listener = Listener(bob.certificate, dialler.claim(), None)
    proof = dialler.prove(listener.challenge)
    with pytest.raises(RemoteProtocolError, match="committed to"):
        listener.judge(replace(proof, nonce=bytes(32)))


def claims_of(dialler: Dialler, bob) -> dict[str, Claim]:
    claim = dialler.claim()
    return {
        "another method": replace(claim, method=Method.KNOWN),
        "another share": replace(claim, share=b"x"),
        "another certificate": replace(claim, certificate=bob.certificate),
    }


@pytest.mark.parametrize("what", ["another method", "another share", "another certificate"])
def test_a_claim_that_was_changed_on_its_way_is_noticed(alice, bob, what):
    dialler = Dialler(alice, bob.certificate, Method.OPEN)
    listener = Listener(bob.certificate, claims_of(dialler, bob)[what], None)
    with pytest.raises(RemoteProtocolError, match="signature"):
        listener.judge(dialler.prove(listener.challenge))


def test_a_proof_for_one_challenge_is_none_for_another(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.KNOWN)
    proof = dialler.prove(Listener(bob.certificate, dialler.claim(), None).challenge)
    with pytest.raises(RemoteProtocolError, match="signature"):
        Listener(bob.certificate, dialler.claim(), None).judge(proof)


def test_a_proof_for_one_listener_is_none_for_another(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.KNOWN)
    listener = Listener(alice.certificate, dialler.claim(), None)
    with pytest.raises(RemoteProtocolError, match="signature"):
        listener.judge(dialler.prove(listener.challenge))


@pytest.mark.parametrize("method", [3, 26, 255])
def test_a_method_that_does_not_exist_is_refused(bob, method):
    with pytest.raises(RemoteProtocolError, match=f"CLAIM of method {method}, expected 0 to 2"):
        Listener(bob.certificate, Claim(method, bytes(32), b"", b""), None)


def test_a_share_that_is_none_is_refused_by_both(alice, bob):
    dialler = Dialler(alice, bob.certificate, Method.CODE, CODE)
    with pytest.raises(RemoteProtocolError, match="no share"):
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
    assert handshake.verify(alice.certificate, proof.signature, b"voicemux/1 dialler\0" + transcript)
    words = handshake.spoken(sha256(b"voicemux/1 words\0", transcript)[:4])
    assert dialler.accept(Welcome(Method.OPEN)).words == tuple(words)
