"""`python -m clearprop` is the command line."""

from clearprop.cli.main import main

main()
