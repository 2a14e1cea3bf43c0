"""Describes frames for a trace: their type and numbers, and nothing that a user has written, said, or is called."""

from typing import Any

from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.encoding import type_of_tag
from voicemux.protocol.frames import Frame
from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    Claim,
    Hello,
    Message,
    Paths,
    Ping,
    Pong,
    Report,
    Text,
    TextAck,
    VoiceState,
    Welcome,
    name_of,
)
from voicemux.protocol.wire import GREASE_TAG, header_struct
from voicemux.trace.facts import FramePassed, Trace

# The fields of each message that are written: numbers of the protocol. Other fields and messages are not.
_TOLD: dict[type, tuple[str, ...]] = {
    Hello: ("agent", "codecs", "last_text", "grace", "paths", "channels"),
    Text: ("id", "more"),
    Audio: ("codec", "source", "sequence", "timestamp"),
    Bye: ("code",),
    TextAck: ("id",),
    Report: ("source", "sequence", "timestamp", "delay", "target"),
    Arrivals: ("source", "sequence", "least", "most"),
    VoiceState: ("source", "voice", "muted", "deafened", "records"),
    Paths: ("now",),
    Claim: ("method",),
    Welcome: ("admitted",),
}


def described(passed: FramePassed) -> dict[str, Any]:
    """Return the fields of a frame, as docs/trace.md documents them."""
    frame, message = passed.frame, passed.message
    kind = type(message) if message is not None else type_of_tag(frame.tag)
    shown: dict[str, Any] = {
        "way": passed.way,
        "type": name_of(kind) if kind else "padding" if frame.tag == GREASE_TAG else "unknown",
        "size": header_struct.size + len(frame.payload),
    }
    if kind is None:
        shown["tag"] = frame.tag
    elif message is None:
        shown["malformed"] = True
    else:
        shown.update((name, getattr(message, name)) for name in _TOLD.get(kind, ()))
        if isinstance(message, Audio):
            shown["silence"] = not message.data
        elif isinstance(message, Ping | Pong):
            shown["data"] = message.data.hex()  # it says nothing, and shows which PONG answers which PING
    return shown


def watch(sending: Sending, receiving: Receiving, trace: Trace) -> None:
    """Tell `trace` of each frame that these encode and decode from now on."""

    def on_sent(frame: Frame, message: Message | None) -> None:
        trace(FramePassed("sent", frame, message))

    def on_received(frame: Frame, message: Message | None) -> None:
        trace(FramePassed("received", frame, message))

    sending.on_frame, receiving.on_frame = on_sent, on_received
