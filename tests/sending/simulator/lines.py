"""The lines that thresholds were chosen on, and those that were kept aside until the end."""

from collections.abc import Callable

from tests.sending.simulator.call import Change, Line
from tests.sending.simulator.way import Kind, Way


def both(**settings: float) -> Change:
    """Both ways are like that from then on."""
    return _change(("there", "back"), **settings)


def _there(**settings: float) -> Change:
    return _change(("there",), **settings)


def _change(which: tuple[str, ...], **settings: float) -> Change:
    def change(there: Way, back: Way) -> None:
        for name, way in (("there", there), ("back", back)):
            if name in which:
                way.change(**settings)

    return change


def _dark(seconds: float, *, holds: bool) -> Change:
    def change(there: Way, back: Way) -> None:
        for way in (there, back):
            way.darken(seconds, holds=holds)

    return change


def _same(name: str, seconds: float, kind: Callable[[], Kind], **rest: object) -> Line:
    return Line(name, seconds, kind(), kind(), **rest)  # type: ignore[arg-type]


def _squeeze(
    name: str, rate: float, seconds: float, change: Callable[..., Change] = both, delay: float = 0.02
) -> Line:
    return _same(
        name,
        10 + seconds + 30,
        lambda: Kind(delay),
        events=((10.0, change(rate=rate)), (10.0 + seconds, change(rate=0.0))),
        looked_at=(10.0, 10.0 + seconds),
        over=10.0 + seconds,
    )


def _bulk(name: str, rate: float, queue: float, *ways: str, seconds: float = 26.0, delay: float = 0.01) -> Line:
    bulks = tuple((way, 12.0 + i, 12.0 + seconds) for i, way in enumerate(ways))
    return _same(
        name,
        12 + seconds + 22,
        lambda: Kind(delay, rate, queue),
        bulks=bulks,
        looked_at=(12.0, 12.0 + seconds),
        over=12.0 + seconds + queue,
    )


def _begun(name: str, rate: float, queue: float, *ways: str, delay: float) -> Line:
    """A call that begins beside a transfer."""
    bulks = tuple((way, 0.0, 24.0) for way in ways)
    return _same(name, 34, lambda: Kind(delay, rate, queue), bulks=bulks, looked_at=(5.0, 24.0), over=24.0 + queue)


CHOSEN_ON = [
    _same("clean", 25, lambda: Kind(0.001)),
    _same("64k", 40, lambda: Kind(0.02, 64e3), looked_at=(8.0, 40.0)),
    _same("96k", 40, lambda: Kind(0.04, 96e3), looked_at=(8.0, 40.0)),
    _squeeze("24k 10 s", 24e3, 10),
    _squeeze("40k 25 s", 40e3, 25),
    _squeeze("24k 20 s near", 24e3, 20, delay=0.0005),
    _squeeze("20k 20 s near", 20e3, 20, delay=0.003),
    _squeeze("28k 20 s near", 28e3, 20, delay=0.005),
    _squeeze("40k 25 s there", 40e3, 25, _there),
    _squeeze("24k 10 s there", 24e3, 10, _there),
    _bulk("bulk 1M 2s", 1e6, 2.0, "there"),
    _bulk("bulk 2M .5s", 2e6, 0.5, "there"),
    _bulk("bulk 10M .1s", 10e6, 0.1, "there"),
    _begun("begun beside bulk", 2e6, 0.3, "there", delay=0.04),
    _bulk("bulk 2M .5s both", 2e6, 0.5, "there", "back"),
    _same("jitter 20+80", 40, lambda: Kind(0.02, jitter=0.08), looked_at=(10.0, 40.0)),
    Line("48/1000", 40, Kind(0.02, 48e3), Kind(0.02, 1e6), looked_at=(10.0, 40.0)),
    _same("300 ms 1%", 40, lambda: Kind(0.15, loss=0.01), looked_at=(10.0, 40.0)),
    _same("50 ms 5%", 40, lambda: Kind(0.025, loss=0.05), looked_at=(10.0, 40.0)),
    _same("120 ms 3% bursts", 40, lambda: Kind(0.06, loss=0.03, burst=5.0), looked_at=(10.0, 40.0)),
    _same("dark 2 s held", 30, lambda: Kind(0.02), events=((12.0, _dark(2, holds=True)),), looked_at=(12.0, 14.0),
    over=14.0), _same("dark 2 s lost", 30, lambda: Kind(0.02), events=((12.0, _dark(2, holds=False)),),
    looked_at=(12.0, 14.0), over=14.0), _same("route +150", 50, lambda: Kind(0.02), events=((12.0,
    both(delay=0.17)),), looked_at=(12.0, 50.0)),
]  # fmt: skip

KEPT_ASIDE = [
    _begun("begun 1.5M .35s", 1.5e6, 0.35, "there", delay=0.015),
    _begun("begun 800k .25s", 8e5, 0.25, "back", delay=0.03),
    _begun("begun 3M .2s both", 3e6, 0.2, "there", "back", delay=0.05),
    _same("route -90 there", 40, lambda: Kind(0.12), events=((20.0, _there(delay=0.03)),), looked_at=(24.0, 40.0)),
    _bulk("bulk 3M .8s", 3e6, 0.8, "there", delay=0.02),
    _bulk("bulk 500k 1s", 5e5, 1.0, "there", delay=0.015),
    _bulk("two bulks 4M .3s", 4e6, 0.3, "there", "there"),
    Line("128/2000", 40, Kind(0.03, 128e3), Kind(0.03, 2e6), looked_at=(10.0, 40.0)),
    _same("jitter 40+40", 40, lambda: Kind(0.04, jitter=0.04), looked_at=(10.0, 40.0)),
    _same("route -100", 40, lambda: Kind(0.12), events=((12.0, both(delay=0.02)),), looked_at=(12.0, 40.0)),
    _same("route +80 there", 40, lambda: Kind(0.02), events=((12.0, _there(delay=0.1)),), looked_at=(12.0, 40.0)),
    _squeeze("30k 15 s there", 30e3, 15, _there),
    _squeeze("50k 20 s", 50e3, 20, delay=0.04),
    _squeeze("22k 20 s near", 22e3, 20, delay=0.0015),
    _same("200 ms 2%", 40, lambda: Kind(0.1, loss=0.02), looked_at=(10.0, 40.0)),
    _same("240 ms 1.5%", 40, lambda: Kind(0.12, loss=0.015), looked_at=(10.0, 40.0)),
    _same("160 ms 2% bursts", 40, lambda: Kind(0.08, loss=0.02, burst=3.0), looked_at=(10.0, 40.0)),
]

LINES = {line.name: line for line in (*CHOSEN_ON, *KEPT_ASIDE)}
