"""Sound: where it comes from and goes to, how it is coded; capture (to packets) and playout (from packets).

Inside, sound is always the same: 48 kHz, one channel, signed 16-bit, in blocks of 5 ms. Imported only when needed.
"""
