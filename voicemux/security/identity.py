"""Our own key, by which others recognise us, and the check of a peer's signature.

A key is P-256, and comes in a self-signed certificate, because TLS needs one. Voicemux ignores what else the
certificate says: a name in it proves nothing, and clocks may be wrong.
"""

import datetime
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning

from voicemux.errors import SecurityError
from voicemux.security import files

FILE = "identity.pem"
MOST_BYTES = 64_000  # bytes of the file; one that voicemux made has 700
COMMON_NAME = "voicemux"  # the same for all users, because it is sent to every caller
VALID_FROM = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)  # before the time of any clock that was ever set
VALID_UNTIL = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)  # "no end" (RFC 5280 §4.1.2.5)

SIGNATURE = ec.ECDSA(hashes.SHA256())
# Errors of a file that cannot be parsed. x509.InvalidVersion is not a ValueError.
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


@dataclass(frozen=True)
class Identity:
    """A key and its certificate, as they are in the file."""

    certificate: bytes  # DER
    path: Path  # the file, for ssl.SSLContext.load_cert_chain
    _key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, as 64 hexadecimal digits."""
        return fingerprint_of(self.certificate)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data`, ECDSA with SHA-256, in DER, as `verify` takes it."""
        return self._key.sign(data, SIGNATURE)


def fingerprint_of(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate (DER), as 64 hexadecimal digits."""
    return hashlib.sha256(certificate).hexdigest()


def load_identity(folder: Path) -> Identity:
    """Return the identity that is kept in the folder. The folder, key and certificate are made if they are missing.

    Raises SecurityError if they cannot be made, read or used, or if others can read the key.
    """
    path = folder / FILE
    content = files.read(path, MOST_BYTES, is_secret=True)
    if content is None:
        files.make_folder(folder)
        files.write_first(path, _make_identity())
        content = files.read(path, MOST_BYTES, is_secret=True)
    if content is None:
        raise SecurityError(f"{path} is gone as soon as it is made: is it a link to nowhere?")
    return _parse_identity(content, path)


def verify(certificate: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is a signature of `data` by the P-256 key of this certificate (DER). Raises nothing:
    anything malformed is False."""
    try:
        key = _parse(certificate, x509.load_der_x509_certificate).public_key()
        if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
            return False
        key.verify(signature, data, SIGNATURE)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _make_identity() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, COMMON_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return secret + certificate.public_bytes(pem)


def _parse_identity(content: bytes, path: Path) -> Identity:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except UNREADABLE:
        raise _damaged(path, "it holds no private key that can be read") from None
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
        raise _damaged(path, "its private key is not of the kind P-256")
    der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        certificate = _parse(content, x509.load_pem_x509_certificate)
        belongs = certificate.public_key().public_bytes(der, info) == key.public_key().public_bytes(der, info)
    except UNREADABLE:
        raise _damaged(path, "it holds no certificate that can be read") from None
    if not belongs:
        raise _damaged(path, "its key and its certificate do not belong together")
    return Identity(certificate.public_bytes(der), path, key)


def _parse(certificate: bytes, load: Callable[[bytes], x509.Certificate]) -> x509.Certificate:
    """Parse a certificate with `load`. Raises the errors that UNREADABLE lists."""
    # A warning about an odd serial number would appear in the user's terminal. Threads that change warning filters at
    # the same time can leave at most this filter behind.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return load(certificate)


def _damaged(path: Path, what: str) -> SecurityError:
    return SecurityError(
        f"{path} is damaged: {what} (put a copy back, or move it away and be a stranger to all who know you)"
    )
