"""The PyTorch peer in the clothes of mindraw's model and optimizer, for mindraw's training loop.

The loop gives both engines the same minibatches, noise and learning rates, and keeps the same
history and checkpoints for both. The arithmetic is PyTorch's: forward, autograd, clipping, Adam.
Only the memory is shared: each tensor looks at its part of mindraw's flat vectors.
"""

from __future__ import annotations

import torch

from bench.peers.torch_draw import NAMES, TorchDraw, clip_exactly
from mindraw.errors import MindrawError
from mindraw.parallel import Workers
from mindraw.training import DrawTask


def tensor_views(params) -> dict[str, torch.Tensor]:
    """A tensor on the memory of every array of a `Params`, columns (n, 1) as vectors (n,)."""
    views = {name: torch.from_numpy(params[name]) for name in params.names}
    return {name: v if ".W" in name else v.squeeze(1) for name, v in views.items()}


class TorchModel:
    """What `DrawTask` needs of a model, computed by PyTorch on the CPU.

    Parameters
    ----------
    model : mindraw.models.draw.Draw
        Gives the configuration and the initial weights; it is not changed.
    compiled : bool
        Train through `torch.compile`.
    """

    def __init__(self, model, compiled: bool = False):
        self.config, self.ops, self.batch = model.config, model.ops, model.batch
        self.noise_shape, self.workers = model.noise_shape, Workers(1)
        self.parameters, self.gradients = model.parameters.like(), model.parameters.like()
        self.parameters.load(self.ops.to_numpy(model.parameters.flat))
        values, slots = tensor_views(self.parameters), tensor_views(self.gradients)
        self.peer = TorchDraw(self.parameters.to_dict(), next(iter(values.values())).dtype)
        self.leaves = {ours: self.peer.get_parameter(NAMES[ours]) for ours in values}
        for name, leaf in self.leaves.items():
            leaf.data, leaf.grad = values[name], slots[name]
        self._forward = torch.compile(self.peer) if compiled else self.peer

    def loss(self, x, eps):
        """Reconstruction and latent loss (b,), nats, from x (D, b) and eps (T, z, b)."""
        with torch.no_grad():
            losses = self.peer(*self._batch_first(x, eps))
        return [part.numpy() for part in losses]

    def loss_and_gradient(self, x, eps):
        """The same for a full minibatch, and set `gradients` to those of the mean loss."""
        losses = self._forward(*self._batch_first(x, eps))
        self.gradients.flat.fill(0)  # autograd adds to what it finds
        sum(losses).mean().backward()
        return [part.detach().numpy() for part in losses]

    def _batch_first(self, x, eps):
        """Columns (D, b) and noise (T, z, b) as PyTorch's (b, C, H, W) and (T, b, z)."""
        config = self.config
        images = torch.from_numpy(x).T.reshape(-1, config.C, config.H, config.W)
        return images, torch.from_numpy(eps).transpose(1, 2).contiguous()


class TorchCentring:
    """Centred updates as `mindraw.centring` derives them, from what enters the modules.

    Parameters
    ----------
    peer : TorchDraw
        Its layers are watched from now on, whenever gradients are computed.
    """

    def __init__(self, peer: TorchDraw):
        # what is watched, and the layers with their biases that take its inputs' mean for theirs
        layers = {m: [(m, m.bias)] for m in (peer.encoder, peer.latent, peer.decoder, peer.write)}
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
            mean = torch.stack(inputs).mean(0)
            inputs.clear()
            for layer, bias in self._layers[module]:
                layer.weight.grad -= torch.outer(bias.grad, mean)
                self._updates.append((layer.weight, layer.weight.detach().clone(), bias, mean))

    @torch.no_grad()
    def after(self):
        """Turn the biases of centred coordinates back into the layers'."""
        for weight, old, bias, mean in self._updates:
            bias -= (weight - old) @ mean


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
        Gives the learning rates, the other numbers and the clip, and whether updates are centred.
    """

    def __init__(self, model: TorchModel, like):
        self.lr, self.clip, self.count = like.lr, like.clip, 0
        self._centring = None if like.centring is None else TorchCentring(model.peer)
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
        if self._centring is not None:
            self._centring.before()
        for leaves in self._clipped:
            clip_exactly(leaves, self.clip)
        lr = self.lr if lr is None else lr
        for group, rate in zip(self._adam.param_groups, self._rates, strict=True):
            group["lr"] = rate * lr
        self._adam.step()
        if self._centring is not None:
            self._centring.after()

    def failed_step(self):
        """None: a run that is not finite shows in its loss, which the loop checks."""
        return None

    def load(self, m, v, count):
        """Continue from saved moments (P,)."""
        self.m[...], self.v[...], self.count = m, v, count
        for leaf in self._leaves:
            self._adam.state[leaf]["step"].fill_(count)


class Follower(DrawTask):
    """The reference's task beside mindraw's own run, whose parameters it takes over every so often.

    Parameters
    ----------
    model : TorchModel
    optimizer : TorchAdam
    dataset : mindraw.data.Dataset
    seed : int
    leader : mindraw.training.Session
        mindraw's run: it goes along, one minibatch for one.
    every : int
        How many minibatches apart.

    Raises
    ------
    MindrawError
        At a step that the leader has left behind.
    """

    def __init__(self, model, optimizer, dataset, seed, leader, every: int):
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
