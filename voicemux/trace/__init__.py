"""The trace of a call: a file of what happens in it, for programmers who look for a fault."""
