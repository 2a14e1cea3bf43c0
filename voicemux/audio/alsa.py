"""Finds out what is behind the name of an ALSA device, a card or a sound server, from ALSA's configuration."""

import ctypes
import functools
from typing import Any

LONGEST_WAY = 4  # definitions that are followed at most, from "default" through those that only divide directions


def plugin(name: str, kind: str) -> str:
    """Return the plugin type of the PCM of that name, such as "hw", "pulse" or "pipewire"; "" if it cannot be found
    out.

    `kind` is "input" or "output": the two may be different behind one name.
    """
    library = _library()
    top = ctypes.c_void_p()
    if library is None or library.snd_config_update_ref(ctypes.byref(top)) < 0:
        return ""
    try:
        return _Definitions(library, top, "capture" if kind == "input" else "playback").type_of(name)
    finally:
        library.snd_config_unref(top)


class _Definitions:
    """ALSA's definitions of PCMs, for one direction."""

    def __init__(self, library: Any, top: ctypes.c_void_p, direction: str) -> None:
        self._library = library
        self._top = top
        self._direction = direction

    def type_of(self, name: str, way: int = LONGEST_WAY) -> str:
        """Return the type of the PCM of that name. `way` is how many more definitions may be followed."""
        definition = ctypes.c_void_p()
        found = self._library.snd_config_search_definition(self._top, b"pcm", name.encode(), ctypes.byref(definition))
        if found < 0:
            return ""
        try:
            return self._type_in(definition, way)
        finally:
            self._library.snd_config_delete(definition)

    def _type_in(self, definition: ctypes.c_void_p, way: int) -> str:
        kind = self._string(definition, b"type")
        if kind != "asym" or not way:
            return kind
        direction = ctypes.c_void_p()
        path = f"{self._direction}.pcm".encode()
        if self._library.snd_config_search(definition, path, ctypes.byref(direction)) < 0:
            return ""
        name = self._string(definition, path)
        return self.type_of(name, way - 1) if name else self._type_in(direction, way - 1)

    def _string(self, definition: ctypes.c_void_p, path: bytes) -> str:
        node, value = ctypes.c_void_p(), ctypes.c_char_p()
        if self._library.snd_config_search(definition, path, ctypes.byref(node)) < 0:
            return ""
        if self._library.snd_config_get_string(node, ctypes.byref(value)) < 0 or value.value is None:
            return ""
        return value.value.decode(errors="replace")


@functools.cache
def _library() -> Any:
    """Load the ALSA library; None where the system has none."""
    try:
        return ctypes.CDLL("libasound.so.2")
    except OSError:
        return None
