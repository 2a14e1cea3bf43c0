"""The vectors, made by hand from protocol.md, and by nothing that encodes in voicemux: a second opinion."""
