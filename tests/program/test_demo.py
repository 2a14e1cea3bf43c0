import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile

from tests.running import Environment, run
from tests.tries import TRIES

LONGEST = 60.0  # seconds that a demo may take on a busy machine; 15 here
Outcome = tuple[int, list[str], list[str]]  # exit code, standard output, standard error


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """A demo for programs and one for people, at the same time."""
    folder = tmp_path_factory.mktemp("demos")
    with ThreadPoolExecutor() as pool:
        holding = {
            "programs": pool.submit(hold, "--json", "--keep", str(folder / "kept")),
            "people": pool.submit(hold, env={"TMPDIR": str(folder)}),  # where the recordings stay
        }
        return {whose: outcome.result() for whose, outcome in holding.items()}


def hold(*arguments: str, env: Environment = None) -> Outcome:
    """The demo judges by the ear whether it works, and a stall is a gap: it may try several times."""
    for _ in range(TRIES):
        outcome = run("demo", *arguments, env=env, patience=LONGEST)
        if outcome[0] == 0:
            break
    return outcome


def test_the_demo_holds_a_call_and_reports_it(demos: dict[str, Outcome]) -> None:
    code, out, err = demos["programs"]
    report = json.loads(out[0])
    assert (code, len(out), report["ok"]) == (0, 1, True), err
    assert report["texts"] == {"sent": 6, "received": 6}
    frames = report["audio_frames"]
    assert frames["received"] == frames["sent"] > 600
    assert 25 < report["mouth_to_ear_ms"]["median"] < 1000
    assert report["mouth_to_ear_ms"]["p95"] >= report["mouth_to_ear_ms"]["median"]
    assert min(report["likeness"]) > 0.6
    for recording in report["recordings"]:
        sound = soundfile.info(recording)
        assert (sound.samplerate, sound.channels) == (48_000, 1)
        assert sound.duration > 6


def test_people_see_the_conversation_and_the_figures(demos: dict[str, Outcome]) -> None:
    code, out, err = demos["people"]
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
