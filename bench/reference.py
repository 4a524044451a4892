"""The PyTorch peers in the clothes of mindraw's models and optimizer, for mindraw's training loop.

The loop gives both engines the same minibatches, noise and learning rates, and keeps the same
history and checkpoints for both. The arithmetic is PyTorch's: forward, autograd, clipping, Adam.
Only the memory is shared: each tensor looks at its part of mindraw's flat vectors.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch

from bench.peers import torch_classify, torch_draw
from bench.peers.torch_classify import TorchClassifier
from bench.peers.torch_draw import TorchDraw, clip_exactly
from mindraw.errors import MindrawError
from mindraw.frequencies import Frequencies
from mindraw.models.config import ClassifierConfig
from mindraw.parallel import Workers


def tensor_views(params) -> dict[str, torch.Tensor]:
    """A tensor on the memory of every array of a `Params`, columns (n, 1) as vectors (n,)."""
    views = {name: torch.from_numpy(params[name]) for name in params.names}
    return {name: v if ".W" in name else v.squeeze(1) for name, v in views.items()}


class TorchModel:
    """What a task needs of a model, computed by PyTorch on the CPU; made by `torch_model`.

    Parameters
    ----------
    model : mindraw.models.draw.Draw or mindraw.models.classify.Classifier
        Gives the configuration and the initial weights; it is not changed.
    compiled : bool
        Train through `torch.compile`.
    """

    #: mindraw's name of every parameter -> the peer's.
    names: dict[str, str]

    def __init__(self, model, compiled: bool = False):
        self.config, self.ops, self.batch = model.config, model.ops, model.batch
        self.workers = Workers(1)
        self.parameters, self.gradients = model.parameters.like(), model.parameters.like()
        self.parameters.load(self.ops.to_numpy(model.parameters.flat))
        values, slots = tensor_views(self.parameters), tensor_views(self.gradients)
        self.dtype = next(iter(values.values())).dtype
        self.peer, forward = self._build(self.parameters.to_dict())
        self.leaves = {ours: self.peer.get_parameter(self.names[ours]) for ours in values}
        for name, leaf in self.leaves.items():
            leaf.data, leaf.grad = values[name], slots[name]
        self._eager, self._forward = forward, torch.compile(forward) if compiled else forward

    def loss(self, x, *others):
        """What the task is told (b,), from x (D, b) and what else the model takes."""
        with torch.no_grad():
            _, told = self._losses(self._eager, self._images(x), *map(torch.from_numpy, others))
        return [part.numpy() for part in told]

    def loss_and_gradient(self, x, *others):
        """The same for a full minibatch, and set `gradients` to those of the mean loss."""
        total, told = self._losses(self._forward, self._images(x), *map(torch.from_numpy, others))
        self.gradients.flat.fill(0)  # autograd adds to what it finds
        total.mean().backward()
        return [part.detach().numpy() for part in told]

    def _images(self, x):
        """Columns (D, b) as PyTorch's (b, C, H, W)."""
        config = self.config
        return torch.from_numpy(x).T.reshape(-1, config.C, config.H, config.W)

    def _build(self, params):
        """The peer, and the function of it that is trained through."""
        raise NotImplementedError

    def _losses(self, forward, images, *others):
        """What is minimised (b,), in nats, and the parts (b,) that the task is told."""
        raise NotImplementedError


class DrawModel(TorchModel):
    """DRAW's reference."""

    names = torch_draw.NAMES

    def __init__(self, model, compiled: bool = False):
        super().__init__(model, compiled)
        self.noise_shape = model.noise_shape

    def _build(self, params):
        peer = TorchDraw(params, self.dtype)
        return peer, peer

    def _losses(self, forward, images, eps):
        """With noise (T, z, b), which PyTorch takes as (T, b, z)."""
        parts = forward(images, eps.transpose(1, 2).contiguous())
        return sum(parts), parts


class ClassifierModel(TorchModel):
    """The classifier's reference."""

    names = torch_classify.NAMES

    def __init__(self, model, compiled: bool = False):
        self.aim_loss = model.aim_loss
        super().__init__(model, compiled)

    def _build(self, params):
        config = self.config
        peer = TorchClassifier(params, config.T, self.dtype, config.first_every, self.aim_loss)
        return peer, peer.logits

    def _losses(self, forward, images, target, places=None):
        """With 1 at the class of each picture (K, b), and with an aim loss where to look (2, b)."""
        (logits, centres), labels = forward(images), target.argmax(0)
        wrong = (logits.argmax(1) != labels).to(self.dtype)
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        away = 0 if self.aim_loss is None else self.peer.away(centres, places.T)
        return loss + away, (loss, wrong)


