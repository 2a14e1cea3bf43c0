"""Writes events in words, for people."""

from collections.abc import Iterator

from voicemux.console.figures import clock, level_line, stats_line, stats_lines
from voicemux.console.printable import THEM, name_and_tag, printable
from voicemux.console.quoting import quoted_name, they_say
from voicemux.console.rows import OURS, Mark, Screen, rows, whole_lines
from voicemux.events import (
    Answered,
    AudioStarted,
    AudioStopped,
    Calling,
    CallRinging,
    Connected,
    Delivered,
    DeviceChanged,
    DeviceList,
    Direct,
    Ended,
    Event,
    Hint,
    Interrupted,
    Invitation,
    Late,
    Level,
    ListedDevice,
    Listening,
    MicModeChosen,
    Missed,
    MissedCalls,
    NewCode,
    Notice,
    PeerSwitched,
    ProgramFailed,
    Quiet,
    Rejected,
    Resumed,
    Stats,
    Status,
    Switched,
    TextReceived,
    TurnedAway,
    Voice,
    VolumeChosen,
    Waiting,
)
from voicemux.security.likeness import alike

SECURITY = {
    "plain": "not encrypted",
    "known": "whose key you know",
    "code": "who knows the code",
    "open": "who may be anybody",
}
PEER_SWITCHES = {  # what a peer says of its voice: words for off, for on
    "sends": ("sends no voice", "sends voice"),
    "muted": ("is no longer muted", "has muted: you do not hear them"),
    "deafened": ("hears you again", "has deafened: they do not hear you"),
    "records": ("no longer records what you say", "records what you say"),
}
SWITCHES = {  # what the user has switched: words for off, for on
    "muted": ("they hear you again", "muted: they do not hear you"),
    "deafened": ("you hear them again", "deafened: you do not hear them"),
    "talking": ("they do not hear you", "they hear you"),
}
MODES = {
    "open": "the microphone is open: they hear you, and all that is around you",
    "voice": "the microphone opens when you speak; while you do not, silence is sent",
    "ptt": "push to talk: they hear you from one /talk to the next (on a terminal: Ctrl-T, or hold the space bar)",
}
CALLERS = {
    "plain": "not encrypted",
    "known": "whose key you know",
    "code": "who knows the code",
    "open": "an unknown caller, whatever the name says",
}
DEVICES = {"input": "your microphone", "output": "your loudspeaker"}
PREFIX = OURS.before(OURS.first)  # of our own notices; no line of a peer's begins with it
# They have a command to copy, which is not to be taken apart, and no words of a peer.
OVER = "the code is over: "
COPIED = Listening | NewCode | Invitation
HOW_TO_COMPARE = {  # keys: whether commands can be typed
    True: "say them; if so: /verify",
    False: "say them; to be known from then on, call from a terminal, where /verify says so",
}
SILENT = 2.0  # seconds without a byte, from which on the line "is silent"; a healthy line has a PING as often
MOST_UNDELIVERED_LINES = 40  # lines of undelivered texts that are shown at the end


def written(event: Event, screen: Screen | None, own_name: str = "", *, is_typed: bool = True) -> Iterator[str]:
    """Yield what is written of an event: rows of `screen`, each with its line end; without a screen, pieces of whole
    lines.

    Each row and line says who speaks. No name of a peer can look like a notice, or like a line of the user, who is
    shown as `own_name`. `is_typed`: commands can be typed.
    """
    if isinstance(event, TextReceived):
        mark = mark_of(event.name, own_name)
        yield from (f"{row}\n" for row in rows(mark, event.text, screen)) if screen else whole_lines(mark, event.text)
    elif screen is None or isinstance(event, COPIED):
        yield from (f"{line}\n" for line in notice_lines(event, is_typed=is_typed))
    else:
        yield from (f"{row}\n" for line in _words(event, is_typed=is_typed) for row in rows(OURS, line, screen))


def mark_of(name: str, own_name: str = "") -> Mark:
    """Return the mark before the lines of a peer of that name; " (them)" is added if the name looks like the user's
    or ours."""
    stem, tag = name_and_tag(name)
    while any(alike(stem + tag, taken) for taken in ("", OURS.name, own_name)):
        tag = f"{tag}{THEM}"
    return Mark(stem, tag) if stem else Mark(tag.strip())


def notice_lines(event: Event, *, is_typed: bool = True) -> list[str]:
    """Return our notices of an event, without marks; some events need none."""
    return [PREFIX + printable(line) for line in _words(event, is_typed=is_typed)]


