"""`python -m cairnops` is the command line."""

from cairnops.cli import main

main()
