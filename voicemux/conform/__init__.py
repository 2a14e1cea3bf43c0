"""Checks whether another program speaks voicemux: cases that play the other side, by protocol.md.

verdict (what a case is) < link (one connection) < subject (how to get one) < the cases < runner < report.
"""
