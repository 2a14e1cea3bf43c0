"""Decides which callers are admitted: contacts, callers with the code, or every caller if the user wants that.

A code that was made here ends when a caller has used it, and a new code takes its place. Wrong guesses do not end a
code; `guesses` limits how many codes may be tried. Only one thread may use this. `now` is in seconds of a monotonic
clock.
"""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace

from voicemux.errors import NotAdmitted
from voicemux.protocol.messages import ByeCode, Claim, Method, Proof, Welcome
from voicemux.security.code import new_code, tidy
from voicemux.security.contacts import Contacts
from voicemux.security.directory import Directory
from voicemux.security.entries import Contact
from voicemux.security.guesses import YEARS, Guesses
from voicemux.security.handshake import Challenger, Peer
from voicemux.security.identity import Identity
from voicemux.security.networks import networks_of

SUSPICIOUS = 10  # wrong codes in a row, of unknown callers: a friend does not mistype so often
LONGER_WORDS = 4  # words of the codes that are made after SUSPICIOUS wrong ones: 38 bits
MOST_CONTACTS = 60  # new contacts per HOUR with a code that a person chose, which others may have learnt
HOUR = 3600.0  # seconds
CONTACTS_GUESSES = 10  # wrong codes of one contact per HOUR that do not count as guesses, but as old commands


class Candidate(Challenger):
    """The listener's part in the handshake of one caller, with the contacts as they were read for its call."""

    def __init__(self, certificate: bytes, claim: Claim, code: str | None, known: Directory) -> None:
        """See `Challenger`. `known` is the directory of this call."""
        super().__init__(certificate, claim, code)
        self.known = known
        # Whether the caller may only resume a call that its key has begun, and may not begin another.
        self.may_only_resume = False


