"""Other words for the sentences of the simulated tasks: captions to learn from, and wordings kept back to test with."""

from __future__ import annotations

from collections.abc import Mapping

TAUGHT: Mapping[str, tuple[str, ...]] = {
    "put the peg in the bin": ("place the peg into the bin", "the peg is in the bin", "drop the red peg in the box"),
    "take the peg out of the bin": (
        "remove the peg from the bin",
        "the peg is out of the bin",
        "lift the red peg out of the box",
    ),
    "open the drawer": ("pull the drawer open", "the drawer is open", "slide the drawer out"),
    "close the drawer": ("push the drawer shut", "the drawer is closed", "slide the drawer in"),
    "put the lid on the pot": (
        "cover the pot with the lid",
        "the lid is on the pot",
        "place the lid on top of the pot",
    ),
    "take the lid off the pot": ("uncover the pot", "the lid is off the pot", "lift the lid from the pot"),
}
"""By sentence; each means the same."""

HELD_BACK: Mapping[str, tuple[str, ...]] = {
    "put the peg in the bin": ("move the peg into the bin", "the peg has been put inside the bin"),
    "take the peg out of the bin": ("get the peg out of the bin", "the peg has been taken from the bin"),
    "open the drawer": ("open up the drawer", "the drawer has been pulled open"),
    "close the drawer": ("shut the drawer", "the drawer has been pushed closed"),
    "put the lid on the pot": ("set the lid onto the pot", "the pot has been covered by its lid"),
    "take the lid off the pot": ("remove the lid from the pot", "the pot has been uncovered"),
}
"""Never trained on."""
