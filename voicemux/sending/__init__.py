"""Decides what is sent, and when: bytes in flight, whose queue delays voice, what the line carries, what is next."""
