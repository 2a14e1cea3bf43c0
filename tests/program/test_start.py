"""How the program starts: what it says of itself, and what it does not load to say it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import voicemux
from tests.running import PATIENCE, Program, run

SECURITY = {"cryptography", "filelock", "spake2", "ssl"}
HEAVY = {"construct", "numpy", "opuslib_next", "prompt_toolkit", "pyaudio", "samplerate", "soundfile", *SECURITY}
SOUND = {"numpy", "opuslib_next", "pyaudio", "samplerate", "soundfile"}
IMPORT_TIME = "import time:"


def imported(*arguments: str) -> set[str]:
    """The packages that the program loads until it ends."""
    _, _, err = run(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
    names = [line.rpartition("|")[2].strip() for line in err if line.startswith(IMPORT_TIME)]
    assert "click" in names
    return {name.partition(".")[0] for name in names}


def test_help_lists_the_commands_and_the_exit_codes() -> None:
    code, out, err = run("--help")
    assert (code, err) == (0, [])
    text = "\n".join(out)
    assert out[0] == "Usage: voicemux [OPTIONS] COMMAND [ARGS]..."
    for word in ("listen", "dial", "contacts", "devices", "demo", "Exit codes:", "6 not who was meant", "130 interr"):
        assert word in text
    assert run("-h")[1] == out


@pytest.mark.parametrize("command", ["listen", "dial", "contacts", "devices", "demo"])
def test_every_command_explains_itself(command: str) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, [])
    assert out[0].startswith(f"Usage: voicemux {command} [OPTIONS]")


def test_every_option_of_a_call_is_documented() -> None:
    document = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    for command in ("listen", "dial"):
        given = {line.split()[0] for line in run(command, "--help")[1] if line.strip().startswith("--")}
        assert given >= {"--name", "--input", "--output", "--record", "--codec", "--bitrate", "--timeout", "--json"}
        assert {option for option in given if f"`{option}" not in document} == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("dial", "localhost:1"),
        ("listen", "--port", "99999"),
        ("conform", "listener", "localhost:1"),
        ("conform", "dialer"),
    ],
)
def test_the_old_name_of_the_option_for_calls_without_encryption_says_once_what_it_does(
    arguments: tuple[str, ...],
) -> None:
    listed = [*arguments[:2], "--list"] if arguments[0] == "conform" else arguments
    _, _, err = run(*listed, "--plain")
    assert err[0] == "voicemux: --plain switches encryption off, and is now called --unencrypted"
    assert sum("--plain" in line for line in err) == 1
    assert "--plain" not in "".join(run(*arguments[:2], "--help")[1])
    assert run(*listed, "--plain")[1] == run(*listed, "--unencrypted")[1]


def test_nothing_at_all_is_misuse_with_help() -> None:
    code, out, err = run()
    assert (code, out) == (2, [])
    assert err[0].startswith("Usage: voicemux")


def test_the_version_is_the_packages() -> None:
    assert run("--version") == (0, [f"voicemux, version {voicemux.__version__}"], [])


def test_the_installed_command_is_the_same_program() -> None:
    installed = Path(sys.executable).with_name("voicemux")
    if not installed.exists():
        pytest.skip("not installed here")
    shown = subprocess.run([installed, "--version"], capture_output=True, text=True, timeout=PATIENCE)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"voicemux, version {voicemux.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("dial", "--help"), ("listen", "--help"), ("contacts", "--help")]
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) & HEAVY == set()


def test_a_call_of_text_loads_nothing_that_makes_sound() -> None:
    names = imported("dial", "127.0.0.1:1", "--no-audio")
    assert "construct" in names
    assert names & SOUND == set()


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="the system does not tell the limits of a process")
def test_a_crash_leaves_no_key_on_the_disk() -> None:
    with Program("listen", "--port", "0", "--no-audio", "--unencrypted") as program:
        program.notice_with("listening")
        limits = Path(f"/proc/{program.process.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
