"""The program: its command line, and what it does with a call. Programs that use voicemux as a library do not load
it."""
