"""Echo cancellation: removes the loudspeaker's sound from the microphone's."""
