"""Section 4: cutting."""

from typing import Any

from tests.vectors.making.writing import RINGING, WELCOME, Entry, Parts, entry, frame, hexadecimal


def frames() -> list[Entry]:
    def cut(name: str, description: str, stream: Parts, *found: tuple[int, int, Parts], **rest: Any) -> Entry:
        shown = [{"tag": tag, "flags": flags, "payload": hexadecimal(payload)} for tag, flags, payload in found]
        return entry(f"frame-{name}", "4", description, bytes=hexadecimal(stream), frames=shown, **rest)

    grease = [
        cut(f"grease-{tag:02x}", "A tag that will never be given out.", frame(tag, b"grease"), (tag, 0, b"grease"))
        for tag in (0x1A, 0xFA)
    ]
    return [
        cut("empty", "No payload: four bytes are a whole frame.", frame(RINGING), (RINGING, 0, b"")),
        cut("short", "A payload of one byte.", frame(WELCOME, b"\1"), (WELCOME, 0, b"\1")),
        cut("two", "Two in one piece.", frame(9) + frame(4, bytes(8)), (9, 0, b""), (4, 0, bytes(8))),
        cut("longest", "4096 bytes.", [b"\x10\0\xfa\0", (4096, b"x")], (0xFA, 0, [(4096, b"x")])),
        cut(
            "too-long", "4097 bytes: judged by the header, before the payload comes.", b"\x10\1\2\0", error="protocol"
        ),
        cut("much-too-long", "65535 bytes.", b"\xff\xff\2\0", error="protocol"),
        cut(
            "too-long-unknown-tag", "The length of an unknown tag is judged, too.", b"\x10\1\xfa\0", error="protocol"
        ),
        cut("tag-zero", "Tag 0.", frame(0, b"x"), error="protocol"),
        cut("zeros", "A stream of zeros.", bytes(16), error="protocol"),
        cut(
            "good-then-bad", "What came before the fault counts.", frame(9) + bytes(4), (9, 0, b""), error="protocol"
        ),
        cut("unknown-tag", "It is cut like any other, and then passed over.", frame(0xFA, b"??"), (0xFA, 0, b"??")),
        cut("unknown-flags", "All of them set.", frame(4, bytes(8), 0xFF), (4, 0xFF, bytes(8))),
        cut("header-only", "The header of a frame whose payload is still to come.", b"\0\x08\4\0"),
        cut("three-bytes", "Less than a header.", b"\0\0\4"),
        *grease,
    ]
