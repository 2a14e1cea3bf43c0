"""The figures of a call in words."""

from voicemux.events import Stats

NOTHING_HEARD = "no voice comes now"


def stats_line(stats: Stats) -> str:
    """The figures that say how the call goes, in one line."""
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
    """The figures that say how the call goes, as far as they fit into `width` columns."""
    if len(line := stats_line(stats)) <= width:
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
    while len(parts) > 1 and len(" · ".join(parts)) > width:
        parts.pop()
    return " · ".join(parts)[: max(0, width)]


def stats_lines(stats: Stats) -> list[str]:
    """All the figures, for `/stats`."""
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
    if stats.interruptions:
        times = "once" if stats.interruptions == 1 else f"{stats.interruptions} times"
        lines.append(f"the line was lost {times}")
    return lines


def _ms(milliseconds: float | None) -> str:
    return "?" if milliseconds is None else f"{milliseconds:.0f}"


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
