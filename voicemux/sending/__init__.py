"""What goes out: schedule (what is next, and when), congestion (how much is in flight), writer (one at a time)."""
