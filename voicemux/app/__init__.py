"""The program: its command line, and what it does with a call. Libraries leave this out."""