def _words(event: Event, *, is_typed: bool = True) -> list[str]:
    match event:
        case Listening():
            return [f"listening on {_where(event)}", *([_tell(event.dial)] if event.dial else ())]
        case NewCode():
            return [
                f"the next new caller types:  {event.dial[0]}" if event.dial and event.code else f"{OVER}{event.why}"
            ]
        case Invitation():
            return [f"the other side types:  {event.dial[0]}" if event.dial else "only a listener has a code"]
        case Calling():
            return [f"calling {event.address} ..."]
        case CallRinging():
            return _ringing(event)
        case Answered():
            who = quoted_name(event.name) or event.address
            return [f"taking {who}'s call" if event.accepted else f"declined {who}'s call"]
        case Missed():
            return [_missed(event)]
        case MissedCalls():
            calls = [f"{each.at[:16].replace('T', ' ')}  {_who(each)}" for each in event.calls]
            return ["missed calls:", *calls] if calls else ["no missed calls"]
        case Connected():
            who = _who(event, event.claims)
            remembered = ", and is remembered" if event.security == "code" and event.is_known else ""
            security = SECURITY[event.security] + remembered
            return [f"connected to {who}, {security}; {_voice(event)}", *_compare(event, is_typed=is_typed)]
        case PeerSwitched():
            return [f"{quoted_name(event.name)} {PEER_SWITCHES[event.what][event.on]}"]
        case Quiet():
            return [_quiet(event)]
        case Interrupted():
            what = "is silent" if event.since_s >= SILENT else "broke"
            name = quoted_name(event.name)
            return [f"the line {what}; {f'trying to reach {name} again' if event.dials else f'waiting for {name}'}"]
        case Resumed():
            after = f"{event.after_s:.0f}" if event.after_s >= 2 else f"{event.after_s:.1f}"
            where = f" through {event.relay}" if event.relay else ""
            return [f"{quoted_name(event.name)} is back{where} after {after} s; nothing is lost"]
        case Direct():
            return [f"now directly to {quoted_name(event.name)} at {event.path}, without the relay"]
        case Late() if event.on:
            name = quoted_name(event.name)
            return [f"the line is busy with something else: you hear {name} {event.seconds:.1f} s late"]
        case Late():
            return ["the line is free again"]
        case Hint():
            return [event.text]
        case Level():
            return [level_line(event)]
        case AudioStopped() if event.error:
            rest = "the call" if event.direction == "recording" else "text"
            return [f"{event.error}; {'the call ends' if event.ends_call else f'{rest} goes on'}"]
        case DeviceChanged():
            return [f"{DEVICES[event.direction]} is now {event.device}"]
        case DeviceList():
            used = (event.input, event.output)
            return [_listed(each, used) for each in event.devices] or ["this system has no sound devices"]
        case Switched():
            return [SWITCHES[event.what][event.on]]
        case VolumeChosen():
            how = "levelled, now" if event.auto else "played at"
            return [f"their voice is {how} {event.percent} % of what comes"]
        case MicModeChosen():
            return [MODES[event.mode]]
        case Waiting():
            what = "to confirm what you wrote" if event.undelivered else "to hang up, too"
            return [f"waiting for {quoted_name(event.name)} {what}; Ctrl-C leaves at once"]
        case Notice():
            return event.text.splitlines()
        case TurnedAway():
            return [_turned_away(event)]
        case Status():
            return [stats_line(event)]
        case Stats():
            return stats_lines(event)
        case Rejected():
            return [event.why]
        case Ended():
            return _ended(event)
        case ProgramFailed():
            return [f"{event.error}{they_say(event.said)}{'; ' if event.hint else ''}{event.hint}"]
        case AudioStarted() | AudioStopped() | TextReceived() | Delivered():
            return []


def _turned_away(event: TurnedAway) -> str:
    if event.name and event.why == "busy":
        return f"{_who(event)} called meanwhile and was told that you are in a call"
    who = f"{event.times} more callers" if event.times > 1 else "a caller"
    place = _place(event)
    return f"turned away {who} {'' if place.startswith('through ') else 'from '}{place}: {event.why}"


def _listed(device: ListedDevice, used: tuple[int | None, int | None]) -> str:
    kinds = zip((device.inputs, device.outputs), ("input", "output"), used, strict=True)
    marks = [f"{kind}{', in use' if device.number == number else ''}" for count, kind, number in kinds if count]
    also = f", {device.target}" if device.target else ""
    return f"{device.number:3}  {device.name}  ({'; '.join(marks)}{also})"


def _ringing(event: CallRinging) -> list[str]:
    if not event.security:
        return ["it rings ..."]
    who = f"{_who(event, event.claims)} is calling"
    if not event.asks:
        return [who]
    return [f"{who}, {CALLERS[event.security]}", "/accept or /decline"]


