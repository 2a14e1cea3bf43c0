"""Writes the test vectors of protocol.md, always the same: python -m tests.vectors.generate [FOLDER]"""

import json
import sys
from pathlib import Path

from tests.vectors.making.audio import audio
from tests.vectors.making.authentication import authentication
from tests.vectors.making.conversations import conversations
from tests.vectors.making.delivery import delivery
from tests.vectors.making.frames import frames
from tests.vectors.making.messages import messages
from tests.vectors.making.order import order
from tests.vectors.making.paths import paths
from tests.vectors.making.prefaces import prefaces
from tests.vectors.making.shown import shown

FILES = {
    "prefaces": prefaces,
    "frames": frames,
    "messages": messages,
    "order": order,
    "conversations": conversations,
    "delivery": delivery,
    "audio": audio,
    "authentication": authentication,
    "shown": shown,
    "paths": paths,
}


def generate(folder: Path) -> None:
    for name, make in FILES.items():
        lines = ",\n".join(json.dumps(each) for each in make())
        (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
