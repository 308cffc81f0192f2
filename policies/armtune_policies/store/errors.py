"""What is said of data that will not do."""

from __future__ import annotations

from importlib.util import find_spec


class BadData(ValueError):
    """Data that will not do: names the source, the key, what was expected and what came."""

    def __init__(self, source: str, key: str, expected: str, got: object) -> None:
        super().__init__(f"{source}: {key}: expected {expected}, got {got}")


def needs(what: str, *packages: str) -> None:
    """Refuse to go on without packages that this format needs.

    Raises:
        ValueError: naming the first that is missing, and how to install it.
    """
    for package in packages:
        if find_spec(package.removesuffix("-sdk")) is None:
            raise ValueError(f"{what} needs the package {package}: run `pip install {package}`, then again")
