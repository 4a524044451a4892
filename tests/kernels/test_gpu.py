"""The twins on a GPU: every kernel, and the whole model against NumPy in float64."""

import warnings

import numpy as np
import pytest
from cases import ATTENTION, ELEMENTWISE, GLIMPSE, Maker, elementwise, kernel_of
from comparing import TOLERANCE, compare, compare_attention, compare_noise

from bench.configs import build
from mindraw import Adam, DrawConfig, get_backend
from mindraw.backend import why_no_cupy
from mindraw.centring import Centring
from mindraw.frequencies import Frequencies
from mindraw.models.config import ClassifierConfig

pytestmark = pytest.mark.skipif(why_no_cupy() is not None, reason=str(why_no_cupy()))

SIZES = [(256, 100), (2000, 33), (300, 5), (1, 1), (17, 1), (0, 3), (4, 0)]
GLIMPSES = [(100, 12, 100, 1), (3, 5, 40, 3), (35, 2, 7, 1), (1, 1, 1, 1), (0, 3, 4, 2)]
CONFIGS = {
    "whole": DrawConfig(H=9, W=8, C=2, T=5, h_enc=40, h_dec=33, z=7),
    "zeros": DrawConfig(H=9, W=8, T=2, h_enc=40, h_dec=33, z=7, initial="zeros"),
    "attentive": DrawConfig(H=9, W=8, C=2, T=5, h_enc=40, h_dec=33, z=7, read_n=4, write_n=3),
    "classifier": ClassifierConfig(H=9, W=8, C=2, T=4, h=33, read_n=4, classes=6, first="learned"),
}
#: The largest difference in a gradient, of its largest number.
GRADIENTS = {"float32": 1e-4, "float64": 1e-10}


@pytest.fixture
def on_gpu():
    import cupy

    from mindraw.kernels import fused

    return fused, {"convert": cupy.asarray, "back": cupy.asnumpy}


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(on_gpu, name, dtype, apart):
    fused, conversion = on_gpu
    for seed, (n, B) in enumerate(SIZES):
        arguments, sets = elementwise(name, Maker(seed, dtype, apart), n, B)
        compare(fused, kernel_of(name), arguments, sets, **conversion)


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ATTENTION + GLIMPSE)
def test_attention(on_gpu, name, dtype, apart):
    fused, conversion = on_gpu
    for seed, sizes in enumerate(GLIMPSES):
        compare_attention(fused, name, Maker(seed, dtype, apart), *sizes, **conversion)


@pytest.fixture
def factors(on_gpu):
    """Two matrices whose rows lie apart, in different orders, room for their product, and it."""
    import cupy

    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((300, 257)), rng.standard_normal((300, 133))
    room = cupy.zeros((256, 140))
    return cupy.asarray(a)[:, 1:].T, cupy.asarray(b)[:, 3:], room[:, 5:135], a[:, 1:].T @ b[:, 3:]


def test_products(factors):
    import cupy

    from mindraw.kernels import matmul

    a, b, out, expected = factors
    matmul.matmul(a, b, out=out)
    np.testing.assert_allclose(cupy.asnumpy(out), expected, rtol=1e-12, atol=1e-12)
    assert not cupy.asnumpy(out.base)[:, [0, 1, 2, 3, 4, 135, 136]].any()


def test_products_can_be_recorded(factors):
    import cupy

    from mindraw.kernels import matmul

    a, b, out, expected = factors
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.get_current_stream().synchronize()
    with stream:
        matmul.matmul(a, b, out=out)
        out.fill(0)
        stream.begin_capture()
        matmul.matmul(a, b, out=out)
        graph = stream.end_capture()
        stream.synchronize()
        assert not cupy.asnumpy(out).any()
        graph.launch(stream)
        stream.synchronize()
    np.testing.assert_allclose(cupy.asnumpy(out), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n", [0, 1, 7, 640_000])
def test_noise(on_gpu, n, dtype):
    fused, conversion = on_gpu
    compare_noise(fused, n, dtype, **conversion)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [0, 1, 300, 1_000_001])
def test_gradient_norm(on_gpu, size, dtype):
    fused, conversion = on_gpu
    m = Maker(2, dtype, apart=False)
    arguments = {"state": m.constant([7, 0]), "gradient": m.dense(size), "count": 3}
    norms = {
        compare(fused, "gradient_norm", arguments, ["state"], **conversion)["state"][0]
        for _ in range(20)
    }
    assert len(norms) == 1  # the same bits every time


