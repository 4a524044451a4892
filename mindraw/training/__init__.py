"""Training: the loop, its checkpoints, its history, and the folder a run lives in.

A run is a pure function of (configuration, seed, data): every minibatch, its noise and
its learning rate follow from the number of the step, so no random state is kept.
"""

from .checkpoint import Checkpoint, load, save
from .classify import ClassifyTask
from .draw import DrawTask
from .history import History
from .loop import Plan, Session
from .run import Run

__all__ = [
    "Checkpoint",
    "ClassifyTask",
    "DrawTask",
    "History",
    "Plan",
    "Run",
    "Session",
    "load",
    "save",
]
