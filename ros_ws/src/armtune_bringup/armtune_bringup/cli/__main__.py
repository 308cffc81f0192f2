"""``python -m armtune_bringup.cli`` is ``armtune``."""

from . import main

main()
