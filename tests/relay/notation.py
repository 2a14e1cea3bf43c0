"""Messages of relay.md as the document and its vectors write them down."""

import json
from pathlib import Path
from typing import Any

from voicemux.net.address import Address
from voicemux.relay.ids import id_of_number
from voicemux.relay.messages import NAMES, RelayMessage

VECTORS = Path(__file__).parent.parent / "vectors" / "relay"
CLASSES = {name: kind for kind, name in NAMES.items()}


def vectors(name: str) -> list[dict[str, Any]]:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def message(written: dict[str, Any]) -> RelayMessage:
    fields = {name: _meant(name, value) for name, value in written.items() if name != "type"}
    return CLASSES[written["type"]](**fields)


def _meant(name: str, value: Any) -> Any:
    if name in ("seen", "place"):
        return Address(*value)
    if name == "ids":
        return tuple(_meant("id", each) for each in value)
    if name == "id" and value == "NUMBER":
        return id_of_number("4711")
    return bytes.fromhex(value) if name in ("id", "owner") else value
