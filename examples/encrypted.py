"""What client.py needs for calls that are not plain: section 12 of ../protocol.md, methods OPEN and KNOWN, no codes.

TLS is in Python's standard library, signatures are not: they are made here, of whole numbers. How long that takes
depends on the secret ones: this is for reading and for tests, and not for a key that matters.
"""

import base64
import contextlib
import hashlib
import os
import secrets
import socket
import ssl
import sys

CLAIM, CHALLENGE, PROOF, WELCOME = range(10, 14)  # tags
OPEN, KNOWN, CODE = range(3)  # methods
UNKNOWN_CALLER, WRONG_CODE = 10, 11  # codes of a BYE
WORDS = b"voicemux/1 words\0"

# P-256 (FIPS 186-5): the points (x, y) with y² = x³ - 3x + B, modulo P, are the N multiples of G.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
B = (G[1] ** 2 - G[0] ** 3 + 3 * G[0]) % P


def add(one, other):
    """The sum of two points; None is the neutral one."""
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P) if one == other else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def multiply(factor, point):
    """A point added to itself so often, by doubling."""
    total = None
    for bit in f"{factor:b}":
        total = add(add(total, total), point if bit == "1" else None)
    return total


def note(text):
    print("client:", text, file=sys.stderr)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def sign(secret, data):
    """ECDSA. Whoever learns `once`, or two signatures with the same one, has the secret."""
    once = 1 + secrets.randbelow(N - 1)
    r = multiply(once, G)[0] % N
    s = pow(once, -1, N) * (int.from_bytes(sha256(data)) + r * secret) % N
    return signature(r, s)


def signed(certificate, proof, data):
    """Whether the key of a certificate has signed the data; ValueError if it has no key of P-256."""
    start, half = certificate.index(PUBLIC_KEY) + len(PUBLIC_KEY), 4 + int.from_bytes(proof[3:4])
    x, y = (int.from_bytes(certificate[at : at + 32]) for at in (start, start + 32))
    r, s = int.from_bytes(proof[4:half]), int.from_bytes(proof[half + 2 :])
    if proof != signature(r, s) or not 0 < r < N or not 0 < s < N or (x**3 - 3 * x + B - y**2) % P:
        return False
    of_data, of_key = (number * pow(s, -1, N) % N for number in (int.from_bytes(sha256(data)), r))
    return add(multiply(of_data, G), multiply(of_key, (x, y)))[0] % N == r


def der(tag, *parts):
    """A value as X.509 writes it: its kind, its length, itself."""
    body = b"".join(parts)
    length = len(body).to_bytes(1 if len(body) < 256 else 2)
    return bytes([tag]) + (length if len(body) < 128 else bytes([0x80 + len(length)]) + length) + body


SEQUENCE, SET, INTEGER, BITS, OCTETS, NAME, STRING, TIME = 0x30, 0x31, 2, 3, 4, 6, 12, 24
CURVE = der(NAME, bytes.fromhex("2a8648ce3d030107"))
ECDSA = der(SEQUENCE, der(NAME, bytes.fromhex("2a8648ce3d040302")))
COMMON_NAME, OF_CURVES = der(NAME, bytes.fromhex("550403")), der(NAME, bytes.fromhex("2a8648ce3d0201"))
PUBLIC_KEY = der(SEQUENCE, der(SEQUENCE, OF_CURVES, CURVE), der(BITS, b"\0\4", bytes(64)))[:-64]  # then come x and y


