"""The handshake of protocol.md §12, both sides, once TLS is established. No socket, clock or file.

TLS itself proves the listener's key. The dialler's key is proved by a signature over the transcript, which includes
the listener's certificate; so the signature convinces only that listener, and only in this call.
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

# Domain separation: prefix of everything that is hashed or signed, so that it means nothing elsewhere.
DOMAIN = b"voicemux/1 "
COMMITMENT, TRANSCRIPT, DIALLER, LISTENER, WORDS = (
    DOMAIN + name + b"\0" for name in (b"commitment", b"transcript", b"dialler", b"listener", b"words")
)
RENDEZVOUS = DOMAIN + b"rendezvous\0"
# Words that the users compare: 32 bits, and one try a call, so an attacker in the middle cannot search for a match.
WORDS_COMPARED = 4


@dataclass(frozen=True)
class Peer:
    """The peer of a call. `fingerprint` is of its certificate. `method` is how it was authenticated; OPEN means not
    at all, until the users have compared the `words`."""

    fingerprint: str
    method: Method
    words: tuple[str, ...]
    # A secret of the two peers, from which the ids at a relay are made (relay.md §5); b"" if there is none.
    rendezvous: bytes = b""


class Dialler:
    """The dialler's part. Send `claim()`; answer the CHALLENGE with `prove()`; give the WELCOME to `accept()`."""

    def __init__(self, identity: Identity, listener: bytes, method: Method, code: str = "") -> None:
        """`listener` is the certificate that the listener has shown in TLS (DER). `code` is needed for
        Method.CODE."""
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
        """Return the CLAIM to send first."""
        share = self._exchange.share if self._exchange else b""
        return Claim(self._method, _hash(COMMITMENT, self._nonce), share, self._identity.certificate)

    def prove(self, challenge: Challenge) -> Proof:
        """Return the PROOF that answers a CHALLENGE. Raises RemoteProtocolError if the listener's share is invalid,
        or was sent without a code."""
        _expect_none(self._exchange, "CHALLENGE with a share", challenge.share)
        claim = self.claim()
        if self._exchange:
            self._key = self._exchange.finish(challenge.share)
        self._transcript = _transcript(self._listener, claim, self._nonce, challenge)
        confirmation = _confirm(self._key, DIALLER, self._transcript)
        return Proof(self._nonce, confirmation, self._identity.sign(DIALLER + self._transcript))

    def accept(self, welcome: Welcome) -> Peer:
        """Check the WELCOME; return the listener as a Peer. Raises SecurityError if the listener does not know the
        code after all, and RemoteProtocolError for a malformed WELCOME."""
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
    """The listener's part, made from a CLAIM. Send `challenge`; give the PROOF to `judge()`; send `welcome()`."""

    def __init__(self, certificate: bytes, claim: Claim, code: str | None) -> None:
        """`certificate` is our own (DER); `code` is the one in use, None or "" if there is none.

        Raises RemoteProtocolError if the claim is malformed.
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
            # Without a code in use, a guess is still checked, against a random code: so it fails in the same way and
            # takes as long.
            self._exchange = Exchange(code or new_code(), is_dialler=False, **hashes)
        self.challenge = Challenge(secrets.token_bytes(NONCE_SIZE), self._exchange.share if self._exchange else b"")
        self._transcript = self._key = b""

    @property
    def method(self) -> Method:
        """The method that the dialler claims."""
        return Method(self._claim.method)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the certificate that the dialler has shown. Only once `judge` has succeeded is the
        dialler known to own its key."""
        return _hash(self._claim.certificate).hex()

    def judge(self, proof: Proof) -> Peer:
        """Check a PROOF; return the dialler as a Peer. Raises NotAdmitted if only the code was wrong,
        RemoteProtocolError for any other fault."""
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
        if not is_right or (self._exchange and not self.code):  # without a code in use, none can be right by chance
            raise NotAdmitted("a wrong code", ByeCode.WRONG_CODE)
        return Peer(self.fingerprint, self.method, _words(self._transcript), _hash(RENDEZVOUS, self._transcript))

    def welcome(self, admitted: Method) -> Welcome:
        """Return the WELCOME that admits the dialler by a method. Call it after `judge`."""
        return Welcome(admitted, _confirm(self._key, LISTENER, self._transcript))


def _transcript(listener: bytes, claim: Claim, nonce: bytes, challenge: Challenge) -> bytes:
    """Return the hash of all parts of the handshake. Each part has a fixed length, or its length before it, so that
    no part can pass for another."""
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
    """Raise RemoteProtocolError if a field that only an exchange with a code needs is not empty without one
    (protocol.md §5)."""
    if value and not code:
        raise RemoteProtocolError(f"{what} of {len(value)} bytes, expected none without a code")


def _confirm(key: bytes, side: bytes, transcript: bytes) -> bytes:
    """Return the HMAC by which a side confirms that it has the key of the exchange; b"" without a key."""
    return hmac.digest(key, side + transcript, "sha256") if key else b""


def _words(transcript: bytes) -> tuple[str, ...]:
    return tuple(spoken(_hash(WORDS, transcript)[:WORDS_COMPARED]))


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
