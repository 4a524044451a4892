"""An experiment from its numbers to its summary: what the scripts in examples/ call.

options.py     the numbers that every experiment has
stages.py      those of a second training, which goes on from the first
draw.py        DRAW: what it takes besides, and what it leaves behind
classify.py    the same for a classifier
command.py     the command line, and the run
report.py      what is told of a run
"""

from .classify import Classification
from .command import main
from .draw import Experiment
from .report import peak_memory, title

__all__ = ["Classification", "Experiment", "main", "peak_memory", "title"]
