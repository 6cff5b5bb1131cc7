"""``python -m hts.cli``: the command line without its script."""

from hts.cli import main

main()
