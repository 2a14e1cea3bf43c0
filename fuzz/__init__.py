"""Coverage-guided fuzzing: README.md says how.

draws < direction, people, tape < targets < engine, which is a process; corpus < runs < __main__ begin them.
"""