def torch_model(model, compiled: bool = False) -> TorchModel:
    """The reference of a model of mindraw."""
    kind = ClassifierModel if isinstance(model.config, ClassifierConfig) else DrawModel
    return kind(model, compiled)


class TorchCentring:
    """Centred updates as `mindraw.centring` derives them, from what enters the modules.

    Parameters
    ----------
    peer : TorchDraw or TorchClassifier
        Its layers are watched from now on, whenever gradients are computed.
    """

    turned = False

    def __init__(self, peer: TorchDraw | TorchClassifier):
        # what is watched, and the layers with their biases that take the last of its inputs' means
        if isinstance(peer, TorchClassifier):
            # of where to look mindraw counts every h_{t-1}, which the encoder always reads
            layers = {m: [(m, m.bias)] for m in (peer.encoder, peer.classify)}
            layers[peer.encoder].append((peer.attend, peer.attend.bias))
        else:
            watched = (peer.encoder, peer.latent, peer.decoder, peer.write)
            layers = {m: [(m, m.bias)] for m in watched}
            if peer.attention:
                layers[peer.write] += [(m, m.bias) for m in (peer.attend_read, peer.attend_write)]
            else:
                layers[peer.project_x] = [(peer.project_x, peer.encoder.bias)]
        self._layers, self._seen = layers, {module: [] for module in layers}
        for module, inputs in self._seen.items():
            module.register_forward_pre_hook(_appending_to(inputs))

    @torch.no_grad()
    def before(self):
        """Turn the gradients of the last minibatch into those in centred coordinates."""
        self._updates = []
        for module, inputs in self._seen.items():
            means = torch.stack(inputs).mean(0)
            inputs.clear()
            for layer, bias in self._layers[module]:
                mean = means[-layer.in_features :]
                layer.weight.grad -= torch.outer(bias.grad, mean)
                self._updates.append((layer.weight, layer.weight.detach().clone(), bias, mean))

    @torch.no_grad()
    def after(self):
        """Turn the biases of centred coordinates back into the layers'."""
        for weight, old, bias, mean in self._updates:
            bias -= (weight - old) @ mean


class TorchFrequencies:
    """Updates of what reads glimpses by their frequencies, with SciPy's cosine transform.

    Parameters
    ----------
    peer : TorchDraw or TorchClassifier
    glimpses : (int, int, int)
        P, N, C: the numbers that enter the encoder first are (P, N, C, N).
    """

    turned = True

    def __init__(self, peer: TorchDraw | TorchClassifier, glimpses: tuple[int, int, int]):
        P, N, C = glimpses
        self._shape = (P, N, C, N)
        self._weight = peer.encoder.weight
        self._numbers = slice(P * N * C * N)

    def _transformed(self, rows: torch.Tensor, transform) -> torch.Tensor:
        """The rows of a matrix, each as glimpses, transformed."""
        glimpses = rows.numpy().reshape(-1, *self._shape)
        new = transform(glimpses, axes=(2, 4), norm="ortho")
        return torch.from_numpy(np.ascontiguousarray(new).reshape(rows.shape))

    @torch.no_grad()
    def before(self):
        """Turn the gradients of the last minibatch into those at the frequencies."""
        own = self._weight[:, self._numbers]
        self._old = own.clone()
        gradient = self._weight.grad[:, self._numbers]
        gradient.copy_(self._transformed(gradient, scipy.fft.dctn))
        own.zero_()

    @torch.no_grad()
    def after(self):
        """Turn the update of the frequencies into one of the weights."""
        own = self._weight[:, self._numbers]
        own.copy_(self._old + self._transformed(own, scipy.fft.idctn))


def _appending_to(inputs: list[torch.Tensor]):
    """A hook that keeps the mean over a minibatch of what enters a module."""

    def hook(module, arguments):
        if torch.is_grad_enabled():
            inputs.append(arguments[0].detach().mean(0))

    return hook


