from voicemux.audio.capture.ladder import Ladder, Rung
from voicemux.protocol.messages import Arrivals, Audio, Ping, Report, Text
from voicemux.sending.congestion import TUNNEL_FACTOR, TUNNEL_MORE, CongestionControl
from voicemux.sending.flow import ANSWER_WAIT, LEAST_PIECES, VOICE_BUDGET

ROUND_TRIP = 0.010  # seconds, as the kernel has measured it
SIZE = 100  # bytes of each packet
LATER = 10.0  # seconds: more than anything may be in flight


def audio(sequence: int) -> Audio:
    return Audio(2, 0, sequence, sequence * 960, bytes(80))


def with_kernel() -> CongestionControl:
    """Of a connection whose kernel tells what it has acknowledged."""
    congestion = CongestionControl()
    congestion.on_kernel_round_trip(ROUND_TRIP)
    congestion.on_kernel_ack(0, 0)
    return congestion


def speak(congestion: CongestionControl, *sequences: int) -> None:
    """A packet of voice each 20 ms."""
    for sequence in sequences:
        congestion.on_sent(audio(sequence), SIZE, 0.02 * sequence)


def test_nothing_is_held_back_where_neither_kernel_nor_peer_acknowledges():
    congestion = CongestionControl()
    speak(congestion, *range(100))
    assert congestion.may_send_audio(LATER)


def test_voice_waits_while_the_kernel_does_not_acknowledge_what_is_old():
    congestion = with_kernel()
    speak(congestion, *range(LEAST_PIECES))
    assert congestion.may_send_audio(ROUND_TRIP)
    assert not congestion.may_send_audio(LATER)
    congestion.on_kernel_ack(0, LATER)
    assert congestion.may_send_audio(LATER)


def test_voice_waits_while_tcp_holds_back_what_was_written():
    congestion = with_kernel()
    speak(congestion, *range(LEAST_PIECES))
    congestion.on_unsent(100_000)
    assert not congestion.may_send_audio(ROUND_TRIP)


def test_text_waits_while_the_kernel_does_not_acknowledge_what_is_old():
    congestion = with_kernel()
    congestion.on_sent(Text(1, "text"), SIZE, 0)
    assert congestion.may_send_text(ROUND_TRIP)
    assert not congestion.may_send_text(LATER)
    congestion.on_kernel_ack(0, LATER)
    assert congestion.may_send_text(LATER)


def test_where_the_kernel_does_not_tell_the_peers_reports_do():
    congestion = CongestionControl()
    congestion.on_round_trip(ROUND_TRIP, 0)
    speak(congestion, 0, 1, 2)
    congestion.on_report(Report(0, 2, 0, 0, 0), 0.05)  # now it is known that this peer tells
    speak(congestion, 3, 4, 5)
    assert congestion.may_send_audio(0.1 + ROUND_TRIP)
    too_late = 0.06 + ROUND_TRIP + ANSWER_WAIT + VOICE_BUDGET + LATER
    assert not congestion.may_send_audio(too_late)
    congestion.on_report(Report(0, 5, 0, 0, 0), too_late)
    assert congestion.may_send_audio(too_late)


def test_where_the_kernel_does_not_tell_the_peers_text_acks_do():
    congestion = CongestionControl()
    speak(congestion, 0)
    congestion.on_report(Report(0, 0, 0, 0, 0), 0.01)
    for number in range(1, 30):
        congestion.on_sent(Text(number, "text"), SIZE, 0.02)
    assert not congestion.may_send_text(0.03)
    congestion.on_text_ack(29, 0.03)
    assert congestion.may_send_text(0.03)


def test_what_the_peer_has_not_acknowledged_counts_only_behind_a_tunnel():
    for peer_round_trip, is_behind_tunnel in (
        (ROUND_TRIP * TUNNEL_FACTOR + TUNNEL_MORE - 0.001, False),
        (ROUND_TRIP * TUNNEL_FACTOR + TUNNEL_MORE + 0.001, True),
    ):
        congestion = with_kernel()
        congestion.on_round_trip(peer_round_trip, 0)
        speak(congestion, 0)
        congestion.on_report(Report(0, 0, 0, 0, 0), 0.01)
        speak(congestion, 1, 2, 3)
        congestion.on_kernel_ack(0, LATER)
        assert congestion.may_send_audio(LATER) is not is_behind_tunnel


def test_the_shortest_round_trip_is_kept_though_a_ping_takes_longer():
    congestion = with_kernel()
    congestion.on_round_trip(1.5, 0)
    assert congestion.seen(Ladder(Rung(20, 32_000)), 0).least_round_trip_ms == 1000 * ROUND_TRIP


def test_what_is_in_flight_ages_until_the_kernel_acknowledges_it():
    congestion = with_kernel()
    assert congestion.oldest_in_flight(1) == 0
    congestion.on_sent(Ping(bytes(8)), SIZE, 1)
    congestion.on_sent(audio(1), SIZE, 2)
    assert congestion.oldest_in_flight(5) == 4
    congestion.on_kernel_ack(SIZE, 5)
    assert congestion.oldest_in_flight(5) == 3
    congestion.on_kernel_ack(0, 5)
    assert congestion.oldest_in_flight(5) == 0


def test_the_peer_is_told_of_its_voice_once():
    congestion = CongestionControl()
    assert not congestion.has_news
    for sequence in range(3):
        congestion.on_audio(audio(sequence), 0.02 * sequence)
    assert congestion.has_news
    assert isinstance(congestion.arrivals(), Arrivals)
    assert congestion.arrivals() is None


def test_no_padding_goes_with_silence_or_text():
    congestion = CongestionControl()
    assert congestion.padding(Audio(2, 0, 1, 960, b""), 1) == b""
    assert congestion.padding(Text(1, "text"), 1) == b""