def _missed(event: Missed) -> str:
    who, clock = quoted_name(event.name) or event.address, event.at[11:16]
    match event.why:
        case "gave_up":
            return f"{who} rang and gave up (missed call, {clock})"
        case "busy":
            return f"{_who(event)} called meanwhile and was told that you are in a call ({clock})"
        case _:
            return f"missed call from {who} at {clock}"


def _ended(event: Ended) -> list[str]:
    who = {"us": "you hung up", "them": "the other side hung up", "error": "the call broke off"}[event.by]
    reason = f" ({event.reason})" if event.reason else ""
    hint = [event.hint] if event.hint else []
    delay = event.stats.mouth_to_ear_ms
    heard = "" if delay is None else f" · mouth to ear {delay:.0f} ms"
    took = f"after {clock(event.stats.seconds)}{heard}"
    return [f"{who}{reason} {took}{they_say(event.said)}", *hint, *_undelivered(event)]


def _undelivered(event: Ended) -> list[str]:
    count, shown = event.undelivered, event.undelivered_texts
    if not count:
        return []
    lines = [f"{count} {'text' if count == 1 else 'texts'} may not have arrived{':' if shown else ''}"]
    lines += [f"  {line}" for each in shown for line in each.text.splitlines() or [""]][:MOST_UNDELIVERED_LINES]
    return [*lines, f"  and {count - len(shown)} more"] if 0 < len(shown) < count else lines


def _where(event: Listening) -> str:
    """Return where the program listens: a port and its addresses; a Unix socket, which has no port; or neither."""
    addresses = ", ".join(event.addresses)
    if event.port:
        return f"port {event.port} ({addresses})" if addresses else f"port {event.port}"
    return addresses or "standard input and output"


def _tell(dial: list[str]) -> str:
    return f"tell the other side to type:  {dial[0]}"


def _compare(event: Connected, *, is_typed: bool) -> list[str]:
    if not event.words:
        return []
    return [f"are these words the same on both sides? {' '.join(event.words)} ({HOW_TO_COMPARE[is_typed]})"]


def _who(event: Connected | CallRinging | Missed | TurnedAway, claims: str = "") -> str:
    also = f", calls itself {quoted_name(claims)}" if claims else ""
    if event.name and (event.relay or event.name != event.address):
        return f"{quoted_name(event.name)} ({_place(event)}{also})"
    return f"{event.address}{also}"


def _place(event: Connected | CallRinging | Missed | TurnedAway) -> str:
    """Return where a peer is, or what it comes through."""
    if event.relay:
        return f"through {event.relay}"
    if event.address == "stdio":
        return "through standard input"
    path = event.address.removeprefix("unix:")
    return event.address if path == event.address else f"through the socket {path}"


def _voice(event: Connected) -> str:
    """Return who hears whom, as far as it is known, and why one does not."""
    own, peer = event.own, event.peer or Voice()
    heard_by_them = bool(event.sends) and not own.muted and not peer.deafened
    heard_by_us = bool(event.hears) and not own.deafened and not peer.muted
    is_recorded = " and record you" if event.sends and peer.records else ""
    if heard_by_them and heard_by_us:
        return f"you hear each other ({event.sends}){'; they record what you say' if is_recorded else ''}"
    they = (
        f"they hear you{is_recorded}"
        if heard_by_them
        else _deaf(
            "they do not hear you",
            (own.muted and event.sends, "you are muted"),
            (peer.deafened, "they have deafened"),
        )
    )
    if not event.hears and own.plays and not own.deafened and event.peer is None:
        return f"{they}, whether they send voice is not known"
    if not (event.sends or event.hears):
        return "text only"
    we = (
        "you hear them"
        if heard_by_us
        else _deaf(
            "you do not hear them",
            (own.deafened, "you have deafened"),
            (peer.muted and event.hears, "they have muted"),
            (own.plays and event.peer and not peer.sends, "they send no voice"),
        )
    )
    return f"{we}, {they}" if heard_by_us else f"{they}, {we}"


def _deaf(what: str, *reasons: tuple[object, str]) -> str:
    """Return `what`, with the first of `reasons` that is true."""
    why = next((reason for is_so, reason in reasons if is_so), "")
    return f"{what} ({why})" if why else what


def _quiet(event: Quiet) -> str:
    name = quoted_name(event.name)
    match event.what, event.on:
        case "line", True:
            return f"nothing has come from {name} for {event.seconds:.0f} s: what you say may not arrive"
        case "line", False:
            return f"{name} is back"
        case "voice", True:
            return f"no voice has come from {name} for {event.seconds:.0f} s"
        case "voice", False:
            return f"voice comes from {name} again"
        case _, True:
            return f"your microphone has been silent for {event.seconds:.0f} s: is it switched off?"
        case _:
            return "your microphone is heard again"
