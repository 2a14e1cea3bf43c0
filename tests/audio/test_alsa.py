import subprocess
import sys
from pathlib import Path

import pytest

from tests.soundcards import ALSA
from voicemux.audio import alsa

OTHERS = """
pcm.quiet { type null }
pcm.detour { type asym playback.pcm "quiet" capture.pcm { type pulse } }
pcm.name { type asym playback.pcm "detour" }
pcm.wrapped { type plug slave.pcm { type pulse } }
pcm.round { type asym playback.pcm "round" capture.pcm "round" }
pcm.untyped { hint.show on }
"""


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("default", ("pulse", "pulse")),
        ("headset", ("pulse", "pulse")),
        ("headphones", ("", "pulse")),
        ("quiet", ("null", "null")),
        ("detour", ("pulse", "null")),
        ("name", ("", "null")),
        ("wrapped", ("plug", "plug")),  # what converts may do anything
        ("round", ("asym", "asym")),
        ("untyped", ("", "")),
        ("nobody", ("", "")),
        ("HDA Intel: ALC (hw:0,0)", ("", "")),
        ("späti {", ("", "")),
    ],
)
def test_what_plays_and_captures_behind_a_name_is_found(name: str, found: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "asound.conf").write_text(ALSA + OTHERS)
    code = f"from voicemux.audio.alsa import plugin; print([plugin({name!r}, kind) for kind in ('input', 'output')])"
    environment = {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf"), "PYTHONUTF8": "1"}  # read once, by each process
    program = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert program.stdout == f"{list(found)}\n"


def test_without_alsa_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alsa, "_library", lambda: None)
    assert alsa.plugin("default", "output") == ""
