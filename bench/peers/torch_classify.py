"""The classifier of glimpses in PyTorch: gradients by autograd, batch first.

Written as `torch_draw` is, with its LSTM, filterbanks and training step, and sharing no code with
mindraw. Pictures are (B, C, H, W); names, shapes and values of the parameters are mindraw's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .torch_draw import Filterbank, lstm, read

# mindraw's name of every parameter -> this module's.
NAMES = {
    "read.W": "attend.weight",
    "read.b": "attend.bias",
    "encoder.W_u": "encoder.weight",
    "encoder.b": "encoder.bias",
    "classify.W": "classify.weight",
    "classify.b": "classify.bias",
    "initial.h": "h_0",
    "initial.glimpse": "first",
}


class TorchClassifier(nn.Module):
    """T glimpses into an LSTM and a softmax; the sizes are read off the parameters.

    Parameters
    ----------
    params : dict of str to np.ndarray
        mindraw's parameters. The initial state is zero, and the first glimpse as the state says,
        where learned ones are not among them.
    glimpses : int
        T.
    dtype : torch.dtype
    first_every : int or None
        Every how many glimpses one looks as the first; None for the first alone.
    aim_loss : (float, float) or None
        What it costs to look elsewhere than at a given place, in nats, and within how many pixels.
    """

    def __init__(
        self,
        params: dict[str, np.ndarray],
        glimpses: int,
        dtype: torch.dtype = torch.float32,
        first_every: int | None = None,
        aim_loss: tuple[float, float] | None = None,
    ):
        super().__init__()
        self.aim_loss = aim_loss
        self.first_every = first_every or glimpses
        self.T, self.h = glimpses, params["classify.W"].shape[1]

        def linear(weight: str) -> nn.Linear:
            n_out, n_in = params[weight].shape
            return nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=dtype)

        self.attend, self.encoder = linear("read.W"), linear("encoder.W_u")
        self.classify = linear("classify.W")
        self.first = None
        if "initial.glimpse" in params:
            self.first = nn.Parameter(torch.zeros(5, dtype=dtype))
        if "initial.h" in params:
            self.h_0 = nn.Parameter(torch.zeros(self.h, dtype=dtype))
        else:
            self.register_buffer("h_0", torch.zeros(1, dtype=dtype), persistent=False)
        own = {name: torch.tensor(value) for name, value in params.items()}
        self.load_state_dict({NAMES[k]: v if ".W" in k else v.squeeze(1) for k, v in own.items()})

    def to_mindraw(self, gradients: bool = False) -> dict[str, np.ndarray]:
        """Copies of the parameters, or of their gradients, under mindraw's names and shapes."""
        own = dict(self.named_parameters())
        found = {ours: own[theirs] for ours, theirs in NAMES.items() if theirs in own}
        # where T = 1 and the first glimpse is learned, no state is asked where to look
        values = {
            k: (torch.zeros_like(p) if p.grad is None else p.grad) if gradients else p.detach()
            for k, p in found.items()
        }
        return {k: (v if ".W" in k else v[:, None]).cpu().numpy().copy() for k, v in values.items()}

    def logits(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What enters the softmax (B, K), from pictures (B, C, H, W).

        And the centres (B, 2) of all glimpses that the state has aimed, x and y in pixels.
        """
        B, C, H, W = x.shape
        half, centres = x.new_tensor([(W + 1) / 2, (H + 1) / 2]), []
        N = math.isqrt((self.encoder.in_features - self.h) // C)
        filterbank = Filterbank(N, x)
        h, cell = self.h_0.expand(B, self.h), x.new_zeros(B, self.h)
        for t in range(self.T):
            learned = t % self.first_every == 0 and self.first is not None
            where = self.first.expand(B, 5) if learned else self.attend(h)
            if not learned:
                centres.append(half * (where[:, :2] + 1) - 1)
            glimpse = read(x, *filterbank(where)).flatten(1)
            h, cell = lstm(self.encoder, [glimpse, h], cell)
        return self.classify(h), centres

    def away(self, centres: list[Tensor], places: Tensor) -> Tensor:
        """What it costs (B,), in nats, that glimpses looked there and not at the places (B, 2)."""
        weight, within = self.aim_loss
        squares = ((torch.stack(centres) - places) ** 2).sum(dim=2)
        return weight * torch.log1p(squares / within**2).sum(dim=0)

    def forward(self, x: Tensor, labels: Tensor, places: Tensor | None = None) -> tuple[Tensor]:
        """Cross-entropy (B,) in nats, from pictures (B, C, H, W) and classes (B,).

        With an aim loss that, too, from where to look (B, 2).
        """
        logits, centres = self.logits(x)
        losses = (F.cross_entropy(logits, labels, reduction="none"),)
        return losses if self.aim_loss is None else (*losses, self.away(centres, places))


def gradients(
    params: dict[str, np.ndarray],
    x: np.ndarray,
    target: np.ndarray,
    glimpses: int,
    dtype: torch.dtype = torch.float64,
    first_every: int | None = None,
    aim_loss: tuple[float, float] | None = None,
    places: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Losses and the gradient of their mean over the batch, for comparison with mindraw's.

    Parameters
    ----------
    params : dict of str to np.ndarray
        mindraw's parameters.
    x : np.ndarray (B, C, H, W)
    target : np.ndarray (B,) or (B, K)
        Classes, or their probabilities.
    glimpses : int
        T.
    dtype, first_every, aim_loss
        As in `TorchClassifier`.
    places : np.ndarray (B, 2) or None
        Where to look, for an aim loss.

    Returns
    -------
    losses : np.ndarray (B,)
        Nats; the aim loss is among them.
    gradients : dict of str to np.ndarray
        By mindraw's names, in mindraw's shapes.
    """
    model = TorchClassifier(params, glimpses, dtype, first_every, aim_loss)
    where = () if places is None else (torch.tensor(places, dtype=dtype),)
    losses = sum(model(torch.tensor(x, dtype=dtype), torch.tensor(target), *where))
    losses.mean().backward()
    return losses.detach().numpy(), model.to_mindraw(gradients=True)
