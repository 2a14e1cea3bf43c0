"""Section 12: people with keys that are always the same, and all that two of them say."""

import datetime
import hashlib
import hmac

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from spake2 import SPAKE2_A, SPAKE2_B

from tests.vectors.making.writing import CHALLENGE, CLAIM, NONCE, PROOF, WELCOME, Entry, frame
from voicemux.security.words import EVEN, ODD  # the PGP word list: data

OPEN, KNOWN, CODE = range(3)


class Person:
    """A key and a certificate that are always the same."""

    def __init__(self, secret: int) -> None:
        self.secret = secret
        self._key = ec.derive_private_key(secret, ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "voicemux")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        builder = (
            builder.serial_number(secret)
            .not_valid_before(datetime.datetime(2000, 1, 1))
            .not_valid_after(datetime.datetime(9999, 1, 1))
        )
        made = builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        self.certificate = made.public_bytes(serialization.Encoding.DER)
        self.fingerprint = sha256(self.certificate)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def shown(self) -> Entry:
        return {"secret": self.secret.to_bytes(32, "big").hex(), "certificate": self.certificate.hex()}


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


ALICE, BOB, MALLORY = Person(0xA11CE), Person(0xB0B), Person(0x3A11)


class Meeting:
    """All four messages between Alice, who dials, and Bob."""

    def __init__(
        self,
        method: int,
        dialled: str = "",
        used: str = "",
        listener_nonce: bytes = bytes(range(32, 64)),
        dialler_nonce: bytes = NONCE,
    ):
        self.method, self.dialled, self.used = method, dialled, used
        self.dialler_nonce, self.listener_nonce = dialler_nonce, listener_nonce
        self.shares, self.scalars, self.keys = [b"", b""], [0, 0], [b"", b""]
        if method == CODE:
            ids = {"idA": ALICE.fingerprint, "idB": BOB.fingerprint}
            sides = [
                side(code.encode(), **ids, entropy_f=lambda size, byte=byte: bytes([byte]) * size)
                for side, code, byte in ((SPAKE2_A, dialled, 1), (SPAKE2_B, used, 2))
            ]
            self.shares = [side.start() for side in sides]
            self.scalars = [side.xy_scalar for side in sides]
            self.keys = [side.finish(share) for side, share in zip(sides, reversed(self.shares), strict=True)]
        lengths = [bytes([len(share)]) + share for share in self.shares]
        self.transcript = sha256(
            b"voicemux/1 transcript\0",
            BOB.fingerprint,
            ALICE.fingerprint,
            bytes([method]),
            self.dialler_nonce,
            self.listener_nonce,
            *lengths,
        )
        self.signature = ALICE.sign(b"voicemux/1 dialler\0" + self.transcript)
        self.confirmations = [
            hmac.digest(key, b"voicemux/1 " + side + b"\0" + self.transcript, "sha256") if key else b""
            for key, side in zip(self.keys, (b"dialler", b"listener"), strict=True)
        ]
        even, odd, again, last = sha256(b"voicemux/1 words\0", self.transcript)[:4]
        self.words = [EVEN[even], ODD[odd], EVEN[again], ODD[last]]
        self.commitment = sha256(b"voicemux/1 commitment\0", self.dialler_nonce)
        self.nonce = self.dialler_nonce
        self.admitted = method
        self.known = method == KNOWN  # whether Bob has met Alice

    def shown(self) -> Entry:
        share, answer = self.shares
        confirmation, confirmed = self.confirmations
        sent = [
            frame(CLAIM, bytes([self.method]) + self.commitment + bytes([len(share)]) + share + ALICE.certificate),
            frame(CHALLENGE, self.listener_nonce + answer),
            frame(PROOF, self.nonce + bytes([len(confirmation)]) + confirmation + self.signature),
            frame(WELCOME, bytes([self.admitted]) + confirmed),
        ]
        found: Entry = {
            "method": self.method,
            "known": self.known,
            "open": OPEN in (self.method, self.admitted),
            "dialler": ALICE.shown(),
            "listener": BOB.shown(),
            "dialler_nonce": self.dialler_nonce.hex(),
            "listener_nonce": self.listener_nonce.hex(),
        }
        if self.method == CODE:
            found |= {
                "dialled_code": self.dialled,
                "used_code": self.used,
                "dialler_scalar": self.scalars[0].to_bytes(32, "big").hex(),
                "listener_scalar": self.scalars[1].to_bytes(32, "big").hex(),
                "dialler_key": self.keys[0].hex(),
                "listener_key": self.keys[1].hex(),
            }
        messages = dict(zip(("claim", "challenge", "proof", "welcome"), [each.hex() for each in sent], strict=True))
        return found | {"transcript": self.transcript.hex(), "words": self.words, "messages": messages}
