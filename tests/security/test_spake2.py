"""The exchange of a code as protocol.md has it, by two implementations: a package, and one made of the document."""

import re
from hashlib import sha256
from hmac import digest
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spake2 import SPAKE2_A, SPAKE2_B

from tests.notation import octets, vectors
from tests.security.spake2_by_hand import (
    NEUTRAL,
    ORDER,
    B,
    M,
    N,
    NoPoint,
    P,
    Side,
    add,
    decode,
    encode,
    hkdf,
    multiply,
    scalar,
)
from voicemux.errors import RemoteProtocolError
from voicemux.security.code import Exchange, tidy

DOCUMENT = (Path(__file__).parents[2] / "protocol.md").read_text(encoding="utf-8")
D, L = b"\x22" * 32, b"\x11" * 32  # as the document has them
SECRETS = {"A": int.from_bytes(b"\x05" * 32, "big"), "B": int.from_bytes(b"\x06" * 32, "big")}
CODES = [each for each in vectors("authentication") if "dialler_scalar" in each]


def written() -> dict[str, str]:
    """The values of the document's example."""
    block = next(part for part in DOCUMENT.split("```") if part.startswith("text\npassword "))
    return dict(re.split(r" += ", line) for line in block.splitlines()[1:])


def by_package(password: bytes, secret_a: int, secret_b: int, ids: tuple[bytes, bytes]) -> tuple[bytes, bytes, bytes]:
    """Both shares and the key."""
    sides = [
        side(password, idA=ids[0], idB=ids[1], entropy_f=lambda size, secret=secret: secret.to_bytes(size, "big"))
        for side, secret in ((SPAKE2_A, secret_a), (SPAKE2_B, secret_b))
    ]
    first, second = (side.start() for side in sides)
    key, same = sides[0].finish(second), sides[1].finish(first)
    assert key == same
    return first, second, key


def test_the_two_points_are_those_of_the_document():
    points = re.findall(r"^[MN] = ([0-9a-f]{64})$", DOCUMENT, re.MULTILINE)
    assert points == [encode(M).hex(), encode(N).hex()]
    assert multiply(ORDER, M) == multiply(ORDER, N) == multiply(ORDER, B) == NEUTRAL


def test_the_example_of_the_document_is_true():
    said = written()
    password = said["password"].encode()
    a, b = (Side(side.encode(), SECRETS[side], password, (D, L)) for side in "AB")
    assert hkdf(password, b"SPAKE2 pw", 48).hex() == said["HKDF"]
    assert scalar(password).to_bytes(32, "big").hex() == said["w (big endian)"]
    assert encode(multiply(a.secret, B)).hex() == said["a B"]
    assert encode(multiply(scalar(password), M)).hex() == said["w M"]
    assert (a.share().hex(), b.share().hex()) == (said["dialler's share"], said["listener's share"])
    assert a.shared_point(b.share()).hex() == b.shared_point(a.share()).hex() == said["Z"]
    key = a.key(b.share())
    assert key == b.key(a.share())
    assert key.hex() == said["K"]
    assert by_package(password, SECRETS["A"], SECRETS["B"], (D, L)) == (a.share(), b.share(), key)
    lengths = b"".join(bytes([33]) + each.share() for each in (a, b))
    transcript = sha256(b"voicemux/1 transcript\0" + L + D + b"\2" + b"\x33" * 32 + b"\x44" * 32 + lengths).digest()
    assert transcript.hex() == said["transcript"]
    for side in ("dialler", "listener"):
        confirmation = digest(key, f"voicemux/1 {side}\0".encode() + transcript, "sha256")
        assert confirmation.hex() == said[f"{side} confirms"]


@pytest.mark.parametrize("vector", CODES, ids=lambda vector: vector["name"])
def test_the_vectors_are_those_of_the_document(vector):
    first, second = (sha256(octets(vector[who]["certificate"])).digest() for who in ("dialler", "listener"))
    a, b = (
        Side(letter, int(vector[f"{who}_scalar"], 16), vector[code].encode(), (first, second))
        for letter, who, code in ((b"A", "dialler", "dialled_code"), (b"B", "listener", "used_code"))
    )
    assert a.key(b.share()).hex() == vector["dialler_key"]
    assert b.key(a.share()).hex() == vector["listener_key"]


@settings(max_examples=10)
@given(st.binary(min_size=1, max_size=30), st.integers(1, ORDER - 1), st.integers(1, ORDER - 1))
def test_both_implementations_agree_on_any_code(password, secret_a, secret_b):
    ids = (D, L)
    a, b = Side(b"A", secret_a, password, ids), Side(b"B", secret_b, password, ids)
    assert by_package(password, secret_a, secret_b, ids) == (a.share(), b.share(), a.key(b.share()))


# A point of order 8 (of the eight that there are): added to a good one, it leads out of the group.
OF_ORDER_EIGHT = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
NO_SHARES = {
    "empty": b"",
    "a letter": b"B",
    "too short": b"B" + encode(M)[:-1],
    "too long": b"B" + encode(M) + b"\0",
    "of our own side": b"A" + encode(M),
    "of no side": b"C" + encode(M),
    "of a symmetric exchange": b"S" + encode(M),
    "neutral": b"B" + encode(NEUTRAL),
    "not on the curve": b"B" + (2).to_bytes(32, "little"),
    "of order 2": b"B" + encode((0, P - 1)),
    "of order 8": b"B" + OF_ORDER_EIGHT,
}


def test_what_is_no_share_is_refused_by_both():
    ours = Side(b"A", SECRETS["A"], b"42-beeswax-caravan", (D, L))
    for what, share in NO_SHARES.items():
        with pytest.raises(RemoteProtocolError, match="not a share"):
            Exchange("42-beeswax-caravan", is_dialler=True, dialler=D, listener=L).finish(share)
        with pytest.raises(NoPoint):
            ours.key(share)
        assert what


def test_a_point_outside_the_group_is_refused():
    outside = b"B" + encode(add(M, decode(OF_ORDER_EIGHT)))
    with pytest.raises(RemoteProtocolError, match="not a share"):
        Exchange("42-beeswax-caravan", is_dialler=True, dialler=D, listener=L).finish(outside)


@pytest.mark.parametrize("vector", [each for each in vectors("authentication") if each["kind"] == "code"], ids=str)
def test_a_code_becomes_the_password_of_the_vectors(vector):
    assert tidy(vector["typed"]) == vector["password"]
