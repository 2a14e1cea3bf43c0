"""The relay: two programs that both dial out are joined by an id, and bytes pass between them (relay.md)."""
