"""Cases of what clients say to a relay, and what it answers: relay.md §3 to §8."""

import secrets

from voicemux.conform.relay_subject import RelaySubject, new_id, new_owner, relay_case
from voicemux.conform.verdict import Failed
from voicemux.protocol.wire import MAX_PAYLOAD, header_struct
from voicemux.relay.encoding import encoded
from voicemux.relay.messages import CallFor, Paired, Parked, Refused, RefusedCode, Token, Wait
from voicemux.relay.wire import (
    MOST_CALLED,
    MOST_WAITED,
    PREFACE,
    TAG_CALL,
    TAG_TOKEN,
    TAG_WAIT,
    TAG_WAITING,
)

SILENCE = 0.5  # seconds in which nothing may come
STRANGERS = (b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n", b"VMUX/1\r\n", bytes(16))
OTHER_VERSION = b"VMXR/9\r\n"
UNUSED_TAG = 0x3F
MUCH_PATIENCE = 20.0  # seconds for the MUCH bytes
MOST_AHEAD = 16_384  # bytes behind a CALL
ASK_PATIENCE = 5.0  # seconds for WAIT or CALL
KEPT = 3.0  # seconds for which a CALL is kept
LATE = 3.0  # seconds that a busy relay may be late

# --- section 3: the connection


@relay_case(3)
def relay_silent_at_first(relay: RelaySubject) -> None:
    """The relay sends nothing before it has 8 bytes of a preface."""
    link = relay.connect()
    for piece in (b"", PREFACE[:-1]):
        if piece:
            link.write(piece)
        if came := link.read(1, SILENCE):
            raise Failed(f"expected nothing before the preface is whole, got {came!r}")


@relay_case(3)
def relay_strangers(relay: RelaySubject) -> None:
    """Bytes that cannot be a preface get no answer; the relay ends the stream."""
    for said in STRANGERS:
        link = relay.connect()
        link.write(said)
        link.expect_end()


@relay_case(3)
def relay_other_version(relay: RelaySubject) -> None:
    """A preface of another version is answered with the relay's, and with REFUSED of code 5."""
    link = relay.connect()
    link.write(OTHER_VERSION)
    link.expect_refusal(RefusedCode.VERSION)


@relay_case(3)
def relay_byte_by_byte(relay: RelaySubject) -> None:
    """Any segmentation is accepted."""
    link = relay.connect()
    link.say(*relay.token, Wait(new_owner(), (new_id(),)), trickles=True)
    link.expect(Parked)


@relay_case(3)
def relay_unknown_tags(relay: RelaySubject) -> None:
    """Frames of an unknown tag are skipped, and flags are ignored."""
    link = relay.connect()
    link.say(*relay.token)
    link.frame(UNUSED_TAG, b"x" * 100)
    link.frame(TAG_WAIT, new_owner() + new_id(), flags=0xFF)
    link.expect(Parked)


@relay_case(3)
def relay_too_long(relay: RelaySubject) -> None:
    """A frame of more than 4096 bytes is refused by its header."""
    link = relay.connect()
    link.write(PREFACE + header_struct.pack(MAX_PAYLOAD + 1, UNUSED_TAG, 0))
    link.expect_refusal(RefusedCode.PROTOCOL)


# --- section 4: messages


@relay_case(4)
def relay_layouts(relay: RelaySubject) -> None:
    """A WAIT, CALL or TOKEN that does not fit its layout is refused."""
    wrong = {
        "a WAIT without ids": (TAG_WAIT, new_owner()),
        "a WAIT of 65 ids": (TAG_WAIT, new_owner() + new_id() * (MOST_WAITED + 1)),
        "a WAIT with half an id": (TAG_WAIT, new_owner() + new_id()[:16]),
        "a CALL without ids": (TAG_CALL, b""),
        "a CALL of 9 ids": (TAG_CALL, new_id() * (MOST_CALLED + 1)),
        "a TOKEN that is not UTF-8": (TAG_TOKEN, b"\xff"),
        "a TOKEN of 129 bytes": (TAG_TOKEN, b"x" * 129),
    }
    for what, (tag, payload) in wrong.items():
        link = relay.connect()
        link.say()
        link.frame(tag, payload)
        link.expect_refusal(RefusedCode.PROTOCOL, what)


@relay_case(4)
def relay_most_ids(relay: RelaySubject) -> None:
    """64 ids in a WAIT and 8 in a CALL are not too many."""
    ids = tuple(new_id() for _ in range(MOST_WAITED))
    listener = relay.wait(*ids)
    dialler = relay.call(*(new_id() for _ in range(MOST_CALLED - 1)), ids[-1])
    for link in (dialler, listener):
        _check_id(link.expect(Paired), ids[-1])


@relay_case(4)
def relay_token(relay: RelaySubject) -> None:
    """An open relay ignores a TOKEN; a private one refuses WAIT and CALL without the right one."""
    if not relay.place.token:
        link = relay.connect()
        link.say(Token("sesame"), Wait(new_owner(), (new_id(),)))
        link.expect(Parked)
        return
    for said in ((), (Token("not the one"),)):
        for request in (Wait(new_owner(), (new_id(),)), CallFor((new_id(),))):
            link = relay.connect()
            link.say(*said, request)
            link.expect_refusal(RefusedCode.TOKEN)


@relay_case(4)
def relay_first_bytes(relay: RelaySubject) -> None:
    """Bytes that a dialler sends after its CALL reach the listener after PAIRED, up to 16,384 bytes."""
    for size in (1, MOST_AHEAD):
        meant, data = new_id(), secrets.token_bytes(size)
        listener = relay.wait(meant)
        dialler = relay.call(meant, behind=data)
        listener.expect(Paired)
        listener.expect_bytes(data, "behind CALL", MUCH_PATIENCE)
        dialler.expect(Paired)


@relay_case(4)
def relay_early_listener(relay: RelaySubject) -> None:
    """A listener that sends something after its WAIT is refused."""
    link = relay.wait(new_id())
    link.write(b"hello")
    link.expect_refusal(RefusedCode.PROTOCOL)


# --- section 6: order


@relay_case(6)
def relay_order(relay: RelaySubject) -> None:
    """TOKEN may come once, WAIT or CALL once, and no message that only a relay sends."""
    wait = Wait(new_owner(), (new_id(),))
    wrong = {
        "a second WAIT": encoded(wait) * 2,
        "a CALL behind a WAIT": encoded(wait) + encoded(CallFor((new_id(),))),
    }
    token = b"".join(map(encoded, relay.token))
    for what, said in wrong.items():
        link = relay.connect()
        link.write(PREFACE + token + said)
        reply = link.reply()
        if isinstance(reply, Parked):
            reply = link.reply()
        if not isinstance(reply, Refused) or reply.code != RefusedCode.PROTOCOL:
            raise Failed(f"{what}: expected REFUSED of code 4 (PROTOCOL), got {reply or 'nothing'}")
    link = relay.connect()
    link.write(PREFACE + encoded(Token(relay.place.token or "sesame")) * 2)
    link.expect_refusal(RefusedCode.PROTOCOL, "a second TOKEN")
    link = relay.connect()
    link.say()
    link.frame(TAG_WAITING, bytes.fromhex("04 a1b2 c6336402"))
    link.expect_refusal(RefusedCode.PROTOCOL, "a WAITING of a client")


@relay_case(6)
def relay_same_owner(relay: RelaySubject) -> None:
    """A new WAIT of the same owner takes the place of the older one, which is refused as TAKEN."""
    meant, owner = new_id(), new_owner()
    older = relay.wait(meant, owner=owner)
    newer = relay.wait(meant, owner=owner)
    older.expect_refusal(RefusedCode.TAKEN)
    relay.call(meant).expect(Paired)
    newer.expect(Paired)


@relay_case(6)
def relay_other_owner(relay: RelaySubject) -> None:
    """A WAIT of another owner is refused as TAKEN, and the first one goes on."""
    meant = new_id()
    first = relay.wait(new_id(), meant)
    thief = relay.connect()
    thief.say(*relay.token, Wait(new_owner(), (new_id(), meant)))
    thief.expect_refusal(RefusedCode.TAKEN)
    relay.call(meant).expect(Paired)
    first.expect(Paired)


@relay_case(6)
def relay_absent(relay: RelaySubject) -> None:
    """A CALL for an id that no listener waits for is refused as ABSENT, also when its listener has gone."""
    relay.call(new_id()).expect_refusal(RefusedCode.ABSENT, within=KEPT + LATE)
    meant = new_id()
    listener = relay.wait(meant)
    listener.finish()
    listener.expect_end()
    relay.call(meant).expect_refusal(RefusedCode.ABSENT, within=KEPT + LATE)


@relay_case(6)
def relay_first_that_waits(relay: RelaySubject) -> None:
    """Of the ids of a CALL, the first one counts that a listener waits for."""
    one, other = new_id(), new_id()
    first, second = relay.wait(one), relay.wait(other)
    _check_id(relay.call(new_id(), other, one).expect(Paired), other)
    _check_id(second.expect(Paired), other)
    if reply := first.reply(SILENCE):
        raise Failed(f"expected the other listener to wait on, got {reply}")


@relay_case(6)
def relay_waits_no_more(relay: RelaySubject) -> None:
    """A listener that was joined to a dialler no longer waits, for none of its ids; if it waits anew, it gets the
    next call."""
    one, other, owner = new_id(), new_id(), new_owner()
    listener = relay.wait(one, other, owner=owner)
    relay.call(one).expect(Paired)
    listener.expect(Paired)
    next_call = relay.call(other)
    reply = next_call.reply(SILENCE)
    if isinstance(reply, Paired):
        raise Failed("expected a second CALL to wait, or to be refused, got PAIRED")
    again = relay.wait(one, other, owner=owner)
    if reply is None:
        next_call.expect(Paired)
    else:  # the relay keeps no CALL, which is allowed
        relay.call(other).expect(Paired)
    again.expect(Paired)


# --- section 8: limits


@relay_case(8, slow=True)
def relay_says_nothing(relay: RelaySubject) -> None:
    """A client that asks for nothing is closed after 5 seconds."""
    link = relay.connect()
    link.write(PREFACE)
    link.reply(ASK_PATIENCE + LATE)
    if not link.ended:
        raise Failed(f"expected the end of the stream, got nothing of the kind for {ASK_PATIENCE + LATE:g} s")


def _check_id(paired: Paired, meant: bytes) -> None:
    if paired.id != meant:
        raise Failed(f"expected PAIRED by the id {meant.hex()[:16]}..., got {paired.id.hex()[:16]}...")
