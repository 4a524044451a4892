"""The kernels in NumPy: what `fused` must compute, readable beside the equations.

Every function writes into arrays that it is given, and allocates no more than a
temporary array of one layer's size. All of them accept complex arrays (the complex step)
where they are analytic, so none takes a plain absolute value.
"""

import numpy as np

#: Elements per block of the optimizer: few calls, and a block stays in the caches.
BLOCK = 65536
#: Pairs of normal numbers that are drawn at a time.
NOISE = 16384


def standard_normal(eps, key0, key1, number):
    """Noise from N(0, 1): a pure function of the size and dtype of `eps` and of three integers.

    Philox4x64-10 (Salmon et al. 2011) turns a count into random bits, so that what is drawn does
    not depend on what was drawn before; two uniform numbers u and v of as many bits as eps has
    make two normal ones, sqrt(-2 log u) cos(2 pi v) and sin(2 pi v) (Box and Muller 1958).

    Parameters
    ----------
    eps : array
        Set. Real and contiguous.
    key0, key1, number : int
        From 0 to 2^63 - 1.
    """
    flat = eps.reshape(-1)
    half = (flat.size + 1) // 2
    bits, unit = np.dtype(f"u{flat.itemsize}"), flat.dtype.type(0.5) ** (8 * flat.itemsize)
    generator = np.random.Philox(key=np.array([key0, key1], np.uint64), counter=number << 128)
    for start in range(0, half, NOISE):
        n = min(NOISE, half - start)
        words = generator.random_raw(-(-n * 2 * flat.itemsize // 8))
        u, v = words.view(bits)[: 2 * n].reshape(n, 2).T.astype(flat.dtype, order="C")
        u += 0.5
        u *= unit
        v *= unit
        v *= flat.dtype.type(2 * np.pi)
        np.log(u, out=u)
        u *= -2
        np.sqrt(u, out=u)
        first = flat[start : start + n]
        second = flat[half + start : half + start + n]
        np.cos(v, out=first)
        first *= u
        np.sin(v[: second.size], out=second)
        second *= u[: second.size]


def sigmoid(y, x):
    """y = 1 / (1 + exp(-x)), as tanh(x/2)/2 + 1/2: no overflow, and one tanh is cheap.

    Parameters
    ----------
    y, x : array (rows, B)
        May be the same array.
    """
    np.multiply(x, 0.5, out=y)
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5


def lstm_forward(h, cell, gates, constant, cell_prev):
    """The gates and the state of an LSTM, from the products W u.

    i, f, o = sigmoid(.), g = tanh(.), cell = f cell_prev + i g, h = o tanh(cell).

    Parameters
    ----------
    h, cell : array (h, B)
        Set.
    gates : array (4h, B) or (4, h, B)
        On entry W u; on return i, f, o, g, one below the other.
    constant : array like gates, or with one column
        What is added to W u at every step: a bias, or a bias and a constant input.
    cell_prev : array (h, B)
    """
    gates += constant
    gates = gates.reshape(4, *cell.shape)
    (i, f, o, g), ifo = gates, gates[:3]
    ifo *= 0.5
    np.tanh(gates, out=gates)
    ifo *= 0.5
    ifo += 0.5
    work = i * g
    np.multiply(f, cell_prev, out=cell)
    cell += work
    np.tanh(cell, out=work)
    np.multiply(o, work, out=h)


def lstm_backward(dgates, dcell, gates, dh, dh_u, dh_v, cell, cell_prev):
    """Undo `lstm_forward`.

    Parameters
    ----------
    dgates : array (4h, B) or (4, h, B)
        Set to the gradient at W u (and at `constant`).
    dcell : array (h, B)
        On entry the gradient at `cell` from the next step; on return at `cell_prev`.
    gates : array (4h, B) or (4, h, B)
        i, f, o, g. Overwritten.
    dh, cell : array (h, B)
        Overwritten.
    dh_u, dh_v : array (h, B) or None
        What else flows into h, and counts with dh.
    cell_prev : array (h, B)
    """
    for more in (dh_u, dh_v):
        if more is not None:
            dh += more
    gates = gates.reshape(4, *cell.shape)
    i, f, o, g = gates
    # In place, and copied once at the end: the rows of dgates may lie far apart.
    # h = o t, t = tanh(cell):  do = dh t;  dcell += dh o (1 - t^2), in two parts
    t = np.tanh(cell, out=cell)
    dh *= o
    dcell += dh
    dh *= t
    t *= dh
    dcell -= t
    # sigmoid' = s (1 - s), of which s is in there already
    np.subtract(1, o, out=o)
    o *= dh
    # cell = f cell_prev + i g:  di = dcell g;  dg = dcell i (1 - g^2), in two parts
    di, dg = dh, t
    np.multiply(dcell, i, out=dg)
    np.multiply(dg, g, out=di)
    g *= di
    np.subtract(dg, g, out=g)
    np.subtract(1, i, out=i)
    i *= di
    # df = dcell cell_prev
    dcell *= f
    np.subtract(1, f, out=f)
    f *= dcell
    f *= cell_prev
    np.copyto(dgates.reshape(gates.shape), gates)


def gaussian_forward(z, latent, q, bias, eps):
    """A sample of the latent Gaussian, and its divergence from the prior (eqs. 1, 2, 11).

    mu, log s = q + bias; z = mu + s eps; latent += KL(N(mu, s^2) || N(0, 1)).

    Parameters
    ----------
    z : array (z, B)
        Set.
    latent : array (B,)
        The latent loss in nats is added.
    q : array (2z, B) or (2, z, B)
        On entry W h; on return mu above log s.
    bias : array (2z, 1) or (2, z, 1)
    eps : array (z, B)
        Noise from N(0, 1).
    """
    q += bias
    mu, log_s = q.reshape(2, *z.shape)
    np.exp(log_s, out=z)
    # 1/2 sum_j (mu^2 + s^2 - 2 log s - 1)
    kl = np.einsum("jb,jb->b", mu, mu)
    kl += np.einsum("jb,jb->b", z, z)
    kl -= 2 * log_s.sum(axis=0)
    kl -= len(z)
    kl *= 0.5
    latent += kl
    z *= eps
    z += mu


def gaussian_backward(dq, dz, q, z, scale):
    """Undo `gaussian_forward`.

    Parameters
    ----------
    dq : array (2z, B) or (2, z, B)
        Set to the gradient at mu and log s (and so at W h and the bias).
    dz : array (z, B)
        The gradient at the sample. Overwritten.
    q : array (2z, B) or (2, z, B)
        mu above log s. Overwritten.
    z : array (z, B)
    scale : float
        The gradient at `latent`, the same for the whole minibatch.
    """
    (mu, log_s), (dmu, dlog_s) = (array.reshape(2, *z.shape) for array in (q, dq))
    # the divergence: dmu = mu, dlog s = s^2 - 1
    np.multiply(mu, scale, out=dmu)
    np.multiply(log_s, 2, out=dlog_s)
    np.expm1(dlog_s, out=dlog_s)
    dlog_s *= scale
    # the sample z = mu + s eps: dlog s += dz (z - mu)
    dmu += dz
    np.subtract(z, mu, out=mu)
    dz *= mu
    dlog_s += dz


def error_image_forward(x_hat, x, canvas):
    """x_hat = x - sigmoid(canvas) (eq. 3).

    Parameters
    ----------
    x_hat : array (D, B)
        Set.
    x, canvas : array (D, B)
    """
    work = canvas * -0.5
    np.tanh(work, out=work)
    work *= 0.5
    work -= 0.5
    np.add(work, x, out=x_hat)  # the only pass over x_hat: its rows may lie far apart


def error_image_backward(dcanvas_prev, dx_hat, dcanvas, x_hat, x):
    """Undo `error_image_forward`: the canvas was also carried to the next step.

    Parameters
    ----------
    dcanvas_prev : array (D, B)
        Set to dcanvas - dx_hat s (1 - s), with s = sigmoid(canvas) = x - x_hat.
    dx_hat : array (D, B)
        Overwritten.
    dcanvas : array (D, B)
        The gradient at the canvas of the next step.
    x_hat, x : array (D, B)
    """
    s = x - x_hat
    dx_hat *= s
    np.subtract(1, s, out=s)
    dx_hat *= s
    np.subtract(dcanvas, dx_hat, out=dcanvas_prev)


def add_with_bias(y, x, b):
    """y += x + b: a stroke that covers the whole canvas, and its bias.

    Parameters
    ----------
    y : array (n, B)
        Added to.
    x : array (n, B)
        Overwritten.
    b : array (n, 1)
    """
    x += b
    y += x


def bernoulli_forward(loss, work, logits, x):
    """The reconstruction loss -log p(x | canvas) from logits (eq. 9).

    sum over pixels of max(c, 0) - x c + log(1 + exp(-|c|)): no overflow, no epsilon.

    Parameters
    ----------
    loss : array (B,)
        Set, in nats per example.
    work : array (D, B)
        Overwritten.
    logits, x : array (D, B)
    """
    np.negative(logits, out=work)
    np.minimum(work, logits, out=work)  # -|c|, and analytic: complex numbers order by real part
    np.exp(work, out=work)
    np.log1p(work, out=work)
    work.sum(axis=0, out=loss)
    np.maximum(logits, 0, out=work)
    loss += work.sum(axis=0)
    np.multiply(x, logits, out=work)
    loss -= work.sum(axis=0)


def bernoulli_backward(dlogits, logits, x, scale):
    """Undo `bernoulli_forward`: dlogits = scale (sigmoid(c) - x).

    Parameters
    ----------
    dlogits : array (D, B)
        Set.
    logits, x : array (D, B)
    scale : float
        The gradient at `loss`, the same for the whole minibatch.
    """
    sigmoid(dlogits, logits)
    dlogits -= x
    dlogits *= scale


def softmax_forward(loss, wrong, p, logits, target):
    """The probabilities of the classes from logits, and their cross-entropy with the target.

    p = exp(logits) / sum exp(logits); loss = -sum_k target_k log p_k: no overflow, no epsilon.

    Parameters
    ----------
    loss : array (B,)
        Set, in nats per example.
    wrong : array (B,)
        Set to 0 where the largest p is that of the largest target, to 1 elsewhere.
    p : array (K, B)
        Set.
    logits : array (K, B)
    target : array (K, B)
        Not negative, with sums of 1 over the classes: usually 1 for one class.
    """
    # moved by a number that moves nothing; the real part, for the complex step
    np.subtract(logits, logits.real.max(axis=0), out=p)
    np.einsum("kb,kb->b", target, p, out=loss)
    np.exp(p, out=p)
    total = p.sum(axis=0)
    p /= total
    np.subtract(np.log(total), loss, out=loss)
    np.not_equal(logits.real.argmax(axis=0), target.real.argmax(axis=0), out=wrong)


def softmax_backward(dlogits, p, target, scale):
    """Undo `softmax_forward`: dlogits = scale (p - target).

    Parameters
    ----------
    dlogits : array (K, B)
        Set.
    p, target : array (K, B)
    scale : float
        The gradient at `loss`, the same for the whole minibatch.
    """
    np.subtract(p, target, out=dlogits)
    dlogits *= scale


def row_sums(sums, a):
    """Sum each row of a matrix.

    Parameters
    ----------
    sums : array (n, 1)
        Set.
    a : array (n, B)
    """
    np.einsum("nb->n", a, out=sums[:, 0])  # a third of the time of a sum over axis 1


def step_sums(sums, a):
    """Sum a matrix over the steps that its columns run over.

    Parameters
    ----------
    sums : array (n, B)
        Set.
    a : array (n, T*B)
    """
    n, B = sums.shape
    np.sum(a.reshape(n, a.shape[1] // max(B, 1), B), axis=1, out=sums)


def gradient_norm(state, gradient, count):
    """Measure the flat gradient and note the first update at which it is not finite.

    Parameters
    ----------
    state : array (2,)
        state[0] is set to the Euclidean norm; state[1] is 0 until the first update with
        a norm that is not finite, then the number of that update.
    gradient : array (P,)
    count : int
        1 at the first update.
    """
    total = 0.0
    for start in range(0, gradient.size, BLOCK):
        block = gradient[start : start + BLOCK]
        total += float(np.dot(block, block))
    state[0] = np.sqrt(total)
    if state[1] == 0 and not np.isfinite(state[0]):
        state[1] = count


def adam(theta, m, v, work, gradient, state, clip, lr, beta1, beta2, eps, count):
    """One step of Adam on a range of the flat vector, after clipping by the global norm.

    Once `state` notes an update that was not finite, nothing changes any more.

    Parameters
    ----------
    theta, m, v : array (P,)
        Parameters, first and second moment; updated.
    work : array (min(P, BLOCK),)
        Overwritten.
    gradient : array (P,)
        Counts clip / max(norm, clip) times; itself not changed.
    state : array (2,)
        From `gradient_norm`, over all parameters that are clipped together with these.
    clip, lr, beta1, beta2, eps : float
    count : int
        1 at the first update.
    """
    if state[1] != 0:
        return
    scale = clip / max(float(state[0]), clip)
    rate = lr / (1 - beta1**count)
    root = (1 - beta2**count) ** -0.5
    for start in range(0, theta.size, BLOCK):
        block = slice(start, start + BLOCK)
        g, m_, v_ = gradient[block], m[block], v[block]
        t = work[: g.size]
        # m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
        np.multiply(g, scale * (1 - beta1), out=t)
        m_ *= beta1
        m_ += t
        np.multiply(g, scale, out=t)
        t *= t
        t *= 1 - beta2
        v_ *= beta2
        v_ += t
        # theta -= lr m^ / (sqrt(v^) + eps)
        np.sqrt(v_, out=t)
        t *= root
        t += eps
        np.divide(m_, t, out=t)
        t *= rate
        theta[block] -= t


def place_forward(mu, a, p, bias, centre, stride, offsets):
    """The filters' places, width and intensity from the attention parameters (eqs. 19 to 24).

    Parameters
    ----------
    mu : array (2, B, N)
        Set to the filters' centres, [0] along x (the columns), [1] along y (the rows).
    a : array (5, B)
        Set to gx, gy, s2, d, gamma.
    p : array (5, B)
        gx~, gy~, log s2, log d~, log gamma, less the bias. Overwritten.
    bias : array (5, 1)
    centre : array (2, 1)
        (W+1)/2 and (H+1)/2.
    stride : float
        (max(H, W) - 1)/(N - 1).
    offsets : array (N,)
        i - (N-1)/2.
    """
    p += bias
    g, d = a[:2], a[3]
    np.exp(p[2:], out=a[2:])
    d *= stride
    np.add(p[:2], 1, out=g)
    g *= centre
    g -= 1
    np.multiply(d[:, None], offsets, out=mu[0])
    np.copyto(mu[1], mu[0])
    mu += g[:, :, None]


def place_backward(dp, dmu, dlog_s2, dlog_gamma, a, centre, offsets):
    """Undo `place_forward`.

    Parameters
    ----------
    dp : array (5, B)
        Set.
    dmu : array (2, B, N)
    dlog_s2 : array (2, B)
        By way of each axis.
    dlog_gamma : array (B,)
    a : array (5, B)
        gx, gy, s2, d, gamma.
    centre : array (2, 1)
    offsets : array (N,)
    """
    np.einsum("kbn->kb", dmu, out=dp[:2])
    dp[:2] *= centre
    np.add(dlog_s2[0], dlog_s2[1], out=dp[2])
    np.einsum("kbn,n->b", dmu, offsets, out=dp[3])
    dp[3] *= a[3]
    np.copyto(dp[4], dlog_gamma)


def _lines(y, level, slope, axis):
    """y[..., a] = level + slope a, as a product: broadcast, short rows take twice as long."""
    both = np.empty((*y.shape[:-1], 2), y.dtype)
    both[..., 0], both[..., 1] = level, slope
    np.matmul(both.reshape(-1, 2), axis, out=y.reshape(-1, y.shape[-1]))


def filterbank_forward(F, e, mu, s2, pixels):
    """F[i, a] = exp(e)/sum_a exp(e), e = (a* - a)(a + a* - 2 mu)/(2 s2) (eqs. 25 and 26).

    Parameters
    ----------
    F, e : array (axes, B, N, A)
        Set. Contiguous.
    mu : array (axes, B, N)
    s2 : array (B,)
    pixels : array (A,)
    """
    if not F.size:
        return
    nearest = np.clip(np.rint(mu.real), 0, pixels.size - 1)
    half_precision = (0.5 / s2)[:, None]
    axis = np.stack([np.ones_like(pixels), pixels])
    _lines(e, nearest, -1, axis)
    _lines(F, half_precision * (nearest - 2 * mu), half_precision, axis)
    e *= F
    np.exp(e, out=F)
    F *= (1 / np.einsum("xbna->xbn", F))[..., None]  # a third of the time of a sum over axis 3


def filterbank_backward(dmu, dlog_s2, dF, F, e, s2, pixels):
    """Undo `filterbank_forward`.

    Parameters
    ----------
    dmu : array (axes, B, N)
        Set.
    dlog_s2 : array (axes, B)
        Set.
    dF, F : array (axes, B, N, A)
        Overwritten.
    e : array (axes, B, N, A)
    s2 : array (B,)
    pixels : array (A,)
    """
    dF *= F
    F *= np.einsum("xbna->xbn", dF)[..., None]
    dF -= F  # the gradient at e
    np.matmul(dF, pixels, out=dmu)
    dmu /= s2[:, None]
    np.einsum("xbna,xbna->xb", dF, e, out=dlog_s2)
    np.negative(dlog_s2, out=dlog_s2)


def intensity_forward(r, patch, gamma):
    """r = gamma patch, the intensity of a glimpse (eq. 27).

    Parameters
    ----------
    r : array (B, P*N, C*N)
        Of P pictures; set; usually a transposed view of rows of a tape.
    patch : array (B, P*N, C*N)
    gamma : array (B,)
    """
    np.multiply(patch, gamma[:, None, None], out=r)


def intensity_backward(dpatch, dlog_gamma, dr, r, gamma):
    """Undo `intensity_forward`.

    Parameters
    ----------
    dpatch : array (B, P*N, C*N)
        Set.
    dlog_gamma : array (B,)
        Set to the sum of dr r.
    dr, r : array (B, P*N, C*N)
    gamma : array (B,)
    """
    np.multiply(dr, r, out=dpatch)
    np.einsum("bnk->b", dpatch, out=dlog_gamma)
    np.multiply(dr, gamma[:, None, None], out=dpatch)


def stroke_forward(patch, w, bias, gamma):
    """patch = (w + bias) / gamma: writing divides by the intensity (eq. 29).

    Parameters
    ----------
    patch : array (B, N, C*N)
        Set.
    w : array (B, N, C*N)
        Usually a transposed view of a product's rows.
    bias : array (N*C*N, 1)
    gamma : array (B,)
    """
    np.add(w, bias.reshape(w.shape[1:]), out=patch)
    patch /= gamma[:, None, None]


def stroke_backward(dw, dlog_gamma, dpatch, patch, gamma):
    """Undo `stroke_forward`.

    Parameters
    ----------
    dw : array (B, N, C*N)
        Set.
    dlog_gamma : array (B,)
        Set to minus the sum of dpatch patch.
    dpatch : array (B, N, C*N)
    patch : array (B, N, C*N)
        Overwritten.
    gamma : array (B,)
    """
    patch *= dpatch
    np.einsum("bnk->b", patch, out=dlog_gamma)
    np.negative(dlog_gamma, out=dlog_gamma)
    np.divide(dpatch, gamma[:, None, None], out=dw)


def _channels(image, Fy):
    """Return C, from an image (B, H*C, W) and filters (B, N, H)."""
    return image.shape[1] // Fy.shape[2]


def _beside(array, C):
    """See (B, n*C, m) as (B, n, C*m): the channels of a row side by side."""
    B, rows, m = array.shape
    return array.reshape(B, rows // C, C * m)


def _below(array, C):
    """See (B, n, C*m) as (B, n*C, m): the channels of a row one below the other."""
    B, n, columns = array.shape
    return array.reshape(B, n * C, columns // C)


def read_forward(patch, half, x, x_hat, Fy, Fx):
    """half = [Fy x; Fy x_hat], patch = half Fx^T: what a pair of filterbanks sees (eq. 27).

    Parameters
    ----------
    patch : array (B, P*N, C*N)
        Set to the patch of x above that of x_hat: P = 2; or to that of x alone, P = 1.
    half : array (B, P*N, C*W)
        Set.
    x : array (B, H*C, W)
    x_hat : array (B, H*C, W) or None
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    C, N = _channels(x, Fy), Fy.shape[1]
    np.matmul(Fy, _beside(x, C), out=half[:, :N])
    if x_hat is not None:
        np.matmul(Fy, _beside(x_hat, C), out=half[:, N:])
    np.matmul(_below(half, C), Fx.swapaxes(1, 2), out=_below(patch, C))


def read_backward(dx_hat, dFy, dFx, dhalf, dpatch, half, x, x_hat, Fy, Fx):
    """Undo `read_forward`; x is given and has no gradient.

    Parameters
    ----------
    dx_hat : array (B, H*C, W) or None
        Set.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, P*N, C*W)
        Overwritten.
    dpatch : array (B, P*N, C*N)
    half, x, x_hat, Fy, Fx : array
    """
    C, N = _channels(x, Fy), Fy.shape[1]
    drows = _below(dpatch, C)
    np.matmul(drows.swapaxes(1, 2), _below(half, C), out=dFx)
    np.matmul(drows, Fx, out=_below(dhalf, C))
    np.matmul(dhalf[:, :N], _beside(x, C).swapaxes(1, 2), out=dFy)
    if x_hat is not None:
        dFy += np.matmul(dhalf[:, N:], _beside(x_hat, C).swapaxes(1, 2))
        np.matmul(Fy.swapaxes(1, 2), dhalf[:, N:], out=_beside(dx_hat, C))


def write_forward(image, work, half, patch, Fy, Fx):
    """half = patch Fx, image += Fy^T half: a stroke, spread by its filterbanks (eq. 29).

    Parameters
    ----------
    image : array (B, H*C, W)
        Added to.
    work : array (B, H*C, W)
        Overwritten.
    half : array (B, N, C*W)
        Set.
    patch : array (B, N, C*N)
    Fy : array (B, N, H)
    Fx : array (B, N, W)
    """
    C = _channels(image, Fy)
    np.matmul(_below(patch, C), Fx, out=_below(half, C))
    np.matmul(Fy.swapaxes(1, 2), half, out=_beside(work, C))
    image += work


def write_backward(dpatch, dFy, dFx, dhalf, dimage, half, patch, Fy, Fx):
    """Undo `write_forward`.

    Parameters
    ----------
    dpatch : array (B, N, C*N)
        Set.
    dFy, dFx : array (B, N, H), (B, N, W)
        Set.
    dhalf : array (B, N, C*W)
        Overwritten.
    dimage : array (B, H*C, W)
    half, patch, Fy, Fx : array
    """
    C = _channels(dimage, Fy)
    np.matmul(half, _beside(dimage, C).swapaxes(1, 2), out=dFy)
    np.matmul(Fy, _beside(dimage, C), out=dhalf)
    np.matmul(_below(patch, C).swapaxes(1, 2), _below(dhalf, C), out=dFx)
    np.matmul(_below(dhalf, C), Fx.swapaxes(1, 2), out=_below(dpatch, C))


def _place(bank, bias, grid):
    """Place the filters of a bank as bank.p and a bias say, and build them."""
    place_forward(bank.mu, bank.a, bank.p, bias, grid.centre, grid.stride, grid.offsets)
    for axis in bank.axes:
        filterbank_forward(axis.F, axis.e, axis.mu, bank.s2, axis.pixels)


def _place_backward(dp, bank, grid):
    """Undo `_place`, from the gradients at the filters and at log gamma."""
    for axis in bank.axes:
        filterbank_backward(axis.dmu, axis.dlog_s2, axis.dF, axis.F, axis.e, bank.s2, axis.pixels)
    place_backward(dp, bank.dmu, bank.dlog_s2, bank.dlog_gamma, bank.a, grid.centre, grid.offsets)


def attentive_read_forward(r, x_hat, bank, bias, grid, x, canvas):
    """r = gamma [Fy x Fx^T; Fy x_hat Fx^T], x_hat = x - sigmoid(canvas) (eqs. 3, 19 to 27).

    Parameters
    ----------
    r : array (B, P*N, C*N)
        Of P = 2 pictures, or P = 1 without a canvas; set; usually a transposed view of rows of a
        tape.
    x_hat : array (B, H*C, W) or None
        Set; None without a canvas.
    bank : mindraw.nn.filterbank.Bank
        bank.p says where to look, and is overwritten. What `attentive_read_backward` takes is set:
        a, F, e and half.
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    x : array (B, H*C, W)
    canvas : array (B, H*C, W) or None
    """
    _place(bank, bias, grid)
    if canvas is not None:
        error_image_forward(x_hat, x, canvas)
    read_forward(bank.patch, bank.half, x, x_hat, bank.Fy, bank.Fx)
    intensity_forward(r, bank.patch, bank.gamma)


def attentive_read_backward(dp, dcanvas_prev, work, dr, dcanvas, bank, grid, r, x_hat, x):
    """Undo `attentive_read_forward`; x is given and has no gradient.

    Parameters
    ----------
    dp : array (5, B)
        Set.
    dcanvas_prev : array (B, H*C, W) or None
        Set to the gradient at the canvas, by which it was carried to the next step included.
    work : array (B, H*C, W) or None
        Overwritten.
    dr : array (B, P*N, C*N)
    dcanvas : array (B, H*C, W) or None
        The gradient at the canvas of the next step.
    bank : mindraw.nn.filterbank.Bank
        As `attentive_read_forward` left it. Overwritten, all but a, half and p.
    grid : mindraw.nn.filterbank.Grid
    r : array (B, P*N, C*N)
    x_hat : array (B, H*C, W) or None
    x : array (B, H*C, W)
    """
    intensity_backward(bank.dpatch, bank.dlog_gamma, dr, r, bank.gamma)
    read_backward(
        work, bank.dFy, bank.dFx, bank.dhalf,
        bank.dpatch, bank.half, x, x_hat, bank.Fy, bank.Fx,
    )  # fmt: skip
    if x_hat is not None:
        error_image_backward(dcanvas_prev, work, dcanvas, x_hat, x)
    _place_backward(dp, bank, grid)


def attentive_write_forward(canvas, work, bank, w, bias_w, bias, grid):
    """canvas += 1/gamma Fy^T (w + bias_w) Fx (eqs. 19 to 26, 29).

    Parameters
    ----------
    canvas : array (B, H*C, W)
        Added to.
    work : array (B, H*C, W)
        Overwritten.
    bank : mindraw.nn.filterbank.Bank
        bank.p says where to write, and is overwritten. What `attentive_write_backward` takes is
        set: a, F, e, half and patch.
    w : array (B, N, C*N)
        Usually a transposed view of a product's rows.
    bias_w : array (N*C*N, 1)
    bias : array (5, 1)
    grid : mindraw.nn.filterbank.Grid
    """
    _place(bank, bias, grid)
    stroke_forward(bank.patch, w, bias_w, bank.gamma)
    write_forward(canvas, work, bank.half, bank.patch, bank.Fy, bank.Fx)


def attentive_write_backward(dp, dw, dcanvas, bank, grid):
    """Undo `attentive_write_forward`; the gradient at the canvas it added to is dcanvas itself.

    Parameters
    ----------
    dp : array (5, B)
        Set.
    dw : array (B, N, C*N)
        Set.
    dcanvas : array (B, H*C, W)
    bank : mindraw.nn.filterbank.Bank
        As `attentive_write_forward` left it. Overwritten, all but a, half and p.
    grid : mindraw.nn.filterbank.Grid
    """
    write_backward(
        bank.dpatch, bank.dFy, bank.dFx, bank.dhalf,
        dcanvas, bank.half, bank.patch, bank.Fy, bank.Fx,
    )  # fmt: skip
    stroke_backward(dw, bank.dlog_gamma, bank.dpatch, bank.patch, bank.gamma)
    _place_backward(dp, bank, grid)
