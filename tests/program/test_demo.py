import json
from pathlib import Path

import pytest
import soundfile

from tests.running import run


@pytest.mark.second_chance("the demo judges by the ear whether it works: a stall is a gap")
def test_the_demo_holds_a_call_and_reports_it(tmp_path: Path) -> None:
    code, out, err = run("demo", "--json", "--keep", str(tmp_path / "kept"))
    report = json.loads(out[0])
    assert (code, len(out), report["ok"]) == (0, 1, True), err
    assert report["texts"] == {"sent": 6, "received": 6}
    frames = report["audio_frames"]
    assert frames["received"] == frames["sent"] > 600
    assert 25 < report["mouth_to_ear_ms"]["median"] <= report["mouth_to_ear_ms"]["p95"] < 1000
    assert min(report["likeness"]) > 0.6
    for recording in report["recordings"]:
        sound = soundfile.info(recording)
        assert (sound.samplerate, sound.channels) == (48_000, 1)
        assert sound.duration > 6


@pytest.mark.second_chance("the demo judges by the ear whether it works: a stall is a gap")
def test_people_see_the_conversation_and_the_figures(tmp_path: Path) -> None:
    code, out, err = run("demo", env={"TMPDIR": str(tmp_path)})  # where the recordings stay
    assert code == 0
    assert out[0] == "it works"
    assert [line for line in err if line.startswith(("alice> ", "bob> "))] == [*err[1:7]]
    recordings = [line.split()[-1] for line in out[-2:]]
    assert all(Path(each).is_file() for each in recordings)


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_that_cannot_be_had_is_one_clear_line(tmp_path: Path, *, made: bool) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    code, _, err = run("demo", "--keep", str(file if made else file / "below"))
    assert code in (2, 5)
    assert len([line for line in err if "rror" in line or line.startswith("voicemux: ")]) == 1
