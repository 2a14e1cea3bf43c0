"""The relay joins two programs that can only dial out, by an id that both know, and passes bytes between them
(relay.md)."""
