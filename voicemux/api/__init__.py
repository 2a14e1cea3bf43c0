"""Calls for programs: bots, bridges, tests. `voicemux` hands these out by the same names.

    with voicemux.dial("kitchen", code="42-beeswax-caravan", name="bot") as call:
        call.send("dinner is ready")
        for text in call.texts():
            print(text)

Errors are those of `voicemux.errors`. What goes wrong beside a call, which goes on, is logged as `voicemux`.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from voicemux.api import arguments
from voicemux.api.call import Call, make_booth, make_hello
from voicemux.api.listener import Listener
from voicemux.calls.establishing import establish
from voicemux.calls.introduction import name_peer
from voicemux.calls.rendezvous import meant_by
from voicemux.calls.trust import Security, Trust
from voicemux.net.address import DEFAULT_PORT
from voicemux.net.ways import ProxyCommand, parse_socks
from voicemux.relay.places import parse_relay
from voicemux.security.files import usual_folder

__all__ = ["Call", "Listener", "dial", "listen"]

_log = logging.getLogger("voicemux")


def dial(
    target: str,
    *,
    code: str = "",
    name: str = "",
    plain: bool = False,
    open: bool = False,
    home: Path | str | None = None,
    audio: bool = True,
    socks5: str = "",
    proxy_command: str = "",
    relay: str = "",
    relay_token: str = "",
    relay_only: bool = False,
    grace: int = 60,
    echo: str = "off",
    dtx: bool = False,
) -> Call:
    """Call an address (HOST, HOST:PORT, [IPv6]:PORT, unix:PATH), a contact, or CODE@RELAY. The call is up when this
    returns.

    `code` is what the other side was shown, for the first call; `open` calls an unknown listener without one, whose
    `words` are to be compared. `plain` calls without encryption. `name` is what the other side sees; without one it
    sees our address. `home` has our key and our contacts; default: where those of the command `voicemux` are.
    `audio=False` is for text only. `socks5` is a proxy ([USER:PASSWORD@]HOST[:PORT]), `proxy_command` a command whose
    standard input and output are the connection; of the two, one at most. `relay` (HOST, HOST:PORT, tls://HOST) is
    where contacts are looked for besides, and codes without one; `relay_token` is what a private relay wants to hear.
    A call through a relay becomes direct if it can; `relay_only` prevents that, and hides our address from the other
    side.
    `grace` is for how many seconds, 0 to 600, the call goes on without a line if the
    other side keeps it, too: it is resumed, and no text is lost; 0: never.
    `echo` is for a program that plays what it hears and says what a microphone captures: "on" takes the former out
    of the latter, "auto" does so if it is in there.
    `dtx` sends next to nothing while nothing is spoken, instead of silence. It saves bits, and an observer of the
    line sees when something is spoken.

    Raises AddressError, Unreachable, CallRefused (busy, declined), SecurityError (not who was meant, or a wrong
    code), RemoteProtocolError (that is not voicemux) or ConnectionLost; DeviceError if echo is to be cancelled and
    pywebrtc-audio is not installed.
    """
    for what, given in (
        ("target", target),
        ("code", code),
        ("name", name),
        ("socks5", socks5),
        ("proxy_command", proxy_command),
        ("relay", relay),
        ("relay_token", relay_token),
    ):
        arguments.text(what, given)
    arguments.grace(grace)
    arguments.echo(echo)
    _check_plain(plain, code, open, relay)
    if socks5 and proxy_command:
        raise ValueError("socks5 and proxy_command are two ways: a call takes one")
    proxy = parse_socks(socks5) if socks5 else ProxyCommand(proxy_command) if proxy_command else None
    folder = arguments.folder(home) or usual_folder()
    trust = None if plain else Trust(Security(folder, code, is_open=open, own_name=name))
    booth = make_booth(audio, echo, dtx)
    place = parse_relay(relay, relay_token) if relay else None
    meant = meant_by(target, trust, place, relay_token, _log.warning).through(proxy)
    meant = meant.hidden() if relay_only else meant
    met = establish(
        meant, trust, lambda: make_hello(name, booth), tell=_log.warning, grace=grace, paths=not relay_only
    )
    return Call(met, name_peer(met, trust, _log.warning).name, booth)


def listen(
    *,
    host: str | None = None,
    port: int = DEFAULT_PORT,
    code: str = "",
    name: str = "",
    plain: bool = False,
    open: bool = False,
    allow: Iterable[str] = (),
    home: Path | str | None = None,
    audio: bool = True,
    relay: str = "",
    relay_token: str = "",
    relay_only: bool = False,
    grace: int = 60,
    echo: str = "off",
    dtx: bool = False,
) -> Listener:
    """Wait for callers on `host` (default: all addresses) and `port` (0: the system chooses).

    Contacts may call, and callers who know the code: `code` as long as this listens, or one that is made for each
    first call. `open` lets anybody call, `allow` only the contacts of these names. Each is answered at
    once: no user is asked. With a `relay`, callers come through that, too, and dial what `Listener.at_relay` says; if
    the relay is away, that is logged, and it is tried again. The rest is as for `dial`.

    Raises Unreachable if the port cannot be had, or another program waits under the number of `code` at the relay;
    SecurityError for a bad code or a name that no contact has.
    """
    texts = {"code": code, "name": name, "relay": relay, "relay_token": relay_token}
    for what, given in (texts if host is None else {**texts, "host": host}).items():
        arguments.text(what, given)
    arguments.port(port)
    arguments.grace(grace)
    arguments.echo(echo)
    allowed = arguments.names("allow", allow)
    _check_plain(plain, code, open or bool(allowed), relay)
    place = parse_relay(relay, relay_token) if relay else None
    make_booth(audio, echo, dtx)  # a missing library is reported at once, not by the first call
    trust = None
    if not plain:
        security = Security(
            arguments.folder(home) or usual_folder(),
            code,
            is_open=open,
            allowed=allowed,
            own_name=name,
        )
        trust = Trust(security)
    return Listener(
        host, port, trust, name, audio=audio, echo=echo, dtx=dtx, grace=grace, relay=place, hides=relay_only
    )


def _check_plain(plain: bool, code: str, unchecked: bool, relay: str) -> None:
    if plain and (code or unchecked):
        raise ValueError("plain goes with none of code, open and allow: anybody may call then")
    if plain and relay:
        raise ValueError("plain and relay contradict each other: a relay would hear all that is said")
