"""Turns socket errors into words and kinds. No socket here."""

import errno
import os

from voicemux.errors import Kind
from voicemux.net.address import is_inside, lacks_zone


def reason(error: OSError | None) -> str:
    """Return what went wrong in words, in lower case and without numbers."""
    if error is None:
        return "it has no address"
    if error.errno is not None and error.errno < 0:  # of a name server
        return (error.strerror or str(error)).lower()
    if isinstance(error, TimeoutError) or error.errno in (errno.ETIMEDOUT, None):
        return "no answer in time" if isinstance(error, TimeoutError) else str(error).lower()
    return os.strerror(error.errno).lower()


def reason_of_path(error: OSError | ValueError) -> str:
    """Return the reason for a Unix socket, whose path may be at fault."""
    if not isinstance(error, OSError):
        return "that is not a path"  # it has a zero byte
    return "the path is too long for a socket" if error.errno is None else reason(error)


def kind_of(error: OSError, place: str = "") -> Kind | None:
    """Return the kind of an error by its number, which is the same in every language, and by the address."""
    if error.errno in (errno.EINVAL, errno.EHOSTUNREACH, errno.ENETUNREACH) and lacks_zone(place):
        return Kind.NO_ZONE
    no_way = isinstance(error, TimeoutError) or error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)
    if no_way and is_inside(place):
        return Kind.OTHER_NETWORK
    kinds = {
        errno.ECONNREFUSED: Kind.NOBODY_LISTENS,
        errno.EADDRINUSE: Kind.PORT_TAKEN,
        errno.EACCES: Kind.PORT_FORBIDDEN,
        errno.EADDRNOTAVAIL: Kind.NOT_OUR_ADDRESS,
    }
    return kinds.get(error.errno or 0)
