"""Section 6: streams of one direction."""

from typing import Any

from tests.vectors.making.said import (
    ARRIVALS_SAID,
    AUDIO_SAID,
    BYE_SAID,
    CHALLENGE_SAID,
    CLAIM_SAID,
    HELLO_SAID,
    PATHS_SAID,
    PING_SAID,
    PONG_SAID,
    PROOF_SAID,
    REPORT_SAID,
    RINGING_SAID,
    STATE_SAID,
    UNKNOWN,
    WELCOME_SAID,
    Said,
    ack_said,
    bye_said,
    text_said,
)
from tests.vectors.making.writing import Entry, entry, frame


def order() -> list[Entry]:
    def stream(
        name: str,
        description: str,
        *said: Said,
        by: str = "dialler",
        tls: bool = False,
        rest: bytes = b"",
        error: str = "",
    ) -> Entry:
        """`rest` means nothing: it is the fault, or ignored."""
        meant = [message for _, message in said if message]
        encoded = b"".join(each for each, _ in said) + rest
        found = {"bytes": encoded.hex(), "messages": meant} | ({"error": error} if error else {})
        return entry(f"order-{name}", "6", description, **{"from": by, "encrypted": tls}, **found)

    def wrong(name: str, description: str, *said: Said, **where: Any) -> Entry:
        """The last of what is said is the fault."""
        return stream(name, description, *said[:-1], rest=said[-1][0], error="protocol", **where)

    everything = [text_said(1, "a"), ack_said(1), AUDIO_SAID, PING_SAID, PONG_SAID, REPORT_SAID, ARRIVALS_SAID]
    everything += [STATE_SAID, PATHS_SAID]
    listener: dict[str, Any] = {"by": "listener"}
    return [
        stream("shortest", "HELLO and BYE.", HELLO_SAID, BYE_SAID),
        stream("bye-only", "Nothing but BYE is a whole stream, too.", BYE_SAID, **listener),
        stream("everything", "All that may be said in a call.", HELLO_SAID, *everything, BYE_SAID),
        stream(
            "ringing-twice", "As often as it takes.", RINGING_SAID, RINGING_SAID, HELLO_SAID, BYE_SAID, **listener
        ),
        stream("declined", "It rang, and nobody wanted to.", RINGING_SAID, bye_said(2), **listener),
        stream("unknown-tags", "They are skipped in every state.", UNKNOWN, HELLO_SAID, UNKNOWN, BYE_SAID),
        stream(
            "unknown-tags-encrypted",
            "In those of TLS, too.",
            UNKNOWN,
            CLAIM_SAID,
            UNKNOWN,
            PROOF_SAID,
            UNKNOWN,
            HELLO_SAID,
            BYE_SAID,
            tls=True,
        ),
        stream("after-bye", "What follows a BYE is ignored.", HELLO_SAID, BYE_SAID, rest=text_said(1, "late")[0]),
        stream("rubbish-after-bye", "Whatever it is.", HELLO_SAID, BYE_SAID, rest=b"\xff" * 9 + bytes(9)),
        stream("dialler-encrypted", "A dialler inside TLS.", CLAIM_SAID, PROOF_SAID, HELLO_SAID, BYE_SAID, tls=True),
        stream(
            "listener-encrypted",
            "A listener inside TLS.",
            CHALLENGE_SAID,
            WELCOME_SAID,
            RINGING_SAID,
            HELLO_SAID,
            BYE_SAID,
            tls=True,
            **listener,
        ),
        stream(
            "not-admitted",
            "A listener that does not know the dialler.",
            CHALLENGE_SAID,
            bye_said(10),
            tls=True,
            **listener,
        ),
        stream("bye-of-a-stranger", "A dialler that changes its mind.", BYE_SAID, tls=True),
        stream("lost-at-once", "The end before a BYE.", error="lost"),
        stream("lost", "The end before a BYE.", HELLO_SAID, error="lost"),
        stream("lost-encrypted", "The end before a BYE.", CLAIM_SAID, error="lost", tls=True),
        stream("torn-header", "The end inside a header.", HELLO_SAID, rest=b"\0", error="torn"),
        stream("torn-payload", "The end inside a payload.", HELLO_SAID, rest=PING_SAID[0][:-1], error="torn"),
        wrong("text-before-hello", "HELLO is first.", text_said(1, "hi")),
        wrong("ping-before-hello", "HELLO is first.", PING_SAID),
        wrong("audio-before-hello", "HELLO is first.", RINGING_SAID, AUDIO_SAID, **listener),
        wrong("arrivals-before-hello", "HELLO is first.", ARRIVALS_SAID),
        wrong("state-before-hello", "HELLO is first.", STATE_SAID),
        wrong("state-before-hello-of-a-listener", "HELLO is first.", RINGING_SAID, STATE_SAID, **listener),
        wrong("hello-twice", "HELLO comes once.", HELLO_SAID, HELLO_SAID),
        wrong("ringing-after-hello", "What has been answered does not ring.", HELLO_SAID, RINGING_SAID, **listener),
        wrong("ringing-of-a-dialler", "A dialler does not ring.", RINGING_SAID),
        wrong("hello-before-claim", "Inside TLS, CLAIM is first.", HELLO_SAID, tls=True),
        wrong("hello-before-proof", "A dialler proves itself first.", CLAIM_SAID, HELLO_SAID, tls=True),
        wrong("hello-before-welcome", "So does a listener.", CHALLENGE_SAID, HELLO_SAID, tls=True, **listener),
        wrong(
            "ringing-before-welcome", "A stranger does not ring.", CHALLENGE_SAID, RINGING_SAID, tls=True, **listener
        ),
        wrong("claim-twice", "CLAIM comes once.", CLAIM_SAID, CLAIM_SAID, tls=True),
        wrong("proof-first", "CLAIM is first.", PROOF_SAID, tls=True),
        wrong("proof-twice", "PROOF comes once.", CLAIM_SAID, PROOF_SAID, PROOF_SAID, tls=True),
        wrong("claim-in-a-plain-call", "There, nobody proves anything.", CLAIM_SAID),
        wrong(
            "claim-after-hello", "It is too late for that.", CLAIM_SAID, PROOF_SAID, HELLO_SAID, CLAIM_SAID, tls=True
        ),
        wrong("claim-of-a-listener", "A listener does not claim.", CLAIM_SAID, tls=True, **listener),
        wrong("proof-of-a-listener", "A listener does not prove.", CHALLENGE_SAID, PROOF_SAID, tls=True, **listener),
        wrong("challenge-of-a-dialler", "A dialler does not challenge.", CHALLENGE_SAID, tls=True),
        wrong("welcome-of-a-dialler", "A dialler does not welcome.", CLAIM_SAID, WELCOME_SAID, tls=True),
        wrong("bad-payload", "What came before the fault counts.", HELLO_SAID, text_said(1, "hi"), (frame(4), None)),
    ]
