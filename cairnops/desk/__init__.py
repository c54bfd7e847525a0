"""What a person can do: load the facts, let the domain decide, commit the outcome."""
