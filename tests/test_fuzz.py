"""The targets of fuzz/ show no fault with what has been found before, and they do show faults.

With --long they are fuzzed for a second each, too.
"""

from collections.abc import Iterator

import pytest

from fuzz import runs
from fuzz.corpus import inputs
from fuzz.targets import TARGETS
from voicemux.audio import codec
from voicemux.console import printable, wording
from voicemux.net import greeting
from voicemux.protocol import delivery, encoding, frames
from voicemux.protocol.connection import Receiving
from voicemux.protocol.delivery import Inbox, Outbox
from voicemux.protocol.frames import FrameDecoder
from voicemux.protocol.messages import Method, Ping
from voicemux.relay.approach import RelayOpening
from voicemux.relay.desk import Desk
from voicemux.security.admission import Admission

SECONDS = 1  # for each target
AT_ONCE = 2


feed = FrameDecoder.feed


def forget(decoder: FrameDecoder, data: bytes) -> Iterator[frames.Frame]:
    """Frames out of these bytes alone."""
    return feed(FrameDecoder(), data)


# What is put in the place of what, for the target to notice.
FAULTS = {
    "preface": (Receiving, "_judge_preface", lambda receiving: None),
    "frames": (frames, "MAX_PAYLOAD", 65_535),
    "messages": (encoding, "Ping", lambda data: Ping(bytes(8))),
    "connection": (FrameDecoder, "feed", forget),
    "delivery": (delivery, "split_text", lambda text, limit: [text, ""]),
    "resume": (Outbox, "resume", Outbox.acknowledge),
    "authentication": (Admission, "_admitted", lambda *_: Method.KNOWN),
    "demultiplexer": (Inbox, "end", lambda inbox: None),
    "greeting": (greeting, "refusal", lambda bye: KeyError(bye.code)),
    "audio": (codec.OpusDecoder, "decode", lambda decoder, packet: b"half a sample"),
    "printable": (printable, "_visible", lambda character: character),
    "relay_stream": (RelayOpening, "take", lambda opening, data: data[8:]),
    "relay_desk": (Desk, "_become", lambda desk, record, kind: setattr(record, "kind", kind)),
    "rows": (wording, "rows", lambda mark, text, screen: iter([mark.before(mark.first) + text])),
}


def replay(target: str) -> None:
    for data in inputs(target).values():
        TARGETS[target](data)


each_target = pytest.mark.parametrize("target", TARGETS)


@each_target
def test_vectors_and_former_findings_show_no_fault(target):
    replay(target)


@each_target
def test_a_fault_that_is_put_in_shows(target, monkeypatch):
    monkeypatch.setattr(*FAULTS[target])
    with pytest.raises(Exception):  # noqa: B017, PT011
        replay(target)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    if not runs.is_possible():
        pytest.skip("there is no atheris for this machine")
    folder = tmp_path_factory.mktemp("fuzz")
    found = runs.run(TARGETS, SECONDS, folder / "findings", folder / "corpus", AT_ONCE)
    return {outcome.target: outcome for outcome in found}


@pytest.mark.long  # two minutes of one processor, most of them for loading the targets
@pytest.mark.timeout(300)  # the first of them waits for all
@each_target
def test_a_short_run_finds_no_fault(target, outcomes):
    assert outcomes[target].fault == ""
    assert outcomes[target].coverage > 0
