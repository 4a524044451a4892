"""DRAW in PyTorch, with and without attention: gradients by autograd, batch first.

Written from the paper as PyTorch's users write it, and sharing no code with mindraw, so that it can
serve as an oracle for mindraw's hand-written gradients as well as an opponent for its speed. Images
are (B, C, H, W) here; names, shapes and values of the parameters are mindraw's, with biases as
columns (n, 1) outside and as vectors (n,) inside.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# mindraw's name of every parameter -> this module's.
NAMES = {
    "encoder.W_x": "project_x.weight",
    "read.W": "attend_read.weight",
    "read.b": "attend_read.bias",
    "encoder.W_u": "encoder.weight",
    "encoder.b": "encoder.bias",
    "latent.W": "latent.weight",
    "latent.b": "latent.bias",
    "decoder.W_v": "decoder.weight",
    "decoder.b": "decoder.bias",
    "write.W": "write.weight",
    "write.b": "write.bias",
    "attend.W": "attend_write.weight",
    "attend.b": "attend_write.bias",
    "initial.c": "c_0",
    "initial.h_enc": "h_enc_0",
    "initial.h_dec": "h_dec_0",
}


def lstm(linear: nn.Linear, inputs: list[Tensor], cell: Tensor, constant: Tensor | float = 0.0):
    """One LSTM step with gate rows in the order i, f, o, g; returns h (B, h) and cell (B, h).

    `constant` (B, 4h) is added to the linear map of the concatenated inputs.
    """
    h = cell.shape[1]
    a = linear(torch.cat(inputs, 1)) + constant
    i, f, o = torch.sigmoid(a[:, : 3 * h]).chunk(3, 1)
    cell = f * cell + i * torch.tanh(a[:, 3 * h :])
    return o * torch.tanh(cell), cell


class Filterbank:
    """The Gaussian filters of N x N glimpses of images (..., H, W), pixels counted from 0."""

    def __init__(self, N: int, image: Tensor):
        H, W = image.shape[-2:]
        self.centre_x, self.centre_y = (W + 1) / 2, (H + 1) / 2
        self.stride = (max(H, W) - 1) / max(N - 1, 1)
        new = {"dtype": image.dtype, "device": image.device}
        self.offsets = torch.arange(N, **new) - (N - 1) / 2
        self.rows, self.columns = torch.arange(H, **new), torch.arange(W, **new)

    def __call__(self, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F_Y (B, 1, N, H), F_X (B, 1, N, W) and gamma (B, 1), from p (B, 5).

        p holds gx~, gy~, log s2, log d~, log gamma. Every filter sums to 1 over the pixels.
        """
        gx, gy, log_s2, log_d, log_gamma = p.split(1, 1)
        steps = self.stride * torch.exp(log_d) * self.offsets
        minus_half_precision = -0.5 * torch.exp(-log_s2)[:, :, None, None]

        def filters(centre: Tensor, pixels: Tensor) -> Tensor:
            mu = (centre - 1 + steps)[:, None, :, None]
            return torch.softmax((pixels - mu) ** 2 * minus_half_precision, 3)

        F_Y = filters(self.centre_y * (gy + 1), self.rows)
        F_X = filters(self.centre_x * (gx + 1), self.columns)
        return F_Y, F_X, torch.exp(log_gamma)


def read(images: Tensor, F_Y: Tensor, F_X: Tensor, gamma: Tensor) -> Tensor:
    """Glimpses of images (B, C, H, W), as gamma F_Y image F_X^T in the order (B, N, C, N)."""
    patches = F_Y @ images @ F_X.mT
    return patches.transpose(1, 2) * gamma[:, :, None, None]


def write(strokes: Tensor, F_Y: Tensor, F_X: Tensor, gamma: Tensor) -> Tensor:
    """Strokes (B, N, C, N) on images (B, C, H, W): F_Y^T stroke F_X / gamma."""
    patches = (strokes / gamma[:, :, None, None]).transpose(1, 2)
    return F_Y.mT @ patches @ F_X