class TorchAdam:
    """`torch.optim.Adam` with the attributes of `mindraw.optim.Adam` that the loop uses.

    Parameters
    ----------
    model : TorchModel
    like : mindraw.optim.Adam
        Gives the learning rates, the other numbers, the clip, the coordinates of the updates and
        what decays.
    """

    def __init__(self, model: TorchModel, like):
        self.lr, self.clip, self.count = like.lr, like.clip, 0
        self._coordinates = []
        for change in like.coordinates:
            if isinstance(change, Frequencies):
                self._coordinates.append(TorchFrequencies(model.peer, change.glimpses))
            else:
                self._coordinates.append(TorchCentring(model.peer))
        self._leaves = list(model.leaves.values())
        named = ([], [])
        for name, leaf in model.leaves.items():
            named[name in like.apart].append(leaf)
        self._clipped = [leaves for leaves in named if leaves]
        m, v = model.parameters.like(), model.parameters.like()
        self.m, self.v = m.flat, v.flat
        # one group of parameters for each rate, as PyTorch has it
        groups = {}
        for name, leaf in model.leaves.items():
            groups.setdefault(like.rates.get(name, 1.0), []).append(leaf)
        self._rates = list(groups)
        self._decays = [
            (leaf, like.rates.get(name, 1.0) * like.weight_decay)
            for name, leaf in model.leaves.items()
            if name in like.decayed
        ]
        self._adam = torch.optim.Adam(
            [{"params": leaves} for leaves in groups.values()],
            lr=like.lr,
            betas=(like.beta1, like.beta2),
            eps=like.eps,
            fused=True,
        )
        moments = zip(tensor_views(m).values(), tensor_views(v).values(), strict=True)
        for leaf, (exp_avg, exp_avg_sq) in zip(self._leaves, moments, strict=True):
            state = {"step": torch.zeros(()), "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
            self._adam.state[leaf] = state

    def step(self, gradients, lr=None):
        """Clip the model's gradients, those that are clipped apart by their own norm; update."""
        self.count += 1
        for change in self._coordinates:
            change.before()
        for leaves in self._clipped:
            clip_exactly(leaves, self.clip)
        lr = self.lr if lr is None else lr
        for group, rate in zip(self._adam.param_groups, self._rates, strict=True):
            group["lr"] = rate * lr
        self._adam.step()
        outer = list(self._coordinates)
        while outer and outer[-1].turned:
            outer.pop().after()
        with torch.no_grad():  # AdamW would have them decay before the step
            for leaf, decay in self._decays:
                leaf.mul_(1 - lr * decay)
        for change in reversed(outer):
            change.after()

    def failed_step(self):
        """None: a run that is not finite shows in its loss, which the loop checks."""
        return None

    def load(self, m, v, count):
        """Continue from saved moments (P,)."""
        self.m[...], self.v[...], self.count = m, v, count
        for leaf in self._leaves:
            self._adam.state[leaf]["step"].fill_(count)


class Follower:
    """The reference's task beside mindraw's own run, whose parameters it takes over every so often.

    It comes in front of a `mindraw.training.Task` among the bases of a class.

    Parameters
    ----------
    model : TorchModel
    dataset : mindraw.data.Dataset
    seed : int
    optimizer : TorchAdam
    leader : mindraw.training.Session
        mindraw's run: it goes along, one minibatch for one.
    every : int
        How many minibatches apart.

    Raises
    ------
    MindrawError
        At a step that the leader has left behind.
    """

    def __init__(self, model, dataset, seed, optimizer, leader, every: int):
        super().__init__(model, dataset, seed)
        self.optimizer, self.leader, self.every = optimizer, leader, every

    def step(self, k: int):
        """Set the gradients to those of minibatch k, after the leader's own step; see `Task`."""
        while self.leader.step < k:  # it was killed between two checkpoints
            self.leader.advance()
        if self.leader.step > k:
            raise MindrawError(
                f"{self.leader.run.folder} is at minibatch {self.leader.step} and the reference at "
                f"{k}: remove both runs and begin again"
            )
        if k % self.every == 0:
            leads = self.leader.optimizer
            self.model.parameters.flat[...] = self.leader.task.model.parameters.flat
            self.optimizer.load(leads.m, leads.v, leads.count)
        self.leader.advance()
        return super().step(k)
