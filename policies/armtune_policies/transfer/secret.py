"""The secret that a workstation shows a robot: one file, copied to both."""

from __future__ import annotations

from pathlib import Path

from armtune_policies.contract import ConfigError

MIN_LENGTH = 16


def read_secret(path: str | Path) -> str:
    """Return the secret in a file, blank for no file.

    Raises:
        ConfigError: when it is not there, too short to be one, or not of plain characters.
    """
    if not str(path):
        return ""
    try:
        secret = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        secret = ""
    if len(secret) < MIN_LENGTH or not secret.isprintable():
        raise ConfigError(f"expected a file with a secret of {MIN_LENGTH} plain characters or more, got {path}")
    return secret
