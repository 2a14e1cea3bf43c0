"""Cuts a stream of bytes into frames (tag, flags and payload), and encodes frames (protocol.md §4)."""

from collections.abc import Iterator
from typing import NamedTuple

from voicemux.errors import LocalProtocolError, RemoteProtocolError
from voicemux.protocol.wire import MAX_PAYLOAD, header_struct


class Frame(NamedTuple):
    tag: int
    flags: int
    payload: bytes


def encode_frame(frame: Frame) -> bytes:
    """Return header and payload of a frame in one piece, so that one write sends the whole frame."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise LocalProtocolError(f"a frame of {len(frame.payload)} bytes, the limit is {MAX_PAYLOAD}")
    return header_struct.pack(len(frame.payload), frame.tag, frame.flags) + frame.payload


class FrameDecoder:
    """Cuts a stream into frames, in whatever segments it arrives. Holds less than one frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield each frame that is whole now. `data` is stored at once, even if the caller does not iterate yet.

        Raises RemoteProtocolError on a header with a length or tag that is not allowed, before the payload comes.
        """
        self._buffer += data
        return self._cut()

    @property
    def torn(self) -> bool:
        """Whether the stream, if it ended here, would end inside a frame."""
        return bool(self._buffer)

    def take_rest(self) -> bytes:
        """Return the bytes of an incomplete frame, and forget them: for a stream in which bytes of another kind
        follow (relay.md)."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _cut(self) -> Iterator[Frame]:
        buffer = self._buffer
        while len(buffer) >= header_struct.size:
            length, tag, flags = header_struct.unpack_from(buffer)
            if length > MAX_PAYLOAD:
                raise RemoteProtocolError(f"a frame of {length} bytes, the limit is {MAX_PAYLOAD}")
            if tag == 0:
                raise RemoteProtocolError("a frame of tag 0, which does not exist")
            end = header_struct.size + length
            if len(buffer) < end:
                break
            payload = bytes(buffer[header_struct.size : end])
            # Before the yield: the caller may hand the decoder to another thread, which feeds it at once.
            del buffer[:end]
            yield Frame(tag, flags, payload)
