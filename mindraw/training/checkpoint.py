"""Checkpoints: everything a run needs to go on, in one HDF5 file that knows if it is whole.

The file is HDF5 behind a user block of 512 bytes, which HDF5 readers skip and ``head``
shows::

    mindraw checkpoint 1
    sha256 <of all that follows the block>
    bytes <that follow the block>

The checksum is compared before HDF5 parses anything, so that damage is always told as
damage. The file is built in memory and written by `write_whole`: a disk that fills up
shows as the one error it is, and the last good checkpoint stays.
"""

import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import MindrawError
from ..files import write_whole

FORMAT = 1
#: What it is called in the folder of a run.
NAME = "checkpoint.h5"
#: Under which name `Checkpoint.training` holds what the training pictures look like.
LIKENESS = "training pictures"
#: How far apart the means of two pictures are that count as one.
ALIKE = 0.0015
MAGIC = b"mindraw checkpoint "
BLOCK = 512
#: What to do about a file that cannot be used.
MEND = "put a good copy in its place, or start a new run"
#: What an HDF5 file that passed its checksum may still raise where its contents are foreign.
FOREIGN = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Checkpoint:
    """A run at one step.

    Parameters
    ----------
    kind : str
        Which kind of model, for instance "draw".
    config : dict
        The model's configuration: numbers and strings by name.
    training : dict
        What else must stay the same for the run to go on: data, batch, seed.
    step : int
        Updates so far.
    parameters : dict of str to numpy.ndarray
        In the order of the flat vector of P numbers.
    m, v : numpy.ndarray (P,)
        Adam's moments.
    pending : numpy.ndarray (n, k)
        Sums over the minibatch of the task's k parts, nats or wrong answers, at the n steps since
        the last row of the history.
    history : str
        The history so far, as CSV.
    seconds : float
        Time spent training so far.
    version : str
        The version of mindraw that wrote it.
    """

    kind: str
    config: dict
    training: dict
    step: int
    parameters: dict
    m: np.ndarray
    v: np.ndarray
    pending: np.ndarray
    history: str
    seconds: float
    version: str

    def require(self, path, kind, config, training=None):
        """Refuse another model or, where `training` is given, another run.

        Parameters
        ----------
        path : pathlib.Path
            Named in the message.
        kind : str
        config : dict
        training : dict or None

        Raises
        ------
        MindrawError
            Naming the first thing that differs.
        """
        if kind != self.kind:
            raise MindrawError(f"{path} holds a model of the kind {self.kind!r}, not {kind!r}")
        pairs = [(self.config, config)]
        if training is not None:
            pairs.append((self.training, training))
        for mine, theirs in pairs:
            for name in sorted((mine.keys() | theirs.keys()) - {LIKENESS}):
                if mine.get(name) != theirs.get(name):
                    raise MindrawError(
                        f"{path} was trained with {name} = {mine.get(name)!r}, "
                        f"not {theirs.get(name)!r}"
                    )
        if training is not None and not self.knows(training[LIKENESS]):
            raise MindrawError(
                f"{path} was trained on as many other pictures: give it its own with --data, or "
                "start a new run"
            )

    def knows(self, likeness):
        """Tell whether pictures of a `likeness` are what the run was trained on.

        A checkpoint from before this was written down takes any. Pictures that another version of
        a library scaled or bent are the same.
        """
        mine = self.training.get(LIKENESS, likeness)
        return len(mine) == len(likeness) and np.allclose(mine, likeness, rtol=0, atol=ALIKE)

    def restore(self, path, parameters, optimizer=None):
        """Load the parameters, and Adam's state, onto the backend they live on.

        Parameters
        ----------
        path : pathlib.Path
            Named in messages.
        parameters : Params
        optimizer : Adam or None

        Raises
        ------
        MindrawError
            If names or shapes differ.
        """
        mine = {name: array.shape for name, array in self.parameters.items()}
        theirs = {name: tuple(shape) for name, shape in parameters.shapes.items()}
        for name in [*mine, *theirs]:
            if mine.get(name) != theirs.get(name):
                raise MindrawError(
                    f"{path} holds the parameter {name} as {mine.get(name)}, "
                    f"this model takes {theirs.get(name)}"
                )
        parameters.load(np.concatenate([self.parameters[name].ravel() for name in theirs]))
        if optimizer is not None:
            m, v = (self._in_order(moment, theirs) for moment in (self.m, self.v))
            optimizer.load(m, v, self.step)

    def digest(self):
        """Return what tells the parameters from those of any other checkpoint: SHA-256, in hex."""
        digest = hashlib.sha256()
        for name, array in self.parameters.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _in_order(self, flat, names):
        """Return a flat vector, which lies in the order of the parameters here, in another."""
        ends = np.cumsum([array.size for array in self.parameters.values()])
        parts = dict(zip(self.parameters, np.split(flat, ends[:-1]), strict=True))
        return np.concatenate([parts[name] for name in names])


