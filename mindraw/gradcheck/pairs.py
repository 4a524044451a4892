"""The engine's layers and kernels as forward/backward pairs without side effects.

Every function here takes a backend and named arrays, lays the buffers out, calls the engine
and returns a dict. Buffers that the engine sets are handed to it full of NaN, so that what is
left unset, or added to, shows; where it adds to a gradient, that of another use of the same
input is there already. A loss is one number here: the engine's `scale` is its gradient.
"""

from types import SimpleNamespace

import numpy as np

from ..nn import aim, filterbank, gaussian, glimpse, linear, lstm, write


def unset(ops, *shape):
    """Return an array that shows whatever is not set."""
    array = ops.empty(shape)
    array.fill(np.nan)
    return array


class Kernel:
    """A kernel under the names of a layer: ``forward`` and ``backward`` with a backend first."""

    def __init__(self, name):
        self.name = name

    def forward(self, ops, *arguments):
        getattr(ops.kernels, f"{self.name}_forward")(*arguments)

    def backward(self, ops, *arguments):
        getattr(ops.kernels, f"{self.name}_backward")(*arguments)


# ---------------------------------------------------------------- linear


def linear_forward(ops, x, W, b):
    y = unset(ops, W.shape[0], x.shape[1])
    linear.forward(ops, y, x, W)
    return {"y": y + b}


def linear_backward(ops, douts, x, W, b):
    dx, dW, db = unset(ops, *x.shape), unset(ops, *W.shape), unset(ops, *b.shape)
    linear.backward(ops, dx, douts["y"], W)
    linear.weight_gradient(ops, dW, douts["y"], x)
    linear.bias_gradient(ops, db, douts["y"])
    return {"x": dx, "W": dW, "b": db}


def constant_forward(ops, x, c):
    (n, columns), B = x.shape, c.shape[1]
    y = unset(ops, n, columns)
    y[...] = x
    for start in range(0, columns, B or 1):
        y[:, start : start + B] += c
    return {"y": y}


def constant_backward(ops, douts, x, c):
    dc = unset(ops, *c.shape)
    linear.constant_gradient(ops, dc, douts["y"])
    return {"x": douts["y"], "c": dc}


# ---------------------------------------------------------------- LSTM


def run_lstm_kernel(ops, a, constant, cell_prev):
    h, cell = (unset(ops, *cell_prev.shape) for _ in range(2))
    ops.kernels.lstm_forward(h, cell, a, constant, cell_prev)
    return h, cell, a


def lstm_kernel_forward(ops, **inputs):
    h, cell, _ = run_lstm_kernel(ops, **inputs)
    return {"h": h, "cell": cell}


def lstm_kernel_backward(ops, douts, a, constant, cell_prev):
    _, cell, gates = run_lstm_kernel(ops, a, constant, cell_prev)
    dgates, dcell = unset(ops, *a.shape), douts["cell"]
    flows = in_three(ops, douts["h"])
    ops.kernels.lstm_backward(dgates, dcell, gates, *flows, cell, cell_prev)
    return {"a": dgates, "constant": at_constant(ops, dgates, constant), "cell_prev": dcell}


def in_three(ops, dh):
    """Return three arrays of which dh is the sum: what flows into h from three places."""
    parts = [unset(ops, *dh.shape) for _ in range(3)]
    for part, share in zip(parts, (0.5, -0.25, 0.75), strict=True):
        part[...] = dh * share
    return parts


def run_lstm(ops, u, W, constant, cell_prev):
    h, cell = (unset(ops, *cell_prev.shape) for _ in range(2))
    gates = unset(ops, W.shape[0], u.shape[1])
    lstm.forward(ops, h, cell, gates, u, constant, cell_prev, W)
    return h, cell, gates


def lstm_forward(ops, **inputs):
    h, cell, _ = run_lstm(ops, **inputs)
    return {"h": h, "cell": cell}


