"""Targets under libFuzzer, each in a process of its own, and what came of it."""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fuzz.corpus import seeds

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"  # what the fuzzer has found worth keeping, of all runs; not kept by git
LIMITS = [
    "-max_len=8192",  # bytes: a frame and half of the next
    "-timeout=60",  # seconds for an input: usual ones take a millisecond, but other work may have the processor
    "-rss_limit_mb=400",  # a process has 110 MB when it begins
]
START = 300  # seconds that a process may take to begin and to end: with a large corpus, on a busy machine
RUNS, COVERAGE = re.compile(r"^#(\d+)", re.MULTILINE), re.compile(r"\bcov: (\d+)")
NOISE = re.compile(r"^(INFO: |WARNING: Failed to find function|#\d).*\n", re.MULTILINE)


class Outcome(NamedTuple):
    """`runs` and `coverage` (places in voicemux) as libFuzzer counts them; `fault` is what it said of one, or ""."""

    target: str
    runs: int
    coverage: int
    fault: str


def is_possible() -> bool:
    """Whether atheris is installed: there is none for Windows, and for few Pythons on macOS."""
    return importlib.util.find_spec("atheris") is not None


def run(targets: Iterable[str], seconds: int, findings: Path, corpus: Path, at_once: int = 1) -> Iterator[Outcome]:
    """Fuzz each of them for so many seconds, `at_once` at the same time.

    An input that shows a fault is put into `findings`/TARGET; `corpus`/TARGET is what it begins with besides the
    seeds, and grows.
    """
    waiting = list(targets)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        while waiting:
            begun = {target: _begin(target, seconds, findings, corpus, scratch) for target in waiting[:at_once]}
            del waiting[:at_once]
            for target, process in begun.items():
                with process:
                    try:
                        process.wait(seconds + START)
                    finally:
                        process.kill()
                yield _outcome(target, process.returncode, (scratch / target).read_text(errors="replace"))


def _begin(target: str, seconds: int, findings: Path, corpus: Path, scratch: Path) -> "subprocess.Popen[bytes]":
    """What the process says goes into `scratch`/TARGET: a pipe would be full before anybody reads it.

    Its own temporary files go there, too: libFuzzer ends a process so suddenly that it leaves them.
    """
    for folder in (findings / target, corpus / target):
        folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds(target).items():
        (corpus / target / name).write_bytes(seed)
    with (scratch / target).open("wb") as said:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "fuzz.engine", target, corpus / target),
                *(f"-max_total_time={seconds}", f"-artifact_prefix={findings / target}{os.sep}", *LIMITS),
            ],
            cwd=FOLDER.parent,
            env=os.environ | {"TMPDIR": str(scratch)},
            stdout=said,
            stderr=said,
        )


def _outcome(target: str, code: int, said: str) -> Outcome:
    runs, coverage = (max(map(int, pattern.findall(said)), default=0) for pattern in (RUNS, COVERAGE))
    is_well = code == 0 and runs
    return Outcome(target, runs, coverage, "" if is_well else NOISE.sub("", said))
