"""Section 3: the first 8 bytes."""

from typing import Any

from tests.vectors.making.writing import PREFACE, Entry, entry


def prefaces() -> list[Entry]:
    def preface(name: str, description: str, stream: bytes, **outcome: Any) -> Entry:
        return entry(f"preface{name}", "3", description, bytes=stream.hex(), **outcome)

    stranger, version = {"error": "not-voicemux"}, {"error": "version"}
    return [
        preface("", "Version 1.", PREFACE, version=1),
        preface("-version-2", "Another version: answered with the own preface and BYE 4.", b"VMUX/2\r\n", **version),
        preface("-version-10", "A version of two digits is another one, too.", b"VMUX/10\r", **version),
        preface("-version-0", "So is version 0.", b"VMUX/0\r\n", **version),
        preface("-line-feed-only", "After VMUX/, whatever is not this version is another.", b"VMUX/1\n\n", **version),
        preface("-lower-case", "The letters are capital ones.", b"vmux/1\r\n", **stranger),
        preface("-http", "A web browser.", b"GET / HTTP/1.1\r\n", **stranger),
        preface("-ssh", "An SSH server.", b"SSH-2.0-OpenSSH_9.7\r\n", **stranger),
        preface("-zeros", "Nothing but zeros.", bytes(8), **stranger),
        preface("-wrong-first-byte", "One byte is enough to know.", b"W", **stranger),
        preface("-wrong-fifth-byte", "So is the first that differs, wherever it stands.", b"VMUX1", **stranger),
        preface("-nothing", "The stream ends before anything was said.", b"", error="lost"),
        preface("-cut", "The stream ends inside the preface.", b"VMUX/1\r", error="torn"),
        preface("-version-cut", "Another version is judged with the 8th byte.", b"VMUX/2\r", error="torn"),
    ]
