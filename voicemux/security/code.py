"""The spoken code of a first call, and the exchange that proves it. The only home of spake2.

SPAKE2 (Abdalla and Pointcheval, CT-RSA 2005) in the form of the package `spake2`, Ed25519, which is not that of
RFC 9382. An attacker, in the middle or calling, has one guess for each exchange and learns from it whether it was
right, and nothing else.
"""

import math
import re
import secrets
import unicodedata

from voicemux.errors import Kind, RemoteProtocolError, SecurityError
from voicemux.security.words import spoken

NUMBERS = range(10, 100)  # what a code begins with
USUAL_WORDS = 3  # 1.5 thousand million codes: two tries a second hit one in 12 years (docs/security.md)
LEAST_WORDS = 2  # in a code, also in one that a user chose: so a text that cannot be a code is told from a wrong code
SHARE_SIZE = 33  # bytes: the letter of a side, and a point


def new_code(words: int = USUAL_WORDS, number: str = "") -> str:
    """A number and `words` words, such as 42-beeswax-caravan-tiger for 3. Without a `number`, it is random, too."""
    return "-".join([number or str(secrets.choice(NUMBERS)), *spoken(secrets.token_bytes(words))])


def number_of(code: str) -> str:
    """What a code begins with. Raises SecurityError if it cannot be a code."""
    return tidy(code).split("-")[0]


def codes_like(code: str, words: int, *, number_is_known: bool = False) -> int:
    """Among how many codes an attacker must guess: codes of `words` words, or codes like `code`, which a user chose.

    `number_is_known` is whether anybody can find out what the code begins with, as at a relay.

    What people choose is guessed sooner than its length says. The estimate is that of NIST SP 800-63-2, table A.1:
    4 bits for the first character, 2 for each of the next seven, 1.5 up to the twentieth, then 1.
    """
    if not code:
        return (1 if number_is_known else len(NUMBERS)) << 8 * words
    known = len(number_of(code)) if number_is_known else 0
    length = len(tidy(code).replace("-", "")) - known
    bits = 4 + 2 * min(length - 1, 7) + 1.5 * min(max(length - 8, 0), 12) + max(length - 20, 0)
    return int(math.pow(2, bits))


def tidy(code: str) -> str:
    """A code as both sides must have it, however it was written down: words in lower case with hyphens between.

    Raises SecurityError if it cannot be one: it is a number and at least two words, made here or chosen (protocol.md
    §12). So an address, a port, a name or half a code is not taken for a guess at one.
    """
    number, *words = re.findall(r"[^\W_]+", _with_our_digits(unicodedata.normalize("NFKC", code).casefold())) or [""]
    # Of an IPv6 address, all but the colons could be a code.
    if ":" in code or not number.isdecimal() or sum(not word.isdecimal() for word in words) < LEAST_WORDS:
        raise SecurityError("that is not a code", kind=Kind.MALFORMED_CODE)
    return "-".join([number, *words])


def _with_our_digits(text: str) -> str:
    """With 0 to 9 in place of the digits of other scripts, which keyboards there give."""
    return "".join(str(unicodedata.decimal(character, character)) for character in text)


class Exchange:
    """One side's part. `share` goes to the other side; `finish` with theirs gives the key."""

    def __init__(self, code: str, *, is_dialler: bool, dialler: bytes, listener: bytes) -> None:
        """`dialler` and `listener` are what this side knows their certificates' hashes to be."""
        from spake2 import SPAKE2_A, SPAKE2_B  # 75 ms of start-up that only a call with a code needs

        side = SPAKE2_A if is_dialler else SPAKE2_B
        self._side = side(tidy(code).encode(), idA=dialler, idB=listener)
        self.share: bytes = self._side.start()

    def finish(self, share: bytes) -> bytes:
        """The key, 32 bytes: the other side has the same if it knows the code and sees the same certificates.

        Raises RemoteProtocolError if `share` cannot be one.
        """
        try:
            if len(share) != SHARE_SIZE:  # it would leave out what is too much, but hash it
                raise ValueError(f"{len(share)} bytes")
            key: bytes = self._side.finish(share)
        except Exception as error:  # of many kinds: it checks by assertions, too
            raise RemoteProtocolError("bytes that are no share of a code's exchange") from error
        return key
