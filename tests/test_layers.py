import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import voicemux

ROOT = Path(voicemux.__file__).parent

# From the bottom to the top: a module may import from lower ranks only, also inside functions.
RANKS = [
    ["", "errors", "protocol", "security", "net", "sending", "audio", "console", "calls", "app"],
    ["audio.capture", "audio.echo", "audio.playout", "events.beginnings", "events.calls"],
    ["threads", "events", "protocol.wire"],
    ["protocol.frames"],
    ["protocol.messages"],
    ["protocol.encoding"],
    ["protocol.connection", "protocol.delivery", "protocol.durations", "protocol.liveness", "protocol.goodbye"],
    ["protocol.conversation", "trace"],
    ["trace.facts"],
    ["trace.frames"],
    ["trace.file"],
    ["security.files", "security.networks", "security.words", "security.likeness"],
    ["security.names"],
    ["security.identity", "security.entries", "security.code"],
    ["security.directory"],
    ["security.contacts"],
    ["security.handshake", "security.guesses", "security.meetings", "security.volumes"],
    ["security.admission"],
    ["net.address", "net.lobby", "net.refusals", "net.quota"],
    ["net.stream", "net.socket_errors", "net.ways", "net.paths"],
    ["net.tcp", "net.tls", "net.caller", "net.pipes"],
    ["net.connecting", "net.sessions"],
    ["net.listener", "net.proxies"],
    [
        "net.demultiplexer",
        "net.greeting",
        "net.neighbours",
        "net.surroundings",
        "net.reaching",
        "net.punching",
        "net.port_mapping",
    ],
    ["net.local_listeners"],
    ["net.visitor", "net.switchboard", "net.ring_limit"],
    ["net.reception", "net.ringing"],
    ["relay", "relay.wire", "relay.messages", "relay.ids", "relay.limits", "relay.pace", "relay.polling"],
    ["relay.encoding", "relay.places", "relay.certificate", "relay.desk"],
    ["relay.approach", "relay.metrics", "relay.cluster_desk", "relay.claims", "relay.nats_link"],
    ["relay.cluster"],
    ["relay.guest", "relay.relayed"],
    ["relay.leg", "relay.post"],
    ["relay.legs"],
    ["relay.server"],
    ["sending.rungs", "sending.lateness", "sending.flow", "sending.repeats"],
    ["sending.back", "sending.forth"],
    ["sending.trial"],
    ["sending.alone"],
    ["sending.blame", "sending.brisk", "sending.sounding"],
    ["sending.climb"],
    ["sending.allowance"],
    ["sending.course"],
    ["sending.congestion"],
    ["sending.telling"],
    ["sending.schedule"],
    ["sending.feedback"],
    ["sending.writer"],
    ["audio.choices", "audio.endpoints", "audio.resample", "audio.mixing", "audio.recognition", "audio.processing"],
    ["audio.telephone", "audio.following"],
    ["audio.absent", "audio.echo.reference", "audio.echo.meter", "audio.echo.canceller", "audio.echo.trust"],
    ["audio.in_use", "audio.echo.verdict", "audio.levels", "audio.activity"],
    [
        "audio.capture.ladder",
        "audio.capture.slide",
        "audio.playout.arrivals",
        "audio.playout.stretch",
        "audio.playout.limiter",
        "audio.playout.tones",
        "audio.playout.volume",
        "audio.echo.linear",
    ],
    ["audio.echo.two_stages"],
    [
        "audio.capture.wish",
        "audio.capture.gate",
        "audio.capture.dtx",
        "audio.playout.jitter",
        "audio.echo.hands_free",
    ],
    ["audio.noise", "audio.pcm"],
    ["audio.metronome", "audio.codec"],
    ["audio.mirror"],
    ["audio.playout.account"],
    ["audio.playout.playout"],
    ["audio.alsa", "audio.pulse", "audio.reserve", "audio.playhead", "audio.positions"],
    ["audio.portaudio"],
    ["audio.attendant", "audio.card"],
    ["audio.blocking", "audio.callbacks"],
    ["audio.devices"],
    ["audio.cards", "audio.soundcheck"],
    ["audio.wav"],
    ["audio.stream"],
    ["audio.files", "audio.recording", "audio.pipes", "audio.capture.transmitter", "audio.playout.mixer"],
    ["audio.both_sides"],
    ["audio.measure", "audio.studio", "audio.blocks"],
    ["console.commands"],
    ["console.parsing", "console.focus", "console.modes", "console.printable", "console.cells", "console.remedies"],
    ["console.quoting", "console.rows", "console.figures", "console.mic_keys"],
    ["console.wording", "console.question"],
    ["console.blanks"],
    ["console.plain"],
    ["console.prompt", "console.printing"],
    ["console.terminal", "console.lines"],
    ["calls.voice", "calls.target", "calls.ending", "calls.event_queue", "calls.survival", "calls.offers"],
    ["calls.handover"],
    ["calls.trust", "calls.bond", "calls.texts"],
    ["calls.rendezvous", "calls.racing"],
    ["calls.waiting"],
    ["calls.vitals", "calls.introduction", "calls.watch", "calls.hints", "calls.sound_threads"],
    ["calls.establishing", "calls.voice_states"],
    ["calls.parts"],
    ["calls.carrier"],
    ["calls.retired", "calls.closing", "calls.whereabouts"],
    ["calls.lines"],
    ["calls.redialling", "calls.timekeeper", "calls.moving"],
    ["calls.resuming"],
    ["calls.call"],
    ["api.arguments", "api.leftovers"],
    ["api.recording"],
    ["api.call"],
    ["api.listener"],
    ["api"],
    ["conform"],
    ["conform.record", "conform.rules"],
    ["conform.verdict"],
    ["conform.hearing", "conform.report", "conform.relay_link"],
    ["conform.link", "conform.relay_subject"],
    ["conform.subject", "conform.relay_cases", "conform.relay_passing"],
    ["conform.opening", "conform.texts", "conform.sounds", "conform.endings", "conform.strangers"],
    ["conform.states", "conform.resuming", "conform.paths"],
    ["conform.runner"],
    ["app.departure", "app.exit_codes", "app.misuse", "app.standard_streams"],
    ["app.interrupts", "app.options", "app.answering"],
    ["app.settings", "app.volumes"],
    ["app.following", "app.findings"],
    [
        "app.exits",
        "app.announcing",
        "app.invitation",
        "app.notices",
        "app.exchanging",
        "app.demo",
        "app.echo_test",
        "app.consoles",
    ],
    ["app.tracing", "app.held", "app.sound", "app.sound_test"],
    ["app.call_recording"],
    ["app.handler", "app.holding"],
    ["app.session", "app.call_options"],
    ["app.run"],
    ["app.cli_call", "app.cli_conform", "app.cli_contacts", "app.cli_find", "app.cli_relay", "app.cli_sound"],
    ["app.cli"],
    ["__main__"],
]
RANK = {module: rank for rank, modules in enumerate(RANKS) for module in modules}

