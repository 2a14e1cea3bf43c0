"""What goes out, and when: what is in flight, whose queue voice waits in, what the line carries, what is next."""
