"""Coverage-guided fuzzing: README.md says how.

draws < targets < corpus < engine < runs < __main__.
"""