# Side rooms: what a package knows besides itself.
KNOWS = {
    "protocol": {"errors"},
    "security": {"errors", "protocol"},
    "net": {"errors", "threads", "protocol", "security"},
    "relay": {"errors", "threads", "protocol", "security.networks", "net"},
    "trace": {"", "errors", "threads", "protocol"},
    "sending": {"errors", "protocol", "net", "trace"},
    "audio": {"errors", "threads", "protocol", "trace"},
    "console": {"errors", "events", "threads", "security"},
    "conform": {"errors", "console", "threads", "protocol", "security", "net", "relay"},
    "calls": {
        "",
        "errors",
        "events",
        "threads",
        "console",
        "protocol",
        "security",
        "net",
        "relay",
        "sending",
        "trace",
    },
    "calls.voice": {"protocol", "sending"},
    "calls.vitals": {"events", "calls.voice", "protocol", "net", "sending"},
    "calls.target": {"errors", "security", "net.address", "net.ways", "relay.places"},
    "calls.trust": {"errors", "protocol", "security", "calls.target", "relay.places"},
    "calls.watch": {"events"},
    "calls.hints": {"events"},
    "api": {"", "errors", "events", "threads", "protocol", "security", "net", "relay", "audio", "calls"},
    "app.demo": {"errors", "threads", "audio"},
}

