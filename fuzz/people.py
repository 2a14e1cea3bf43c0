"""Bob, who listens, Alice, whom he knows, and Mallory, whom he does not."""

import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

from voicemux.security.contacts import Contacts
from voicemux.security.identity import Identity, load_identity


class People(NamedTuple):
    folder: tempfile.TemporaryDirectory[str]  # gone with the last who knows of it
    bob: Identity
    contacts: Contacts
    alice: Identity
    mallory: Identity


@functools.cache
def people() -> People:
    folder = tempfile.TemporaryDirectory()
    bob, alice, mallory = (load_identity(Path(folder.name) / name) for name in ("bob", "alice", "mallory"))
    contacts = Contacts(bob.path.parent)
    contacts.remember("alice", alice.fingerprint, "", "code")
    return People(folder, bob, contacts, alice, mallory)