def lstm_backward(ops, douts, u, W, constant, cell_prev):
    _, cell, gates = run_lstm(ops, u, W, constant, cell_prev)
    du, dgates, dW = unset(ops, *u.shape), unset(ops, *gates.shape), unset(ops, *W.shape)
    dcell, room = douts["cell"], unset(ops, *cell.shape)
    dy, *others = in_three(ops, douts["h"])
    W_y = ops.asarray(np.eye(len(cell)))
    lstm.backward(ops, dgates, dcell, gates, room, *others, cell, cell_prev, dy, W_y)
    linear.backward(ops, du, dgates, W)
    linear.weight_gradient(ops, dW, dgates, u)
    dconstant = at_constant(ops, dgates, constant)
    return {"u": du, "W": dW, "constant": dconstant, "cell_prev": dcell}


def at_constant(ops, dgates, constant):
    """Return the gradient at a constant input (4h, B), dgates, or at a bias (4h, 1), their sum."""
    if constant.shape == dgates.shape:
        return dgates
    db = unset(ops, *constant.shape)
    linear.bias_gradient(ops, db, dgates)
    return db


# ---------------------------------------------------------------- Gaussian latent


def run_gaussian_kernel(ops, q, b, eps):
    z, latent = unset(ops, *eps.shape), ops.zeros(eps.shape[1:])
    ops.kernels.gaussian_forward(z, latent, q, b, eps)
    return z, latent, q


def gaussian_kernel_forward(ops, **inputs):
    z, latent, _ = run_gaussian_kernel(ops, **inputs)
    return {"z": z, "latent": latent.sum()}


def gaussian_kernel_backward(ops, douts, q, b, eps):
    z, _, q = run_gaussian_kernel(ops, q, b, eps)
    dq, db = unset(ops, *q.shape), unset(ops, *b.shape)
    ops.kernels.gaussian_backward(dq, douts["z"], q, z, douts["latent"])
    linear.bias_gradient(ops, db, dq)
    return {"q": dq, "b": db}


def run_gaussian(ops, h, W, b, eps):
    z, latent = unset(ops, *eps.shape), ops.zeros(eps.shape[1:])
    q = unset(ops, W.shape[0], h.shape[1])
    gaussian.forward(ops, z, latent, q, h, eps, W, b)
    return z, latent, q


def gaussian_forward(ops, **inputs):
    z, latent, _ = run_gaussian(ops, **inputs)
    return {"z": z, "latent": latent.sum()}


def gaussian_backward(ops, douts, h, W, b, eps):
    z, _, q = run_gaussian(ops, h, W, b, eps)
    dh, dq = unset(ops, *h.shape), unset(ops, *q.shape)
    dW, db = unset(ops, *W.shape), unset(ops, *b.shape)
    gaussian.backward(ops, dq, douts["z"], q, z, douts["latent"])
    linear.backward(ops, dh, dq, W)
    linear.weight_gradient(ops, dW, dq, h)
    linear.bias_gradient(ops, db, dq)
    return {"h": dh, "W": dW, "b": db}


# ---------------------------------------------------------------- read and write


