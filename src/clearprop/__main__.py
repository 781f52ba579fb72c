"""`python -m clearprop` is the command line."""

from clearprop.cli.app import main

main()
