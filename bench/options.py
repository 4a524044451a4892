"""Types of the scripts' options, which refuse before anything is timed what cannot be served."""

from __future__ import annotations

import argparse
from pathlib import Path


def at_least_one(text: str) -> int:
    """A whole number of at least 1."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def new_file(text: str) -> Path:
    """A file that can be made where it is wanted."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent} for a file {path.name}")
    return path
