"""The commands `voicemux listen` and `voicemux dial`: their arguments, and the session that they run."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from voicemux.app.call_options import CallOptions, call_options, settings_of
from voicemux.app.exits import exits
from voicemux.app.options import refuse_what_means_nothing, was_typed
from voicemux.app.run import run
from voicemux.app.standard_streams import can_ask, is_attended

if TYPE_CHECKING:
    from voicemux.app.holding import Outcome
    from voicemux.app.interrupts import Signals
    from voicemux.app.session import Session
    from voicemux.app.settings import RingSettings
    from voicemux.calls.trust import Security
    from voicemux.net.listener import ListeningSockets
    from voicemux.net.ways import Proxy

MOST_CODE_BYTES = 1000  # bytes that are read of a code file: a device like /dev/zero has no end


@click.command("listen")
@click.option("--host", metavar="HOST", help="Listen on this address only.  [default: all, IPv6 and IPv4]")
@click.option("--port", metavar="PORT", default="8689", show_default=True, help="0 lets the system choose one.")
@click.option("--once", is_flag=True, help="End after the first call.")
@click.option(
    "--stdio",
    is_flag=True,
    help="One call over standard input and output, for `dial --proxy-command 'ssh HERE voicemux listen --stdio'`:"
    " for contacts, and for callers who know --code.",
)
@click.option(
    "--unix", metavar="PATH", help="Listen on a Unix socket that only you can connect to: `dial unix:PATH`."
)
@click.option(
    "--code",
    envvar="VOICEMUX_CODE",
    metavar="CODE",
    help="What unknown callers must know as long as this runs.  [default: one is made for each first call]",
)
@click.option(
    "--code-words",
    type=click.IntRange(2, 8),
    default=3,  # USUAL_WORDS of security.code, which takes long to import
    show_default=True,
    metavar="N",
    help="Words in a code that is made here.",
)
@click.option("--open", "is_open", is_flag=True, help="Anybody may call; you are asked whether to take the call.")
@click.option("--auto-accept", is_flag=True, help="Take every call at once, as an intercom does, without asking you.")
@click.option(
    "--ask",
    is_flag=True,
    help="Let every call ring until you take it, also in pipes and with --json.  [default: on a terminal]",
)
@click.option(
    "--bell",
    type=click.Choice(["always", "unfocused", "never"]),
    default="always",
    show_default=True,
    help="When the terminal's bell rings for a call; unfocused: not while the terminal says that it has the focus.",
)
@click.option(
    "--announce",
    is_flag=True,
    help="Tell the local network that you listen, by mDNS: `voicemux find` there shows it. It tells the name that"
    " you give with --name, and otherwise none.",
)
@click.option(
    "--upnp",
    is_flag=True,
    help="Ask your router to let callers in to the port, by UPnP, as long as you listen. It takes the extra upnp.",
)
@click.option(
    "--socks5",
    metavar="[USER:PASSWORD@]HOST[:PORT]",
    help="Reach the relay of --relay through a SOCKS5 proxy, which also looks its name up.",
)
@click.option(
    "--echo-test",
    is_flag=True,
    help="Answer every call at once, without a sound card: callers hear themselves 5 s later, and read a verdict.",
)
@click.option("--allow", "allowed", multiple=True, metavar="NAME", help="Only this contact may call; repeatable.")
@call_options
def listen_command(
    host: str | None,
    port: str,
    once: bool,
    stdio: bool,
    unix: str | None,
    code: str | None,
    code_words: int,
    is_open: bool,
    auto_accept: bool,
    ask: bool,
    bell: str,
    announce: bool,
    upnp: bool,
    socks5: str | None,
    echo_test: bool,
    allowed: tuple[str, ...],
    **options: Any,
) -> None:
    """Wait for callers, and serve one after the other.

    Contacts may call, and everyone who knows the code that is shown. On a terminal, calls ring until you take them.
    """
    typed = CallOptions(**options)
    if is_open and allowed:
        raise click.UsageError("--open and --allow contradict each other: anybody may call, or only some contacts")
    if auto_accept and ask:
        raise click.UsageError("--auto-accept and --ask contradict each other")
    if typed.plain and (is_open or allowed or was_typed("code")):
        raise click.UsageError("--unencrypted goes with none of --code, --open and --allow: anybody may call then")
    if code and not was_typed("code") and was_typed("code_words"):
        raise click.UsageError("--code-words means nothing beside VOICEMUX_CODE: it is for codes that are made here")
    from voicemux.app.answering import Asks
    from voicemux.app.settings import RingSettings
    from voicemux.calls.trust import Security
    from voicemux.net.ways import parse_socks

    asks_all = ask or (is_attended() and not (typed.as_json or stdio or typed.input_ == "-"))
    asks = Asks.NOBODY if auto_accept or echo_test else Asks.EVERYBODY if asks_all else Asks.STRANGERS
    words = 0 if stdio else code_words  # no user would see a code that is made here
    security = partial(Security, code=code or "", words=words, is_open=is_open, allowed=allowed)
    refuse_what_means_nothing()
    if socks5 is not None and not typed.relay:
        raise click.UsageError("--socks5 means nothing without --relay: callers come to a listener")
    if typed.relay_only and not typed.relay:
        raise click.UsageError("--relay-only means nothing without --relay: callers would come directly")
    if unix == "":
        raise click.UsageError("--unix takes a path, and got none")
    if upnp and (typed.relay_only or stdio or unix):
        raise click.UsageError("--upnp opens a port to all: it goes with none of --relay-only, --stdio and --unix")
    announced = (typed.name or "") if announce else None
    with exits(interrupts=contextlib.nullcontext()):
        proxy = parse_socks(socks5) if socks5 is not None else None
        make_listener = _listener_of(stdio, unix, host, port)

    def body(session: "Session", signals: "Signals") -> "Outcome":
        return session.listen(make_listener, once=once or stdio)

    ring = RingSettings(asks, bell, announced, upnp)
    _hold_calls(typed, "listener", ring, security, body, proxy, stdio=stdio, echo_test=echo_test)


def _listener_of(stdio: bool, unix: str | None, host: str | None, port: str) -> "Callable[[], ListeningSockets]":
    """Return a function that makes the listener that was asked for. Raises Unreachable, AddressError."""
    from voicemux.net.address import parse_host, parse_port
    from voicemux.net.listener import ListeningSockets
    from voicemux.net.local_listeners import StdioListener, UnixListener, take_standard_streams

    if stdio:  # now, because nothing may be printed to standard output, which is the call
        return partial(StdioListener, take_standard_streams())
    if unix is not None:
        return partial(UnixListener, unix)
    return partial(ListeningSockets, None if host is None else parse_host(host), parse_port(port, lowest=0))


@click.command("dial")
@click.argument("target", metavar="HOST[:PORT]|NAME|CODE@RELAY")
@click.argument("code", required=False, nargs=-1, envvar="VOICEMUX_CODE", metavar="[CODE]")
@click.option("--code", "code_option", metavar="CODE", default="", help="The same as CODE.")
@click.option(
    "--code-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Read the code from a file (- is standard input): other users can see what is typed in a command.",
)
@click.option("--open", "is_open", is_flag=True, help="Call an unknown listener without a code, and compare words.")
@click.option(
    "--socks5",
    metavar="[USER:PASSWORD@]HOST[:PORT]",
    help="Call through a SOCKS5 proxy, which also looks names up. Tor's is 127.0.0.1:9050.",
)
@click.option(
    "--proxy-command",
    metavar="COMMAND",
    help="Call through a command's standard input and output, like ssh's ProxyCommand: %h is the host, %p the port.",
)
@call_options
def dial_command(
    target: str,
    code: tuple[str, ...],
    code_option: str,
    code_file: str | None,
    is_open: bool,
    socks5: str | None,
    proxy_command: str | None,
    **options: Any,
) -> None:
    """Call a listener: an address, a contact by name, or a code at a relay.

    The first call needs the code that the other side was shown. Without one you are asked for it.
    """
    typed = CallOptions(**options)
    words = " ".join(code) if was_typed("code") else ""
    if typed.plain and (is_open or code_file or words or code_option):
        raise click.UsageError("--unencrypted goes with none of CODE, --code-file, --open: nothing is checked then")
    if sum(map(bool, (words, code_option, code_file))) > 1:
        raise click.UsageError("one code, please: CODE, --code and --code-file are the same")
    if "@" in target and (words or code_option or code_file):
        raise click.UsageError("one code, please: it stands before the @ already")
    if is_open and (words or code_option or code_file):
        raise click.UsageError("--open and a code contradict each other: words are compared, or the code is checked")
    chosen = _read_code(code_file) if code_file else code_option or words
    if not (chosen or is_open or typed.plain):  # a code in the environment is meant for calls that use one
        chosen = " ".join(code)
    from voicemux.app.settings import RingSettings
    from voicemux.calls.trust import Security
    from voicemux.net.ways import ProxyCommand, parse_socks

    if socks5 is not None and proxy_command is not None:
        raise click.UsageError("--socks5 and --proxy-command are two ways; a call takes one")
    with exits(interrupts=contextlib.nullcontext()):
        proxy = ProxyCommand(proxy_command) if proxy_command else parse_socks(socks5) if socks5 else None
    asks = not (chosen or is_open or typed.plain or typed.as_json) and can_ask()

    def body(session: "Session", signals: "Signals") -> "Outcome":
        from voicemux.console.question import ask_for_code

        return session.dial(target, ask_for_code if asks else lambda _: "", signals.interrupting)

    _hold_calls(typed, "dialler", RingSettings(), partial(Security, code=chosen, is_open=is_open), body, proxy)


def _hold_calls(
    typed: CallOptions,
    role: str,
    ring: "RingSettings",
    security: "partial[Security]",
    body: "Callable[[Session, Signals], Outcome]",
    proxy: "Proxy | None" = None,
    *,
    stdio: bool = False,
    echo_test: bool = False,
) -> None:
    """Check the options against each other, and run a session as they say.

    `security` lacks the folder and the name.
    """
    refuse_what_means_nothing()
    sound = typed.echoed_sound() if echo_test else typed.sound()
    with exits(interrupts=contextlib.nullcontext()):
        settings = settings_of(typed, sound, ring, security, proxy, stdio=stdio)
    run(settings, role, body)


def _read_code(path: str) -> str:
    """Return the first line of a file. Of standard input, no byte more is read, because the rest is for the call."""
    line = b""
    try:
        with open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-") as file:
            while len(line) < MOST_CODE_BYTES and (byte := file.read(1)) and byte != b"\n":
                line += byte
    except OSError as error:  # standard input may be closed
        raise click.UsageError(f"cannot read the code: {(error.strerror or str(error)).lower()}") from None
    if not (code := line.decode(errors="replace").strip()):
        raise click.UsageError("--code-file has no code in its first line")
    return code
