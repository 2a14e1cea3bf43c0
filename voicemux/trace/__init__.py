"""What happens in a call, line by line, for those who write programs of their own or look for a fault."""
