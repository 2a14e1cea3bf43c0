"""Writes the figures of a call as lines for people."""

from voicemux.events import Level, Stats, loudness

NOTHING_HEARD = "no voice comes now"
CELLS, CELL = 8, 6.0  # cells of a level meter, and dB per cell
LOWEST_CELL = -54.0  # dB at which the first cell begins


def stats_line(stats: Stats) -> str:
    """Return delay, packets and texts in one line."""
    parts = [clock(stats.seconds)]
    if stats.mouth_to_ear_ms is not None:
        parts.append(f"mouth to ear about {stats.mouth_to_ear_ms:.0f} ms")
    elif stats.audio_received and stats.round_trip_ms is not None:
        parts.append(NOTHING_HEARD)
    if stats.round_trip_ms is not None:
        parts.append(f"round trip {stats.round_trip_ms:.1f} ms")
    if stats.audio_sent or stats.audio_dropped:
        parts.append(f"voice sent {stats.audio_sent}, dropped {stats.audio_dropped}")
    if stats.audio_received:
        parts.append(
            f"received {stats.audio_received}, late {stats.audio_late}, concealed {stats.audio_concealed} packets"
        )
    waiting = f" ({stats.texts_waiting} not there yet)" if stats.texts_waiting else ""
    parts.append(f"lines sent {stats.texts_sent}{waiting}, received {stats.texts_received}")
    return " · ".join(parts)


def status_line(stats: Stats, width: int) -> str:
    """Return delay, levels, packets and texts, as many as fit into `width` columns; the last ones are left out
    first."""
    if len(line := " · ".join([stats_line(stats), *meters(stats)])) <= width:
        return line
    parts = [clock(stats.seconds)]
    if stats.mouth_to_ear_ms is not None:
        parts.append(f"delay {stats.mouth_to_ear_ms:.0f} ms")
    elif stats.audio_received and stats.round_trip_ms is not None:
        parts.append(NOTHING_HEARD)
    if stats.round_trip_ms is not None:
        parts.append(f"round trip {stats.round_trip_ms:.0f} ms")
    if stats.audio_received or stats.audio_sent or stats.audio_dropped:
        parts.append(f"dropped {stats.audio_dropped}, late {stats.audio_late}, concealed {stats.audio_concealed}")
    parts.append(f"lines {stats.texts_sent}/{stats.texts_received}")
    parts[1:1] = meters(stats)
    while len(parts) > 1 and len(" · ".join(parts)) > width:
        parts.pop()
    return " · ".join(parts)[: max(0, width)]


def meters(stats: Stats) -> list[str]:
    """Return the levels of both sides that are known: `mic [####.|..] -23 dB`, `them [###.....]`."""
    found = []
    if stats.input_level_db is not None:
        bar = meter(stats.input_level_db, stats.input_peak_db, clipped=stats.input_clipped > 0)
        found.append(f"mic {bar} {stats.input_level_db:.0f} dB")
    if stats.their_level_db is not None and stats.audio_received:
        found.append(f"them {meter(stats.their_level_db)}")
    return found


def meter(level_db: float, peak_db: float | None = None, *, clipped: bool = False) -> str:
    """Return a bar of ASCII, always CELLS + 2 wide: `#` up to the level, `|` at the highest peak, `!` if samples were
    clipped."""
    cells = ["#" if level_db >= LOWEST_CELL + number * CELL else "." for number in range(CELLS)]
    if peak_db is not None and peak_db >= LOWEST_CELL:
        cells[min(CELLS - 1, int((peak_db - LOWEST_CELL) / CELL))] = "|"
    if clipped:
        cells[-1] = "!"
    return f"[{''.join(cells)}]"


def level_line(level: Level) -> str:
    """Return how loud both voices are, as a sentence that a screen reader can read."""
    return f"your microphone: {_own_level(level)}; {_their_level(level)}"


def _own_level(level: Level) -> str:
    if level.noise_db is None:
        return "nothing has come from it"
    clipped = f"clipped {level.clipped} samples" if level.clipped else "never clipped"
    noise = f"noise at {level.noise_db:.0f} dB, {clipped}"
    muted = "; you are muted" if level.muted else ""
    if level.speech_db is None:
        return f"no speech in the last 10 seconds, {noise}{muted}"
    return f"speech at {level.speech_db:.0f} dB ({loudness(level.speech_db)}), {noise}{muted}"


def _their_level(level: Level) -> str:
    theirs = level.their_speech_db
    return "no speech has come from them" if theirs is None else f"their speech comes at {theirs:.0f} dB"


def stats_lines(stats: Stats) -> list[str]:
    """Return all the figures, for `/stats`."""
    lines = [stats_line(stats)]
    if stats.buffer_ms is not None:
        lines.append(
            f"delay of their voice: capture {_ms(stats.capture_ms)}, packet {_ms(stats.packet_ms)}, "
            f"network {_ms(stats.network_ms)}, jitter buffer {_ms(stats.buffer_ms)}, "
            f"playout {_ms(stats.playout_ms)} ms"
        )
        drift = "" if stats.drift_ppm is None else f"; their clock is {stats.drift_ppm:+.0f} ppm off ours"
        lines.append(
            f"of their voice {stats.shortened_ms} ms cut out, {stats.lengthened_ms} ms put in; "
            f"gaps of the sound cards: {stats.xruns}{drift}"
        )
    if stats.echo == "on" and stats.echo_db is not None:
        lines.append(f"your microphone hears your loudspeaker at {stats.echo_db:.0f} dB: it is not sent")
    lines.append(f"sending {stats.kbit_sent:.0f} kbit/s, receiving {stats.kbit_received:.0f} kbit/s")
    if stats.relay:
        lines.append(f"the call goes through the relay {stats.relay}")
    if stats.interruptions:
        times = "once" if stats.interruptions == 1 else f"{stats.interruptions} times"
        lines.append(f"the line was lost {times}")
    return lines


def _ms(milliseconds: float | None) -> str:
    return "?" if milliseconds is None else f"{milliseconds:.0f}"


def clock(seconds: float) -> str:
    """Return seconds as "m:ss", or "h:mm:ss" from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