def signature(*numbers):
    return der(SEQUENCE, *(der(INTEGER, number.to_bytes(number.bit_length() // 8 + 1)) for number in numbers))


def make(file):
    """A key, and its certificate, which it has signed itself."""
    secret = 1 + secrets.randbelow(N - 1)
    public = PUBLIC_KEY + b"".join(number.to_bytes(32) for number in multiply(secret, G))
    name = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(STRING, b"voicemux"))))
    dates = der(SEQUENCE, der(TIME, b"20000101000000Z"), der(TIME, b"99991231235959Z"))
    version = der(0xA0, der(INTEGER, b"\2"))
    said = der(SEQUENCE, version, der(INTEGER, b"\1" + secrets.token_bytes(7)), ECDSA, name, dates, name, public)
    certificate = der(SEQUENCE, said, ECDSA, der(BITS, b"\0", sign(secret, said)))
    key = der(SEQUENCE, der(INTEGER, b"\1"), der(OCTETS, secret.to_bytes(32)), der(0xA0, CURVE))
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as pem:
        for what, value in ("EC PRIVATE KEY", key), ("CERTIFICATE", certificate):
            pem.write(f"-----BEGIN {what}-----\n{base64.encodebytes(value).decode()}-----END {what}-----\n")


class Tls(ssl.SSLSocket):
    def shutdown(self, how):
        """[10] The end of our direction: `close_notify`, and then TCP's."""
        self.settimeout(0)
        with contextlib.suppress(OSError):  # it would wait for the peer's `close_notify`
            self.unwrap()
        socket.socket.shutdown(self, how)


class Key:
    """Ours, with its certificate, the same whether we dial or listen; and whom we know."""

    def __init__(self, options):
        self.file = options.get("--key", "key.pem")
        self.known = bytes.fromhex(options.get("--key-of-peer", "").replace(":", ""))
        if not os.path.exists(self.file):
            make(self.file)
        with open(self.file) as pem:
            key, self.certificate = map(base64.b64decode, pem.read().split("-----")[2:7:4])
        self.secret = int.from_bytes(key[key.index(b"\2\1\1\4\x20") + 5 :][:32])
        self.fingerprint = sha256(self.certificate)

    def secure(self, line, dials):
        """TLS 1.3, in which nobody looks at names, dates or authorities. Returns the listener's fingerprint, too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if dials else ssl.PROTOCOL_TLS_SERVER)
        context.check_hostname, context.verify_mode, context.sslsocket_class = False, ssl.CERT_NONE, Tls
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if not dials:
            context.load_cert_chain(self.file)
        try:
            line = context.wrap_socket(line, server_side=not dials)
        except ssl.SSLError as error:
            raise ConnectionError(f"no TLS 1.3, perhaps it takes plain calls only: {error.reason}") from None
        if not dials:
            return line, self.fingerprint
        listener = sha256(line.getpeercert(True))
        note(f"the key of the listener is {listener.hex()}")
        if self.known not in (b"", listener):
            line.close()
            raise ConnectionError(
                "that is not the key that you know: somebody else, or a new one; ask, by other ways"
            )
        return line, listener

    def claim(self, call, listener, must):
        """A dialler's part: who it is, signed together with all that both have said."""
        method, nonce = KNOWN if self.known else OPEN, secrets.token_bytes(32)
        call.send(CLAIM, bytes([method]) + sha256(b"voicemux/1 commitment\0", nonce) + b"\0" + self.certificate)
        challenge = call.frame(CHALLENGE)[2]
        said = transcript(listener, self.fingerprint, method, nonce, challenge)
        call.send(PROOF, nonce + b"\0" + sign(self.secret, b"voicemux/1 dialler\0" + said))
        (admitted,) = call.frame(WELCOME)[2]
        must(admitted < CODE, "expected a WELCOME of method OPEN or KNOWN")
        compare(said, method, admitted)

    def admit(self, call, listener, must):
        """A listener's part. Nothing that the dialler says is shown or believed before its proof."""
        claim = call.frame(CLAIM)[2]
        method, commitment, share, certificate = claim[0], claim[1:33], claim[33], claim[34:]
        must(method != CODE, "there is no code here", WRONG_CODE)
        must(method < CODE and not share and len(certificate) <= 2048, "expected a CLAIM of method OPEN or KNOWN")
        challenge, caller = secrets.token_bytes(32), sha256(certificate)
        call.send(CHALLENGE, challenge)
        proof = call.frame(PROOF)[2]
        must(sha256(b"voicemux/1 commitment\0", proof[:32]) == commitment, "expected the nonce of the commitment")
        said = transcript(listener, caller, method, proof[:32], challenge)
        fine = proof[32] == 0 and signed(certificate, proof[33:], b"voicemux/1 dialler\0" + said)
        must(fine, "expected a signature by the key of the certificate, and no code")
        must(self.known in (b"", caller), "that caller is not known here", UNKNOWN_CALLER)
        admitted = KNOWN if self.known else OPEN
        call.send(WELCOME, bytes([admitted]))
        note(f"the key of the caller is {caller.hex()}")
        compare(said, method, admitted)


def transcript(listener, caller, method, nonce, challenge):
    """Who is there, as each sees the other itself, and what was said; with two empty shares of a code."""
    return sha256(b"voicemux/1 transcript\0", listener, caller, bytes([method]), nonce, challenge, b"\0\0")


def compare(said, *methods):
    """If both see the same, nobody is in between. Programs for people have words of the PGP word list for it."""
    if OPEN in methods:
        note(f"compare by voice: {sha256(WORDS, said)[:4].hex()}")