# What comes from outside has one home each.
HOMES = {
    "click": {
        "app.call_options",
        "app.cli",
        "app.cli_call",
        "app.cli_conform",
        "app.cli_contacts",
        "app.cli_find",
        "app.cli_relay",
        "app.cli_sound",
        "app.exits",
        "app.options",
    },
    "construct": {"protocol.wire", "relay.wire"},
    "miniupnpc": {"net.port_mapping"},
    "prometheus_client": {"relay.metrics"},
    "nats": {"relay.nats_link"},
    "pyaudio": {"audio.portaudio"},
    "pulsectl": {"audio.pulse"},
    "opuslib_next": {"audio.codec"},
    "samplerate": {"audio.resample"},
    "pywebrtc_audio": {"audio.echo.canceller"},
    "soundfile": {"audio.files", "audio.recording"},
    "prompt_toolkit": {"console.prompt", "console.focus"},
    "wcwidth": {"console.cells"},
    "zeroconf": {"net.neighbours"},
    "cryptography": {"security.identity"},
    "spake2": {"security.code"},
    "filelock": {"security.files"},
    "confusable_homoglyphs": {"security.likeness"},
    "ssl": {"net.tls"},
    "python_socks": {"net.proxies"},
    "socket": {
        "net.tcp",
        "net.connecting",
        "net.listener",
        "net.proxies",
        "net.local_listeners",
        "net.punching",
        "relay.leg",
        "relay.metrics",
        "relay.server",
    },
    "selectors": {"net.reception", "net.connecting", "net.punching", "relay.polling"},
    "numpy": {
        "audio.both_sides",
        "audio.playout.limiter",
        "audio.playout.tones",
        "audio.playout.volume",
        "audio.mixing",
        "audio.resample",
        "audio.wav",
        "audio.capture.slide",
        "audio.capture.gate",
        "audio.echo.hands_free",
        "audio.echo.linear",
        "audio.echo.meter",
        "audio.echo.reference",
        "audio.echo.two_stages",
        "audio.noise",
        "audio.levels",
        "audio.activity",
        "audio.playout.stretch",
        "audio.playout.playout",
        "audio.playout.mixer",
        "audio.measure",
    },
    "fcntl": {"net.tcp"},
    "termios": {"net.tcp", "console.modes", "console.question"},
}
IMPURE = {"socket", "threading", "time", "selectors", "select", "queue", "os", "sys", "subprocess", "signal"}


def text_of(module: str) -> str:
    path = ROOT.joinpath(*module.split(".")) if module else ROOT
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.read_text(encoding="utf-8")


def parse(module: str) -> ast.Module:
    return ast.parse(text_of(module))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: str) -> Iterator[str]:
    """Every module that `module` imports, anywhere in it, by its full name."""
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"a relative import in {module}"
            for alias in node.names:  # `from package import module` imports the module
                inner = f"{node.module}.{alias.name}".removeprefix("voicemux.")
                yield f"voicemux.{inner}" if inner in RANK and node.module.startswith("voicemux") else node.module


def own_imports(module: str) -> set[str]:
    return {name[len("voicemux.") :] for name in imports(module) if name.split(".")[0] == "voicemux"}


def outside_imports(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(module)} - {"voicemux"}


