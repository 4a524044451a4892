"""Gradients beside those of PyTorch's autograd, in float64: every layer, and the whole model."""

import numpy as np
import pytest

from mindraw import Draw, get_backend
from mindraw.gradcheck.checker import largest, relative_error
from mindraw.gradcheck.operations import KERNELS, LAYERS, MODELS
from mindraw.models.classify import Classifier

torch = pytest.importorskip("torch", reason="PyTorch is the reference here", exc_type=ImportError)
F = torch.nn.functional

TOLERANCE = 1e-10
NUMPY = get_backend("numpy", "float64")


def assert_same(name, found, expected):
    expected = expected.detach().numpy() if torch.is_tensor(expected) else np.asarray(expected)
    assert np.shape(found) == expected.shape
    error = relative_error(np.asarray(found), expected, largest(expected))
    assert np.max(error, initial=0) <= TOLERANCE, name


def linear(x, W, b):
    return {"y": F.linear(x.T, W, b[:, 0]).T}


def lstm(u, W, constant, cell_prev):
    """torch's own cell, on inputs that make its two products ours; its gates are i, f, g, o."""
    h = cell_prev.shape[0]
    i, f, o, g = (W @ u + constant).split(h)
    gates = torch.cat([i, f, g, o]).T
    weight, none = torch.eye(4 * h, dtype=torch.float64), torch.zeros(4 * h, h).double()
    state = (torch.zeros_like(cell_prev.T), cell_prev.T)
    h_next, cell = torch._VF.lstm_cell(gates, state, weight, none)
    return {"h": h_next.T, "cell": cell.T}


def gaussian(h, W, b, eps):
    mu, log_s = (W @ h + b).chunk(2)
    posterior = torch.distributions.Normal(mu, log_s.exp())
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    divergence = torch.distributions.kl_divergence(posterior, prior)
    return {"z": mu + posterior.stddev * eps, "latent": divergence.sum()}


def read(canvas, x):
    return {"x_hat": x - torch.sigmoid(canvas), "canvas": canvas}


def write(canvas, h, W, b):
    return {"canvas": canvas + W @ h + b}


def bernoulli(canvas, x):
    return {"loss": F.binary_cross_entropy_with_logits(canvas, x, reduction="sum")}


def softmax(logits, target):
    return {"loss": F.cross_entropy(logits.T, target.T, reduction="sum")}


def aim(p, place, centre, weight, within):
    g = centre * (p + 1) - 1
    return {"loss": (weight * torch.log1p(((g - place) ** 2).sum(0) / within**2)).sum()}


def place(p, b, centre, stride, offsets):
    gx, gy, log_s2, log_d, log_gamma = p + b
    g = centre * (torch.stack([gx, gy]) + 1) - 1
    mu = g[:, :, None] + stride * log_d.exp()[:, None] * offsets
    return {"mu": mu, "s2": log_s2.exp(), "gamma": log_gamma.exp()}


def filterbank(mu, s2, pixels):
    distance = (pixels - mu[..., None]) ** 2 / (2 * s2[:, None, None])
    return {"F": torch.softmax(-distance, dim=-1), "s2": s2}


def banks(p, b, centre, stride, offsets, rows, columns):
    at = place(p, b, centre, stride, offsets)
    (mu_x, mu_y), s2 = at["mu"], at["s2"]
    return filterbank(mu_y, s2, rows)["F"], filterbank(mu_x, s2, columns)["F"], at["gamma"]


def patch_read(x, Fy, Fx, x_hat=None):
    (B, _, W), (_, N, H) = x.shape, Fy.shape
    pictures = [picture.reshape(B, H, -1, W) for picture in (x, x_hat) if picture is not None]
    patches = [torch.einsum("bih,bhcw,bjw->bicj", Fy, picture, Fx) for picture in pictures]
    return {"patch": torch.cat([patch.reshape(B, N, -1) for patch in patches], dim=1)}


def patch_write(image, patch, Fy, Fx):
    (B, N, _), W = Fy.shape, Fx.shape[2]
    patch = patch.reshape(B, N, -1, N)
    stroke = torch.einsum("bih,bicj,bjw->bhcw", Fy, patch, Fx)
    return {"image": image + stroke.reshape(B, -1, W)}


