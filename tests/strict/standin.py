"""A stand-in for CuPy that needs no GPU and refuses whatever CuPy refuses, and more.

Arrays are wrapped so that nothing of NumPy reaches them: no implicit conversion, no mixing
with NumPy arrays. Two things that CuPy allows are refused as well, because the engine must
not do them: reading a value where nobody asks for a copy to the host, and mixing precisions.
"""

import copy
import inspect
import operator
from types import SimpleNamespace

import numpy as np

from mindraw.backend import CupyBackend
from mindraw.kernels import reference
from mindraw.nn.filterbank import Bank, Grid

NUMBERS = (int, float)  # and no subclass: numpy.float64 is one, and it changes precisions
KEYS = (int, slice, type(None), type(Ellipsis))
#: What arrays and numbers may come in together.
GROUPS = (Bank, Grid, SimpleNamespace)


class Refused(TypeError):
    """What CuPy refuses, or what the engine must not do."""


class Counts:
    """What the host and the device did with each other.

    Attributes
    ----------
    allocations, uploads, reads, launches : int
        New arrays on the device; copies to it; copies from it; and all else, graphs as one.
    recorded : list of callable or None
        What was launched while a graph is recorded: nothing of it is done.
    """

    def __init__(self):
        self.allocations = self.uploads = self.reads = self.launches = 0
        self.recorded = None

    def __iter__(self):
        return iter((self.allocations, self.uploads, self.reads))

    def launch(self, what):
        """Do something on the device, or record it."""
        if self.recorded is None:
            self.launches += 1
            what()
        else:
            self.recorded.append(what)

    def add(self, name):
        """Count what cannot be recorded."""
        if self.recorded is not None:
            raise Refused(f"{name} while a graph is recorded")
        setattr(self, name, getattr(self, name) + 1)


def refuse(what):
    """Return a method that refuses."""

    def method(self, *args, **kwargs):
        raise Refused(f"{what} of a device array: use Backend.to_numpy")

    return method


class StrictArray:
    """An array that behaves as if it lay on another device."""

    __array_ufunc__ = None
    __array__ = refuse("implicit conversion to NumPy")
    __array_function__ = refuse("a NumPy function")
    __bool__ = __int__ = __float__ = __complex__ = __index__ = refuse("a value")
    __iter__ = __contains__ = refuse("the values")
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = refuse("a comparison")
    item = tolist = get = tobytes = refuse("a copy")
    __hash__ = None

    def __init__(self, array, counts):
        self._array, self._counts = array, counts

    shape = property(lambda self: self._array.shape)
    strides = property(lambda self: self._array.strides)
    dtype = property(lambda self: self._array.dtype)
    size = property(lambda self: self._array.size)
    ndim = property(lambda self: self._array.ndim)
    T = property(lambda self: self._view(self._array.T))

    def __len__(self):
        return len(self._array)

    def __repr__(self):
        return f"StrictArray(shape={self.shape}, dtype={self.dtype})"

    def _view(self, array):
        return StrictArray(array, self._counts)

    def _new(self, array):
        if array.dtype != self.dtype:
            raise Refused(f"{self.dtype} became {array.dtype}")
        self._counts.add("allocations")
        return self._view(array)

    def _operand(self, value):
        """Unwrap what is combined with this array."""
        if isinstance(value, StrictArray):
            if value.dtype != self.dtype:
                raise Refused(f"{value.dtype} among {self.dtype}")
            return value._array
        if type(value) not in NUMBERS:
            raise Refused(f"{type(value).__name__} among device arrays")
        return value

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        for part in key:
            if not isinstance(part, KEYS):
                raise Refused(f"{type(part).__name__} as an index gives a copy")
        # with an ellipsis NumPy gives a view of a single number too
        return self._view(self._array[key if Ellipsis in key else (*key, ...)])

    def __setitem__(self, key, value):
        target, value = self[key]._array, self._operand(value)
        self._counts.launch(lambda: np.copyto(target, value))

    def fill(self, value):
        if type(value) not in NUMBERS:
            raise Refused(f"{type(value).__name__} to fill with")
        self._counts.launch(lambda: self._array.fill(value))

    def reshape(self, *shape):
        array = self._array.reshape(*shape)
        if self.size and not np.shares_memory(array, self._array):
            raise Refused(f"reshape from {self.shape} to {array.shape} copies")
        return self._view(array)

    def transpose(self, *axes):
        return self._view(self._array.transpose(*axes))

    def swapaxes(self, one, other):
        return self._view(self._array.swapaxes(one, other))

    def sum(self, axis=None):
        return self._new(np.asarray(self._array.sum(axis=axis)))


def _add_operators(name):
    def binary(self, other):
        return self._new(getattr(operator, name)(self._array, self._operand(other)))

    def reflected(self, other):
        return self._new(getattr(operator, name)(self._operand(other), self._array))

    def in_place(self, other):
        operand = self._operand(other)
        self._counts.launch(lambda: getattr(operator, f"i{name}")(self._array, operand))
        return self

    for prefix, method in (("", binary), ("r", reflected), ("i", in_place)):
        setattr(StrictArray, f"__{prefix}{name}__", method)


for _name in ("add", "sub", "mul", "truediv"):
    _add_operators(_name)


