"""Section 7: text, from the sender's and from the receiver's side."""

from typing import Any

from tests.vectors.making.writing import Entry, entry


def delivery() -> list[Entry]:
    def sender(name: str, description: str, *script: Entry) -> Entry:
        return entry(f"delivery-{name}", "7", description, role="sender", script=list(script))

    def receiver(name: str, description: str, *script: Entry) -> Entry:
        return entry(f"delivery-{name}", "7", description, role="receiver", script=list(script))

    def put(*texts: Any) -> Entry:
        return {"event": "put", "texts": list(texts)}

    def sends(*ids: int) -> Entry:
        return {"event": "send", "ids": list(ids)}

    def acknowledged(number: int, **error: str) -> Entry:
        return {"event": "acknowledged", "id": number, **error}

    def resumed(number: int, **error: str) -> Entry:
        return {"event": "resumed", "last_text": number, **error}

    def received(number: int, text: Any, acknowledge: int, message: Any = None, more: bool = False) -> Entry:
        return {
            "event": "received",
            "id": number,
            "text": text,
            "more": more,
            "message": message,
            "acknowledge": acknowledge,
        }

    def refused(number: int, text: Any, error: str, more: bool = False) -> Entry:
        return {"event": "received", "id": number, "text": text, "more": more, "error": error}

    def taken(acknowledge: int) -> Entry:
        return {"event": "taken", "acknowledge": acknowledge}

    def lost(last_text: int) -> Entry:
        return {"event": "lost", "last_text": last_text}

    kilobyte = {"repeat": 1020, "text": "x"}  # with its id, a 64th of the window
    full = [received(number, kilobyte, 0, kilobyte) for number in range(1, 65)]
    all_sent = (put("a", "b", "c"), sends(1, 2, 3))
    return [
        sender(
            "ids", "They begin with 1, and each frame has the next.", *all_sent, acknowledged(3), put("d"), sends(4)
        ),
        sender("ack-cumulative", "One acknowledges all before it.", *all_sent, acknowledged(3), resumed(3), sends()),
        sender(
            "ack-lower",
            "A lower acknowledgement than before is ignored.",
            *all_sent,
            acknowledged(2),
            acknowledged(1),
            resumed(2),
            sends(3),
        ),
        sender("ack-repeated", "So is the same again.", *all_sent, acknowledged(2), acknowledged(2)),
        sender("ack-zero", "And one of nothing.", *all_sent, acknowledged(0)),
        sender(
            "ack-unsent", "An acknowledgement of what was never sent.", *all_sent, acknowledged(4, error="protocol")
        ),
        sender("ack-before-anything", "The same, at the beginning.", acknowledged(1, error="protocol")),
        sender(
            "window",
            "65,536 bytes, ids included, and not one more until some are acknowledged.",
            put(*[kilobyte] * 66),
            sends(*range(1, 65)),
            acknowledged(1),
            sends(65),
            acknowledged(1),
            sends(),
            acknowledged(65),
            sends(66),
        ),
        sender(
            "resume-sender",
            "What is above last_text goes out again under the same ids.",
            *all_sent,
            put("d"),
            acknowledged(1),
            resumed(2),
            sends(3, 4),
            acknowledged(4),
            put("e"),
            sends(5),
        ),
        sender("resume-nothing-arrived", "All of it.", *all_sent, resumed(0), sends(1, 2, 3)),
        sender("resume-everything-arrived", "Nothing of it.", *all_sent, resumed(3), sends(), put("d"), sends(4)),
        sender(
            "resume-twice",
            "The line breaks again before anything was sent.",
            *all_sent,
            resumed(1),
            resumed(1),
            sends(2, 3),
        ),
        sender(
            "resume-acknowledged-meanwhile",
            "Sent on the old connection, taken on the new one.",
            *all_sent,
            resumed(0),
            acknowledged(2),
            sends(3),
        ),
        sender(
            "resume-window",
            "The window is counted anew.",
            put(*[kilobyte] * 65),
            sends(*range(1, 65)),
            resumed(2),
            sends(*range(3, 66)),
        ),
        sender("resume-unsent", "A last_text that was never sent.", *all_sent, resumed(4, error="protocol")),
        sender(
            "resume-lost-memory",
            "A last_text below what was acknowledged: that is gone.",
            *all_sent,
            acknowledged(2),
            resumed(1, error="protocol"),
        ),
        receiver(
            "acknowledged-when-taken",
            "A message is acknowledged when its reader has it, not before.",
            received(1, "a", 0, "a"),
            received(2, "b", 0, "b"),
            taken(1),
            taken(2),
        ),
        receiver(
            "parts",
            "Parts are acknowledged as they come, the whole when it was taken.",
            received(1, "gr", 1, more=True),
            received(2, "\u00fc", 1, "gr\u00fc"),
            taken(2),
        ),
        receiver(
            "parts-behind-a-message",
            "Not before the messages in front of them.",
            received(1, "a", 0, "a"),
            received(2, "b", 0, more=True),
            taken(2),
            received(3, "c", 2, "bc"),
            taken(3),
        ),
        receiver(
            "empty-parts",
            "A message of nothing is one.",
            received(1, "", 1, more=True),
            received(2, "", 1, ""),
            taken(2),
        ),
        receiver(
            "repeated",
            "What is there already is ignored.",
            received(1, "a", 0, "a"),
            taken(1),
            received(1, "a", 1),
            received(0, "?", 1),
            received(2, "b", 1, "b"),
        ),
        receiver("gap", "Something is missing.", received(1, "a", 0, "a"), refused(3, "c", "protocol")),
        receiver("first-is-two", "Ids begin with 1.", refused(2, "b", "protocol")),
        receiver("highest-id", "And do not jump.", refused(2**32 - 1, "?", "protocol")),
        receiver(
            "resume-receiver",
            "A message that was cut goes on; what was not taken comes again, and is ignored.",
            received(1, "a", 0, "a"),
            taken(1),
            received(2, "b", 1, "b"),
            received(3, "c", 1, more=True),
            lost(1),
            received(2, "b", 1),
            taken(3),
            received(3, "c", 3),
            received(4, "d", 3, "cd"),
            taken(4),
        ),
        receiver(
            "resume-in-a-message",
            "Its parts were acknowledged.",
            received(1, "a", 1, more=True),
            lost(1),
            received(2, "b", 1, "ab"),
            taken(2),
        ),
        receiver("window-full", "A whole window may wait.", *full, taken(1)),
        receiver(
            "flood",
            "More than the window, ids included: a receiver MAY end the call with BYE 6.",
            *full,
            refused(65, "", "flood"),
        ),
    ]
