"""Echo cancellation: what the loudspeaker plays is taken out of what the microphone hears."""
