"""How a listener waits at a relay: under a number for people with its code, and under ids of the day for contacts.

These are two connections, with an owner each: the relay cannot tell that they belong together, but by their address.
"""

import datetime
import secrets
from collections.abc import Callable

from voicemux.calls.rendezvous import ids_to_wait_for
from voicemux.calls.trust import Trust
from voicemux.errors import SecurityError, VoicemuxError
from voicemux.net.listener import Doorway, ListeningSockets
from voicemux.relay.ids import id_of_number
from voicemux.relay.places import RelayPlace
from voicemux.relay.post import Post, is_taken
from voicemux.relay.relayed import RelayedStream
from voicemux.relay.wire import OWNER_SIZE

FIRST_PATIENCE = 3.0  # seconds for each step to the relay, before the user is shown what to tell others
DIGITS = (4, 4, 4, 6, 6, 6)  # of a number, by how many before it were taken


def wait_at(
    place: RelayPlace | None, listener: ListeningSockets, trust: Trust | None, tell: Callable[[str], None]
) -> "RelayPosts | None":
    """Have callers come to the listener through the relay, too, until it closes; None without a relay.

    `tell` is as of `RelayPosts`. Raises OutOfResources, or Unreachable if another program waits under the number that
    the user has chosen; the listener is closed then.
    """
    if not (place and trust):
        return None
    posts = RelayPosts(place, trust, tell)
    doorway = Doorway(posts.close)
    listener.doorways.append(doorway)
    try:
        posts.begin()
        posts.start(doorway.put)
    except BaseException:
        listener.close()
        raise
    return posts


def _new_owner() -> bytes:
    return secrets.token_bytes(OWNER_SIZE)


class RelayPosts:
    """`begin()`, `start()`, and `close()` in the end."""

    def __init__(self, place: RelayPlace, trust: Trust, tell: Callable[[str], None]) -> None:
        """`tell` hears, in any thread, when the relay is lost and when it is there again."""
        self._place = place
        self._trust = trust
        self._tell = tell
        self._posts: list[Post] = []
        self.number = ""  # "" before `begin`, and if only contacts may call

    def begin(self) -> None:
        """Wait under a number, which `trust` has its codes begin with, and for contacts. If the relay is away, it is
        tried again later.

        Raises Unreachable if another program waits under the number of a code that the user has chosen.
        """
        self._posts.append(Post(self._place, _new_owner(), self._contact_ids, self._tell_of_contacts))
        if self._trust.wants_number:
            self._begin_under_a_number()

    def _begin_under_a_number(self) -> None:
        chosen = self._trust.chosen_number
        for digits in DIGITS:
            self.number = chosen or str(10 ** (digits - 1) + secrets.randbelow(9 * 10 ** (digits - 1)))
            id_ = id_of_number(self.number)
            post = Post(self._place, _new_owner(), lambda id_=id_: (id_,), self._tell_of)  # type: ignore[misc]
            try:
                post.try_once(FIRST_PATIENCE)
            except VoicemuxError as error:
                if is_taken(error) and chosen:
                    raise
                if is_taken(error):
                    continue
                self._tell_of(error)
            break
        self._posts.append(post)
        self._trust.use_number(self.number)

    def start(self, on_caller: Callable[[RelayedStream], None]) -> None:
        """Give each caller to `on_caller`, in any thread. Raises OutOfResources."""
        for post in self._posts:
            post.start(on_caller)

    def close(self) -> None:
        for post in self._posts:
            post.close()

    def dials(self, code: str, option: str = "") -> list[str]:
        """What the other side types; `option` is before the target."""
        target = self.target(code)
        return [f"voicemux dial {option}{target}"] if target else []

    def target(self, code: str) -> str:
        """What people who are not contacts yet call: CODE@RELAY; "" if only contacts may call."""
        return f"{code or self.number}@{self._place}" if self.number else ""

    def _contact_ids(self) -> tuple[bytes, ...]:
        trust = self._trust
        try:
            meetings, callers = trust.meetings.all(), trust.callers()
        except SecurityError:  # the user hears of that when a caller comes
            return ()
        return ids_to_wait_for(trust.identity.fingerprint, meetings, callers, datetime.datetime.now(datetime.UTC))

    def _tell_of_contacts(self, error: VoicemuxError | None) -> None:
        """Once is enough: what is wrong with the relay is told of the number. Another listener with our key may wait
        for our contacts already, and then has their calls."""
        if not self.number and not (error and is_taken(error)):
            self._tell_of(error)

    def _tell_of(self, error: VoicemuxError | None) -> None:
        if error:
            self._tell(f"no one can call through the relay {self._place} now: {error}; it is tried again")
        else:
            self._tell(f"the relay {self._place} is there again")
