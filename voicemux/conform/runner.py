"""Runs the cases, one after the other, and collects their results."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from voicemux.conform import (
    endings,
    opening,
    paths,
    relay_cases,
    relay_passing,
    resuming,
    sounds,
    states,
    strangers,
    texts,
)
from voicemux.conform.record import Talk
from voicemux.conform.relay_subject import RELAY_CASES, RelaySubject
from voicemux.conform.subject import AGAIN, BUSY_PATIENCE, DiallerSubject, Keys, ListenerSubject, Subject
from voicemux.conform.verdict import CASES, FAIL, PASS, RELAY, SKIP, Case, Failed, Result, Skipped
from voicemux.errors import RemoteProtocolError, Unreachable, VoicemuxError
from voicemux.net.address import Address
from voicemux.net.listener import ListeningSockets
from voicemux.relay.places import RelayPlace

THEMES = (
    opening,
    texts,
    sounds,
    states,
    paths,
    endings,
    strangers,
    resuming,
    relay_cases,
    relay_passing,
)  # imported to register their cases
Tell = Callable[[Result], None]


@dataclass(frozen=True)
class Selection:
    """Selects cases by name or by section; with neither, all."""

    names: tuple[str, ...] = ()
    sections: tuple[int, ...] = ()
    quick: bool = False  # leave out cases that take over five seconds

    def cases(self, role: str, *, encrypted: bool) -> list[Case]:
        """Return the selected cases in the order of protocol.md, or of relay.md."""
        all_of_them = RELAY_CASES if role == RELAY else CASES
        return sorted(
            (case for case in all_of_them if self._has(case, role, encrypted)), key=lambda case: case.section
        )

    def _has(self, case: Case, role: str, encrypted: bool) -> bool:
        return (
            role in case.roles
            and (encrypted or not case.encrypted)
            and (not self.names or case.name in self.names)
            and (not self.sections or case.section in self.sections)
            and not (self.quick and case.slow)
        )


ALL = Selection()


def examine_listener(
    address: Address,
    keys: Keys | None = None,
    selection: Selection = ALL,
    process_id: int | None = None,
    tell: Tell = lambda result: None,
) -> list[Result]:
    """Call a listener, as often as there are cases. Without `keys` the calls are plain.

    Raises Unreachable if no program is there, RemoteProtocolError if it is something else.
    """
    subject = ListenerSubject(address, keys, process_id)
    try:
        subject.reach()
    except Failed as error:
        raise RemoteProtocolError(f"{address} does not speak voicemux: {error}") from error
    finally:
        subject.close_all()
    return _examine(subject, selection, tell)


def examine_dialler(
    listener: ListeningSockets,
    keys: Keys | None = None,
    selection: Selection = ALL,
    command: str = "",
    tell: Tell = lambda result: None,
) -> list[Result]:
    """Wait for a dialler, as often as there are cases; `command` starts it. Without `keys` the calls are plain.

    Raises Unreachable if no program calls.
    """
    return _examine(DiallerSubject(listener, keys, command), selection, tell)


def examine_relay(place: RelayPlace, selection: Selection = ALL, tell: Tell = lambda result: None) -> list[Result]:
    """Play the clients of a relay. Raises Unreachable if none is there, SecurityError if its certificate does not
    fit."""
    return _examine(RelaySubject(place), selection, tell, "relay.md")


def _examine(
    subject: Subject | RelaySubject, selection: Selection, tell: Tell, document: str = "protocol.md"
) -> list[Result]:
    results: list[Result] = []
    gone = ""
    for case in selection.cases(subject.role, encrypted=subject.is_encrypted):
        start = time.monotonic()
        said: tuple[Talk, ...] = ()
        try:
            verdict, detail = (FAIL, gone) if gone else _try(case, subject)
            while verdict == FAIL and subject.was_busy and time.monotonic() < start + BUSY_PATIENCE:
                subject.close_all()
                time.sleep(AGAIN)
                verdict, detail = _try(case, subject)
        except Unreachable as error:
            if not results:
                raise
            verdict, detail = FAIL, str(error)
            gone = detail
        finally:
            said = subject.said()
            subject.close_all()
        duration = time.monotonic() - start
        told = said if verdict == FAIL else ()
        results.append(Result(case.name, case.section, verdict, detail, duration, told, document))
        tell(results[-1])
    return results


def _try(case: Case, subject: Subject | RelaySubject) -> tuple[str, str]:
    try:
        case.body(subject)
    except Failed as failure:
        return FAIL, str(failure)
    except Skipped as skip:
        return SKIP, str(skip)
    except Unreachable:
        raise
    except VoicemuxError as error:
        return FAIL, str(error)
    return PASS, ""
