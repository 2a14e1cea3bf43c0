"""Who is at the other end: both sides' part in protocol.md §12, once there is TLS. No socket, clock or file.

The listener's key is proved by TLS itself. The dialler's is proved by a signature over all that was said, the
listener's certificate included; so it convinces that listener alone, and only in this call.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from voicemux.errors import Kind, NotAdmitted, RemoteProtocolError, SecurityError
from voicemux.protocol.messages import ByeCode, Challenge, Claim, Method, Proof, Welcome
from voicemux.protocol.wire import NONCE_SIZE
from voicemux.security.code import Exchange, new_code
from voicemux.security.identity import Identity, verify
from voicemux.security.words import spoken

DOMAIN = b"voicemux/1 "  # before everything that is hashed or signed: it means nothing elsewhere
COMMITMENT, TRANSCRIPT, DIALLER, LISTENER, WORDS = (
    DOMAIN + name + b"\0" for name in (b"commitment", b"transcript", b"dialler", b"listener", b"words")
)
RENDEZVOUS = DOMAIN + b"rendezvous\0"
WORDS_COMPARED = 4  # 32 bits, and one try a call: an attacker in the middle cannot search for a match


@dataclass(frozen=True)
class Peer:
    """Who is at the other end. `method` is what speaks for it: OPEN is nothing until the `words` were compared."""

    fingerprint: str
    method: Method
    words: tuple[str, ...]
    rendezvous: bytes = b""  # what only the two know, from which the ids at a relay are made (relay.md §5)


class Dialler:
    """`claim()`, `prove()` the answer, `accept()` the last word."""

    def __init__(self, identity: Identity, listener: bytes, method: Method, code: str = "") -> None:
        """`listener` is the certificate that the listener has shown in TLS (DER)."""
        self._identity = identity
        self._listener = listener
        self._method = method
        self._nonce = secrets.token_bytes(NONCE_SIZE)
        self._exchange: Exchange | None = None
        if method is Method.CODE:
            hashes = {"dialler": _hash(identity.certificate), "listener": _hash(listener)}
            self._exchange = Exchange(code, is_dialler=True, **hashes)
        self._transcript = self._key = b""

    def claim(self) -> Claim:
        share = self._exchange.share if self._exchange else b""
        return Claim(self._method, _hash(COMMITMENT, self._nonce), share, self._identity.certificate)

    def prove(self, challenge: Challenge) -> Proof:
        """Raises RemoteProtocolError if the listener's share cannot be one, or none was asked for."""
        _expect_none(self._exchange, "CHALLENGE with a share", challenge.share)
        claim = self.claim()
        if self._exchange:
            self._key = self._exchange.finish(challenge.share)
        self._transcript = _transcript(self._listener, claim, self._nonce, challenge)
        confirmation = _confirm(self._key, DIALLER, self._transcript)
        return Proof(self._nonce, confirmation, self._identity.sign(DIALLER + self._transcript))

    def accept(self, welcome: Welcome) -> Peer:
        """Raises SecurityError if the listener does not know the code after all, RemoteProtocolError for nonsense."""
        if welcome.admitted not in list(Method):
            raise RemoteProtocolError(f"WELCOME by method {welcome.admitted}, expected 0 to {max(Method)}")
        _expect_none(self._exchange, "WELCOME with a confirmation", welcome.confirmation)
        if not hmac.compare_digest(welcome.confirmation, _confirm(self._key, LISTENER, self._transcript)):
            raise SecurityError(
                "the listener says that the code is right, and does not know it", kind=Kind.MAN_IN_THE_MIDDLE
            )
        weakest = Method.OPEN if welcome.admitted == Method.OPEN else self._method
        words, rendezvous = _words(self._transcript), _hash(RENDEZVOUS, self._transcript)
        return Peer(_hash(self._listener).hex(), weakest, words, rendezvous)


class Challenger:
    """The listener's part. Made of a CLAIM; `challenge`, `judge()` the proof, `welcome()`."""

    def __init__(self, certificate: bytes, claim: Claim, code: str | None) -> None:
        """`certificate` is our own; `code` is the one in use, None if there is none.

        Raises RemoteProtocolError if the claim makes no sense.
        """
        self._certificate = certificate
        self._claim = claim
        self.code = code
        self._exchange: Exchange | None = None
        if claim.method not in list(Method):
            raise RemoteProtocolError(f"CLAIM of method {claim.method}, expected 0 to {max(Method)}")
        _expect_none(claim.method == Method.CODE, "CLAIM with a share", claim.share)
        if claim.method == Method.CODE:
            hashes = {"dialler": _hash(claim.certificate), "listener": _hash(certificate)}
            # Where there is no code, a guess is as wrong as where there is one, and takes as long.
            self._exchange = Exchange(code or new_code(), is_dialler=False, **hashes)
        self.challenge = Challenge(secrets.token_bytes(NONCE_SIZE), self._exchange.share if self._exchange else b"")
        self._transcript = self._key = b""

    @property
    def method(self) -> Method:
        return Method(self._claim.method)

    @property
    def fingerprint(self) -> str:
        """Of the certificate that the dialler has shown; it is the dialler's own once `judge` has found no fault."""
        return _hash(self._claim.certificate).hex()

    def judge(self, proof: Proof) -> Peer:
        """Raises RemoteProtocolError if the proof is none, NotAdmitted if only the code was wrong."""
        _expect_none(self._exchange, "PROOF with a confirmation", proof.confirmation)
        if not hmac.compare_digest(self._claim.commitment, _hash(COMMITMENT, proof.nonce)):
            raise RemoteProtocolError("PROOF with a nonce other than the one committed to")
        self._transcript = _transcript(self._certificate, self._claim, proof.nonce, self.challenge)
        if not verify(self._claim.certificate, proof.signature, DIALLER + self._transcript):
            raise RemoteProtocolError(
                "PROOF with a signature of something else: somebody may be in the middle", kind=Kind.MAN_IN_THE_MIDDLE
            )
        if self._exchange:
            self._key = self._exchange.finish(self._claim.share)
        is_right = hmac.compare_digest(proof.confirmation, _confirm(self._key, DIALLER, self._transcript))
        if not is_right or (self._exchange and not self.code):  # where there is no code, none is right by chance
            raise NotAdmitted("a wrong code", ByeCode.WRONG_CODE)
        return Peer(self.fingerprint, self.method, _words(self._transcript), _hash(RENDEZVOUS, self._transcript))

    def welcome(self, admitted: Method) -> Welcome:
        return Welcome(admitted, _confirm(self._key, LISTENER, self._transcript))


def _transcript(listener: bytes, claim: Claim, nonce: bytes, challenge: Challenge) -> bytes:
    """The hash of all that was said, each part of a fixed or a given length: nothing can pass for something else."""
    return _hash(
        TRANSCRIPT,
        _hash(listener),
        _hash(claim.certificate),
        bytes([claim.method]),
        nonce,
        challenge.nonce,
        *(bytes([len(share)]) + share for share in (claim.share, challenge.share)),
    )


def _expect_none(code: object, what: str, value: bytes) -> None:
    """What only a code's exchange needs is empty without one (protocol.md §5)."""
    if value and not code:
        raise RemoteProtocolError(f"{what} of {len(value)} bytes, expected none without a code")


def _confirm(key: bytes, side: bytes, transcript: bytes) -> bytes:
    """The signature that only the owner of our key can make; empty without a key."""
    return hmac.digest(key, side + transcript, "sha256") if key else b""


def _words(transcript: bytes) -> tuple[str, ...]:
    return tuple(spoken(_hash(WORDS, transcript)[:WORDS_COMPARED]))


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
