"""Does another program speak voicemux? Cases that play the other side, as protocol.md has it.

verdict (what a case is) < link (one connection) < subject (how to get one) < the cases < runner < report.
"""
