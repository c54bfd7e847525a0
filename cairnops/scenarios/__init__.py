"""Scenario packs: what a rehearsal is made of, how it is run, and how it is judged."""
