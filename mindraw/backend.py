"""The array backend: where arrays live, and what computes with them.

The engine asks a :class:`Backend` for four things: arrays, the few array functions
that NumPy and CuPy spell alike (``xp``), the kernels (``kernels``) and
noise. Everything above this file runs unchanged on a CPU and on a GPU.
"""

import importlib.util
from types import SimpleNamespace

import numpy as np

from .errors import MindrawError
from .kernels.graph import Recording
from .team import shared_zeros

NAMES = ("numpy", "numba", "cupy", "auto")
#: float32 is for work, float64 for checks, complex128 for the complex step.
DTYPES = ("float32", "float64", "complex128")


class Backend:
    """Arrays, array functions, kernels and noise on one device, in one precision.

    Parameters
    ----------
    name : str
        What the backend is called in messages and checkpoints.
    xp : module
        ``numpy`` or something that spells ``array``, ``empty``, ``zeros``, ``matmul``, ``add``,
        ``subtract``, ``multiply``, ``sum``, ``hypot``, ``maximum``, ``isfinite`` and ``copyto`` as
        NumPy does.
    kernels : module
        `mindraw.kernels.reference` or its twin.
    dtype : str
        One of `DTYPES`.

    Attributes
    ----------
    shares : bool
        Whether several processes can work on the same arrays.
    turns_weights : bool
        Whether W^T y is faster with a transposed copy of W, made once for many products.
    short : module or None
        Short products and what follows them in one launch, where there is such a thing:
        `mindraw.kernels.matmul`.
    """

    shares = True
    turns_weights = True
    short = None

    def __init__(self, name, xp, kernels, dtype):
        self.name = name
        self.xp = xp
        self.kernels = kernels
        self.dtype = np.dtype(dtype)

    def empty(self, shape):
        """Return an uninitialised array of `shape` in the backend's dtype."""
        return self.xp.empty(shape, self.dtype)

    def zeros(self, shape):
        """Return an array of zeros of `shape` in the backend's dtype."""
        return self.xp.zeros(shape, self.dtype)

    def shared(self, shape):
        """Return zeros that the processes of a team share; on a device there is only one."""
        return shared_zeros(shape, self.dtype) if self.shares else self.zeros(shape)

    def asarray(self, array, copy=True):
        """Copy a NumPy array to the device, in the backend's dtype.

        Parameters
        ----------
        array : numpy.ndarray
            Or what makes one: a number, a list.
        copy : bool
            Where it lies on the device in that dtype already, False gives the array itself.

        Raises
        ------
        TypeError
            If `array` already lives on a device: arrays never cross silently.
        """
        if not isinstance(array, np.ndarray | np.generic | list | tuple | float | int):
            raise TypeError(f"asarray takes a NumPy array, not {type(array).__name__}")
        array = np.asarray(array, self.dtype)
        return self.xp.array(array) if copy or self.xp is not np else array

    def to_numpy(self, array):
        """Copy an array of this backend to the host. On a GPU this waits for the device."""
        return np.array(array)

    def standard_normal(self, shape, key):
        """Draw noise from N(0, 1): a pure function of `shape`, dtype and `key`.

        One key gives the same noise on every backend, but for rounding.

        Parameters
        ----------
        shape : tuple of int
        key : tuple of int
            Non-negative integers, for instance (seed, stream, step); the last below 2^63.

        Returns
        -------
        array
            In complex128 the noise is that of float64.
        """
        *which, number = key
        words = np.random.SeedSequence(which).generate_state(2, np.uint64)
        real = np.float32 if self.dtype == np.float32 else np.float64
        eps = self.xp.empty(shape, np.dtype(real))
        self.kernels.standard_normal(eps, *(int(word >> 1) for word in words), number)
        return eps

    def run(self, launch, recordings, name):
        """Do what ``launch()`` does; on a GPU as one CUDA graph, from the second call on.

        Parameters
        ----------
        launch : callable
            Without arguments. It does the same at every call, to the same arrays.
        recordings : dict
            Of its owner, where what was recorded is kept.
        name : hashable
            Under which it is kept.
        """
        launch()


class CupyBackend(Backend):
    """The same on the current CUDA device.

    Attributes
    ----------
    records : bool
        Whether `run` records CUDA graphs; without, it launches kernel by kernel, with the same
        results.
    """

    shares = False
    turns_weights = False
    records = True

    def to_numpy(self, array):
        return self.xp.asnumpy(array)

    def run(self, launch, recordings, name):
        if self.records:
            recordings.setdefault(name, Recording()).run(self.xp, launch)
        else:
            launch()


