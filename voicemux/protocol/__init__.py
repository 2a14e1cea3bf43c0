"""The protocol without I/O: no socket, thread, clock or device in sight. Read beside protocol.md.

wire (layouts) < frames (cutting) < messages (meaning) < connection (order), delivery (text), liveness, goodbye
< conversation (all three).

For programs that have I/O of their own. `Sending` makes bytes of what one side says, `Receiving` makes messages of
bytes in any segmentation, `Outbox` and `Inbox` number and acknowledge text; `Conversation` has both, and the rules of
PING and BYE. Faults raise `voicemux.errors`.

    >>> from voicemux.protocol.connection import Receiving, Sending
    >>> from voicemux.protocol.delivery import Inbox, Outbox
    >>> from voicemux.protocol.messages import Hello, TextAck
    >>> mouth, ear, outbox, inbox = Sending(), Receiving(), Outbox(), Inbox()
    >>> number = outbox.put("hi")
    >>> sent = mouth.preface() + mouth.encode(Hello("alice")) + mouth.encode(outbox.next())
    >>> preface, hello, text = ear.receive(sent)  # lazy: iterate it to the end
    >>> inbox.receive(text)
    'hi'
    >>> inbox.taken()  # it has been read
    >>> TextAck(inbox.acknowledgement)
    TextAck(id=1)
"""
