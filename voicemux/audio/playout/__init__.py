"""From packets to the loudspeaker: what is played, and when."""
