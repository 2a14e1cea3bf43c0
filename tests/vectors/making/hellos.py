"""Section 5.1: the items of HELLO."""

from typing import Any

from tests.vectors.making.writing import HELLO, PROTOCOL_ERROR, Entry, entry, frame, item


def hellos() -> list[Entry]:
    def hello(name: str, description: str, payload: bytes, canonical: bool = True, /, **fields: Any) -> Entry:
        meant = {"message": {"type": "HELLO", **fields}, "canonical": canonical}
        return entry(f"hello-{name}", "5.1", description, bytes=frame(HELLO, payload).hex(), **meant)

    def fault(name: str, description: str, payload: bytes) -> Entry:
        return entry(f"hello-{name}", "5.1", description, bytes=frame(HELLO, payload).hex(), **PROTOCOL_ERROR)

    session = bytes(range(16))
    last_text, grace = item(5, b"\0\0\0\7"), item(7, b"\0\x3c")
    everything = item(1, b"bob") + item(2, b"bot1") + item(3, b"\2\1") + item(4, session) + last_text + grace
    everything += item(8, b"") + item(11, b"\2")
    longest, long_name = item(1, b"n" * 64), "\u00fc" * 32
    every = {"name": "bob", "agent": "bot1", "codecs": [2, 1], "session": session.hex(), "last_text": 7, "grace": 60}
    every |= {"paths": True, "channels": 2}
    return [
        hello("empty", "A nameless peer that plays PCM.", b""),
        hello("everything", "Every key there is.", everything, **every),
        hello(
            "items-in-any-order",
            "The order of items means nothing.",
            item(2, b"a") + item(1, b"b"),
            False,
            name="b",
            agent="a",
        ),
        hello("name-longest", "64 bytes.", longest, name="n" * 64),
        hello(
            "name-longest-in-bytes", "Bytes are counted, not characters.", item(1, long_name.encode()), name=long_name
        ),
        hello("agent-longest", "64 bytes.", item(2, b"a" * 64), agent="a" * 64),
        hello("name-empty", "Present and empty is as absent.", item(1, b""), False, name=""),
        hello("codecs-empty", "Send me no audio.", item(3, b""), codecs=[]),
        hello("codecs-most", "255 of them.", item(3, bytes(range(255))), codecs=list(range(255))),
        hello("unknown-codec", "It is passed over.", item(3, b"\x4d\1"), codecs=[0x4D, 1]),
        hello("unknown-key", "It is passed over.", item(0xFA, b"?") + item(1, b"bob"), False, name="bob"),
        hello("unknown-key-longest", "255 bytes.", item(0x40, b"?" * 255), False),
        hello("unknown-key-zero", "Of keys, 0 is an unknown one.", item(0, b""), False),
        hello("name-twice", "The first counts.", item(1, b"one") + item(1, b"two"), False, name="one"),
        hello("codecs-twice", "The first counts, empty or not.", item(3, b"") + item(3, b"\1"), False, codecs=[]),
        hello(
            "name-twice-second-bad",
            "What does not count is not read, though its length is.",
            item(1, b"one") + item(1, b"\xff"),
            False,
            name="one",
        ),
        hello(
            "session",
            "A session that can be resumed begins: there is no last_text.",
            item(4, session) + grace,
            session=session.hex(),
            grace=60,
        ),
        hello(
            "resume",
            "A last_text resumes the session, also when it is 0.",
            item(4, session) + item(5, bytes(4)),
            session=session.hex(),
            last_text=0,
        ),
        hello("session-without-grace", "It cannot be resumed.", item(4, session), session=session.hex()),
        hello("grace-zero", "As if absent.", item(4, session) + item(7, bytes(2)), False, session=session.hex()),
        hello(
            "grace-highest", "18 hours.", item(4, session) + item(7, b"\xff\xff"), session=session.hex(), grace=65535
        ),
        hello("channels", "Two are played.", item(11, b"\2"), channels=2),
        hello("channels-one", "The same as absent, but said.", item(11, b"\1"), channels=1),
        hello("channels-zero", "As if absent.", item(11, b"\0"), False),
        hello("channels-most", "As many as two, for those who send no more.", item(11, b"\xff"), channels=255),
        hello(
            "paths",
            "PATHS are used in this session.",
            item(4, session) + grace + item(8, b""),
            session=session.hex(),
            grace=60,
            paths=True,
        ),
        hello("paths-without-session", "Of no session, it means nothing.", item(8, b""), False),
        hello("last-text-without-session", "Of no session, it means nothing.", last_text, False),
        hello("grace-without-session", "Of no session, it means nothing.", grace, False),
        hello(
            "last-text-highest",
            "All of 32 bits.",
            item(4, session) + item(5, b"\xff" * 4),
            session=session.hex(),
            last_text=2**32 - 1,
        ),
        fault("item-too-long", "It runs over the end of the payload.", b"\1\4bob"),
        fault("item-without-length", "A key, and then the end.", b"\1"),
        fault("second-item-too-long", "Whatever stands before it.", item(1, b"bob") + b"\2\1"),
        fault("unknown-item-too-long", "Of an unknown key, the length counts, too.", b"\xfa\2?"),
        fault("name-too-long", "65 bytes.", item(1, b"n" * 65)),
        fault("agent-too-long", "65 bytes.", item(2, b"a" * 65)),
        fault("name-not-utf-8", "A byte that never is.", item(1, b"\xff")),
        fault("name-surrogate", "Half of a character of UTF-16.", item(1, b"\xed\xa0\x80")),
        fault("name-overlong", "A longer way to write a slash.", item(1, b"\xc0\xaf")),
        fault("agent-not-utf-8", "A character that is cut off.", item(2, b"\xc3")),
        fault("session-short", "15 bytes.", item(4, session[:15])),
        fault("session-long", "17 bytes.", item(4, session + b"\0")),
        fault("session-empty", "0 bytes.", item(4, b"")),
        fault("last-text-short", "3 bytes.", item(4, session) + item(5, bytes(3))),
        fault("last-text-long", "5 bytes.", item(4, session) + item(5, bytes(5))),
        fault("channels-short", "0 bytes.", item(11, b"")),
        fault("channels-long", "2 bytes.", item(11, b"\0\2")),
        fault("grace-short", "1 byte.", item(4, session) + item(7, b"\x3c")),
        fault("paths-with-bytes", "1 byte.", item(4, session) + item(8, b"\1")),
        fault("grace-long", "3 bytes, though no session is named.", item(7, bytes(3))),
    ]
