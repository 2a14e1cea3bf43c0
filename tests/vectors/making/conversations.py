"""Both directions, from the first byte to the last."""

from tests.vectors.making.said import (
    BOB_SAID,
    BYE_SAID,
    CHALLENGE_SAID,
    CLAIM_SAID,
    HELLO_SAID,
    PING_SAID,
    PONG_SAID,
    PROOF_SAID,
    RINGING_SAID,
    UNKNOWN,
    WELCOME_SAID,
    Said,
    ack_said,
    bye_said,
    text_said,
)
from tests.vectors.making.writing import PREFACE, Entry, entry, frame


def conversations() -> list[Entry]:
    def talk(name: str, section: str, description: str, *lines: Entry, tls: bool = False) -> Entry:
        return entry(f"conversation-{name}", section, description, encrypted=tls, script=list(lines))

    def line(at: float, by: str, *said: Said, preface: bool = False, end: bool = False, **error: str) -> Entry:
        means = [{"type": "preface"}] * preface + [message for _, message in said if message]
        encoded = PREFACE * preface + b"".join(each for each, _ in said)
        shown = {"at": at, "from": by, "bytes": encoded.hex(), "means": means, **error}
        return shown | {"end": True} if end else shown

    dialler, listener = "dialler", "listener"
    opened = (
        line(0.0, dialler, HELLO_SAID, preface=True),
        line(0.01, listener, RINGING_SAID, BOB_SAID, preface=True),
    )
    both_part = (line(1.0, dialler, BYE_SAID, end=True), line(1.01, listener, BYE_SAID, end=True))
    wrong_frame: Said = frame(0, b"?"), None
    return [
        talk("shortest", "2", "Somebody calls, is answered, and hangs up.", *opened, *both_part),
        talk(
            "text",
            "7",
            "Text both ways, a message in parts, each acknowledged when it has been read.",
            *opened,
            line(0.2, dialler, text_said(1, "hel", more=True)),
            line(0.21, listener, ack_said(1)),
            line(0.22, dialler, text_said(2, "lo")),
            line(0.3, listener, ack_said(2), text_said(1, "hi")),
            line(0.4, dialler, ack_said(1)),
            *both_part,
        ),
        talk(
            "text-behind-hello",
            "6",
            "Text may follow HELLO at once.",
            line(0.0, dialler, HELLO_SAID, text_said(1, "hi"), preface=True),
            line(0.01, listener, BOB_SAID, ack_said(1), preface=True),
            *both_part,
        ),
        talk(
            "ping",
            "5.4",
            "A PING and its PONG.",
            *opened,
            line(0.1, dialler, PING_SAID),
            line(0.11, listener, PONG_SAID),
            *both_part,
        ),
        talk(
            "unknown-tags",
            "4",
            "What is unknown has no answer.",
            line(0.0, dialler, UNKNOWN, HELLO_SAID, UNKNOWN, preface=True),
            line(0.01, listener, BOB_SAID, preface=True),
            *both_part,
        ),
        talk(
            "busy",
            "14",
            "The listener is in another call.",
            line(0.0, dialler, HELLO_SAID, preface=True),
            line(0.01, listener, bye_said(1), preface=True, end=True),
            line(0.02, dialler, BYE_SAID, end=True),
        ),
        talk(
            "another-version",
            "3",
            "A dialler of another version gets a preface, a BYE, and the end.",
            {"at": 0.0, "from": dialler, "bytes": b"VMUX/2\r\n".hex(), "means": [], "error": "version"},
            line(0.01, listener, bye_said(4), preface=True, end=True),
        ),
        talk(
            "protocol-error",
            "10",
            "A frame of tag 0 is answered with BYE 3; what came before it counts.",
            *opened,
            line(0.2, dialler, text_said(1, "hi"), wrong_frame, error="protocol"),
            line(0.21, listener, ack_said(1), bye_said(3, "tag 0"), end=True),
            line(0.22, dialler, end=True),
        ),
        talk(
            "text-on-its-way",
            "10",
            "Text that crosses a BYE still counts, and is acknowledged.",
            *opened,
            line(0.5, dialler, BYE_SAID, end=True),
            line(0.5, listener, text_said(1, "wait")),
            line(0.53, listener, BYE_SAID, end=True),
        ),
        talk(
            "text-before-goodbye",
            "10",
            "A BYE is answered by acknowledging what came before it.",
            *opened,
            line(0.5, dialler, text_said(1, "bye then"), BYE_SAID, end=True),
            line(0.52, listener, ack_said(1), BYE_SAID, end=True),
        ),
        talk(
            "both-part",
            "10",
            "Both hang up at once.",
            *opened,
            line(1.0, dialler, BYE_SAID, end=True),
            line(1.0, listener, BYE_SAID, end=True),
        ),
        talk("lost", "6", "The line breaks.", *opened, line(0.5, dialler, end=True, error="lost")),
        talk(
            "encrypted",
            "12",
            "Who is who, inside TLS, and then a call as any other.",
            line(0.0, dialler, CLAIM_SAID, preface=True),
            line(0.01, listener, CHALLENGE_SAID, preface=True),
            line(0.02, dialler, PROOF_SAID),
            line(0.03, listener, WELCOME_SAID),
            line(0.04, dialler, HELLO_SAID),
            line(0.05, listener, BOB_SAID),
            *both_part,
            tls=True,
        ),
        talk(
            "not-admitted",
            "12",
            "A listener that takes nobody unknown.",
            line(0.0, dialler, CLAIM_SAID, preface=True),
            line(0.01, listener, CHALLENGE_SAID, preface=True),
            line(0.02, dialler, PROOF_SAID),
            line(0.03, listener, bye_said(10), end=True),
            line(0.04, dialler, BYE_SAID, end=True),
            tls=True,
        ),
    ]
