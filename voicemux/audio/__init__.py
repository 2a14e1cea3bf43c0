"""Sound: its sources and sinks, its codecs, capture (sound to packets) and playout (packets to sound).

Inside the program, sound always has one form: 48 kHz, one channel, signed 16-bit, in blocks of 5 ms. This package is
imported only if a call has sound.
"""
