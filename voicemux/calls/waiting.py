"""How a listener waits at a relay: under a number for people who have its code, and under ids that change daily for
contacts.

These are two connections with two random owner ids, so that the relay cannot tell that they belong together, except
by their IP address.
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

FIRST_PATIENCE = 3.0  # seconds for each step to the relay, before the user is shown what callers must type
# Digits of the number in each attempt: after three numbers that were taken, longer ones are tried.
DIGITS = (4, 4, 4, 6, 6, 6)


def wait_at(
    place: RelayPlace | None, listener: ListeningSockets, trust: Trust | None, tell: Callable[[str], None]
) -> "RelayPosts | None":
    """Let callers reach the listener through the relay, too, until it closes. Returns None without a relay.

    `tell` is as of `RelayPosts`. Raises OutOfResources, or Unreachable if another program waits under the number that
    the user chose; the listener is closed then.
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
    """The two places at a relay where one listener waits. Call `begin()`, `start()`, and in the end `close()`."""

    def __init__(self, place: RelayPlace, trust: Trust, tell: Callable[[str], None]) -> None:
        """`tell` gets a sentence when the relay is lost and when it is back, and when our files of contacts cannot be
        read; any thread may call it."""
        self._place = place
        self._trust = trust
        self._tell = tell
        self._posts: list[Post] = []
        self._unread = ""  # what the user was told when the contacts could not be read; "" if they can be
        self.number = ""  # the number of this listener; "" before `begin`, and if only contacts may call

    def begin(self) -> None:
        """Connect to the relay and wait under a number, which becomes the beginning of each code, and for contacts.
        If the relay cannot be reached, it is tried again later.

        Raises Unreachable if another program waits under the number of the code that the user chose.
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
        """End the connections to the relay, and their threads."""
        for post in self._posts:
            post.close()

    def dials(self, code: str, option: str = "") -> list[str]:
        """Return the commands that a caller may type; `option` is put before the target."""
        target = self.target(code)
        return [f"voicemux dial {option}{target}"] if target else []

    def target(self, code: str) -> str:
        """Return what callers who are not contacts yet dial: CODE@RELAY; "" if only contacts may call."""
        return f"{code or self.number}@{self._place}" if self.number else ""

    def _contact_ids(self) -> tuple[bytes, ...]:
        trust = self._trust
        try:
            meetings, callers = trust.meetings.all(), trust.callers()
        except SecurityError as error:
            if str(error) != self._unread:
                self._tell(f"{error}; until then, no contact can call through the relay {self._place}")
            self._unread = str(error)
            return ()
        self._unread = ""
        return ids_to_wait_for(trust.identity.fingerprint, meetings, callers, datetime.datetime.now(datetime.UTC))

    def _tell_of_contacts(self, error: VoicemuxError | None) -> None:
        """Tell the user what is wrong with the relay, unless the connection for the number tells the same.

        Another listener with our key may wait for our contacts already: then it gets their calls, and that is not
        told.
        """
        if not self.number and not (error and is_taken(error)):
            self._tell_of(error)

    def _tell_of(self, error: VoicemuxError | None) -> None:
        if error:
            self._tell(f"no one can call through the relay {self._place} now: {error}; it is tried again")
        else:
            self._tell(f"the relay {self._place} is there again")
