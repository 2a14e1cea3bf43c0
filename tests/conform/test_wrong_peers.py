"""The tester tested: every wrong peer is caught by the case that is meant for it, and by no other."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.conform.examining import TRIES
from tests.conform.faults import DIALLER, LISTENER, WRONG, Wrong
from tests.conform.peers import Peer, dialling, listening
from tests.conform.resumers import Resumer  # which brings the peers that are wrong in resuming
from tests.running import CODE
from voicemux.conform.runner import ALL, Selection, examine_dialler, examine_listener
from voicemux.conform.subject import Keys
from voicemux.conform.verdict import CASES, Result
from voicemux.net.address import Address
from voicemux.net.listener import ListeningSockets
from voicemux.security.identity import load_identity

AT_ONCE = 10  # suites, which wait for half of their time, and share one processor
SLOW = {
    "silence",
    "pings",
    "flood",
    "resume-old-connection",
}  # up to 16 seconds: tried where they are meant, and with who is right in all
SHARE = 30  # a wrong peer is tried with one in 30 of its other cases, each with others: all take ten minutes more
SHARE_OF_LONG = 10  # with --long
RESUME = 17  # the section of protocol.md; in the others, a peer that resumes is as one that does not
RIGHT = [
    Wrong(Peer, LISTENER, False, ""),
    Wrong(Resumer, LISTENER, True, ""),
    Wrong(Resumer, DIALLER, False, ""),
    *(
        pytest.param(Wrong(Peer, *each, ""), marks=pytest.mark.long)
        for each in ((LISTENER, True), (DIALLER, True), (DIALLER, False))
    ),
    *(
        pytest.param(Wrong(Resumer, *each, ""), marks=pytest.mark.long)
        for each in ((LISTENER, False), (DIALLER, True))
    ),
]

pytestmark = pytest.mark.timeout(300)  # seconds: the first test waits for all suites

Examine = Callable[[Wrong], list[Result]]


def listen(kind: type[Peer], key: Path, pipe: Connection) -> None:
    """What the process does, until the pipe is closed."""
    with listening(kind, load_identity(key)) as port, contextlib.suppress(EOFError):
        pipe.send(port)
        pipe.recv()


@contextlib.contextmanager
def in_a_process(kind: type[Peer], key: Path) -> Iterator[tuple[int, int | None]]:
    """The port of somebody who listens for plain calls, and the id of the process."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=listen, args=(kind, key, far))
    process.start()
    far.close()
    with near:
        yield near.recv(), process.pid
    process.join()


@pytest.fixture(scope="module")
def examine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Examine:
    """Run a suite with a peer. The first time all are run that are asked for, at once; then anew."""
    folder = tmp_path_factory.mktemp("keys")
    keys, identity = Keys(load_identity(folder / "conform"), CODE), load_identity(folder / "peer")

    share = SHARE_OF_LONG if request.config.getoption("--long") else SHARE

    def run(peer: Wrong) -> list[Result]:
        code, their_keys = (CODE, keys) if peer.is_secure else ("", None)
        names = [case.name for case in ALL.cases(peer.role, encrypted=peer.is_secure)]
        if peer.case:
            turn = WRONG.index(peer) % share
            names = [name for name in names[turn::share] if name not in SLOW | {peer.case}] + [peer.case]
        elif issubclass(peer.kind, Resumer):
            names = [each.name for each in CASES if each.section == RESUME and each.name in names]
        selection = Selection(tuple(names))
        if peer.case == "flood" and peer.role == LISTENER:  # its memory is watched, which has to be its alone
            with in_a_process(peer.kind, folder / "peer") as (port, process_id):
                return examine_listener(Address("127.0.0.1", port), their_keys, selection, process_id)
        if peer.role == LISTENER:
            with listening(peer.kind, identity, code) as port:
                return examine_listener(Address("127.0.0.1", port), their_keys, selection)
        with (
            contextlib.closing(ListeningSockets("127.0.0.1", 0)) as listener,
            dialling(peer.kind, listener.port, identity, code),
        ):
            return examine_dialler(listener, their_keys, selection)

    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    items = [item for item in items if item.path == request.path and "examine" in item.fixturenames]
    wanted: list[Any] = [item.callspec.params["peer"] for item in items]
    wanted.sort(key=lambda peer: peer.case not in {"", *SLOW})  # what takes long begins first
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = dict(zip(wanted, pool.map(run, wanted), strict=True))
    return lambda peer: results.pop(peer, None) or run(peer)


def failed(results: list[Result]) -> dict[str, str]:
    """What it failed, and why."""
    return {result.name: result.detail for result in results if result.verdict == "fail"}


def failed_each_time(peer: Wrong, examine: Examine) -> dict[str, str]:
    """What it failed in the last of at most `TRIES` suites; the first that is as expected is the last."""
    for _ in range(TRIES):
        failures = failed(examine(peer))
        if set(failures) == ({peer.case} if peer.case else set()):
            break
    return failures


@pytest.mark.parametrize("peer", WRONG, ids=str)
def test_the_case_that_is_meant_for_a_fault_fails_and_no_other(peer, examine):
    failures = failed_each_time(peer, examine)
    assert failures == {peer.case: failures.get(peer.case, "nothing")}


@pytest.mark.parametrize("peer", RIGHT, ids=str)
def test_who_is_right_passes_everything(peer, examine):
    assert not failed_each_time(peer, examine)


def test_every_case_has_a_peer_that_fails_it():
    assert {peer.case for peer in WRONG} == {case.name for case in CASES}
