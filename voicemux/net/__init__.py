"""The network: address (names of places), line (TCP), greeting, reception (callers), demultiplexer."""