class ErrorImage:
    """x - sigmoid(canvas), beside the canvas that is carried on: `nn.read` or its kernel."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, ops, x, canvas):
        x_hat = unset(ops, *x.shape)
        self.layer.forward(ops, x_hat, x, canvas)
        return {"x_hat": x_hat, "canvas": canvas}

    def backward(self, ops, douts, x, canvas):
        x_hat = self.forward(ops, x, canvas)["x_hat"]
        dcanvas_prev = unset(ops, *x.shape)
        self.layer.backward(ops, dcanvas_prev, douts["x_hat"], douts["canvas"], x_hat, x)
        return {"canvas": dcanvas_prev}


def write_forward(ops, canvas, h, W, b):
    write.forward(ops, canvas, unset(ops, *canvas.shape), h, W, b)
    return {"canvas": canvas}


def write_backward(ops, douts, canvas, h, W, b):
    dcanvas = douts["canvas"]
    dh, dW, db = unset(ops, *h.shape), unset(ops, *W.shape), unset(ops, *b.shape)
    linear.backward(ops, dh, dcanvas, W)
    linear.weight_gradient(ops, dW, dcanvas, h)
    linear.bias_gradient(ops, db, dcanvas)
    return {"canvas": dcanvas, "h": dh, "W": dW, "b": db}


# ---------------------------------------------------------------- attention


def run_place(ops, p, b, centre, stride, offsets):
    mu, a = unset(ops, 2, p.shape[1], offsets.shape[0]), unset(ops, *p.shape)
    ops.kernels.place_forward(mu, a, p, b, centre, stride, offsets)
    return mu, a


def place_forward(ops, **inputs):
    mu, a = run_place(ops, **inputs)
    return {"mu": mu, "s2": a[2], "gamma": a[4]}


def place_backward(ops, douts, p, b, centre, stride, offsets):
    _, a = run_place(ops, p, b, centre, stride, offsets)
    dp, db = unset(ops, *p.shape), unset(ops, *b.shape)
    dlog_s2, dlog_gamma = unset(ops, 2, p.shape[1]), douts["gamma"] * a[4]
    dlog_s2[0], dlog_s2[1] = douts["s2"] * a[2] * 0.25, douts["s2"] * a[2] * 0.75
    ops.kernels.place_backward(dp, douts["mu"], dlog_s2, dlog_gamma, a, centre, offsets)
    linear.bias_gradient(ops, db, dp)
    return {"p": dp, "b": db}


def run_filterbank(ops, mu, s2, pixels):
    F, e = (unset(ops, *mu.shape, pixels.shape[0]) for _ in range(2))
    ops.kernels.filterbank_forward(F, e, mu, s2, pixels)
    return F, e


def filterbank_forward(ops, mu, s2, pixels):
    return {"F": run_filterbank(ops, mu, s2, pixels)[0], "s2": s2}


def filterbank_backward(ops, douts, mu, s2, pixels):
    F, e = run_filterbank(ops, mu, s2, pixels)
    dmu, dlog_s2 = unset(ops, *mu.shape), unset(ops, *mu.shape[:2])
    ops.kernels.filterbank_backward(dmu, dlog_s2, douts["F"], F, e, s2, pixels)
    return {"mu": dmu, "s2": douts["s2"] + dlog_s2.sum(axis=0) / s2}


def intensity_forward(ops, patch, gamma):
    r = unset(ops, *patch.shape)
    ops.kernels.intensity_forward(r, patch, gamma)
    return {"r": r, "gamma": gamma}


def intensity_backward(ops, douts, patch, gamma):
    r = intensity_forward(ops, patch, gamma)["r"]
    dpatch, dlog_gamma = unset(ops, *patch.shape), unset(ops, *gamma.shape)
    ops.kernels.intensity_backward(dpatch, dlog_gamma, douts["r"], r, gamma)
    return {"patch": dpatch, "gamma": douts["gamma"] + dlog_gamma / gamma}


def stroke_forward(ops, w, b, gamma):
    patch = unset(ops, *w.shape)
    ops.kernels.stroke_forward(patch, w, b, gamma)
    return {"patch": patch, "gamma": gamma}


def stroke_backward(ops, douts, w, b, gamma):
    patch = stroke_forward(ops, w, b, gamma)["patch"]
    dw, dlog_gamma = unset(ops, *w.shape), unset(ops, *gamma.shape)
    ops.kernels.stroke_backward(dw, dlog_gamma, douts["patch"], patch, gamma)
    db = dw.sum(axis=0).reshape(*b.shape)
    return {"w": dw, "b": db, "gamma": douts["gamma"] + dlog_gamma / gamma}


def run_patch_read(ops, x, Fy, Fx, x_hat=None):
    (B, rows, W), (_, N, H) = x.shape, Fy.shape
    C, P = rows // H, 1 if x_hat is None else 2
    patch, half = unset(ops, B, P * N, C * N), unset(ops, B, P * N, C * W)
    ops.kernels.read_forward(patch, half, x, x_hat, Fy, Fx)
    return patch, half


def patch_read_forward(ops, **inputs):
    return {"patch": run_patch_read(ops, **inputs)[0]}


def patch_read_backward(ops, douts, x, Fy, Fx, x_hat=None):
    _, half = run_patch_read(ops, x, Fy, Fx, x_hat)
    dFy, dFx, dx_hat = unset(ops, *Fy.shape), unset(ops, *Fx.shape), None
    dhalf, dpatch = unset(ops, *half.shape), douts["patch"]
    if x_hat is not None:
        dx_hat = unset(ops, *x_hat.shape)
    ops.kernels.read_backward(dx_hat, dFy, dFx, dhalf, dpatch, half, x, x_hat, Fy, Fx)
    return {"Fy": dFy, "Fx": dFx} | ({} if x_hat is None else {"x_hat": dx_hat})


def run_patch_write(ops, image, patch, Fy, Fx):
    (B, rows, W), (_, N, H) = image.shape, Fy.shape
    half = unset(ops, B, N, rows // H * W)
    ops.kernels.write_forward(image, unset(ops, *image.shape), half, patch, Fy, Fx)
    return image, half


def patch_write_forward(ops, **inputs):
    return {"image": run_patch_write(ops, **inputs)[0]}


def patch_write_backward(ops, douts, image, patch, Fy, Fx):
    _, half = run_patch_write(ops, image, patch, Fy, Fx)
    dpatch, dFy, dFx = unset(ops, *patch.shape), unset(ops, *Fy.shape), unset(ops, *Fx.shape)
    dhalf, dimage = unset(ops, *half.shape), douts["image"]
    ops.kernels.write_backward(dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx)
    return {"image": dimage, "patch": dpatch, "Fy": dFy, "Fx": dFx}


def bank_of(ops, image, p, grid, pictures):
    """Lay out a bank for images (B, H*C, W), and let p, which stays as it is, say where."""
    (B, rows, W), (H,), (N,) = image.shape, grid.rows.shape, grid.offsets.shape
    shapes = filterbank.bank_shapes(B, H, W, rows // H, N, pictures)
    copy = unset(ops, *p.shape)
    copy[...] = p
    arrays = {name: unset(ops, *shape) for name, shape in shapes.items()}
    return filterbank.Bank(grid, copy, arrays)


def run_glimpse_read(ops, p, b, x, canvas=None, **grid):
    grid, P = SimpleNamespace(**grid), 1 if canvas is None else 2
    bank = bank_of(ops, x, p, grid, P)
    x_hat, r = None if canvas is None else unset(ops, *x.shape), unset(ops, *bank.patch.shape)
    glimpse.read_forward(ops, r, x_hat, bank, b, grid, x, canvas)
    return r, x_hat, bank, grid


def glimpse_read_forward(ops, canvas=None, **inputs):
    r = run_glimpse_read(ops, canvas=canvas, **inputs)[0]
    return {"r": r} | ({} if canvas is None else {"canvas": canvas})


def glimpse_read_backward(ops, douts, p, b, x, canvas=None, **grid):
    r, x_hat, bank, grid = run_glimpse_read(ops, p, b, x, canvas, **grid)
    dp, db, dcanvas, work = unset(ops, *p.shape), unset(ops, *b.shape), None, None
    if canvas is not None:
        dcanvas, work = unset(ops, *canvas.shape), unset(ops, *canvas.shape)
    glimpse.read_backward(
        ops, dp, dcanvas, work, douts["r"], douts.get("canvas"), bank, grid, r, x_hat, x
    )
    linear.bias_gradient(ops, db, dp)
    return {"p": dp, "b": db} | ({} if canvas is None else {"canvas": dcanvas})


def run_glimpse_write(ops, canvas, w, bw, p, b, **grid):
    grid = SimpleNamespace(**grid)
    bank = bank_of(ops, canvas, p, grid, 1)
    glimpse.write_forward(ops, canvas, unset(ops, *canvas.shape), bank, w, bw, b, grid)
    return canvas, bank, grid


def glimpse_write_forward(ops, **inputs):
    return {"canvas": run_glimpse_write(ops, **inputs)[0]}


def glimpse_write_backward(ops, douts, canvas, w, bw, p, b, **grid):
    _, bank, grid = run_glimpse_write(ops, canvas, w, bw, p, b, **grid)
    dp, dw, db = unset(ops, *p.shape), unset(ops, *w.shape), unset(ops, *b.shape)
    glimpse.write_backward(ops, dp, dw, douts["canvas"], bank, grid)
    linear.bias_gradient(ops, db, dp)
    dbw = dw.sum(axis=0).reshape(*bw.shape)
    return {"canvas": douts["canvas"], "w": dw, "bw": dbw, "p": dp, "b": db}


# ---------------------------------------------------------------- reconstruction loss


class Reconstruction:
    """-log p(x | canvas), summed over the minibatch: `nn.bernoulli` or its kernel."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, ops, canvas, x):
        loss = unset(ops, canvas.shape[1])
        self.layer.forward(ops, loss, unset(ops, *canvas.shape), canvas, x)
        return {"loss": loss.sum()}

    def backward(self, ops, douts, canvas, x):
        dcanvas = unset(ops, *canvas.shape)
        self.layer.backward(ops, dcanvas, canvas, x, douts["loss"])
        return {"canvas": dcanvas}


