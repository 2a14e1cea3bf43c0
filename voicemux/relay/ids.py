"""The ids under which programs find each other at a relay (relay.md §5). The relay knows ids only. Pure."""

import datetime
import hashlib
import hmac
import struct

DOMAIN = b"voicemux/1 "  # before everything that is hashed: it means nothing elsewhere
NUMBER, PRESENCE = (DOMAIN + name + b"\0" for name in (b"number", b"presence"))
DAY = 86_400  # seconds
OVERLAP = 3_600  # seconds around midnight in which two days count: clocks differ


def id_of_number(number: str) -> bytes:
    """Of the number that a code begins with, in digits 0 to 9."""
    return hashlib.sha256(NUMBER + number.encode()).digest()


def id_of_contact(secret: bytes, waiting: bytes, day: int) -> bytes:
    """Of one contact for another: `secret` is what only the two have, `waiting` the fingerprint (32 bytes) of who
    waits, `day` a number of days since 1970."""
    return hmac.digest(secret, PRESENCE + waiting + struct.pack(">I", day), "sha256")


def days(now: datetime.datetime) -> tuple[int, ...]:
    """The day at that time, in UTC, and the one before or after within an hour of midnight."""
    seconds = int(now.timestamp())
    return tuple(dict.fromkeys((seconds // DAY, (seconds - OVERLAP) // DAY, (seconds + OVERLAP) // DAY)))
