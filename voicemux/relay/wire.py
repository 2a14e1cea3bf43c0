"""The byte layouts and limits of relay.md, in its order and under its names. Frames are those of protocol.md §4."""

import construct as c

PREFACE = b"VMXR/1\r\n"
PREFACE_STEM = b"VMXR/"  # the beginning of every version's preface
VERSION = 1

ID_SIZE = 32  # bytes: a SHA-256
OWNER_SIZE = 16  # bytes: random
MOST_WAITED = 64  # ids in a WAIT
MOST_CALLED = 8  # ids in a CALL
MAX_TOKEN = 128  # bytes of UTF-8
MAX_REASON = 256  # bytes of UTF-8
MAX_HOST = 255  # bytes of UTF-8

TAG_WAIT, TAG_CALL, TAG_TOKEN = range(1, 4)
TAG_WAITING, TAG_PAIRED, TAG_REFUSED, TAG_MOVED = range(17, 21)

WAIT = c.Struct(
    "owner" / c.Bytes(OWNER_SIZE),
    "ids" / c.GreedyRange(c.Bytes(ID_SIZE)),
    c.Terminated,  # GreedyRange ignores a truncated last id; this does not
)
CALL = c.Struct("ids" / c.GreedyRange(c.Bytes(ID_SIZE)), c.Terminated)
TOKEN = c.Struct("token" / c.GreedyBytes)
SEEN = c.Struct(
    "family" / c.Int8ub,
    "port" / c.Int16ub,
    "address" / c.Switch(c.this.family, {4: c.Bytes(4), 6: c.Bytes(16)}, default=c.Error),
)
WAITING = c.Struct("seen" / SEEN, c.Terminated)
PAIRED = c.Struct("id" / c.Bytes(ID_SIZE), "seen" / SEEN, c.Terminated)
REFUSED = c.Struct("code" / c.Int16ub, "seconds" / c.Int16ub, "reason" / c.GreedyBytes)
MOVED = c.Struct("port" / c.Int16ub, "host" / c.GreedyBytes)
