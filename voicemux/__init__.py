"""Voice and text over one TCP connection."""

__version__ = "0.1.0"
