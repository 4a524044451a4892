"""The CUDA sources beside this file."""

import importlib.resources
import re


def joined(names):
    """Return files, in this order, as one translation unit: without what includes one another."""
    folder = importlib.resources.files(__package__)
    text = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    return re.sub(r'^#include ".*"\n', "", text, flags=re.MULTILINE)
