"""mindraw: DRAW with hand-written gradients on NumPy and CuPy.

The names here are the public engine. Beside it there are `data`, `experiment`, `figures`,
`gradcheck` and `training`, to be had with ``from mindraw import data`` and so on.
"""

from .backend import get_backend
from .errors import MindrawError
from .models.classify import Classifier
from .models.config import ClassifierConfig, DrawConfig
from .models.draw import Draw
from .optim import Adam

__all__ = [
    "Adam", "Classifier", "ClassifierConfig", "Draw", "DrawConfig", "MindrawError", "get_backend",
]  # fmt: skip
__version__ = "0.1.0"
