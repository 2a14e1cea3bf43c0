"""Messages and streams as hypothesis draws them."""

from hypothesis import strategies as st

from voicemux.protocol.messages import (
    Arrivals,
    Audio,
    Bye,
    Challenge,
    Claim,
    Hello,
    Message,
    NetworkPath,
    Paths,
    Ping,
    Pong,
    Proof,
    Report,
    Ringing,
    Text,
    TextAck,
    VoiceState,
    Welcome,
)

u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
eight_bytes = st.binary(min_size=8, max_size=8)


def texts_of_bytes(limit: int) -> st.SearchStrategy[str]:
    return st.text(max_size=limit).filter(lambda text: len(text.encode()) <= limit)


hellos = st.builds(
    Hello,
    name=texts_of_bytes(64),
    agent=texts_of_bytes(64),
    codecs=st.none() | st.lists(u8, max_size=255).map(tuple),
    channels=u8,
) | st.builds(
    Hello, session=st.binary(min_size=16, max_size=16), last_text=st.none() | u32, grace=u16, paths=st.booleans()
)
in_call = st.one_of(
    st.builds(Text, id=u32, text=st.text(max_size=50), more=st.booleans()),
    st.builds(Audio, codec=u8, source=u8, sequence=u16, timestamp=u32, data=st.binary(max_size=4088)),
    st.builds(Ping, eight_bytes),
    st.builds(Pong, eight_bytes),
    st.builds(TextAck, u32),
    st.builds(Report, source=u8, sequence=u16, timestamp=u32, delay=u16, target=u16),
    st.builds(Arrivals, source=u8, sequence=u16, least=u16, most=u16),
    st.builds(
        Paths,
        paths=st.lists(st.builds(NetworkPath, kind=u8, address=st.ip_addresses().map(str), port=u16), max_size=8).map(
            tuple
        ),
        now=st.booleans(),
    ),
    st.builds(
        VoiceState, source=u8, voice=st.booleans(), muted=st.booleans(), deafened=st.booleans(), records=st.booleans()
    ),
)
byes = st.builds(Bye, code=u16, reason=texts_of_bytes(256))
nonces = st.binary(min_size=32, max_size=32)
short = st.binary(max_size=255)
claims = st.builds(Claim, method=u8, commitment=nonces, share=short, certificate=st.binary(max_size=2048))
challenges = st.builds(Challenge, nonces, short)
proofs = st.builds(Proof, nonces, short, short)
welcomes = st.builds(Welcome, u8, short)
authentication = st.one_of(claims, challenges, proofs, welcomes)
messages: st.SearchStrategy[Message] = st.one_of(hellos, in_call, byes, st.just(Ringing()), authentication)


@st.composite
def cuts(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """`stream` in pieces, as TCP may bring it."""
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
