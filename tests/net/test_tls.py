"""TLS over streams that somebody else carries: right in any segmentation, and with any threads at once."""

import contextlib
import select
import ssl
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peers import PATIENCE, PROMPTLY, answering_tls, connected, dialling_tls, sockets, stream_of
from tests.protocol.strategies import cuts
from tests.security import certificates
from voicemux.errors import ConnectionLost, RemoteProtocolError, SecurityError, VoicemuxError
from voicemux.net.tcp import TcpStream
from voicemux.net.tls import MOST_HANDSHAKE, Channel, TlsStream, dialler_context, listener_context
from voicemux.protocol.wire import PREFACE
from voicemux.security.identity import Identity, load_identity

CONNECTIONS = 300  # each with four threads that are let go at once: what crashes does within some tens
WORDS = [bytes([number % 256]) * (100 + number) for number in range(60)]


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return load_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="module")
def server_context(identity):
    return listener_context(identity.path)


def pair(server_context: ssl.SSLContext) -> tuple[Channel, Channel]:
    """Dialler and listener, before they have spoken."""
    dialler, listener = Channel(dialler_context(), is_server=False), Channel(server_context, is_server=True)
    dialler.begin()
    return dialler, listener


def shake_hands(dialler: Channel, listener: Channel) -> None:
    while not (dialler.established and listener.established):
        listener.receive(dialler.take_outgoing() or b"") if not listener.established else None
        dialler.receive(listener.take_outgoing()) if not dialler.established else None


@pytest.fixture
def channels(server_context):
    dialler, listener = pair(server_context)
    shake_hands(dialler, listener)
    return dialler, listener


def test_the_dialler_sees_the_listeners_certificate(channels, identity):
    dialler, listener = channels
    assert dialler.peer_certificate == identity.certificate
    assert listener.peer_certificate == b""


@settings(max_examples=30, deadline=None)
@given(said=st.lists(st.binary(min_size=1, max_size=40_000), max_size=5), data=st.data())
def test_what_is_said_arrives_however_it_is_cut(server_context, said, data):
    dialler, listener = pair(server_context)
    shake_hands(dialler, listener)
    for mouth, ear in ((dialler, listener), (listener, dialler)):
        stream = b"".join(map(mouth.seal, said))
        heard = b"".join(ear.receive(piece) or b"" for piece in data.draw(cuts(stream)) if piece)
        assert heard == b"".join(said)


parts = st.floats(0, 1, exclude_max=True)  # of a handshake, which is not of the same length each time


@given(places=st.lists(parts, max_size=6).map(sorted))
def test_a_handshake_works_however_it_is_cut_also_with_what_is_said_right_behind_it(server_context, places):
    dialler, listener = pair(server_context)
    heard = b""
    for mouth, ear in ((dialler, listener), (listener, dialler), (dialler, listener)):
        stream = mouth.take_outgoing() + (mouth.seal(b"hello") if mouth.established else b"")
        cut = [0, *(int(place * len(stream)) for place in places), len(stream)]
        for piece in filter(None, (stream[start:end] for start, end in pairwise(cut))):
            heard += ear.receive(piece) or b""
    assert heard == b"hello"
    assert listener.established


@given(place=parts)
def test_a_handshake_that_is_cut_off_anywhere_is_a_known_error_and_no_connection(server_context, place):
    dialler, listener = pair(server_context)
    hello = dialler.take_outgoing()
    listener.receive(hello)
    for channel, said in ((Channel(server_context, is_server=True), hello), (dialler, listener.take_outgoing())):
        if part := said[: int(place * len(said))]:
            assert channel.receive(part) is None
        with pytest.raises(ConnectionLost, match=r"^the connection ended (without a word|in the middle of the TLS)"):
            channel.receive(b"")
        assert not channel.established


def test_a_handshake_one_byte_at_a_time_works_too(server_context):
    dialler, listener = pair(server_context)
    for _ in range(3):
        for mouth, ear in ((dialler, listener), (listener, dialler)):
            for byte in mouth.take_outgoing():
                assert ear.receive(bytes([byte])) is None
    assert dialler.established
    assert listener.established


def test_one_side_may_finish_while_the_other_goes_on(channels):
    dialler, listener = channels
    assert listener.receive(dialler.seal(b"bye") + dialler.finish()) == b"bye"
    assert listener.ended
    assert dialler.receive(listener.seal(b"last words")) == b"last words"
    assert dialler.receive(listener.finish()) == b""


@given(said=st.binary(min_size=1, max_size=40_000), data=st.data())
def test_whoever_finishes_in_the_middle_of_what_it_hears_hears_the_rest(server_context, said, data):
    dialler, listener = pair(server_context)
    shake_hands(dialler, listener)
    stream = listener.seal(said) + listener.finish()
    place = data.draw(st.integers(1, len(stream) - 1))
    heard = dialler.receive(stream[:place]) or b""
    assert listener.receive(dialler.finish()) == b""
    assert heard + (dialler.receive(stream[place:]) or b"") == said
    assert dialler.ended


def test_a_stream_that_is_cut_off_has_ended(channels):
    dialler, listener = channels
    assert listener.receive(dialler.seal(b"torn")[:-1]) is None
    assert listener.receive(b"") == b""