class TorchDraw(nn.Module):
    """DRAW; the sizes are read off the parameters, the images and the noise.

    Parameters
    ----------
    params : dict of str to np.ndarray
        mindraw's parameters. Attention and learned initial states are there if theirs are among
        them; without learned ones the initial states are zero.
    dtype : torch.dtype
    project_once : bool
        Without attention, multiply x by its weights once for all steps, as mindraw does; otherwise
        the encoder reads [x, x_hat, h_enc, h_dec] at every step, as the paper writes it.
    """

    def __init__(
        self,
        params: dict[str, np.ndarray],
        dtype: torch.dtype = torch.float32,
        project_once: bool = True,
    ):
        super().__init__()
        self.merged = "encoder.W_x" in params and not project_once
        self.h_dec, self.h_enc = params["write.W"].shape[1], params["latent.W"].shape[1]
        self.attention = "read.W" in params

        def linear(weight: str, bias: bool = True) -> nn.Linear:
            n_out, n_in = params[weight].shape
            return nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias, dtype=dtype)

        params = self._own(params)

        if self.attention:
            self.attend_read = linear("read.W")
            self.attend_write = linear("attend.W")
        elif not self.merged:
            self.project_x = linear("encoder.W_x", bias=False)
        self.encoder = linear("encoder.W_u")
        self.latent = linear("latent.W")
        self.decoder = linear("decoder.W_v")
        self.write = linear("write.W")
        for name in ("c", "h_enc", "h_dec"):
            if f"initial.{name}" in params:
                state = torch.zeros(len(params[f"initial.{name}"]), dtype=dtype)
                self.register_parameter(f"{name}_0", nn.Parameter(state))
            else:
                self.register_buffer(f"{name}_0", torch.zeros(1, dtype=dtype), persistent=False)
        self._set(params)

    def _own(self, params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """mindraw's parameters, with the encoder's two weights side by side where they are one."""
        if not self.merged:
            return params
        own = {name: value for name, value in params.items() if name != "encoder.W_x"}
        own["encoder.W_u"] = np.hstack([params["encoder.W_x"], params["encoder.W_u"]])
        return own

    def load(self, params: dict[str, np.ndarray]) -> None:
        """Set every parameter from mindraw's dictionary; a missing or surplus name is an error."""
        self._set(self._own(params))

    def _set(self, params: dict[str, np.ndarray]) -> None:
        own = {name: torch.tensor(value) for name, value in params.items()}
        self.load_state_dict({NAMES[k]: v if ".W" in k else v.squeeze(1) for k, v in own.items()})

    def to_mindraw(self, gradients: bool = False) -> dict[str, np.ndarray]:
        """Copies of the parameters, or of their gradients, under mindraw's names and shapes."""
        own = dict(self.named_parameters())
        found = {ours: own[theirs] for ours, theirs in NAMES.items() if theirs in own}
        values = {k: p.grad if gradients else p.detach() for k, p in found.items()}
        found = {
            k: (v if ".W" in k else v[:, None]).cpu().numpy().copy() for k, v in values.items()
        }
        if self.merged:
            both, D = found["encoder.W_u"], len(found["write.W"])
            found["encoder.W_x"], found["encoder.W_u"] = both[:, :D], both[:, D:]
        return found

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction (B,) and latent loss (B,) in nats.

        Parameters
        ----------
        x : Tensor (B, C, H, W)
            Pictures in [0, 1].
        eps : Tensor (T, B, z)
            Standard normal noise.
        """
        B, C = x.shape[:2]
        if self.attention:
            glimpse = self.encoder.in_features - self.h_enc - self.h_dec
            read_bank = Filterbank(math.isqrt(glimpse // (2 * C)), x)
            write_n = math.isqrt(self.write.out_features // C)
            write_bank = Filterbank(write_n, x)
            from_x = 0.0
        else:
            x = x.flatten(1)
            from_x = 0.0 if self.merged else self.project_x(x)
        c = self.c_0.expand(B, x[0].numel()).view_as(x)
        h_enc, h_dec = self.h_enc_0.expand(B, self.h_enc), self.h_dec_0.expand(B, self.h_dec)
        cell_enc, cell_dec = x.new_zeros(B, self.h_enc), x.new_zeros(B, self.h_dec)
        latent = x.new_zeros(B)
        for eps_t in eps.unbind(0):
            x_hat = x - torch.sigmoid(c)
            if self.attention:
                filters = read_bank(self.attend_read(h_dec))
                r = [read(image, *filters).flatten(1) for image in (x, x_hat)]
            else:
                r = [x, x_hat] if self.merged else [x_hat]
            h_enc, cell_enc = lstm(self.encoder, [*r, h_enc, h_dec], cell_enc, from_x)
            mu, log_sigma = self.latent(h_enc).chunk(2, 1)
            sigma = torch.exp(log_sigma)
            latent = latent + 0.5 * (mu**2 + sigma**2 - 2 * log_sigma - 1).sum(1)
            h_dec, cell_dec = lstm(self.decoder, [h_dec, mu + sigma * eps_t], cell_dec)
            w = self.write(h_dec)
            if self.attention:
                strokes = w.view(B, write_n, C, write_n)
                c = c + write(strokes, *write_bank(self.attend_write(h_dec)))
            else:
                c = c + w
        reconstruction = F.binary_cross_entropy_with_logits(c, x, reduction="none")
        return reconstruction.flatten(1).sum(1), latent


def clip_exactly(parameters, clip: float) -> Tensor:
    """Scale the gradients by clip / max(norm, clip), as mindraw does; returns the norm.

    `torch.nn.utils.clip_grad_norm_` scales by clip / (norm + 1e-6) instead: at a norm of 5 that is
    2e-7 away, too much for a comparison in float64.
    """
    gradients = [p.grad for p in parameters]
    norm = torch.stack([torch.linalg.vector_norm(g) for g in gradients]).norm()
    torch._foreach_mul_(gradients, clip / norm.clamp(min=clip))
    return norm


class Trainer:
    """The training step: forward, backward, clipping by global norm, Adam.

    Parameters
    ----------
    model : nn.Module
        Its losses are a tuple of (B,), whose sum is minimised.
    compiled : str or None
        Forward and backward through `torch.compile` in this mode.
    exact_clip : bool
        Clip with `clip_exactly`, not `torch.nn.utils.clip_grad_norm_`.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        clip: float = 5.0,
        compiled: str | None = None,
        exact_clip: bool = False,
    ):
        self.parameters = list(model.parameters())
        self.forward = torch.compile(model, mode=compiled) if compiled else model
        self.clip_by_norm = clip_exactly if exact_clip else nn.utils.clip_grad_norm_
        self.clip = clip
        self.adam = torch.optim.Adam(
            self.parameters, lr=lr, betas=(0.5, 0.999), eps=1e-8, fused=True
        )

    def backward(self, x: Tensor, other: Tensor) -> tuple[Tensor, ...]:
        """Set the gradients of the mean loss over the minibatch; the losses, (B,) each, nats."""
        self.adam.zero_grad()
        losses = self.forward(x, other)
        sum(losses).mean().backward()
        return tuple(loss.detach() for loss in losses)

    def step(self, x: Tensor, other: Tensor, lr: float | None = None) -> tuple[Tensor, ...]:
        """One update from pictures and what else the model takes; the losses before it, nats."""
        losses = self.backward(x, other)
        self.clip_by_norm(self.parameters, self.clip)
        if lr is not None:
            self.adam.param_groups[0]["lr"] = lr
        self.adam.step()
        return losses


def gradients(
    params: dict[str, np.ndarray],
    x: np.ndarray,
    eps: np.ndarray,
    dtype: torch.dtype = torch.float64,
) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """Losses and the gradient of their mean over the batch, for comparison with mindraw's.

    Parameters
    ----------
    params : dict of str to np.ndarray
        mindraw's parameters.
    x : np.ndarray (B, C, H, W)
        Pictures in [0, 1].
    eps : np.ndarray (T, z, B)
        Noise in mindraw's layout.

    Returns
    -------
    losses : (np.ndarray (B,), np.ndarray (B,))
        Reconstruction and latent loss per example, nats.
    gradients : dict of str to np.ndarray
        By mindraw's names, in mindraw's shapes.
    """
    model = TorchDraw(params, dtype)
    noise = torch.tensor(eps, dtype=dtype).transpose(1, 2)
    reconstruction, latent = model(torch.tensor(x, dtype=dtype), noise)
    (reconstruction + latent).mean().backward()
    losses = reconstruction.detach().numpy(), latent.detach().numpy()
    return losses, model.to_mindraw(gradients=True)
