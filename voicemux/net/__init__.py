"""The network: address (names of places), streams (TCP, TLS), greeting, reception (callers), demultiplexer."""
