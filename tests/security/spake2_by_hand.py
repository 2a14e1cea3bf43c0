"""Section 12's exchange of a code, written from protocol.md alone: whole numbers, and no library of ours or others'.

It takes as long as the secrets are: for tests only. `L` of the document's curve is ORDER here.
"""

import hashlib
import hmac
from typing import NamedTuple

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (0, 1)
Point = tuple[int, int]


class NoPoint(ValueError):
    """The bytes are no share of an exchange."""


def add(one: Point, other: Point) -> Point:
    """RFC 8032, section 5.1.4."""
    (x1, y1), (x2, y2) = one, other
    twist = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + twist, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - twist, -1, P)
    return x % P, y % P


def multiply(factor: int, point: Point) -> Point:
    total = NEUTRAL
    for bit in f"{factor:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def encode(point: Point) -> bytes:
    """y in 32 bytes, little endian; the highest bit is the lowest of x."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Point:
    """RFC 8032, section 5.1.3. Raises NoPoint."""
    if len(data) != 32:
        raise NoPoint(f"{len(data)} bytes")
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        raise NoPoint("not on the curve")
    return (P - x if x & 1 != sign else x) % P, y % P


def in_the_group(data: bytes) -> Point:
    """A point other than the neutral one of the subgroup. Raises NoPoint."""
    point = decode(data)
    if point == NEUTRAL or multiply(ORDER, point) != NEUTRAL:
        raise NoPoint("not in the group")
    return point


B = decode(bytes.fromhex("58" + "66" * 31))
M = decode(bytes.fromhex("15cfd18e385952982b6a8f8c7854963b58e34388c8e6dae891db756481a02312"))
N = decode(bytes.fromhex("f04f2e7eb734b2a8f8b472eaf9c3c632576ac64aea650b496a8a20ff00e583c3"))


def hkdf(secret: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 with SHA-256 and no salt."""
    key, block, out = hmac.digest(bytes(32), secret, "sha256"), b"", b""
    for count in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes([count]), "sha256")
        out += block
    return out[:size]


def scalar(password: bytes) -> int:
    return int.from_bytes(hkdf(password, b"SPAKE2 pw", 48), "big") % ORDER


class Side(NamedTuple):
    """One side, with its secret number. `own` blinds what it says, `other` what it hears."""

    letter: bytes
    secret: int
    password: bytes
    ids: tuple[bytes, bytes]

    @property
    def points(self) -> tuple[Point, Point]:
        return (M, N) if self.letter == b"A" else (N, M)

    def share(self) -> bytes:
        own, _ = self.points
        return self.letter + encode(add(multiply(self.secret, B), multiply(scalar(self.password), own)))

    def shared_point(self, heard: bytes) -> bytes:
        """Of the other's share. Raises NoPoint."""
        if heard[:1] not in (b"A", b"B") or heard[:1] == self.letter:
            raise NoPoint("of the wrong side")
        _, other = self.points
        blinded = in_the_group(heard[1:])
        return encode(multiply(self.secret, add(blinded, multiply(ORDER - scalar(self.password), other))))

    def key(self, heard: bytes) -> bytes:
        first, second = sorted((self.share(), heard))  # A before B
        hashes = [hashlib.sha256(each).digest() for each in (self.password, *self.ids)]
        return hashlib.sha256(b"".join([*hashes, first[1:], second[1:], self.shared_point(heard)])).digest()
