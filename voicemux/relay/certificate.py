"""The certificate of a relay, which is renewed while the relay runs."""

import time
from pathlib import Path

from voicemux.errors import SecurityError
from voicemux.net.tls import Context, served_context

CHECK = 60.0  # seconds between looks at the files: certificate authorities renew every few weeks


class Certificate:
    """The certificate and key in two PEM files. Raises SecurityError if they cannot be used at the start; later, an
    unusable new certificate is ignored."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = certificate, key
        self._times = self._read_times()
        self._context = served_context(certificate, key)
        self._looked = time.monotonic()

    def context(self) -> Context:
        """Return the TLS context of the newest certificate. Only one thread may call it."""
        now = time.monotonic()
        if now - self._looked >= CHECK:
            self._looked = now
            self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            if (times := self._read_times()) != self._times:
                self._context, self._times = served_context(*self._paths), times
        except (OSError, SecurityError):  # it is being written; the next look finds it complete
            pass

    def _read_times(self) -> list[int]:
        try:
            return [each.stat().st_mtime_ns for each in self._paths]
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SecurityError(f"cannot use the certificate {self._paths[0]}: {why}") from error