def glimpse_read(x, canvas=None, **where):
    Fy, Fx, gamma = banks(**where)
    x_hat = None if canvas is None else x - torch.sigmoid(canvas)
    r = gamma[:, None, None] * patch_read(x, Fy, Fx, x_hat)["patch"]
    return {"r": r} | ({} if canvas is None else {"canvas": canvas})


def glimpse_write(canvas, w, bw, **where):
    Fy, Fx, gamma = banks(**where)
    patch = (w + bw.reshape(w.shape[1:])) / gamma[:, None, None]
    return {"canvas": patch_write(canvas, patch, Fy, Fx)["image"]}


#: The same mathematics in PyTorch's own functions, under the names of the operations.
PEERS = {
    "linear": linear,
    "constant, three steps": lambda x, c: {"y": x + c.repeat(1, 3)},
    "lstm": lstm,
    "lstm, bias": lstm,
    "gaussian": gaussian,
    "read": read,
    "write": write,
    "bernoulli": bernoulli,
    "softmax": softmax,
    "aim": aim,
    "kernel place": place,
    "kernel filterbank": filterbank,
    "kernel read": patch_read,
    "kernel read, x alone": patch_read,
    "kernel write": patch_write,
    "glimpse read": glimpse_read,
    "glimpse read, x alone": glimpse_read,
    "glimpse write": glimpse_write,
}
COMPARED = [operation for operation in KERNELS + LAYERS if operation.name in PEERS]


def test_every_layer_has_its_peer():
    assert set(PEERS) >= {operation.name for operation in LAYERS}
    assert set(PEERS) == {operation.name for operation in COMPARED}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("operation", COMPARED, ids=lambda operation: operation.name)
def test_a_layer_agrees_with_autograd(operation, seed):
    inputs = operation.sample(seed)
    forward, backward = operation.on(NUMPY)
    tensors = {
        name: torch.tensor(x, requires_grad=name not in operation.constants)
        for name, x in inputs.items()
    }
    expected = PEERS[operation.name](**tensors)
    found = forward(**inputs)
    assert set(found) == set(expected)
    rng = np.random.default_rng(seed)
    douts = {name: rng.standard_normal(y.shape) for name, y in found.items()}
    torch.autograd.backward(list(expected.values()), [torch.tensor(douts[k]) for k in expected])
    for name, y in expected.items():
        assert_same(name, found[name], y)
    for name, gradient in backward(douts, **inputs).items():
        assert_same(name, gradient, tensors[name].grad)


@pytest.mark.parametrize(
    "operation",
    [model for model in MODELS if model.model is Draw and not model.config.attention],
    ids=lambda operation: operation.name,
)
def test_the_whole_model_agrees_with_autograd(operation):
    peer = pytest.importorskip("bench.peers.torch_draw", exc_type=ImportError)
    inputs = operation.sample(0)
    forward, backward = operation.on(NUMPY)
    parameters = {k: v for k, v in inputs.items() if k not in operation.constants}
    losses, expected = peer.gradients(parameters, inputs["x"].T, inputs["eps"])
    assert_same("loss", forward(**inputs)["loss"], np.mean(losses[0] + losses[1]))
    found = backward({"loss": 1.0}, **inputs)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        assert_same(name, found[name], gradient)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "operation",
    [model for model in MODELS if model.model is Classifier],
    ids=lambda operation: operation.name,
)
def test_the_classifier_agrees_with_autograd(operation, seed):
    peer = pytest.importorskip("bench.peers.torch_classify", exc_type=ImportError)
    inputs, config = operation.sample(seed), operation.config
    forward, backward = operation.on(NUMPY)
    parameters = {k: v for k, v in inputs.items() if k not in operation.constants}
    images = inputs["x"].T.reshape(-1, config.C, config.H, config.W)
    where = {"places": inputs["place"].T} if "place" in inputs else {}
    losses, expected = peer.gradients(
        parameters, images, inputs["target"].T, config.T, first_every=config.first_every,
        **operation.options, **where,
    )  # fmt: skip
    assert_same("loss", forward(**inputs)["loss"], losses.mean())
    found = backward({"loss": 1.0}, **inputs)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        assert_same(name, found[name], gradient)
