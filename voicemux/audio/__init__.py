"""Sound: where it comes from and goes to, how it is coded, and when it is played. Imported only when needed.

Inside, sound is always the same: 48 kHz, one channel, signed 16-bit, in blocks of 5 ms.
"""
