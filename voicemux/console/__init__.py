"""The user's side: what is typed becomes commands, events become lines; for people and for programs."""
