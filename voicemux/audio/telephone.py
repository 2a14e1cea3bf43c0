"""Whether a device sounds like a telephone: wireless headsets do while their microphone is used (HFP, HSP). Pure."""

import re
from collections.abc import Iterable

# Profiles as PulseAudio, PipeWire and Windows name them ("headset-head-unit", "Hands-Free AG Audio").
PROFILE = re.compile(r"hands[-_ ]?free|head[-_ ]?set[-_ ]head[-_ ]unit|\bhfp\b|\bhsp\b", re.IGNORECASE)
HIGHEST_RATE = 16_000  # Hz in these profiles, 8 or 16 kHz, which macOS shows as the device's rate

DULL = (
    "in telephone mode (8 or 16 kHz): voices are dull, and come about 0.2 s later; "
    "a wireless headset plays at full quality if another microphone is used"
)


def is_telephone(names: Iterable[str], rate: int) -> bool:
    """Whether the device is in such a profile, by all names that the system has for it, or by its default rate in
    Hz."""
    return rate <= HIGHEST_RATE or any(PROFILE.search(name) for name in names)
