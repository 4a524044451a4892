"""Pictures in a NumPy or an HDF5 file, as bytes in the order channel, row, column.

Nothing is unpickled, and no memory is taken on a header's word alone.
"""

import zipfile
from contextlib import contextmanager

import numpy as np

from ..errors import MindrawError
from . import decode, hdf5
from .stream import MOST_DEFLATED

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")
#: Pictures converted at a time.
CHUNK = 256
BLOCK = 1 << 20
WANTED = "(n, H, W), (n, H, W, C) or (n, C, H, W) with 1 or 3 channels C"


def read_array(path, name=None, size=None):
    """Read the pictures of a file.

    Parameters
    ----------
    path : Path
        Ending in one of `SUFFIXES`.
    name : str, optional
        Of the array, where the file holds several.
    size : tuple of int, optional
        (H, W) to scale to.

    Returns
    -------
    uint8 array (n, C, H, W)

    Raises
    ------
    MindrawError
        If the file is damaged or holds no pictures.
    """
    suffix = path.suffix.lower()
    opened = {".npy": _npy, ".npz": _npz}.get(suffix, _hdf5)
    with opened(path, name) as array:
        return _pictures(array, str(path), size)


@contextmanager
def _npy(path, name):
    if name is not None:
        raise MindrawError(f"{path} holds one array, without a name: leave :{name} out")
    try:
        # NumPy compares the header with the file's size, and maps no objects
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy lets many kinds of exceptions out
        raise _damaged(path, "a .npy array of numbers", error) from error
    yield array


@contextmanager
def _npz(path, name):
    try:
        with zipfile.ZipFile(path) as file:
            members = {
                info.filename.removesuffix(".npy"): info
                for info in file.infolist()
                if info.filename.endswith(".npy")
            }
            yield _member(file, path, members[_choose(path, name, members)])
    except MindrawError:
        raise
    except Exception as error:  # zipfile too
        raise _damaged(path, "a .npz file of arrays of numbers", error) from error


def _member(file, path, info):
    """Read one array, once its header, its size and the stored bytes are seen to agree."""
    form = np.lib.format
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise MindrawError(f"{path}: {info.filename!a}, expected it stored or deflated")
    with file.open(info) as stream:
        version = form.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise MindrawError(f"{path}: {info.filename!a}, expected .npy version 1.0 or 2.0")
        header = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
        shape, transposed, dtype = header(stream)
        _check(path, shape, dtype)
        total = dtype.itemsize
        for side in shape:
            total *= side
        most = min(
            info.file_size, info.compress_size * MOST_DEFLATED, path.stat().st_size * MOST_DEFLATED
        )
        if not 0 <= total <= most:
            raise MindrawError(
                f"{path}: {info.filename!a} claims {total} bytes, more than the file holds"
            )
        values = np.empty(total, np.uint8)
        for start in range(0, total, BLOCK):
            block = values[start : start + BLOCK]
            content = stream.read(len(block))
            if len(content) < len(block):
                raise MindrawError(f"{path}: {info.filename!a} ends before its {total} bytes")
            block[:] = memoryview(content)
        if stream.read(1):  # which checks the checksum too
            raise MindrawError(f"{path}: {info.filename!a} goes on after its {total} bytes")
    return values.view(dtype).reshape(shape, order="F" if transposed else "C")


@contextmanager
def _hdf5(path, name):
    import h5py

    with hdf5.opened(path, str(path), "an HDF5 file of pictures") as file:
        arrays = {}

        def note(found, link):
            if isinstance(link, h5py.HardLink) and isinstance(file.get(found), h5py.Dataset):
                arrays[found] = file[found]

        file.visititems_links(note)
        chosen = arrays[_choose(path, name and name.strip("/"), arrays)]
        reason = hdf5.refusal(chosen.id)
        if reason is not None:
            raise MindrawError(f"{path}: {chosen.name!a} cannot be read, since {reason}")
        yield chosen


def _choose(path, name, arrays):
    """Return the name of the array asked for, or of the only one."""
    found = ", ".join(map(ascii, sorted(arrays)[:8])) or "none"
    if name is None and len(arrays) == 1:
        return next(iter(arrays))
    if name is None:
        raise MindrawError(
            f"{path}: expected one array or a name, as in {path}:NAME, found {found}"
        )
    if name not in arrays:
        raise MindrawError(f"{path}: expected an array {name!a}, found {found}")
    return name


def _damaged(path, expected, error):
    return MindrawError(
        f"{path}: expected {expected}, found something else or a damaged file "
        f"({type(error).__name__}: {' '.join(str(error).split())})"
    )


def _check(path, shape, dtype):
    """Return where the channels are: the axis, or None for grey pictures without one."""
    if dtype.hasobject or not (dtype in (np.bool_, np.uint8) or dtype.kind == "f"):
        raise MindrawError(
            f"{path}: expected uint8, or floating-point values in [0, 1], found {dtype}"
        )
    last, second = (len(shape) == 4 and shape[axis] in (1, 3) for axis in (3, 1))
    if len(shape) not in (3, 4) or min(shape) < 1 or (len(shape) == 4 and not (last or second)):
        raise MindrawError(f"{path}: expected an array {WANTED}, found {tuple(shape)}")
    if last and second:
        raise MindrawError(
            f"{path}: the channels of {tuple(shape)} could come second or last: "
            "store grey pictures as (n, H, W)"
        )
    return (3 if last else 1) if len(shape) == 4 else None


def _pictures(array, where, size):
    axis = _check(where, array.shape, array.dtype)
    n = len(array)
    H, W = (side for at, side in enumerate(array.shape[1:], 1) if at != axis)
    C = 1 if axis is None else array.shape[axis]
    pictures = np.empty((n, C, *(size or (H, W))), np.uint8)
    for start in range(0, n, CHUNK):
        block = _bytes(np.asarray(array[start : start + CHUNK]), where, start)
        block = block[:, None] if axis is None else np.moveaxis(block, axis, 1)
        pictures[start : start + CHUNK] = block if size in (None, (H, W)) else _scaled(block, size)
    return pictures


def _bytes(block, where, start):
    """Turn values in [0, 1] into 0 to 255."""
    if block.dtype == np.uint8:
        return block
    wrong = ~((block >= 0) & (block <= 1))  # NaN is neither
    if wrong.any():
        at = np.unravel_index(int(wrong.argmax()), block.shape)
        mend = "divide them by their largest, or store them as uint8"
        if block[at] < 0:
            mend = "scale them to [0, 1], or to 0 to 255 as uint8"
        if not np.isfinite(block[at]):
            mend = "put a number in its place, or leave the picture out"
        what = f"picture {start + at[0]}, expected values in [0, 1], found {block[at]}"
        raise MindrawError(f"{where}: {what}: {mend}")
    return np.rint(block.astype(np.float32) * 255).astype(np.uint8)


def _scaled(block, size):
    Image = decode.pillow()
    scaled = []
    for picture in block:
        picture = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
        image = decode.fit(Image.fromarray(np.ascontiguousarray(picture)), *size)
        scaled.append(np.asarray(image).reshape(*size, -1).transpose(2, 0, 1))
    return scaled
