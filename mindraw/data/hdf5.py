"""What an HDF5 file from elsewhere may be asked for without trusting it."""

from contextlib import contextmanager

from ..errors import MindrawError
from .stream import MOST_DEFLATED

#: Bytes of a chunk, which is unpacked whole.
MOST_CHUNK = 1 << 28


@contextmanager
def opened(path, where, expected):
    """Open a file to read; what goes wrong within is told of `where`.

    Parameters
    ----------
    path : Path
    where : str
        The file, for messages.
    expected : str
        What should be in it.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except MindrawError:
        raise
    except Exception as error:  # h5py trusts a file, and lets anything escape
        raise MindrawError(
            f"{where}: expected {expected}, found no HDF5 file or a damaged one "
            f"({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error


def child(group, name):
    """Return the object `name` of a low-level group, None if it is not within this file.

    Parameters
    ----------
    group : h5py.h5g.GroupID
    name : bytes
    """
    from h5py import h5l, h5o

    if name not in group or group.links.get_info(name).type != h5l.TYPE_HARD:
        return None
    return h5o.open(group, name)


def refusal(dataset):
    """Say why an array must not be read, None if it may.

    Its bytes must lie in the file itself, and be no more than the stored ones can
    unpack to.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
    """
    from h5py import h5d

    made = dataset.get_create_plist()
    layout = made.get_layout()
    if layout == h5d.VIRTUAL or made.get_external_count():
        return "its contents lie in other files"
    itemsize = dataset.get_type().get_size()
    if layout == h5d.CHUNKED:
        chunk = itemsize
        for side in made.get_chunk():
            chunk *= side
        if chunk > MOST_CHUNK:
            return f"its chunks of {chunk} bytes are larger than {MOST_CHUNK}"
    wanted = itemsize * dataset.get_space().get_simple_extent_npoints()
    stored = dataset.get_storage_size()
    if wanted > stored * MOST_DEFLATED:
        return f"it claims {wanted} bytes, but {stored} are stored"
    return None