def get_backend(name="auto", dtype="float32"):
    """Return the backend called `name`.

    Parameters
    ----------
    name : {"numpy", "numba", "cupy", "auto"}
        "numba" is NumPy with kernels that Numba compiles for this CPU. "auto" takes CuPy where it
        is installed and finds a GPU, else what `cpu_backend` says.
    dtype : {"float32", "float64", "complex128"}

    Raises
    ------
    MindrawError
        If the name or dtype is unknown, Numba or CuPy is not installed, or CuPy finds no
        working driver; the sentence says which.
    """
    if name not in NAMES:
        raise MindrawError(f"there is no backend {name!r}: use one of {', '.join(NAMES)}")
    if dtype not in DTYPES:
        raise MindrawError(f"there is no dtype {dtype!r}: use one of {', '.join(DTYPES)}")
    reason = why_no_cupy() if name in ("cupy", "auto") else None
    if name == "auto" and reason is not None:
        name = cpu_backend(dtype)
    if name == "numpy":
        from .kernels import reference

        return Backend("numpy", np, reference, dtype)
    if name == "numba":
        return _compiled(dtype)
    if reason is not None:
        raise MindrawError(f"the backend cupy was asked for, but {reason}")
    if dtype == "complex128":
        raise MindrawError(
            "the complex step runs on the backend numpy only: use float64 and directional "
            "central differences on cupy"
        )
    import cupy

    from .kernels import fused, matmul

    xp = SimpleNamespace(**vars(cupy) | {"matmul": matmul.matmul})
    backend = CupyBackend("cupy", xp, fused, dtype)
    backend.short = matmul
    return backend


def _compiled(dtype):
    reason = why_no_numba(dtype)
    if reason is not None:
        raise MindrawError(f"the backend numba was asked for, but {reason}")
    from .kernels import compiled, reference

    kernels = {name: getattr(reference, name) for name in reference.__all__}
    kernels |= {name: getattr(compiled, name) for name in compiled.__all__}
    return Backend("numba", np, SimpleNamespace(**kernels), dtype)


def cpu_backend(dtype="float32"):
    """Return which backend is the fastest here without a GPU: "numba" or "numpy".

    Numba in float32 where it is installed; in float64 NumPy's own exp and tanh are faster.
    """
    return "numba" if dtype == "float32" and why_no_numba(dtype) is None else "numpy"


def why_no_numba(dtype):
    """Say in half a sentence why Numba cannot be used here, or return None where it can."""
    if dtype == "complex128":
        return "the complex step runs on the backend numpy only"
    if importlib.util.find_spec("numba") is None:
        return "Numba is not installed: pip install 'mindraw[numba]'"
    # one that is older than NumPy refuses it when it is imported
    try:
        import numba  # noqa: F401
    except Exception as error:
        return (
            f"Numba is installed and does not import ({_first_line(error)}): upgrade it, or use "
            "--backend numpy"
        )
    return None


def why_no_cupy():
    """Say in half a sentence why CuPy cannot be used here, or return None where it can."""
    if importlib.util.find_spec("cupy") is None:
        return (
            "CuPy is not installed: pip install 'mindraw[cupy13]' for CUDA 13 "
            "or 'mindraw[cupy12]' for CUDA 12"
        )
    # an old CuPy beside a new NumPy raises whatever it meets, and so does one beside an old driver
    try:
        import cupy
    except Exception as error:
        return (
            f"CuPy is installed and does not import ({_first_line(error)}): reinstall it for your "
            "CUDA"
        )
    try:
        available = cupy.cuda.is_available()
    except Exception as error:
        return (
            f"CuPy is installed and cannot ask for a GPU ({_first_line(error)}): check that "
            "nvidia-smi lists a device and that its CUDA is no older than CuPy's"
        )
    if not available:
        return (
            "CuPy is installed and finds no working NVIDIA driver or GPU: check that nvidia-smi "
            "lists a device, or use --backend numpy"
        )
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError, OSError):
        return (
            "CuPy finds no NVRTC to compile the kernels with: pip install 'mindraw[cupy13]' "
            "for CUDA 13 or 'mindraw[cupy12]' for CUDA 12"
        )
    return None


def _first_line(error):
    """Return the first line that an exception says."""
    return next(iter(str(error).strip().splitlines()), "no reason given")