def save(path, checkpoint):
    """Write a checkpoint beside `path`, fsync it and rename it there.

    Raises
    ------
    MindrawError
        If it cannot be written; the one that was there is still there.
    """
    write_whole(path, to_bytes(checkpoint))


def load(path):
    """Read a checkpoint, whichever backend wrote it.

    Parameters
    ----------
    path : str or pathlib.Path
        A checkpoint, or the folder of a run.

    Returns
    -------
    Checkpoint

    Raises
    ------
    MindrawError
        If there is none, or it is damaged, cut short, of an unknown version or not a
        checkpoint at all.
    """
    path = Path(path)
    if path.is_dir() and path.name != NAME:
        path /= NAME
    try:
        with open(path, "rb") as file:
            header = file.read(BLOCK)
            if not header.startswith(MAGIC):
                raise MindrawError(f"{path} is not a checkpoint of mindraw: {MEND}")
            length = os.fstat(file.fileno()).st_size - BLOCK
            file.seek(0)
            content = file.read()
    except OSError as error:
        raise MindrawError(f"the checkpoint {path} cannot be read: {error.strerror}") from error
    _check(path, header, length, memoryview(content)[BLOCK:])
    try:
        return _from_hdf5(content)
    except FOREIGN as error:
        raise MindrawError(
            f"{path} is whole, but not a checkpoint as mindraw writes it ({error}): {MEND}"
        ) from error


def _header(payload):
    text = f"{FORMAT}\nsha256 {hashlib.sha256(payload).hexdigest()}\nbytes {len(payload)}\n"
    return (MAGIC + text.encode()).ljust(BLOCK, b"\0")


def _check(path, header, length, payload):
    if header == _header(payload):
        return
    version = header[len(MAGIC) :].partition(b"\n")[0]
    if version.isdigit() and int(version) != FORMAT:
        raise MindrawError(
            f"{path} is a checkpoint of format {int(version)}, and this version of mindraw "
            f"reads format {FORMAT}: use the version that wrote it"
        )
    expected = header.partition(b"\nbytes ")[2].partition(b"\n")[0]
    if expected.isdigit() and int(expected) != length:
        raise MindrawError(
            f"{path} is damaged, {max(length, 0)} bytes follow its header instead of "
            f"{int(expected)}: {MEND}"
        )
    raise MindrawError(f"{path} is damaged, its checksum does not match its contents: {MEND}")


def to_bytes(checkpoint):
    """Return the file as bytes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=BLOCK) as file:
        file.attrs["kind"] = checkpoint.kind
        file.attrs["config"] = json.dumps(checkpoint.config)
        file.attrs["training"] = json.dumps(checkpoint.training)
        file.attrs["names"] = json.dumps(list(checkpoint.parameters))
        file.attrs["step"] = checkpoint.step
        file.attrs["seconds"] = checkpoint.seconds
        file.attrs["version"] = checkpoint.version
        for name, array in checkpoint.parameters.items():
            file[f"parameters/{name}"] = array
        file["adam/m"], file["adam/v"] = checkpoint.m, checkpoint.v
        file["pending"] = checkpoint.pending
        file["history"] = np.frombuffer(checkpoint.history.encode(), np.uint8)
    # in place, since a copy of a large model's file is what memory would run out by
    with buffer.getbuffer() as whole, whole[BLOCK:] as payload:
        header = _header(payload)
    buffer.seek(0)
    buffer.write(header)
    return buffer.getvalue()


def _from_hdf5(content):
    with h5py.File(io.BytesIO(content), "r") as file:
        return Checkpoint(
            kind=str(file.attrs["kind"]),
            config=json.loads(file.attrs["config"]),
            training=json.loads(file.attrs["training"]),
            step=int(file.attrs["step"]),
            parameters={
                name: file[f"parameters/{name}"][()] for name in json.loads(file.attrs["names"])
            },
            m=file["adam/m"][()],
            v=file["adam/v"][()],
            pending=file["pending"][()],
            history=file["history"][()].tobytes().decode(),
            seconds=float(file.attrs["seconds"]),
            version=str(file.attrs["version"]),
        )
