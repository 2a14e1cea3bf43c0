"""A pair of linphone's command-line programs: SIP and RTP over UDP, a direct call that is answered by itself."""

import time

from bench.processes import PATIENCE, Process
from bench.scene import Scene

# Opus is its first choice, and speex's canceller is on unless it is switched off. The sound goes through ALSA to the
# virtual cards: the sinks of PulseAudio all have the same name there.
CONFIG = """\
[sip]
sip_port={port}
sip_tcp_port=0
sip_tls_port=0
contact="{side}" <sip:{side}@{address}>
guess_hostname=0
use_ipv6=0

[rtp]
audio_rtp_port={rtp}

[video]
enabled=0
capture=0
display=0

[sound]
playback_dev_id=ALSA Unknown: default
ringer_dev_id=ALSA Unknown: default
media_dev_id=ALSA Unknown: default
capture_dev_id=ALSA Unknown: default
echocancellation={cancels:d}
"""
SIP_PORTS = {"a": 5070, "b": 5072}  # it listens on every address, so the two sides of a loopback need two
RTP_PORTS = {"a": 7070, "b": 7072}
DATABASE = ".local/share/linphone"  # without this folder it starts, and never opens its port
ASK_EVERY = 0.3  # seconds


def start_linphone(scene: Scene, cancels: bool = True) -> None:
    """`cancels` is whether its echo cancellation is on, as it is when linphone comes."""
    sides = {side: _start(scene, side, cancels) for side in "ba"}
    sides["a"].enter(f"call sip:b@{scene.place.address('b')}:{SIP_PORTS['b']}")
    for process in sides.values():
        process.await_output("Media streams established")


def _start(scene: Scene, side: str, cancels: bool) -> Process:
    """One that can be called, and answers by itself."""
    home, port = scene.folder / f"linphone-{side}", SIP_PORTS[side]
    (home / DATABASE).mkdir(parents=True)
    settings = CONFIG.format(
        address=scene.place.address(side), side=side, port=port, rtp=RTP_PORTS[side], cancels=cancels
    )
    (home / "linphonerc").write_text(settings)
    process = scene.start(
        side,
        ("linphonec", "-c", str(home / "linphonerc"), "-a"),
        {"HOME": str(home), "XDG_DATA_HOME": str(home / ".local/share"), "XDG_CONFIG_HOME": str(home / ".config")},
    )
    deadline = time.monotonic() + PATIENCE
    while f"sip port = {port}" not in process.log.read_text(errors="replace"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"linphonec takes no calls: {process.log.read_text(errors='replace')[-500:]}")
        time.sleep(ASK_EVERY)
        process.enter("ports")  # its port is 0 until it has looked at the network
    return process
