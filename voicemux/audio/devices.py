"""Opens the microphones and loudspeakers of sound cards, each in the way that was measured to be best for it."""

from voicemux.audio import alsa, pulse
from voicemux.audio.blocking import PacedLoudspeaker, PacedMicrophone
from voicemux.audio.callbacks import CalledLoudspeaker, CalledMicrophone
from voicemux.audio.card import CardLoudspeaker, CardMicrophone
from voicemux.audio.portaudio import Device, PortAudio


def open_source(portaudio: PortAudio, wanted: str) -> CardMicrophone:
    """The microphone of that number, or with that in its name; the default for "". Raises DeviceError."""
    device = portaudio.find("input", wanted)
    return (PacedMicrophone if _is_paced(device, "input") else CalledMicrophone)(portaudio, device)


def open_sink(portaudio: PortAudio, wanted: str) -> CardLoudspeaker:
    """The loudspeaker, likewise."""
    device = portaudio.find("output", wanted)
    return (PacedLoudspeaker if _is_paced(device, "output") else CalledLoudspeaker)(portaudio, device)


SERVERS = frozenset({"pulse", "pipewire"})  # plugins of ALSA behind which there is a sound server that runs
SERVED = frozenset({"default", "pulse", "pipewire"})  # names of devices that say nothing of what is behind them


def names_of(label: str, kind: str) -> tuple[str, ...]:
    """All that the system calls the device of that name. `kind` is "input" or "output". May wait for a second."""
    if label.lower() in SERVED and alsa.plugin(label, kind) in SERVERS:
        return (label, *pulse.names_of_default(kind))
    return (label,)


def _is_paced(device: Device, kind: str) -> bool:
    """Whether it is better read and written than called back: with PulseAudio (docs/latency.md).

    PipeWire in PulseAudio's place takes sound in pieces of another length than the period. After a stall of 0.1 s,
    speech through a loudspeaker that is written was destroyed there (likeness 0.3; with callbacks 0.99). PipeWire's
    own plugin, cards without a sound server ("hw") and other systems were not measured. All these keep callbacks.
    """
    return (
        device.system == "ALSA"
        and alsa.plugin(device.name, kind) == "pulse"
        and pulse.server_name() == pulse.PULSEAUDIO
    )
