"""One call: how it comes about, what its threads do, and how it ends."""
