"""The byte layouts and limits of protocol.md, in its order and under its names.

The layouts are declared here in construct and nowhere else. Where a layout is on the path of every
frame, a `struct.Struct` is derived from the same declaration: construct interpreted takes about
10 microseconds a frame, the derived struct 0.1. (`construct.compile()` does not help: compiled
parsers accept truncated payloads.)
"""

import struct
from typing import Any

import construct as c

PREFACE = b"VMUX/1\r\n"
PREFACE_STEM = b"VMUX/"  # the beginning of the preface of every version
VERSION = 1

MAX_PAYLOAD = 4096  # bytes; half a second of a 64 kbit/s line
MAX_NAME = 64  # bytes of UTF-8; also of `agent`
MAX_REASON = 256  # bytes of UTF-8
SESSION_SIZE = 16  # bytes
MAX_TEXT_PART = 1024  # bytes of text in a frame: 128 ms of a 64 kbit/s line
MAX_MESSAGE = 1_048_576  # bytes of text in a message
TEXT_WINDOW = 65_536  # bytes of TEXT payload sent and not acknowledged
NONCE_SIZE = 32  # bytes, also of a commitment to one
MAX_SHARE = 255  # bytes; a share of SPAKE2 has 33
MAX_CERTIFICATE = 2048  # bytes of DER; one with a P-256 key has about 400
MAX_PATHS = 8  # addresses in a PATHS
TICKS_PER_SECOND = 48_000  # ticks a second of AUDIO timestamps, for all codecs

GREASE_TAG = 0x5A  # the low five bits are 0x1a: a tag that is never assigned (protocol.md §13)

TAG_HELLO, TAG_TEXT, TAG_AUDIO, TAG_PING, TAG_PONG, TAG_BYE, TAG_TEXT_ACK, TAG_REPORT, TAG_RINGING = range(1, 10)
TAG_CLAIM, TAG_CHALLENGE, TAG_PROOF, TAG_WELCOME = range(10, 14)
TAG_PATHS = 14
TAG_ARRIVALS, TAG_STATE = 19, 20

FLAG_MORE = 1  # of TEXT: the message goes on in the next TEXT frame
FLAG_NOW = 1  # of PATHS: a round begins

STATE_MUTED, STATE_DEAFENED, STATE_RECORDS, STATE_VOICE = 1, 2, 4, 8  # bits of STATE

KEY_NAME, KEY_AGENT, KEY_CODECS, KEY_SESSION, KEY_LAST_TEXT = range(1, 6)
KEY_GRACE, KEY_PATHS, KEY_CHANNELS = 7, 8, 11

HEADER = c.Struct("length" / c.Int16ub, "tag" / c.Int8ub, "flags" / c.Int8ub)

HELLO = c.Struct(
    "items" / c.GreedyRange(c.Struct("key" / c.Int8ub, "value" / c.Prefixed(c.Int8ub, c.GreedyBytes))),
    c.Terminated,  # without Terminated, GreedyRange would silently drop a truncated last item
)
LAST_TEXT = c.Struct("id" / c.Int32ub, c.Terminated)
GRACE = c.Struct("seconds" / c.Int16ub, c.Terminated)
CHANNELS = c.Struct("channels" / c.Int8ub, c.Terminated)
OFFER = c.Struct(c.Terminated)  # item of HELLO without a value: its presence is the information

TEXT_HEADER = c.Struct("id" / c.Int32ub)
AUDIO_HEADER = c.Struct(
    "codec" / c.Int8ub,
    "source" / c.Int8ub,
    "sequence" / c.Int16ub,
    "timestamp" / c.Int32ub,
)
PING = c.Struct("data" / c.Bytes(8), c.Terminated)
BYE = c.Struct("code" / c.Int16ub, "reason" / c.GreedyBytes)
TEXT_ACK = c.Struct("id" / c.Int32ub, c.Terminated)
REPORT = c.Struct(
    "source" / c.Int8ub,
    "reserved" / c.Int8ub,
    "sequence" / c.Int16ub,
    "timestamp" / c.Int32ub,
    "delay" / c.Int16ub,
    "target" / c.Int16ub,
)
RINGING = c.Struct(c.Terminated)
ARRIVALS = c.Struct(
    "source" / c.Int8ub,
    "reserved" / c.Int8ub,
    "sequence" / c.Int16ub,
    "least" / c.Int16ub,
    "most" / c.Int16ub,
)
STATE = c.Struct("source" / c.Int8ub, "bits" / c.Int8ub, c.Terminated)
PATHS = c.Struct(
    "items"
    / c.GreedyRange(
        c.Struct(
            "kind" / c.Int8ub,
            "family" / c.Int8ub,
            "port" / c.Int16ub,
            "address" / c.Switch(c.this.family, {4: c.Bytes(4), 6: c.Bytes(16)}, c.Error),
        )
    ),
    c.Terminated,
)
CLAIM = c.Struct(
    "method" / c.Int8ub,
    "commitment" / c.Bytes(NONCE_SIZE),
    "share" / c.Prefixed(c.Int8ub, c.GreedyBytes),
    "certificate" / c.GreedyBytes,
)
CHALLENGE = c.Struct("nonce" / c.Bytes(NONCE_SIZE), "share" / c.GreedyBytes)
PROOF = c.Struct(
    "nonce" / c.Bytes(NONCE_SIZE),
    "confirmation" / c.Prefixed(c.Int8ub, c.GreedyBytes),
    "signature" / c.GreedyBytes,
)
WELCOME = c.Struct("admitted" / c.Int8ub, "confirmation" / c.GreedyBytes)

MALFORMED = (c.ConstructError, struct.error)  # every failure to parse or to build


def derive(layout: Any) -> struct.Struct:
    """Return the `struct.Struct` of a construct layout that has only integer fields of fixed size."""
    derived = struct.Struct(">" + "".join(field.subcon.fmtstr.removeprefix(">") for field in layout.subcons))
    assert derived.size == layout.sizeof()
    return derived


header_struct = derive(HEADER)
text_header_struct = derive(TEXT_HEADER)
audio_header_struct = derive(AUDIO_HEADER)
report_struct = derive(REPORT)
arrivals_struct = derive(ARRIVALS)
