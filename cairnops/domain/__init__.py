"""The rules of the desk: pure values and functions, no clock, no I/O, standard library only."""
