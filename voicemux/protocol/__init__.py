"""The protocol without I/O: no socket, thread, clock or device in sight. Read beside protocol.md.

wire (layouts) < frames (cutting) < messages (meaning) < connection (order), delivery (text).
"""
