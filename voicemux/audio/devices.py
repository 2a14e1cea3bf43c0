"""Opens the microphones and loudspeakers of sound cards, each in the way that was measured to be best for it."""

from voicemux.audio import alsa
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


# Plugins of ALSA whose devices are read and written: with PulseAudio that was measured (docs/latency.md). PipeWire's
# plugin, cards without a sound server ("hw") and other systems were not measured, and keep callbacks.
PACED = frozenset({"pulse"})


def _is_paced(device: Device, kind: str) -> bool:
    """Whether it is better read and written. Whatever was not measured has callbacks."""
    return device.system == "ALSA" and alsa.plugin(device.name, kind) in PACED
