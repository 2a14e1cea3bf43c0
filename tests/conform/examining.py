"""`voicemux conform` as a process, and what became of its cases."""

import json

from tests.running import Program

TRIES = 3  # of a case: they have limits of time, and suites share the processors; a fault fails every time
Cases = dict[str, dict[str, object]]


def examine(*arguments: str, patience: float) -> Cases:
    """Run `conform` with these arguments; those cases that fail are tried again, each at most `TRIES` times.

    Raises subprocess.TimeoutExpired if one run takes longer than `patience` seconds.
    """
    cases = _run(arguments, patience)
    for _ in range(TRIES - 1):
        if not (failed := [name for name, case in cases.items() if case["verdict"] == "fail"]):
            break
        cases |= _run((*arguments, *(part for name in failed for part in ("--case", name))), patience)
    return cases


def _run(arguments: tuple[str, ...], patience: float) -> Cases:
    with Program("conform", *arguments, "--json") as conform:
        conform.wait(patience)
        return {case["name"]: case for case in json.loads(conform.out[0])["cases"]}
