"""Your own pictures: a folder of PNG and JPEG, or an array in a .npy, .npz or HDF5 file.

Grey or in colour. One picture in ten, and at least one, is kept to test: the same ones with every
seed, so that what starts from another run's parameters is tested on none that it was trained on.
"""

from pathlib import Path

from ...errors import MindrawError
from .. import arrays, draws
from ..dataset import Dataset
from ..picture_folder import read_folder
from ..sizes import rows_and_columns
from ..splits import GreySplit, binarised

#: Which pictures are kept to test.
KEY = (0, 0x91C7)


def load(data_dir, binarise, seed, size=None):
    """Read the pictures at `data_dir`: a folder, FILE, or FILE:NAME for an array in a file."""
    if data_dir is None:
        raise MindrawError(
            "pictures does not know yours: use --data with a folder of PNG and JPEG files or "
            "with a .npy, .npz or .h5 file"
        )
    if size is not None:
        size = rows_and_columns(size, 1, "pictures")
    try:
        pictures = _read(data_dir, size)
    except MemoryError as error:
        raise MindrawError(
            f"the pictures in {data_dir} do not fit into memory: give a smaller --size"
        ) from error
    n, C, H, W = pictures.shape
    if n < 2:
        raise MindrawError(
            f"{data_dir} holds one picture: expected at least two, to train and to test"
        )
    if C > 1 and binarise != "none":
        raise MindrawError(f"the pictures in {data_dir} are in colour: leave binarise at none")
    pictures = pictures.reshape(n, C * H * W)
    test, train = draws.chosen(KEY, n, max(1, n // 10))
    train, test = (
        binarised(GreySplit(pictures[rows]), binarise, seed, part)
        for rows, part in ((train, "train"), (test, "test"))
    )
    source = (
        f"pictures: {train.size:,} to train on, {test.size:,} to test, {H} x {W} pixels "
        f"{'in colour' if C > 1 else 'in grey'}, from {data_dir}"
    )
    return Dataset("pictures", (C, H, W), train, None, test, source)


def _read(place, size):
    path, name = Path(place).expanduser(), None
    if not path.exists():
        file, colon, rest = str(path).rpartition(":")
        if colon and Path(file).suffix.lower() in arrays.SUFFIXES:
            path, name = Path(file), rest
    if path.is_dir():
        return read_folder(path, size)
    if not path.exists():
        raise MindrawError(f"there is no {path}: expected a folder of pictures or a file of them")
    if path.suffix.lower() not in arrays.SUFFIXES:
        raise MindrawError(
            f"{path}: expected a folder of pictures, or a file ending in "
            f"{', '.join(arrays.SUFFIXES)}"
        )
    return arrays.read_array(path, name, size)
