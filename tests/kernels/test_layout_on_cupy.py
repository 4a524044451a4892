"""Every view of the engine is a view in CuPy too, which needs CuPy but no GPU to see."""

from types import SimpleNamespace

import numpy as np
import pytest

from mindraw import Classifier, ClassifierConfig, Draw, DrawConfig
from mindraw.backend import CupyBackend
from mindraw.kernels import fused
from mindraw.models import activations, classify_activations

#: Bytes between the buffers of `unbacked`.
APART = 1 << 20
CONFIGS = {
    "whole": DrawConfig(H=5, W=4, C=2, T=3, h_enc=6, h_dec=5, z=3),
    "attentive": DrawConfig(H=5, W=4, C=2, T=3, h_enc=6, h_dec=5, z=3, read_n=3, write_n=2),
    "classify": ClassifierConfig(H=5, W=4, C=2, T=3, h=6, read_n=3, first="learned"),
}
PARTS = tuple(
    kind for lies in (activations, classify_activations) for kind in (lies.Tape, lies.Shard)
)


@pytest.fixture
def unbacked():
    """A backend of CuPy arrays on addresses that nothing may touch: a copy would fail."""
    try:
        import cupy
    except ImportError:
        pytest.skip("CuPy is not installed")
    if cupy.cuda.is_available():
        pytest.skip("there is a GPU, which a copy would send to addresses that do not exist")
    addresses = iter(range(1 << 20, 1 << 40, APART))

    def zeros(shape, dtype):
        memory = cupy.cuda.UnownedMemory(next(addresses), APART, None, 0)
        return cupy.ndarray(shape, dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))

    xp = SimpleNamespace(
        zeros=zeros, empty=zeros, array=lambda array: zeros(array.shape, array.dtype)
    )
    return CupyBackend("unbacked", xp, fused, "float32"), cupy.ndarray


def arrays_in(thing, kind, path=""):
    """Yield the path and the array, for every array of `kind` in a part of a model."""
    if isinstance(thing, kind):
        yield path, thing
    elif isinstance(thing, list):
        for k, part in enumerate(thing):
            yield from arrays_in(part, kind, f"{path}[{k}]")
    elif isinstance(thing, (SimpleNamespace, *PARTS)):
        for name, part in vars(thing).items():
            yield from arrays_in(part, kind, f"{path}.{name}")


def arrays_of(model, kind):
    """Name every array of a model."""
    parts = {"tape": model.tape, "shards": model.shards}
    for name in model.parameters.names:
        parts |= {f"parameters.{name}": model.parameters[name]}
    return {
        path: array for key, part in parts.items() for path, array in arrays_in(part, kind, key)
    }


def place_in_numpy(array):
    root = array if array.base is None else array.base
    return array.ctypes.data - root.ctypes.data


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_view_lies_as_in_numpy(config, unbacked):
    ops, ndarray = unbacked
    model = Draw if isinstance(config, DrawConfig) else Classifier
    ours = arrays_of(model(config, ops, batch=3), ndarray)
    theirs = arrays_of(
        model(config, CupyBackend("not numpy", np, fused, "float32"), batch=3), np.ndarray
    )
    assert ours.keys() == theirs.keys() and len(ours) > 100
    for path, array in ours.items():
        expected = theirs[path]
        assert array.shape == expected.shape, path
        axes = [k for k, n in enumerate(expected.shape) if n > 1]
        assert [array.strides[k] for k in axes] == [expected.strides[k] for k in axes], path
        if expected.size:  # NumPy forgets where a view of nothing would lie
            assert array.data.ptr % APART == place_in_numpy(expected), path


def test_a_copy_is_noticed(unbacked):
    ops, _ = unbacked
    with pytest.raises(RuntimeError, match="CUDA"):
        ops.zeros((4, 6)).T.reshape(24)
