"""Our own key (identity), the keys of contacts, and the proof of keys and codes in a call (handshake, admission)."""
