"""Certificates that voicemux does not make."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa as rsa_keys

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "strange")])
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


def rsa() -> bytes:
    """One of another kind of key, in DER."""
    return _make(rsa_keys.generate_private_key(65537, 2048), 2026).public_bytes(DER)


def dated(year: int) -> bytes:
    """A key and a certificate that is valid in that year only, as in identity.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return secret + _make(key, year).public_bytes(PEM)


def large(size: int) -> bytes:
    """The same, with an extension of so many bytes that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(size))
    return secret + _make(key, 2026, padding).public_bytes(PEM)


def _make(
    key: rsa_keys.RSAPrivateKey | ec.EllipticCurvePrivateKey, year: int, *extensions: x509.ExtensionType
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(year, 1, 1))
        .not_valid_after(datetime.datetime(year, 12, 31))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


def served(host: str) -> tuple[bytes, bytes]:
    """A certificate for that host, signed by itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _make(key, datetime.date.today().year, names).public_bytes(PEM), secret
