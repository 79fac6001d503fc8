"""python -m whyrank.cli."""

from . import main

main()