# ---------------------------------------------------------------- classification loss


class Classification:
    """The cross-entropy of a softmax, summed over the minibatch: `nn.softmax` or its kernel."""

    def __init__(self, layer):
        self.layer = layer

    def run(self, ops, logits, target):
        loss, wrong = (unset(ops, logits.shape[1]) for _ in range(2))
        p = unset(ops, *logits.shape)
        self.layer.forward(ops, loss, wrong, p, logits, target)
        return loss, p

    def forward(self, ops, logits, target):
        loss, _ = self.run(ops, logits, target)
        return {"loss": loss.sum()}

    def backward(self, ops, douts, logits, target):
        _, p = self.run(ops, logits, target)
        dlogits = unset(ops, *logits.shape)
        self.layer.backward(ops, dlogits, p, target, douts["loss"])
        return {"logits": dlogits}


# ---------------------------------------------------------------- where a glimpse looks


class Looking:
    """The aim loss, summed over the minibatch, of glimpses that p (2, B) moves.

    It is added to what is there, and so is its gradient: of the five numbers of a glimpse the other
    three keep what they have.
    """

    def __init__(self, layered):
        self.layered = layered

    def look(self, ops, p, centre):
        a = unset(ops, 5, p.shape[1])
        a[:2] = (p + 1) * centre - 1
        return a

    def forward(self, ops, p, place, centre, weight, within):
        loss, a = ops.zeros((p.shape[1],)), self.look(ops, p, centre)
        if self.layered:
            aim.forward(ops, loss, a, place, aim.AimLoss(weight, within))
        else:
            ops.kernels.aim_forward(loss, a, place, weight, within)
        return {"loss": loss.sum()}

    def backward(self, ops, douts, p, place, centre, weight, within):
        dp, a = unset(ops, 5, p.shape[1]), self.look(ops, p, centre)
        dp[:2].fill(0.5)
        if self.layered:
            grid = SimpleNamespace(centre=centre)
            aim.backward(ops, dp, a, place, grid, aim.AimLoss(weight, within), douts["loss"])
        else:
            ops.kernels.aim_backward(dp, a, place, centre, weight * douts["loss"], within)
        dp[:2] -= 0.5
        return {"p": dp[:2]}
