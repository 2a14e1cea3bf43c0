"""Keeps how loud each contact's voice is played, in a file beside the contacts.

It is a file of its own, because older programs skip a contact with a field that they do not know. Entries that cannot
be read are dropped.
"""

import json
from pathlib import Path

from voicemux.security import files

FILE = "volumes.json"
MOST_BYTES = 1_000_000  # bytes of the file
MOST_VOLUMES = 1000  # volumes that are kept: those that were chosen last
MOST_PERCENT = 400
AUTO = "auto"

KeptVolume = int | str  # percent, or AUTO


class Volumes:
    """The file of volumes in a folder. Any thread may use it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def of(self, fingerprint: str) -> KeptVolume | None:
        """Return the volume that was chosen for a contact; None if none was. Raises SecurityError if the file cannot
        be read."""
        return self._all().get(fingerprint)

    def keep(self, fingerprint: str, volume: KeptVolume) -> None:
        """Keep the volume of a contact. Raises SecurityError if the file cannot be written."""
        with files.changing(self._path):
            volumes = self._all()
            volumes.pop(fingerprint, None)
            volumes[fingerprint] = volume
            kept = dict(list(volumes.items())[-MOST_VOLUMES:])
            files.write(self._path, json.dumps(kept, indent=1).encode() + b"\n")

    def _all(self) -> dict[str, KeptVolume]:
        try:
            told = json.loads(files.read(self._path, MOST_BYTES) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return {key: volume for key, volume in told.items() if _is_volume(volume)} if isinstance(told, dict) else {}


def _is_volume(volume: object) -> bool:
    is_percent = isinstance(volume, int) and not isinstance(volume, bool) and 0 <= volume <= MOST_PERCENT
    return is_percent or volume == AUTO
