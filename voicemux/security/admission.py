"""Who may call: contacts, whoever knows the code, anybody if the owner wants it so. It belongs to one thread.

A code that was used, or guessed wrong too often, is over; a new one takes its place, unless somebody chose it.
"""

from collections.abc import Callable, Collection

from voicemux.errors import NotAdmitted
from voicemux.protocol.messages import ByeCode, Claim, Method, Proof, Welcome
from voicemux.security.code import new_code, tidy
from voicemux.security.contacts import Contacts
from voicemux.security.handshake import Listener, Peer
from voicemux.security.identity import Identity

GUESSES = 3  # wrong ones that end a code


class Admission:
    """`begin()` with a CLAIM, `finish()` with the PROOF."""

    def __init__(
        self,
        identity: Identity,
        contacts: Contacts,
        on_code: Callable[[str, str], None],
        *,
        code: str = "",
        words: int = 0,
        is_open: bool = False,
        allowed: Collection[str] = (),
    ) -> None:
        """`code` was chosen by the owner; otherwise codes of so many `words` are made, none if that is 0.

        `allowed` are names of contacts: only they may call then, or whoever knows a code. `on_code(code, why)` hears
        that a code is over, and of the next, "" if there is none. Raises SecurityError for a bad code.
        """
        self._identity = identity
        self._contacts = contacts
        self._on_code = on_code
        self._makes_codes = not code and words
        self._words = words
        self._is_open = is_open
        self._allowed = allowed
        self._wrong = 0  # guesses at this code
        self.code = tidy(code) if code else new_code(words) if words else ""

    def begin(self, claim: Claim) -> Listener:
        """Raises RemoteProtocolError."""
        return Listener(self._identity.certificate, claim, self.code)

    def finish(self, listener: Listener, proof: Proof) -> tuple[Welcome, Peer]:
        """Raises NotAdmitted, whose text is for the owner, or RemoteProtocolError."""
        try:
            peer = listener.judge(proof)
        except NotAdmitted as error:
            raise self._guessed_wrong(listener, error) from error
        method = self._admitted(listener, peer)
        return listener.welcome(method), Peer(peer.fingerprint, method, peer.words)

    def _admitted(self, listener: Listener, peer: Peer) -> Method:
        if peer.method is Method.CODE:
            if listener.code != self.code:
                raise NotAdmitted("a code that was valid a moment ago", ByeCode.WRONG_CODE)
            if self._makes_codes:
                self._replace("it has been used")
            return Method.CODE
        contact = self._contacts.with_fingerprint(peer.fingerprint)
        if contact and (not self._allowed or contact.name in self._allowed):
            # Whoever does not know us compares words, so that we must show them, too.
            return peer.method
        if self._is_open:
            return Method.OPEN
        why = f"{contact.name} is not allowed" if contact else "no contact, and no code"
        raise NotAdmitted(why, ByeCode.UNKNOWN_CALLER)

    def _guessed_wrong(self, listener: Listener, error: NotAdmitted) -> NotAdmitted:
        if not self.code or listener.code != self.code:
            return error
        self._wrong += 1
        if self._wrong < GUESSES:
            return NotAdmitted(f"{error}, {GUESSES - self._wrong} more end it", ByeCode.WRONG_CODE)
        self._replace(f"it was guessed at {GUESSES} times")
        return error

    def _replace(self, why: str) -> None:
        self._wrong = 0
        self.code = new_code(self._words) if self._makes_codes else ""
        self._on_code(self.code, why)
