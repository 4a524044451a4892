"""Classification by attention (Gregor et al. 2015, section 4.1): T glimpses, then a softmax.

The encoder of DRAW without its decoder: every step reads one glimpse of the picture, and the
hidden state says where the next one looks. After the last, a softmax on h names the class.
"""

from typing import NamedTuple

from ..arena import Params
from ..centring import Layer
from ..errors import MindrawError
from ..nn import aim, filterbank, glimpse, linear, lstm, softmax
from .attention import Aim
from .classify_activations import Shard, Tape
from .model import Model


class Losses(NamedTuple):
    """Nats per example, and whether it was wrong (1 or 0); arrays (b,) on the backend."""

    loss: object
    wrong: object


class Classifier(Model):
    """T glimpses into an LSTM and a softmax, with every buffer laid out once.

    With the pictures x, (D, b), `loss` and `loss_and_gradient` take their targets, (K, b): 1 for
    the class of each example, 0 for the others. With an `aim_loss` they take the places, too, that
    every glimpse but an overview is to look at, (2, b): x and y in pixels. They return `Losses`.

    Parameters
    ----------
    config : ClassifierConfig
    ops : Backend
    batch : int
        B, the size of a minibatch.
    threads : int or None
        Processes that share a minibatch; None for what suits the machine. On a GPU there is one.
    aim_loss : mindraw.nn.aim.AimLoss or None
        What it costs a glimpse to look elsewhere; `gradients` has its share, `Losses` has not.

    Attributes
    ----------
    parameters, gradients : Params
        The gradients are set by `loss_and_gradient`, for the mean loss over the minibatch.

    Raises
    ------
    MindrawError
        If `batch` or `threads` is not positive.
    """

    def __init__(self, config, ops, batch=100, threads=None, aim_loss=None):
        super().__init__(config, ops, batch, threads)
        self.aim_loss = aim_loss
        self.grid = filterbank.Grid(ops, config.H, config.W, config.read_n)
        self.parameters = Params(self.parameter_shapes(), ops)
        self.gradients = self.parameters.like()
        self.tape = Tape(config, ops, batch)
        self.shards = [
            Shard(config, ops, self.tape, self.parameters, self.grid, k, self.threads)
            for k in range(self.threads)
        ]
        self._lay_out_weight_gradients()

    def parameter_shapes(self):
        """Return the name and shape of every parameter, in the order of the flat vector."""
        config = self.config
        h, K = config.h, config.classes
        shapes = {
            "read.W": (5, h),  # to gx~, gy~, log s2, log d~, log gamma
            "read.b": (5, 1),
            "encoder.W_u": (4 * h, config.R + h),  # times [r; h]
            "encoder.b": (4 * h, 1),
            "classify.W": (K, h),
            "classify.b": (K, 1),
        }
        if config.initial == "learned":
            shapes["initial.h"] = (h, 1)
        if config.first == "learned":
            shapes["initial.glimpse"] = (5, 1)  # in place of read.W h_0 + read.b
        return shapes

    @property
    def aiming(self):
        """Names of the parameters that say where to look."""
        first = ("initial.glimpse",) if self.config.first == "learned" else ()
        return ("read.W", "read.b", *first)

    def layers(self):
        """Return every `mindraw.centring.Layer`, with the inputs of the last minibatch."""
        config, tape = self.config, self.tape
        return [
            Layer(("encoder.W_u",), ("encoder.b",), tape.u, (1, config.read_n, config.C)),
            Layer(("read.W",), ("read.b",), tape.h_prev),
            Layer(("classify.W",), ("classify.b",), tape.h_last),
        ]

    def initialise(self, seed, scale=0.05, aim=None, first=None, forget=0.0):
        """Draw the weights from scale * N(0, 1); what is not named here starts at 0.

        Parameters
        ----------
        seed : int
        scale : float
        aim : Aim or None
            How a glimpse looks where h is 0; None for read.b = 0: a grid over the whole picture.
        first : Aim or None
            The same for a learned first glimpse; None for that of the others.
        forget : float
            The bias of the forget gates.
        """
        super().initialise(seed, scale)
        p, h = self.parameters, self.config.h
        aim = aim or Aim()
        p.read.b[...] = self.ops.asarray(aim.column())
        p.encoder.b[h : 2 * h].fill(forget)
        if self.config.first == "learned":
            p.initial.glimpse[...] = self.ops.asarray((first or aim).column())

    # ---------------------------------------------------------------- the whole minibatch

    def probabilities(self, b=None):
        """Return what the last call took each class for, array (K, b); valid until the next."""
        return self.tape.p[:, :b]

    def glimpses(self, b=None):
        """Return what the last call read, intensity included.

        Returns
        -------
        array (T, N, C, N, b)
            Valid until the next call.
        """
        config = self.config
        T, N, C = config.T, config.read_n, config.C
        seen = self.tape.r.reshape(N, C, N, T + 1, self.batch)
        return seen.transpose(3, 0, 1, 2, 4)[:T, :, :, :, :b]

    def windows(self, b=None):
        """Return where the last call looked, at every step.

        Returns
        -------
        array (T, 5, b)
            gx, gy, s2, d, gamma of each example: the grid's centre and stride in pixels, counted
            from 0 at the centre of the first pixel, and the filters' variance in pixels squared.
        """
        windows = self.ops.empty((self.config.T, 5, self.batch))
        for shard in self.shards:
            self.ops.xp.copyto(windows[:, :, shard.examples], shard.read_a)
        return windows[:, :, :b]

    def aim_losses(self, b=None):
        """Return what it cost to look where the last call looked, in nats, array (b,).

        It is 0 without an aim loss. No step of training asks for it: the gradient takes none of it.
        """
        losses = self.ops.zeros((self.batch,))
        if self.aim_loss is not None:
            for shard in self.shards:
                for s in shard.aimed:
                    own = losses[shard.examples]
                    aim.forward(self.ops, own, s.bank.a, shard.place, self.aim_loss)
        return losses[:b]

    def _take(self, x, target, place=None):
        """Copy a minibatch into the static buffers and return its size."""
        config = self.config
        D, K = config.D, config.classes
        b = x.shape[-1] if len(x.shape) else 0
        if tuple(x.shape) != (D, b) or not 1 <= b <= self.batch:
            raise MindrawError(
                f"the pictures have shape {tuple(x.shape)}: this model takes "
                f"(D, b) = ({D}, 1 to {self.batch})"
            )
        if tuple(target.shape) != (K, b):
            raise MindrawError(
                f"the targets have shape {tuple(target.shape)}: this model and its pictures take "
                f"(K, b) = ({K}, {b})"
            )
        if self.aim_loss is not None and (place is None or tuple(place.shape) != (2, b)):
            raise MindrawError(
                "a model with an aim loss takes the places to look at: give "
                f"(2, b) = (2, {b}) of them"
            )
        self.ops.xp.copyto(self.tape.target[:, :b], target)
        if place is not None:
            self.ops.xp.copyto(self.tape.place[:, :b], place)
        images = x.reshape(config.C, config.H, config.W, b).transpose(3, 1, 0, 2)
        for shard in self.shards:
            here = images[shard.examples]
            self.ops.xp.copyto(shard.image_to[: here.shape[0]], here)
        return b

    def _losses(self, b):
        return Losses(self.tape.loss[:b], self.tape.wrong[:b])

    # ---------------------------------------------------------------- one shard, over time

    def _forward_backward(self, shard, meet):
        self._forward(shard, meet)
        self._backward(shard, meet)
        meet()  # all that the weights' gradients take
        for function, gradient, arguments in shard.weight_gradients:
            function(self.ops, gradient, *arguments)

    def _forward(self, shard, meet):
        ops, p, rows = self.ops, self.parameters, shard.rows
        rows.refresh()
        if self.config.initial == "learned":
            ops.xp.copyto(shard.h_initial, p.initial.h[shard.units])
            linear.forward(ops, shard.first_constant, p.initial.h, shard.W_u_initial)
            shard.first_constant += rows.b
        meet()  # h_0
        for s in shard.steps:
            self._read(shard, s, p)
            meet()  # r_t
            lstm.forward(
                ops, s.h, s.cell, s.gates,
                s.u_all, s.constant, s.cell_prev, s.W_u,
            )  # fmt: skip
            meet()  # h_t
        linear.forward(ops, shard.logits, shard.h_last, p.classify.W)
        shard.logits += p.classify.b
        softmax.forward(ops, shard.loss, shard.wrong, shard.p, shard.logits, shard.target)

    def _backward(self, shard, meet):
        ops, columns = self.ops, shard.columns
        columns.refresh()
        softmax.backward(ops, shard.dlogits, shard.p, shard.target, 1 / self.batch)
        shard.du.fill(0)
        meet()  # the logits
        shard.dcell.fill(0)
        above = shard.dlogits_all, columns.W_classify  # what flows to h_t by way of which weights
        for s in reversed(shard.steps):
            lstm.backward(
                ops, s.dgates, shard.dcell, s.gates,
                shard.dh, shard.dh_prev, None, s.cell, s.cell_prev, *above,
            )  # fmt: skip
            meet()  # the gates
            linear.backward(ops, s.du, s.dgates_all, s.W_u_columns)
            meet()  # r_t
            self._read_backward(shard, s)
            meet()  # where step t looked
            above = self._state_backward(shard, s)
        if self.config.initial == "learned":
            self._begin_backward(shard)

    def _begin_backward(self, shard):
        """The gradient at h_0, of which every example has the same: from sums over them."""
        ops, first, dh = self.ops, shard.first, self.gradients.initial.h[shard.units]
        linear.bias_gradient(ops, shard.sums, first.dgates_all)
        linear.backward(ops, dh, shard.sums, shard.W_u_initial_columns)
        if first.aimed:
            linear.bias_gradient(ops, shard.look, first.dread_all)
            linear.backward(ops, shard.part, shard.look, shard.columns.W_read)
            dh += shard.part

    def _state_backward(self, shard, s):
        """Return what flows to h_{t-1} from where step t looked; more flows by way of u_t."""
        return (s.dread_all, shard.columns.W_read) if s.aimed else (None, None)

    def _read(self, shard, s, p):
        """r_t = gamma Fy x Fx^T, looking where h_{t-1} says."""
        ops, bank, bias = self.ops, s.bank, p.read.b if s.aimed else p.initial.glimpse
        if s.aimed:
            linear.forward(ops, bank.p, s.h_seen_prev, p.read.W)
        else:
            bank.p.fill(0)
        glimpse.read_forward(ops, s.r, None, bank, bias, self.grid, shard.image, None)

    def _read_backward(self, shard, s):
        """From dr_t to the gradient at where step t looked."""
        ops = self.ops
        glimpse.read_backward(
            ops, s.dread, None, None, shard.dr, None, s.bank, self.grid, s.r, None, shard.image
        )
        if s.aimed and self.aim_loss is not None:
            aim.backward(
                ops, s.dread, s.bank.a, shard.place, self.grid, self.aim_loss, 1 / self.batch
            )

    # ---------------------------------------------------------------- after the time loop

    def _lay_out_weight_gradients(self):
        """List what is summed over the steps and over the minibatch, and share it out."""
        g, tape = self.gradients, self.tape
        parts = [
            (linear.weight_gradient, g.encoder.W_u, tape.dgates, tape.u),
            (linear.weight_gradient, g.read.W, tape.dread, tape.h_prev),
            (linear.weight_gradient, g.classify.W, tape.dlogits, tape.h_last),
            (linear.bias_gradient, g.encoder.b, tape.dgates),
            (linear.bias_gradient, g.read.b, tape.dread),
            (linear.bias_gradient, g.classify.b, tape.dlogits),
        ]
        if self.config.first == "learned":
            parts += [(linear.bias_gradient, g.initial.glimpse, tape.doverview)]
        shares = self._share_gradients([*parts, *self._input_sums()])
        for shard, share in zip(self.shards, shares, strict=True):
            shard.weight_gradients = share
