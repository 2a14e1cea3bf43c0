"""From the microphone to packets: which sound is encoded, and how."""