@pytest.mark.parametrize("place", [6, -1])
def test_a_bit_that_was_changed_is_noticed_and_nothing_can_be_said_after_it(channels, place):
    dialler, listener = channels
    sealed = bytearray(dialler.seal(b"pay 10"))
    sealed[place] ^= 1
    with pytest.raises(ConnectionLost, match="the encrypted stream is damaged: "):
        listener.receive(bytes(sealed))
    with pytest.raises(ConnectionLost, match="the encrypted stream is damaged"):
        listener.seal(b"paid")


def test_no_tickets_are_given_out_that_would_be_one_more_secret(server_context):
    dialler, listener = pair(server_context)
    listener.receive(dialler.take_outgoing())
    dialler.receive(listener.take_outgoing())
    finished = dialler.take_outgoing()
    assert dialler.established
    listener.receive(finished)
    assert listener.established
    assert listener.take_outgoing() == b"", "where a listener has tickets, they follow the dialler's last word"
    assert server_context.num_tickets == 0


def older(protocol: int, identity: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if identity:
        context.load_cert_chain(identity)
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_an_older_tls_is_refused_with_one_clear_line_by_a_listener_and_by_a_dialler(server_context, identity):
    old, listener = Channel(older(ssl.PROTOCOL_TLS_CLIENT), is_server=False), Channel(server_context, is_server=True)
    old.begin()
    with pytest.raises(RemoteProtocolError, match=r"^no TLS 1\.3 with the other side: unsupported protocol$"):
        listener.receive(old.take_outgoing())
    dialler, old = pair(older(ssl.PROTOCOL_TLS_SERVER, identity.path))
    with pytest.raises(RemoteProtocolError):
        old.receive(dialler.take_outgoing())
    with pytest.raises(RemoteProtocolError, match=r"^no TLS 1\.3 with the other side: [a-z0-9 ]+$"):
        dialler.receive(old.take_outgoing())


def test_a_listener_with_a_certificate_of_any_size_is_not_listened_to(tmp_path):
    (tmp_path / "large.pem").write_bytes(certificates.large(MOST_HANDSHAKE))
    dialler, listener = pair(listener_context(tmp_path / "large.pem"))
    listener.receive(dialler.take_outgoing())
    with pytest.raises(RemoteProtocolError, match=f"a TLS handshake of over {MOST_HANDSHAKE} bytes"):
        dialler.receive(listener.take_outgoing())


def test_a_record_that_is_sent_twice_is_noticed(channels):
    dialler, listener = channels
    sealed = dialler.seal(b"pay 10")
    assert listener.receive(sealed) == b"pay 10"
    with pytest.raises(ConnectionLost):
        listener.receive(sealed)


@pytest.mark.parametrize(
    ("first", "kind", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", RemoteProtocolError, "that is not voicemux, it speaks HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", RemoteProtocolError, "that is not voicemux, it speaks SSH"),
        (PREFACE, SecurityError, "plain calls are taken there, not encrypted ones"),
        (b"\x15\x03\x03\x00\x02\x02\x28", RemoteProtocolError, "no TLS 1.3 with the other side: "),
        (b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", RemoteProtocolError, "no TLS 1.3 with the other side: "),
        (b"", ConnectionLost, "the connection ended without a word"),
    ],
)
def test_whatever_else_answers_is_named(first, kind, words):
    channel = Channel(dialler_context(), is_server=False)
    channel.begin()
    with pytest.raises(kind) as refused:
        channel.receive(first)
    assert str(refused.value).startswith(words)


@given(st.lists(st.binary(min_size=1, max_size=2000), max_size=30))
def test_garbage_gives_a_known_error_or_silence_and_never_more_than_a_handshake_is_read(server_context, pieces):
    channel = Channel(server_context, is_server=True)
    read = 0
    with contextlib.suppress(VoicemuxError):
        for piece in pieces:
            assert channel.receive(piece) is None
            read += len(piece)
            assert read <= MOST_HANDSHAKE
    assert not channel.established


# --- streams


def streams(server_context: ssl.SSLContext) -> tuple[TlsStream, TlsStream]:
    left, right = map(stream_of, sockets())
    near = dialling_tls(left)
    far = answering_tls(right, server_context)
    while not near.is_secure:
        near.receive()
    while not far.is_secure:
        far.receive()
    return near, far


def test_hundreds_of_fresh_streams_are_read_and_written_by_all_their_threads_at_once(server_context):
    """An SSLSocket crashes the interpreter here, or says "bad record MAC" (CPython gh-143756)."""
    wrong: list[object] = []

    def write(stream: TlsStream, together: threading.Barrier) -> None:
        together.wait(PATIENCE)
        for word in WORDS:
            stream.write(word)
        stream.finish()

    def read(stream: TlsStream, together: threading.Barrier) -> None:
        together.wait(PATIENCE)
        heard = []
        try:
            while data := stream.read():
                heard.append(data)
        except VoicemuxError as error:
            wrong.append(error)
        if b"".join(heard) != b"".join(WORDS):
            wrong.append(heard)

    for _ in range(CONNECTIONS):
        together = threading.Barrier(4)
        both = streams(server_context)
        threads = [threading.Thread(target=body, args=(each, together)) for each in both for body in (write, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for stream in both:
            stream.close()
        assert not wrong


def test_what_a_line_counts_is_what_goes_over_the_network(server_context):
    near, far = streams(server_context)
    before = near.bytes_written
    near.write(b"hello")
    assert far.read() == b"hello"
    assert near.bytes_written - before == len(b"hello") + 22  # record header, content type, tag
    assert far.bytes_read == near.bytes_written
    near.close()
    far.close()


@contextlib.contextmanager
def encrypted(identity: Identity) -> Iterator[tuple[TlsStream, TlsStream]]:
    """Both ends of an encrypted stream, the dialler's first."""
    with encrypted_over(identity, *map(stream_of, sockets())) as both:
        yield both


@contextlib.contextmanager
def encrypted_over(identity: Identity, near: TcpStream, far: TcpStream) -> Iterator[tuple[TlsStream, TlsStream]]:
    try:
        dialler = dialling_tls(near)
        listener = answering_tls(far, listener_context(identity.path))
        for stream in (dialler, listener):
            while not stream.is_secure:
                stream.receive()
        yield dialler, listener
    finally:
        near.close()
        far.close()


def test_inside_tls_bytes_cross_both_ways(identity):
    with encrypted(identity) as (dialler, listener):
        for mouth, ear in ((dialler, listener), (listener, dialler)):
            before = mouth.bytes_written, ear.bytes_read
            mouth.write(b"there")
            assert ear.read() == b"there"
            assert mouth.bytes_written - before[0] == ear.bytes_read - before[1] > len(b"there")


def test_inside_tls_nothing_is_legible_on_its_way(identity):
    with connected() as (below, peer):
        stream = dialling_tls(below)
        answering_tls(stream_of(peer.socket), listener_context(identity.path))
        while not stream.is_secure:
            stream.receive()
        stream.write(PREFACE + b"a secret")
        on_its_way = peer.socket.recv(65_536)
        assert len(on_its_way) > len(PREFACE)
        assert PREFACE not in on_its_way
        assert b"secret" not in on_its_way


def test_the_dialler_sees_the_listeners_certificate_and_the_listener_none(identity):
    with encrypted(identity) as (dialler, listener):
        assert dialler.peer_certificate == identity.certificate
        assert listener.peer_certificate == b""


def test_a_stream_is_not_secure_before_both_have_agreed():
    with connected() as (below, peer):
        stream = dialling_tls(below)
        assert not stream.is_secure
        assert stream.peer_certificate == b""
        assert peer.socket.recv(1) == b"\x16"


def test_whoever_has_finished_inside_tls_can_still_read(identity):
    with encrypted(identity) as (dialler, listener):
        dialler.finish()
        assert listener.read() == b""
        listener.write(b"last words")
        assert dialler.read() == b"last words"
        listener.finish()
        assert dialler.read() == b""


def test_cutting_wakes_whoever_reads_inside_tls(identity):
    with encrypted(identity) as (dialler, listener):
        got = []
        reader = threading.Thread(target=lambda: got.append(dialler.read()))
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()
        dialler.cut()
        reader.join(PROMPTLY)
        assert got == [b""]
        assert listener.read() == b""


def await_the_end(stream: TcpStream) -> None:
    """Until the kernel has the end of what comes, or a reset, also behind what was not read."""
    waiting = select.poll()
    waiting.register(stream.fileno(), select.POLLRDHUP)
    assert waiting.poll(1000 * PATIENCE)


def test_what_is_changed_on_its_way_is_a_lost_connection(identity):
    near, far = map(stream_of, sockets())
    with encrypted_over(identity, near, far) as (dialler, _):
        far.write(b"\x17\x03\x03\0\x20" + bytes(32))
        with pytest.raises(ConnectionLost, match=r"^the encrypted stream is damaged: "):
            dialler.read()


@pytest.mark.parametrize(
    ("first", "kind", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.7\r\n", RemoteProtocolError, "that is not voicemux, it speaks SSH"),
        (b"\x15\x03\x03\0\2\2\x46", RemoteProtocolError, "no TLS 1.3 with the other side: tlsv1 alert protocol"),
        (PREFACE, SecurityError, "plain calls are taken there, not encrypted ones"),
    ],
)
def test_whoever_does_not_answer_to_tls_is_named_also_if_it_has_gone_since(first, kind, words):
    with connected() as (below, peer):
        stream = dialling_tls(below)
        peer.send(first)
        peer.reset()
        await_the_end(below)
        with pytest.raises(kind, match=f"^{words}"):
            stream.read()


def test_whoever_breaks_off_in_the_middle_of_its_first_word_is_named():
    with connected() as (below, peer):
        stream = dialling_tls(below)
        peer.send(PREFACE[:4])
        peer.finish()
        await_the_end(below)
        peer.socket.close()  # its kernel is angry: something had not been read
        with pytest.raises(RemoteProtocolError, match=r"^that is not voicemux, it speaks something unknown$"):
            stream.read()
