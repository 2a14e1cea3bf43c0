"""The ids under which programs find each other at a relay (relay.md §5). A relay learns nothing but ids. Pure."""

import datetime
import hashlib
import hmac
import struct

DOMAIN = b"voicemux/1 "  # prefix of all that is hashed, so that the hashes mean nothing in other protocols
NUMBER, PRESENCE = (DOMAIN + name + b"\0" for name in (b"number", b"presence"))
DAY = 86_400  # seconds
OVERLAP = 3_600  # seconds before and after midnight in which two days count, because clocks differ


def id_of_number(number: str) -> bytes:
    """Return the id for the number that a code begins with, in digits 0 to 9; 32 bytes."""
    return hashlib.sha256(NUMBER + number.encode()).digest()


def id_of_contact(secret: bytes, waiting: bytes, day: int) -> bytes:
    """Return the id, of 32 bytes, under which one contact waits for another on a day. `secret` is shared by the two;
    `waiting` is the fingerprint, of 32 bytes, of the one that waits; `day` is the number of days since 1970."""
    return hmac.digest(secret, PRESENCE + waiting + struct.pack(">I", day), "sha256")


def days(now: datetime.datetime) -> tuple[int, ...]:
    """Return the number of the day at `now`, in UTC, and, within an hour of midnight, the neighbouring day, too."""
    seconds = int(now.timestamp())
    return tuple(dict.fromkeys((seconds // DAY, (seconds - OVERLAP) // DAY, (seconds + OVERLAP) // DAY)))
