"""The benchmark: voicemux beside its peers, through sound cards and a line that can be made bad. See README.md."""
