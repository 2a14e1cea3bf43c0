"""What the documents show is drawn from the program, and their links and words are looked after."""
