"""The network: addresses, streams (TCP, TLS, proxies, pipes), greeting a listener, receiving callers,
demultiplexing."""