def pair(config, dtype, batch):
    """The same model on NumPy in float64 and on the GPU, with Adam and a minibatch."""
    rng = np.random.default_rng(5)
    x = rng.random((config.D, batch))
    if isinstance(config, ClassifierConfig):
        other = rng.random((config.classes, batch))
        other /= other.sum(axis=0)
    else:
        other = rng.standard_normal((config.T, config.z, batch))
    for name, precision in (("numpy", "float64"), ("cupy", dtype)):
        ops = get_backend(name, precision)
        model = build(config, ops, batch, threads=1)
        model.initialise(1, scale=0.2)
        attends = isinstance(config, ClassifierConfig) or config.attention
        coordinates = [Centring(model), *([Frequencies(model)] if attends else [])]
        adam = Adam(
            model.parameters, ops, lr=0.01, clip=0.5, coordinates=coordinates, weight_decay=3.0,
            decayed=model.gating,
        )  # fmt: skip
        yield model, adam, ops.asarray(x), ops.asarray(other)


@pytest.mark.parametrize("batch", [1, 37])
@pytest.mark.parametrize("dtype", GRADIENTS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_whole_model(config, dtype, batch):
    on_cpu, on_gpu = pair(config, dtype, batch)
    for _ in range(3):
        gradients, losses = [], []
        for model, adam, *minibatch in (on_cpu, on_gpu):
            parts = model.loss_and_gradient(*minibatch)
            losses.append([model.ops.to_numpy(part) for part in parts])
            gradients.append(model.gradients.to_dict())
            adam.step(model.gradients)
        np.testing.assert_allclose(losses[1], losses[0], rtol=GRADIENTS[dtype])
        for name, expected in gradients[0].items():
            tolerance = GRADIENTS[dtype] * max(1e-3, np.abs(expected).max())
            np.testing.assert_allclose(
                gradients[1][name], expected, rtol=0, atol=tolerance, err_msg=name
            )
    if dtype == "float64":
        cpu, gpu = (each[0] for each in (on_cpu, on_gpu))
        np.testing.assert_allclose(
            gpu.ops.to_numpy(gpu.parameters.flat), cpu.parameters.flat, atol=1e-8
        )
        if isinstance(config, ClassifierConfig):
            return
        pictures = (
            each[0].ops.to_numpy(picture)
            for each in (on_gpu, on_cpu)
            for picture in (each[0].generate(each[3]), each[0].reconstruct(each[2], each[3]))
        )
        generated, reconstructed, *expected = pictures
        np.testing.assert_allclose([generated, reconstructed], expected, atol=1e-8)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_graph_computes_as_its_kernels_do(config):
    results = []
    for records in (True, False):
        _, (model, adam, x, other) = pair(config, "float32", 37)
        model.ops.records = records
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # that it cannot be recorded
            for step in range(4):
                model.loss_and_gradient(x, (1 + step) * other)
                adam.step(model.gradients)
        results.append(model.ops.to_numpy(model.parameters.flat))
    np.testing.assert_allclose(*results, rtol=0, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_step_is_reproducible_and_reads_nothing(config):
    import cupyx

    results = []
    for _ in range(2):
        _, (model, adam, *minibatch) = pair(config, "float32", 37)
        for _ in range(2):  # compiles; records
            model.loss_and_gradient(*minibatch)
            adam.step(model.gradients)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "cupyx.allow_synchronize")  # is to be removed
            with cupyx.allow_synchronize(False):
                model.loss_and_gradient(*minibatch)
                adam.step(model.gradients)
        results.append(model.ops.to_numpy(model.parameters.flat))
        assert adam.failed_step() is None
    np.testing.assert_array_equal(*results)


def test_what_is_not_finite_stops_adam():
    _, (model, adam, x, eps) = pair(CONFIGS["whole"], "float32", 3)
    before = model.parameters.to_dict()
    model.gradients.flat.fill(np.nan)
    adam.step(model.gradients)
    model.loss_and_gradient(x, eps)
    adam.step(model.gradients)
    assert adam.failed_step() == 1
    for name, array in model.parameters.to_dict().items():
        np.testing.assert_array_equal(array, before[name])
