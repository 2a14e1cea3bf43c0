"""Decisions out of a fuzzer's bytes, in their order. Behind the last there are only zeros."""

MOST_CUTS = 16


class Draws:
    """False when all bytes are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def number(self, size: int = 1) -> int:
        """Unsigned, of so many bytes."""
        return int.from_bytes(self.piece(size).ljust(size, b"\0"), "big")

    def piece(self, size: int) -> bytes:
        """The next bytes, at most so many."""
        start, self._place = self._place, self._place + size
        return self._data[start : self._place]

    def rest(self) -> bytes:
        return self.piece(len(self._data))

    def pieces(self) -> list[bytes]:
        """All the rest as TCP may bring it: a byte says how many sizes come first, then they cut the stream."""
        sizes = self.piece(self.number() % MOST_CUTS)
        return [*map(self.piece, sizes), self.rest()]
