"""The spoken code of a first call, and the exchange that proves it. The only home of spake2.

SPAKE2 (Abdalla and Pointcheval, CT-RSA 2005) in the form of the package `spake2`, Ed25519, which is not that of
RFC 9382. Whoever is in the middle, or guesses, has one guess for each exchange and learns from it whether it was
right, and nothing else.
"""

import re
import secrets
import unicodedata

from spake2 import SPAKE2_A, SPAKE2_B

from voicemux.errors import Kind, RemoteProtocolError, SecurityError
from voicemux.security.words import spoken

NUMBERS = range(10, 100)  # what a code begins with
USUAL_WORDS = 2  # 22 bits with the number: three guesses at it succeed once in two million times
LEAST_CHARACTERS = 4  # of a code that somebody chose
SHARE_SIZE = 33  # bytes: the letter of a side, and a point


def new_code(words: int = USUAL_WORDS) -> str:
    """A number and so many words, such as 42-beeswax-caravan."""
    return "-".join([str(secrets.choice(NUMBERS)), *spoken(secrets.token_bytes(words))])


def tidy(code: str) -> str:
    """A code as both sides must have it, however it was written down: words in lower case with hyphens between.

    Raises SecurityError if hardly anything is left.
    """
    tidied = "-".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", code).casefold()))
    if len(tidied) < LEAST_CHARACTERS:
        raise SecurityError(f"a code has at least {LEAST_CHARACTERS} letters and digits", kind=Kind.MALFORMED_CODE)
    return tidied


class Exchange:
    """One side's part. `share` goes to the other side; `finish` with theirs gives the key."""

    def __init__(self, code: str, *, is_dialler: bool, dialler: bytes, listener: bytes) -> None:
        """`dialler` and `listener` are what this side knows their certificates' hashes to be."""
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
            raise RemoteProtocolError("a share that is no share of a code's exchange") from error
        return key