class Admission:
    """Decides for a listener. Call `begin()` with a CLAIM, `finish()` with the PROOF, and `use()` when the HELLO has
    come."""

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
        on_guessing: Callable[[str], None] = lambda _: None,
        number: str = "",
    ) -> None:
        """`code` was chosen by the user; without it, codes of `words` words are made, or none if `words` is 0.
        `allowed` are fingerprints of contacts: if there are any, only these contacts and callers with a code may
        call. `on_code(code, why)` is called when a code has ended, with the next code and the reason.
        `on_guessing(what)` gets messages for the user about wrong codes, each message once. `number` is what codes
        begin with if others know it, as at a relay; "" if it is random. Raises SecurityError for a bad code."""
        self._identity = identity
        self._contacts = contacts
        self._on_code = on_code
        self._on_guessing = on_guessing
        self._makes_codes = not code and words > 0
        self._words = words
        self._is_open = is_open
        self._allowed = allowed
        self._number = number
        self.code = tidy(code) if code else new_code(words, number) if words else ""
        self._guesses = Guesses(self.code if code else "", words, number_is_known=bool(number))
        self._wrong = 0  # wrong codes of unknown callers since the last new code
        self._told: set[str] = set()
        self._mistyped: dict[str, deque[float]] = {}  # when each contact sent wrong codes
        # Whether the key with this fingerprint has begun a call that goes on.
        self.has_call: Callable[[str], bool] = lambda _: False
        # When contacts were made with a code that a person chose.
        self._added: deque[float] = deque(maxlen=MOST_CONTACTS)

    def begin(self, claim: Claim, host: str, now: float) -> Candidate:
        """Answer a CLAIM: return the listener's part, whose `challenge` is sent.

        Raises NotAdmitted if no code is in use, or if none may be tried now, or RemoteProtocolError for a bad CLAIM.
        `host` is the caller's address.
        """
        if claim.method == Method.CODE:
            if not self.code:
                raise NotAdmitted("a code, and none is in use", ByeCode.WRONG_CODE)
            if not self._guesses.may_try(networks_of(host), now):
                longer = (
                    f"--code-words {LONGER_WORDS}" if self._makes_codes else "a longer --code, or none of your own"
                )
                self._tell(
                    "later",
                    "too many wrong codes were tried: callers with a code are told to try again later, and only "
                    f"contacts get in; {longer} helps",
                )
                raise NotAdmitted("too many wrong codes lately to try another now", ByeCode.LATER)
        return Candidate(self._identity.certificate, claim, self.code, self._contacts.directory())

    def finish(self, listener: Candidate, proof: Proof, host: str, now: float) -> tuple[Welcome, Peer]:
        """Judge a PROOF. Returns the WELCOME to send, and the peer.

        Raises NotAdmitted, whose text is for the listener's user, or RemoteProtocolError for a bad PROOF.
        """
        try:
            peer = listener.judge(proof)
        except NotAdmitted as error:
            raise self._guessed_wrong(listener, error, host, now) from error
        if peer.method is Method.CODE:
            self._guesses.right(networks_of(host))
            self._check(listener)
            return listener.welcome(Method.CODE), peer
        try:
            method = self._admitted(peer, listener.known)
        except NotAdmitted:
            if peer.method is not Method.KNOWN or not self.has_call(peer.fingerprint):
                raise
            method, listener.may_only_resume = Method.KNOWN, True
        return listener.welcome(method), replace(peer, method=method)

    def use(self, listener: Candidate, peer: Peer, now: float) -> None:
        """Note that the caller has sent HELLO. If it proved a code, the code is now used, and the caller may become a
        contact.

        Raises NotAdmitted if the code has ended meanwhile, or has made too many contacts.
        """
        if peer.method is not Method.CODE:
            return
        self._check(listener)
        if self._makes_codes:
            self._replace("it has been used")
        elif not self._contact(peer.fingerprint, listener.known):
            if len(self._added) == MOST_CONTACTS and now - self._added[0] < HOUR:
                raise NotAdmitted(f"the code has made {MOST_CONTACTS} contacts within an hour", ByeCode.LATER)
            self._added.append(now)

    def _check(self, listener: Candidate) -> None:
        if listener.code != self.code:
            raise NotAdmitted("a code that was valid a moment ago", ByeCode.WRONG_CODE)

    def _contact(self, fingerprint: str, known: Directory) -> Contact | None:
        """Return the contact with that key, if this contact may call; else None."""
        contact = known.with_fingerprint(fingerprint)
        return contact if contact and (not self._allowed or fingerprint in self._allowed) else None

    def _admitted(self, peer: Peer, known: Directory) -> Method:
        if self._contact(peer.fingerprint, known):
            # A dialler that does not know our key (method OPEN) compares words, so our side must show them, too.
            return peer.method
        if self._is_open:
            return Method.OPEN
        contact = known.with_fingerprint(peer.fingerprint)
        why = f"{contact.name} is not allowed" if contact else "no contact, and no code"
        raise NotAdmitted(why, ByeCode.UNKNOWN_CALLER)

    def _guessed_wrong(self, listener: Candidate, error: NotAdmitted, host: str, now: float) -> NotAdmitted:
        # The PROOF's signature was right, so the key is the caller's.
        contact = self._contact(listener.fingerprint, listener.known)
        if contact and self._may_mistype(contact, now):
            self._guesses.right(networks_of(host))
            return NotAdmitted(f"{contact.name} said an old or wrong code, and needs none", error.code)
        self._wrong += 1
        if self._wrong == SUSPICIOUS:
            longer = ""
            if self._makes_codes and self._words < LONGER_WORDS:
                self._words, longer = LONGER_WORDS, f"; the codes after this one have {LONGER_WORDS} words"
            self._tell(
                "guessing",
                f"callers guess codes: {SUSPICIOUS} wrong ones so far, the last from {networks_of(host)[0]}; "
                f"to hit one takes {YEARS} years or more on average{longer}",
            )
        return error

    def _may_mistype(self, contact: Contact, now: float) -> bool:
        """Count a contact's wrong code. Returns whether it counts as an old command, not as a guess: up to
        CONTACTS_GUESSES per HOUR do."""
        when = self._mistyped.setdefault(contact.fingerprint, deque(maxlen=CONTACTS_GUESSES))
        if len(when) == CONTACTS_GUESSES and now - when[0] < HOUR:
            return False
        when.append(now)
        return True

    def _replace(self, why: str) -> None:
        self._wrong = 0
        self.code = new_code(self._words, self._number)
        if self._words != self._guesses.words:
            self._guesses = Guesses("", self._words, number_is_known=bool(self._number))
        self._on_code(self.code, why)

    def _tell(self, topic: str, what: str) -> None:
        if topic not in self._told:
            self._told.add(topic)
            self._on_guessing(what)
