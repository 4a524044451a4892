"""Types of the scripts' options, which refuse before anything is timed what cannot be served."""

from __future__ import annotations

import argparse
from pathlib import Path

from mindraw.errors import MOST


def at_least_one(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST:,}")
    return value


def new_file(text: str) -> Path:
    """A file that can be made where it is wanted."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder: name a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent} for a file {path.name}")
    return path
