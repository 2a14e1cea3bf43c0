"""Events as hypothesis draws them, and one of each kind."""

from dataclasses import fields
from typing import Any, get_args

from hypothesis import strategies as st

from voicemux import events
from voicemux.events import Event, Stats, Status

KINDS: tuple[type, ...] = get_args(Event)

# What terminals obey, or what makes a text look like something else.
TRICKS = [
    *"\x00\x07\x08\t\n\x0b\x0c\r\x1b\x1c\x7f\x85\x90\x9b\x9d\xad\u2028\u2029\u200e\u202e\u2066\ufeff\ud800\ue000\U000e0041",
    "\u2800",
    "\ufe0f",
    "\u3164",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "voicemux",
    "voicemux: ",
    "VoiceMux",
    "alice",
    "alice> ",
    "> ",
    "| ",
    ": ",
    " ",
]
tricky_texts = st.text(max_size=40) | st.lists(st.sampled_from(TRICKS) | st.characters(), max_size=8).map("".join)

_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "by": st.sampled_from(["us", "them", "error"]),
    "what": st.sampled_from(["muted", "deafened", "talking"]),
    "mode": st.sampled_from(["open", "voice", "ptt"]),
    "security": st.sampled_from(["plain", "known", "code", "open"]),
}
_BY_KIND: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    events.PeerSwitched: {"what": st.sampled_from(["sends", "muted", "deafened", "records"])},
    events.DeviceChanged: {"direction": st.sampled_from(["input", "output"])},
    events.Quiet: {"what": st.sampled_from(["line", "voice", "microphone"])},
}
_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: tricky_texts,
    list[str]: st.lists(tricky_texts, min_size=1, max_size=3),
    int: st.integers(0, 2**40),
    bool: st.booleans(),
    bool | None: st.none() | st.booleans(),
    float: st.floats(0, 1e6),
    float | None: st.none() | st.floats(0, 1e6),
    list[events.Undelivered]: st.lists(st.builds(events.Undelivered, tricky_texts, tricky_texts), max_size=3),
    events.Voice: st.builds(events.Voice),
    events.Voice | None: st.none() | st.builds(events.Voice),
    list[events.Missed]: st.deferred(lambda: st.lists(events_of(events.Missed), max_size=3)),
    int | None: st.none() | st.integers(0, 100),
    list[events.ListedDevice]: st.deferred(lambda: st.lists(events_of(events.ListedDevice), max_size=3)),
    Stats: st.deferred(lambda: events_of(Stats)),
}


def events_of(kind: type) -> st.SearchStrategy[Any]:
    given = {field.name: _BY_NAME.get(field.name, _BY_TYPE[field.type]) for field in fields(kind)}
    return st.builds(kind, **(given | _BY_KIND.get(kind, {})))


any_event: st.SearchStrategy[Event] = st.one_of(*map(events_of, KINDS))


def make_stats(**figures: Any) -> Stats:
    """Figures of a call in which nothing has happened yet, but for those that are given."""
    nothing = {field.name: None if type(None) in get_args(field.type) else 0 for field in fields(Stats)}
    return Stats(**{**nothing, **figures})


ONE_OF_EACH: list[Event] = [
    events.Listening(8689, ["192.168.1.5", "fd00::5"], ["voicemux dial 192.168.1.5", "voicemux dial fd00::5"]),
    events.NewCode("42-beeswax-caravan", "it has been used", ["voicemux dial 192.168.1.5 42-beeswax-caravan"]),
    events.Invitation(["voicemux dial 192.168.1.5 42-beeswax-caravan"]),
    events.Calling("kitchen"),
    events.CallRinging("bob", "192.168.1.5", asks=True, security="known"),
    events.Answered("bob", "192.168.1.5", accepted=False),
    events.Missed("bob", "192.168.1.5", "2026-11-29T20:14:05+01:00", "gave_up"),
    events.MissedCalls([events.Missed("bob", "192.168.1.5", "2026-11-29T20:14:05+01:00", "unanswered")]),
    events.Connected("bob", "192.168.1.5", "voicemux/1", "opus", "pcm"),
    events.PeerSwitched("bob", "muted", True),
    events.Quiet("voice", True, "bob", 3.0),
    events.Interrupted("bob", 4.0),
    events.Resumed("bob", 7.2, "192.168.1.5:8689", "relay.example.org"),
    events.Direct("bob", "198.51.100.2:41394"),
    events.MicModeChosen("ptt"),
    events.VolumeChosen(150, False),
    events.Hint("muted", "you are muted, but speaking"),
    events.Level(-24.0, -61.0, 0, False, None),
    events.Late(True, "bob", 1.2),
    events.AudioStarted("input", "microphone", 12.5),
    events.AudioStopped("output", "the loudspeaker has gone"),
    events.DeviceChanged("output", "headset"),
    events.DeviceList([events.ListedDevice(2, "default", "ALSA", 32, 32)], 2, None),
    events.TextReceived("bob", "hi"),
    events.Switched("muted", True),
    events.Waiting("bob", 2),
    events.Notice("something to know"),
    events.TurnedAway("192.168.1.7", "busy"),
    make_stats(),
    Status(**vars(make_stats())),
    events.Delivered("7"),
    events.Rejected("nobody is connected: that was not sent", "7"),
    events.Ended("us", "", 1, make_stats(), undelivered_texts=[events.Undelivered("hi", "7")]),
    events.ProgramFailed("nobody listens there", 3),
]
assert {type(event) for event in ONE_OF_EACH} == set(KINDS)
