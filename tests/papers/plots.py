"""The plots in docs/: what the jitter buffer and the sender do on lines in simulated time.

python -m tests.papers.plots draws them anew.
"""

import random
from collections.abc import Callable
from pathlib import Path

from tests.audio.listening import RATE, Ear, on_time, stream
from tests.papers.chart import Curve, Panel, chart
from tests.sending.simulator.call import Call
from tests.sending.simulator.lines import LINES
from voicemux.audio.playout.arrivals import SLOT

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SECONDS, STALLS, STALL, EVERY = 60.0, (10.0, 22.0), 0.080, 2.0  # of the jitter buffer's line
JITTER = 0.010  # seconds
SQUEEZE = "40k 25 s"


def jitter_buffer() -> str:
    """Packets with some jitter, and for a while a stall every two seconds."""
    chance = random.Random(5)

    def late(sent: float) -> float:
        is_stalled = STALLS[0] <= sent < STALLS[1]
        return max(chance.uniform(0, JITTER), STALL - sent % EVERY if is_stalled else 0.0)

    arrivals = list(on_time(stream(int(SECONDS * 50)), late))
    least = min(at - packet.timestamp / RATE for at, packet in arrivals)
    peaks: dict[int, float] = {}
    for at, packet in arrivals:
        slot = int(at / SLOT)
        peaks[slot] = max(peaks.get(slot, 0.0), (at - packet.timestamp / RATE - least) * 1000)
    heard = Ear().expect(arrivals).listen(SECONDS).heard
    curves = [
        Curve("lateness (peaks)", [(slot * SLOT, peak) for slot, peak in peaks.items()], is_dots=True),
        Curve("target", [(each.at, each.target * 1000) for each in heard[::10]]),
        Curve("playout delay", [(each.at, each.delay * 1000) for each in heard[::5]]),
    ]
    title = "The jitter buffer follows the line, up and down"
    return chart(title, [Panel("milliseconds", curves)], SECONDS, STALLS, "a stall of 80 ms every 2 s")


def sending() -> str:
    """A line that gets too slow, and recovers."""
    line = LINES[SQUEEZE]
    call = Call(line, seed=77, phase=0.0)
    begin, end = line.looked_at or (0.0, 0.0)
    heard = [(each.time, each.delay * 1000) for each in call.b.loudspeaker.heard if each.delay is not None]
    rate = [(each.time, each.bitrate / 1000) for each in call.a.sent]
    length = [(each.time, each.frame_ms) for each in call.a.sent]
    panels = [
        Panel("ms, mouth to ear", [Curve("voice that is played", heard[::4], is_dots=True)]),
        Panel("kbit/s, ms", [Curve("length of a packet, ms", length), Curve("bit rate of Opus", rate)]),
    ]
    title = "The sender follows the line, down and up"
    return chart(title, panels, line.seconds, (begin, end), "the line takes 40 kbit/s")


PLOTS: dict[str, Callable[[], str]] = {"jitter-buffer.svg": jitter_buffer, "sending.svg": sending}

if __name__ == "__main__":
    for name, plot in PLOTS.items():
        (PICTURES / name).write_text(plot(), encoding="utf-8")
