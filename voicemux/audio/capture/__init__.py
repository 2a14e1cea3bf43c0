"""From the microphone to packets: what is encoded, and how."""