def is_inside(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


each_module = pytest.mark.parametrize("module", RANK, ids=lambda module: module or "voicemux")


def test_every_module_has_a_rank():
    assert {name_of(path) for path in ROOT.rglob("*.py")} == set(RANK)


@pytest.mark.parametrize("module", [module for module in RANK if module])
def test_imports_point_down(module):
    assert not [name for name in own_imports(module) if RANK[name] >= RANK[module]]


def test_the_package_hands_out_what_is_above_it_without_importing_any_of_it():
    program = "import sys, voicemux; print([each for each in sys.modules if each.startswith('voicemux.')])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


@pytest.mark.parametrize("room", KNOWS)
def test_side_rooms_know_nothing_of_each_other(room):
    known = KNOWS[room] | {room}
    for module in RANK:
        if is_inside(module, room):
            assert not [name for name in own_imports(module) if not any(is_inside(name, each) for each in known)]


@each_module
def test_what_comes_from_outside_has_one_home(module):
    outside = outside_imports(module)
    assert not [name for name in outside if name in HOMES and module not in HOMES[name]]
    assert outside <= set(HOMES) | sys.stdlib_module_names


@pytest.mark.parametrize("package", HOMES)
def test_every_home_is_lived_in(package):
    assert all(package in outside_imports(home) for home in HOMES[package])


PURE = [
    "net.ways",
    "net.stream",
    "sending.flow",
    "net.lobby",
    "net.refusals",
    "net.quota",
    "sending.rungs",
    "sending.lateness",
    "sending.repeats",
    "sending.back",
    "sending.forth",
    "sending.trial",
    "sending.alone",
    "sending.blame",
    "sending.brisk",
    "sending.sounding",
    "sending.climb",
    "sending.allowance",
    "sending.course",
    "sending.congestion",
    "sending.telling",
    "sending.schedule",
    "relay.wire",
    "relay.messages",
    "relay.encoding",
    "relay.ids",
    "relay.places",
    "relay.approach",
    "relay.guest",
    "relay.limits",
    "relay.desk",
    "relay.cluster_desk",
    "relay.pace",
    "security.words",
    "security.code",
    "security.guesses",
    "security.networks",
    "security.handshake",
    "security.likeness",
    "security.directory",
    "net.caller",
    "calls.target",
    "calls.survival",
    "calls.watch",
    "calls.hints",
    "console.mic_keys",
    "audio.playout.arrivals",
    "audio.playout.jitter",
    "audio.capture.ladder",
    "audio.playout.limiter",
    "audio.playout.volume",
    "audio.playout.account",
    "audio.playout.playout",
    "audio.processing",
    "audio.mixing",
    "audio.capture.wish",
    "audio.playhead",
    "audio.recognition",
    "audio.reserve",
    "audio.capture.slide",
    "audio.capture.gate",
    "audio.echo.hands_free",
    "audio.echo.linear",
    "audio.echo.meter",
    "audio.echo.reference",
    "audio.echo.trust",
    "audio.echo.two_stages",
    "audio.echo.verdict",
    "audio.noise",
    "audio.levels",
    "audio.activity",
    "audio.playout.stretch",
    "audio.wav",
    "app.misuse",
    "audio.telephone",
    "audio.following",
    "trace.facts",
    "trace.frames",
]


@pytest.mark.parametrize("module", [*PURE, *(module for module in RANK if module.startswith("protocol"))])
def test_the_protocol_and_what_decides_about_time_are_pure(module):
    assert not outside_imports(module) & IMPURE


@each_module
def test_threads_are_made_in_one_place(module):
    made = [node for node in ast.walk(parse(module)) if isinstance(node, ast.Attribute | ast.Name)]
    names = {node.attr if isinstance(node, ast.Attribute) else node.id for node in made}
    if module != "threads":
        assert not names & {"start_new_thread", "ThreadPoolExecutor", "Timer"}
        assert not [node for node in made if isinstance(node, ast.Attribute) and node.attr == "Thread"]
    else:
        assert "Thread" in names


def test_the_errors_import_nothing_of_ours():
    assert set(imports("errors")) == {"enum"}


MOST_LINES = {"module": 350, "class": 200}


def too_long(module: str) -> Iterator[str]:
    """The module if it has too many lines, and each class in it that has."""
    if len(text_of(module).splitlines()) > MOST_LINES["module"]:
        yield module
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES["class"]:
            yield f"{module}.{node.name}"


def test_no_module_and_no_class_is_too_long():
    over = {name for module in RANK for name in too_long(module)}
    assert not over, "divide it by what it is responsible for"


def test_no_two_classes_or_functions_have_the_same_public_name():
    homes: dict[str, list[str]] = {}
    for module in RANK:
        for node in parse(module).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert not {name: modules for name, modules in homes.items() if len(modules) > 1}
