"""`python -m voicemux` is the command `voicemux`."""

from voicemux.cli import main

main()
