"""Chooses the volume of a call: by the option, or else as it was with this contact before."""

from collections.abc import Callable

from voicemux.calls.introduction import Introduced
from voicemux.calls.trust import Trust
from voicemux.calls.voice import Player
from voicemux.errors import SecurityError
from voicemux.events import VolumeChosen
from voicemux.security.volumes import AUTO, KeptVolume

USUAL = 100  # percent, at which sound is played as it comes


class VolumeMemory:
    """The volumes of one run. Any thread may use them."""

    def __init__(self, option: KeptVolume | None, trust: Trust | None, tell: Callable[[str], None]) -> None:
        """`option` is the volume of the command line. `tell` gets a sentence if something cannot be remembered."""
        self._option = option
        self._trust = trust
        self._tell = tell

    def begin(self, player: Player | None, met: Introduced) -> VolumeChosen | None:
        """Set the volume of a call that begins. Return the volume to show: the user may have forgotten one of an
        earlier call, and would hear little or nothing. None if it is the usual one, or an option has set it."""
        volume = player.volume if player else None
        if not volume:
            return None
        wanted = self._option if self._option is not None else self._remembered(met)
        if wanted == AUTO:
            volume.choose_auto()
        elif isinstance(wanted, int):
            volume.choose(wanted)
        is_usual = not volume.auto and volume.percent == USUAL
        return None if self._option is not None or is_usual else VolumeChosen(volume.percent, volume.auto)

    def keep(self, chosen: VolumeChosen, met: Introduced | None) -> None:
        """Remember what the user has chosen in a call with a contact."""
        if not (self._trust and met and met.peer):
            return
        try:
            if self._trust.contacts.directory().with_fingerprint(met.peer.fingerprint):
                self._trust.volumes.keep(met.peer.fingerprint, AUTO if chosen.auto else chosen.percent)
        except SecurityError as error:
            self._tell(str(error))

    def _remembered(self, met: Introduced) -> KeptVolume | None:
        try:
            return self._trust.volumes.of(met.peer.fingerprint) if self._trust and met.peer else None
        except SecurityError as error:
            self._tell(str(error))
            return None
