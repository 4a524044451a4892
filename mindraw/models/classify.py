"""Classification by attention (Gregor et al. 2015, section 4.1): T glimpses, then a softmax.

The encoder of DRAW without its decoder: every step reads one glimpse of the picture, and the
hidden state says where the next one looks. After the last, a softmax on h names the class.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

from ..arena import Params, carve
from ..errors import MindrawError
from ..nn import filterbank, glimpse, linear, lstm, softmax
from ..parallel import split
from . import attention
from .activations import Columns, Rows, after, length, stacked
from .attention import Aim
from .model import Model


@dataclass(frozen=True)
class ClassifierConfig:
    """The shape of a model, in the letters of the paper.

    Parameters
    ----------
    H, W, C : int
        Rows, columns and channels of a picture, in pixels.
    T : int
        Glimpses.
    h : int
        Units of the encoder's LSTM.
    read_n : int
        Side of a glimpse, in filters.
    classes : int
        K.
    initial : {"learned", "zeros"}
        Whether h_0 is learned or stays 0. The LSTM's cell starts at 0.
    first : {"state", "learned"}
        Whether the first glimpse looks where h_0 says, as all others do where theirs say, or
        has five learned numbers of its own.
    first_every : int or None
        Every how many glimpses one looks where those five say, again; None for the first alone.

    Raises
    ------
    MindrawError
        If a size is not a whole number of at least 1, a choice is unknown, or `first_every` is
        given without numbers of its own for the first glimpse.
    """

    H: int = 100
    W: int = 100
    C: int = 1
    T: int = 8
    h: int = 256
    read_n: int = 12
    classes: int = 10
    initial: str = "learned"
    first: str = "state"
    first_every: int | None = None

    def __post_init__(self):
        every = () if self.first_every is None else ("first_every",)
        for name in ("H", "W", "C", "T", "h", "read_n", "classes", *every):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise MindrawError(f"{name} is {value!r}: it must be a whole number of at least 1")
        for name, choices in (("initial", ("learned", "zeros")), ("first", ("state", "learned"))):
            value = getattr(self, name)
            if value not in choices:
                raise MindrawError(f"{name} is {value!r}: it must be {' or '.join(choices)}")
        if every and self.first == "state":
            raise MindrawError(
                f"first_every is {self.first_every}, but the first glimpse has no numbers of its "
                "own: give first learned"
            )

    @property
    def overviews(self):
        """The steps, from 0, that look where the learned numbers say and not where h does."""
        return range(0, self.T if self.first == "learned" else 0, self.first_every or self.T)

    @property
    def D(self):
        """Numbers in a picture: C*H*W."""
        return self.C * self.H * self.W

    @property
    def R(self):
        """Numbers in a glimpse: C*N^2."""
        return self.C * self.read_n**2


class Losses(NamedTuple):
    """Nats per example, and whether it was wrong (1 or 0); arrays (b,) on the backend."""

    loss: object
    wrong: object


class Tape:
    """The arrays all shards share; columns run over (time, batch).

    Attributes
    ----------
    u, h_prev : array (features, T*B)
        What the LSTM reads at each step, [r_t; h_{t-1}], and the second part of it.
    dread : array (5, T*B)
        The gradient at where h_{t-1} said to look; it stays 0 for the overviews.
    doverview : array (5, overviews*B)
        The gradient at where they looked.
    """

    def __init__(self, config, ops, B):
        T, R, h, K = config.T, config.R, config.h, config.classes
        shapes = {
            "inputs": (R + h, (T + 1) * B),  # column block t holds r_t above h_{t-1}
            "du": (R + h, B),
            "dgates": (4 * h, T * B),
            "dread": (5, T * B),
            "doverview": (5, len(config.overviews) * B),
            "target": (K, B),
            "p": (K, B),
            "dlogits": (K, B),
            "losses": (2, B),
        }
        self.__dict__.update(vars(carve(ops, shapes)))
        self.B = B
        self.loss, self.wrong = self.losses[0], self.losses[1]
        self.r, self.h = self.inputs[:R], self.inputs[R:]
        self.u, self.h_prev = self.inputs[:, : T * B], self.h[:, : T * B]
        self.h_last = self.h[:, T * B :]

    def by_step(self, array):
        """View a (features, steps*B) array as (features, steps, B)."""
        return array.reshape(array.shape[0], -1, self.B)


class Shard:
    """What one process works on: some units of the LSTM, and some examples.

    Attributes
    ----------
    units, examples : slice
    rows : Rows
    columns : Columns
        The parameters, for the products forward and backward (see `activations.py`).
    image : array (b, H*C, W)
        The pictures.
    steps : list of types.SimpleNamespace
        For each t the views that step t works on; ``*_prev`` belong to t - 1, and ``*_all`` have
        all rows where there is a process's own part, too.
    first : types.SimpleNamespace
        The first of them. h_0 is the same for every example, and what the LSTM makes of it joins
        the constant part of the gates, so that of its input and weights this step has r_1's only.
    weight_gradients : list of (function, gradient, arguments)
        Its share of what follows the time loop.
    """

    def __init__(self, config, ops, tape, p, grid, k, threads):
        H, W, C, T, h, N = config.H, config.W, config.C, config.T, config.h, config.read_n
        B, R = tape.B, config.R
        own, seen = split(h, threads)[k], split(B, threads, multiple=1)[k]
        self.units, self.examples = own, seen
        part = split(R + h, threads)[k]
        n, b = length(own), length(seen)
        shapes = attention.shapes("read", T, b, H, W, C, N) | {
            "read_p": (5, b),
            "image": (b, H * C, W),
            "half": (T, b, N, C * W),
            "patch": (b, N, C * N),
            "gates": (T, 4 * n, B),
            "cell": (T + 1, n, B),
            "logits": (config.classes, b),
            "dh": (n, B),
            "dcell": (n, B),
            "dlog_gamma": (b,),
        }
        if config.initial == "learned":
            column = (4 * n, 1)
            shapes |= {"first_constant": column, "sums": (4 * h, 1), "look": (5, 1), "part": (n, 1)}
        self.__dict__.update(vars(carve(ops, shapes)))
        for name in ("target", "p", "dlogits"):
            setattr(self, name, getattr(tape, name)[:, seen])
        self.loss, self.wrong = tape.loss[seen], tape.wrong[seen]
        self.image_to = self.image.reshape(b, H, C, W)
        self.rows = Rows(ops)
        self.rows.add("W_u", p.encoder.W_u, h, own)
        self.rows.add("b", p.encoder.b, h, own)
        self.columns = Columns(ops)
        self.columns.add("W_u", p.encoder.W_u, part)
        self.columns.add("W_read", p.read.W, own)
        self.columns.add("W_classify", p.classify.W, own)
        self.dlogits_all = tape.dlogits

        def patches_first(array):  # (N*C*N, b) seen as (b, N, C*N)
            return array.reshape(N, C * N, b).transpose(2, 0, 1)

        # what flows back from the LSTM of step t: to r_t and to h_{t-1}
        self.du, self.dh_prev = tape.du[part], tape.du[R:][own]
        self.dr = patches_first(tape.du[:R, seen])
        inputs, states, dgates, dread, doverview = map(
            tape.by_step, (tape.inputs, tape.h, tape.dgates, tape.dread, tape.doverview)
        )
        own_dread = {t: doverview[:, k, seen] for k, t in enumerate(config.overviews)}
        self.h_initial, self.h_last = states[own, 0], states[:, T, seen]
        self.steps = [
            SimpleNamespace(
                u_all=inputs[:, t],
                W_u=self.rows.W_u,
                constant=self.rows.b,
                du=self.du,
                W_u_columns=self.columns.W_u,
                r=patches_first(inputs[:R, t, seen]),
                h=states[own, t + 1],
                h_seen_prev=states[:, t, seen],
                half=self.half[t],
                gates=self.gates[t],
                cell=self.cell[t + 1],
                cell_prev=self.cell[t],
                dgates_all=dgates[:, t],
                dgates=stacked(dgates[:, t], h, own),
                dread_all=dread[:, t],
                dread=own_dread.get(t, dread[:, t, seen]),
                bank=attention.views(self, "read", t, grid),
                aimed=t not in config.overviews,
            )
            for t in range(T)
        ]
        self.first, part = self.steps[0], split(R, threads)[k]
        self.first.u_all, self.first.W_u = inputs[:R, 0], self.rows.W_u[:, :R]
        self.first.du, self.first.W_u_columns = tape.du[part], p.encoder.W_u[:, part]
        if config.initial == "learned":
            self.first.constant, self.W_u_initial = self.first_constant, self.rows.W_u[:, R:]
            self.W_u_initial_columns = p.encoder.W_u[:, after(R, own)]


class Classifier(Model):
    """T glimpses into an LSTM and a softmax, with every buffer laid out once.

    Parameters
    ----------
    config : ClassifierConfig
    ops : Backend
    batch : int
        B, the size of a minibatch.
    threads : int or None
        Processes that share a minibatch; None for what suits the machine. On a GPU there is one.

    Attributes
    ----------
    parameters, gradients : Params
        The gradients are set by `loss_and_gradient`, for the mean loss over the minibatch.

    Raises
    ------
    MindrawError
        If `batch` or `threads` is not positive.
    """

    def __init__(self, config, ops, batch=100, threads=None):
        super().__init__(config, ops, batch, threads)
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

    def loss(self, x, target):
        """Run forward and return the losses.

        Parameters
        ----------
        x : array (D, b)
            Pixels in [0, 1]; b at most the batch size.
        target : array (K, b)
            1 for the class of each example, 0 for the others.

        Returns
        -------
        Losses
            Views into the tape, valid until the next call.

        Raises
        ------
        MindrawError
            If a shape does not fit the model.
        """
        b = self._take(x, target)
        self._together(self._forward)
        return Losses(self.tape.loss[:b], self.tape.wrong[:b])

    def loss_and_gradient(self, x, target):
        """Run forward and backward; set `gradients` to those of the mean loss in nats.

        Parameters
        ----------
        x : array (D, B)
        target : array (K, B)

        Returns
        -------
        Losses
            Views into the tape, valid until the next call.

        Raises
        ------
        MindrawError
            If a shape does not fit the model, or the minibatch is not a full one.
        """
        b = self._take(x, target)
        if b != self.batch:
            raise MindrawError(f"a gradient takes a full minibatch of {self.batch}, not {b}")
        self._together(self._forward_backward)
        return Losses(self.tape.loss, self.tape.wrong)

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

    def _take(self, x, target):
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
        self.ops.xp.copyto(self.tape.target[:, :b], target)
        images = x.reshape(config.C, config.H, config.W, b).transpose(3, 1, 0, 2)
        for shard in self.shards:
            here = images[shard.examples]
            self.ops.xp.copyto(shard.image_to[: here.shape[0]], here)
        return b

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
        linear.backward(ops, shard.dh, shard.dlogits_all, columns.W_classify)
        shard.dcell.fill(0)
        for s in reversed(shard.steps):
            lstm.backward(
                ops, s.dgates, shard.dcell, s.gates,
                shard.dh, shard.dh_prev, None, s.cell, s.cell_prev,
            )  # fmt: skip
            meet()  # the gates
            linear.backward(ops, s.du, s.dgates_all, s.W_u_columns)
            meet()  # r_t
            self._read_backward(shard, s)
            meet()  # where step t looked
            if s is not shard.first:
                self._state_backward(shard, s)
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
        """What flows to h_{t-1} from where step t looked; more flows by way of u_t."""
        if s.aimed:
            linear.backward(self.ops, shard.dh, s.dread_all, shard.columns.W_read)
        else:
            shard.dh.fill(0)

    def _read(self, shard, s, p):
        """r_t = gamma Fy x Fx^T, looking where h_{t-1} says."""
        ops, bank = self.ops, s.bank
        if s.aimed:
            linear.forward(ops, bank.p, s.h_seen_prev, p.read.W)
            attention.place(ops, bank, p.read.b, self.grid)
        else:
            bank.p.fill(0)
            attention.place(ops, bank, p.initial.glimpse, self.grid)
        glimpse.read_forward(ops, shard.patch, s.half, shard.image, None, bank.Fy, bank.Fx)
        ops.kernels.intensity_forward(s.r, shard.patch, bank.gamma)

    def _read_backward(self, shard, s):
        """From dr_t to the gradient at where step t looked."""
        ops, bank = self.ops, s.bank
        ops.kernels.intensity_backward(bank.dpatch, shard.dlog_gamma, shard.dr, s.r, bank.gamma)
        glimpse.read_backward(
            ops, None, bank.dFy, bank.dFx, bank.dhalf,
            bank.dpatch, s.half, shard.image, None, bank.Fy, bank.Fx,
        )  # fmt: skip
        attention.place_backward(ops, s.dread, bank, shard.dlog_gamma, self.grid)

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
        for shard, share in zip(self.shards, self._share_gradients(parts), strict=True):
            shard.weight_gradients = share