def unwrap(arguments):
    """Return arguments for NumPy; arrays must be on the device, in one dtype, the rest numbers."""
    dtypes = set()

    def one(argument):
        if isinstance(argument, StrictArray):
            dtypes.add(argument.dtype)
            return argument._array
        if isinstance(argument, GROUPS):
            group = copy.copy(argument)
            vars(group).update({name: member_of(each) for name, each in vars(group).items()})
            return group
        if type(argument) not in NUMBERS:
            raise Refused(f"{type(argument).__name__} among device arrays")
        return argument

    def member_of(each):
        return [one(member) for member in each] if isinstance(each, list) else one(each)

    unwrapped = [one(argument) for argument in arguments]
    if len(dtypes) > 1:
        raise Refused(f"mixed precisions: {sorted(map(str, dtypes))}")
    return unwrapped


class StrictNamespace:
    """The array functions that the engine may use, spelt as in NumPy; `out` must be given."""

    def __init__(self):
        self.counts = Counts()
        self.streams = [StrictStream(self)]
        self.cuda = SimpleNamespace(
            Stream=lambda non_blocking: StrictStream(self),
            get_current_stream=lambda: self.streams[-1],
            runtime=SimpleNamespace(getDevice=lambda: 0),
        )

    def _allocated(self, array):
        self.counts.add("allocations")
        return StrictArray(array, self.counts)

    def zeros(self, shape, dtype):
        return self._allocated(np.zeros(shape, dtype))

    def empty(self, shape, dtype):
        array = np.empty(shape, dtype)
        array.fill(dtype is bool or np.nan)  # whoever reads it before it is set will see
        return self._allocated(array)

    def array(self, array):
        if not isinstance(array, np.ndarray):
            raise Refused(f"{type(array).__name__} to copy to the device")
        self.counts.add("uploads")
        return self._allocated(array.copy())

    def asnumpy(self, array):
        if not isinstance(array, StrictArray):
            raise Refused(f"{type(array).__name__} to copy from the device")
        self.counts.add("reads")
        return array._array.copy()

    def copyto(self, dst, src, where=None):
        if not isinstance(dst, StrictArray):
            raise Refused(f"{type(dst).__name__} to copy into")
        operand = dst._operand(src)
        self._look_for_overlap(dst, src)
        mask = np.True_ if where is None else where._array
        self.counts.launch(lambda: np.copyto(dst._array, operand, where=mask))

    def _look_for_overlap(self, out, *operands):
        """Count what CuPy lays out where a result may lie across an operand: it is then copied."""
        for operand in operands:
            if isinstance(operand, StrictArray) and np.may_share_memory(*unwrap((operand, out))):
                self.counts.add("allocations")

    def matmul(self, a, b, *, out):
        self._look_for_overlap(out, a, b)
        return self._into(np.matmul, a, b, out=out)

    def add(self, a, b, *, out):
        return self._into(np.add, a, b, out=out)

    def subtract(self, a, b, *, out):
        return self._into(np.subtract, a, b, out=out)

    def multiply(self, a, b, *, out):
        return self._into(np.multiply, a, b, out=out)

    def isfinite(self, a, *, out):
        self.counts.launch(lambda: np.isfinite(a._array, out=out._array))

    def hypot(self, a, b, *, out):
        return self._into(np.hypot, a, b, out=out)

    def maximum(self, a, b, *, out):
        return self._into(np.maximum, a, b, out=out)

    def sum(self, a, *, axis, keepdims=False, out):
        return self._into(np.sum, a, out=out, axis=axis, keepdims=keepdims)

    def _into(self, function, *operands, out, **how):
        if not isinstance(out, StrictArray):
            raise Refused(f"{type(out).__name__} as out")
        *operands, target = unwrap((*operands, out))
        self.counts.launch(lambda: function(*operands, out=target, **how))
        return out


class StrictStream:
    """A stream: what is launched in it is done at once, or recorded."""

    def __init__(self, xp):
        self._xp = xp

    def __enter__(self):
        self._xp.streams.append(self)

    def __exit__(self, *_):
        self._xp.streams.pop()

    def synchronize(self):
        if self._xp.counts.recorded is not None:
            raise Refused("waiting while a graph is recorded")

    def begin_capture(self):
        if self is self._xp.streams[0]:
            raise Refused("recording the default stream")
        self._xp.counts.recorded = []

    def end_capture(self):
        counts = self._xp.counts
        launches, counts.recorded = counts.recorded, None
        return SimpleNamespace(
            launch=lambda: counts.launch(lambda: [launch() for launch in launches])
        )


def strict_kernels():
    """Wrap every kernel so that it takes device arrays of one dtype and Python numbers."""

    def wrap(function):
        def kernel(*arguments):
            counts = next(a._counts for a in arguments if isinstance(a, StrictArray))
            # None only where nothing is to be read or written
            may_lack = function in (
                *(reference.read_forward, reference.read_backward),  # without an error image
                *(reference.attentive_read_forward, reference.attentive_read_backward),
                reference.lstm_backward,  # with nothing else that flows into h
            )
            lacks = [may_lack and argument is None for argument in arguments]
            given = iter(unwrap(a for a, lack in zip(arguments, lacks, strict=True) if not lack))
            numbers = [None if lack else next(given) for lack in lacks]
            counts.launch(lambda: function(*numbers))

        return kernel

    functions = inspect.getmembers(reference, inspect.isfunction)
    wrapped = {name: wrap(function) for name, function in functions}
    return SimpleNamespace(BLOCK=reference.BLOCK, **wrapped)


def get_standin(dtype="float32"):
    """Return a backend of strict arrays.

    Parameters
    ----------
    dtype : str

    Returns
    -------
    CupyBackend
        ``ops.xp.counts`` tells what crossed between host and device.
    """
    return CupyBackend("strict", StrictNamespace(), strict_kernels(), dtype)
