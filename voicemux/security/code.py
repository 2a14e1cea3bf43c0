"""The spoken code of a first call, and the SPAKE2 exchange that proves it. Only this module imports spake2.

This is SPAKE2 (Abdalla and Pointcheval, CT-RSA 2005) in the form of the package `spake2` (Ed25519), which differs
from RFC 9382. An attacker who calls, or stands in the middle, gets one guess per exchange, and learns only whether it
was right.
"""

import math
import re
import secrets
import unicodedata

from voicemux.errors import Kind, RemoteProtocolError, SecurityError
from voicemux.security.words import spoken

NUMBERS = range(10, 100)  # numbers that a code may begin with
# Words of a code unless the user says otherwise: 1.5 thousand million codes; two tries a second hit one in 12 years
# (docs/security.md).
USUAL_WORDS = 3
# Words in any code, also in one that a user chose: so a text that cannot be a code is told apart from a wrong code.
LEAST_WORDS = 2
SHARE_SIZE = 33  # bytes of a share: a letter for the side, and a point of the curve


def new_code(words: int = USUAL_WORDS, number: str = "") -> str:
    """Return a new random code: a number and `words` words, such as 42-beeswax-caravan-tiger for 3 words. `number` is
    the number to begin with; "" for a random one."""
    return "-".join([number or str(secrets.choice(NUMBERS)), *spoken(secrets.token_bytes(words))])


def number_of(code: str) -> str:
    """Return the number that a code begins with. Raises SecurityError if `code` cannot be a code."""
    return tidy(code).split("-")[0]


def codes_like(code: str, words: int, *, number_is_known: bool = False) -> int:
    """Return among how many codes an attacker must guess: all codes of `words` words, or codes like `code`, which a
    user chose; "" if none did. `number_is_known` is whether others can find out the number that the code begins with,
    as at a relay.

    Chosen codes are guessed sooner than their length suggests. The estimate is that of NIST SP 800-63-2, table A.1: 4
    bits for the first character, 2 for each of the next seven, 1.5 for each up to the twentieth, then 1.
    """
    if not code:
        return (1 if number_is_known else len(NUMBERS)) << 8 * words
    known = len(number_of(code)) if number_is_known else 0
    length = len(tidy(code).replace("-", "")) - known
    bits = 4 + 2 * min(length - 1, 7) + 1.5 * min(max(length - 8, 0), 12) + max(length - 20, 0)
    return int(math.pow(2, bits))


def tidy(code: str) -> str:
    """Return a code in the form that both sides must use: words in lower case with hyphens between.

    Raises SecurityError if it cannot be a code. A code has a number and at least two words, made here or chosen
    (protocol.md §12). So an address, a port, a name or half a code is not taken for a guess.
    """
    number, *words = re.findall(r"[^\W_]+", _with_our_digits(unicodedata.normalize("NFKC", code).casefold())) or [""]
    # Without its colons, an IPv6 address could be a code.
    if ":" in code or not number.isdecimal() or sum(not word.isdecimal() for word in words) < LEAST_WORDS:
        raise SecurityError("that is not a code", kind=Kind.MALFORMED_CODE)
    return "-".join([number, *words])


def _with_our_digits(text: str) -> str:
    """Return `text` with 0 to 9 in place of the digits of other scripts, which keyboards for those scripts give."""
    return "".join(str(unicodedata.decimal(character, character)) for character in text)


class Exchange:
    """One side of a SPAKE2 exchange. Send `share` to the other side, and call `finish` with its share."""

    def __init__(self, code: str, *, is_dialler: bool, dialler: bytes, listener: bytes) -> None:
        """`dialler` and `listener` are the SHA-256 hashes of the certificates that this side knows for them."""
        from spake2 import SPAKE2_A, SPAKE2_B  # 75 ms of start-up that only a call with a code needs

        side = SPAKE2_A if is_dialler else SPAKE2_B
        self._side = side(tidy(code).encode(), idA=dialler, idB=listener)
        self.share: bytes = self._side.start()

    def finish(self, share: bytes) -> bytes:
        """Return the key, 32 bytes. The other side gets the same key if it has the same code and sees the same
        certificates.

        Raises RemoteProtocolError if `share` cannot be a share.
        """
        try:
            if len(share) != SHARE_SIZE:  # spake2 ignores surplus bytes of a share, but hashes them
                raise ValueError(f"{len(share)} bytes")
            key: bytes = self._side.finish(share)
        except Exception as error:  # spake2 raises many kinds of errors, also AssertionError
            raise RemoteProtocolError("bytes that are not a share of a code's exchange") from error
        return key
