"""DRAW (Gregor et al. 2015): T steps of encoding, sampling, decoding and writing.

The forward and the backward pass over time stand one under the other. Every process of a team runs
them on its `Shard`, the units that it owns, and calls `meet()` where it goes on with what the
others computed; a process alone has nobody to meet. The weight gradients follow once, after the
time loop, as large products over all steps and examples.

To hold fewer than T steps, the passes go over segments of them (see `segments.py`), of which there
is usually one. The backward pass computes all but the last again, and the weight gradients add up.
"""

from typing import NamedTuple

import numpy as np

from ..arena import Params
from ..centring import Layer
from ..errors import MindrawError
from ..nn import gaussian, linear, lstm
from .activations import Shard, Tape, after
from .attention import Aim
from .attentive import AttentiveCanvas
from .model import Model
from .segments import Segments
from .whole import WholeCanvas


class Losses(NamedTuple):
    """The two parts of the bound, in nats per example; arrays (b,) on the backend."""

    reconstruction: object
    latent: object


class Draw(Model):
    """DRAW, with every buffer laid out once.

    With the pictures x, (D, b), `loss` and `loss_and_gradient` take noise from N(0, 1), (T, z, b),
    and return `Losses`.

    Parameters
    ----------
    config : DrawConfig
    ops : Backend
    batch : int
        B, the size of a minibatch.
    threads : int or None
        Processes that share a minibatch; None for what suits the machine. On a GPU there is one.
    recompute : int or None
        Steps whose activations are held at a time, about the square root of T for the least memory;
        the others are computed again in the backward pass. None holds all T. The gradients are the
        same, but for the order in which the weights' are summed over the steps.

    Attributes
    ----------
    parameters, gradients : Params
        The gradients are set by `loss_and_gradient`, for the mean loss over the minibatch.

    Raises
    ------
    MindrawError
        If `batch` or `threads` is not positive, or `recompute` not from 1 to T.
    """

    def __init__(self, config, ops, batch=100, threads=None, recompute=None):
        super().__init__(config, ops, batch, threads)
        self.segments = segments = Segments(config.T, recompute)
        canvas = AttentiveCanvas if config.attention else WholeCanvas
        self.canvas = canvas(config, ops, batch, segments)
        self.parameters = Params(self.parameter_shapes(), ops)
        self.gradients = self.parameters.like()
        self.tape = Tape(config, self.canvas, ops, batch, self.threads, segments)
        self.shards = [
            Shard(config, self.canvas, ops, self.tape, self.parameters, k, self.threads, segments)
            for k in range(self.threads)
        ]
        self._lay_out_weight_gradients()
        self._pictures = None

    def parameter_shapes(self):
        """Return the name and shape of every parameter, in the order of the flat vector."""
        config, R = self.config, self.canvas.R
        h_enc, h_dec, z = config.h_enc, config.h_dec, config.z
        reading, writing = self.canvas.parameter_shapes()
        shapes = reading | {
            "encoder.W_u": (4 * h_enc, R + h_enc + h_dec),  # times [r; h_enc; h_dec]
            "encoder.b": (4 * h_enc, 1),
            "latent.W": (2 * z, h_enc),  # to mu above log s
            "latent.b": (2 * z, 1),
            "decoder.W_v": (4 * h_dec, h_dec + z),  # times [h_dec; z]
            "decoder.b": (4 * h_dec, 1),
        }
        shapes |= writing
        if config.initial == "learned":
            shapes["initial.c"] = (config.D, 1)
            shapes["initial.h_enc"] = (h_enc, 1)
            shapes["initial.h_dec"] = (h_dec, 1)
        return shapes

    @property
    def aiming(self):
        """Names of the parameters that say where to look; none without attention."""
        return self.canvas.aiming

    def layers(self):
        """Return every `mindraw.centring.Layer`; its inputs are those of the steps held last."""
        config, tape = self.config, self.tape
        glimpses = (2, config.read_n, config.C) if config.attention else None
        return [
            Layer(("encoder.W_u",), ("encoder.b",), tape.u, glimpses),
            Layer(("latent.W",), ("latent.b",), tape.h_enc),
            Layer(("decoder.W_v",), ("decoder.b",), tape.v),
            *self.canvas.layers(tape),
        ]

    def initialise(self, seed, scale=0.05, read=None, write=None, canvas=None, forget=0.0):
        """Draw the weights from scale * N(0, 1); what is not named here starts at 0.

        Parameters
        ----------
        seed : int
        scale : float
        read, write : Aim or None
            How the glimpses look where h_dec is 0; None for biases of 0: filters one pixel wide,
            in a grid over the whole picture. Ignored without attention.
        canvas : numpy.ndarray (D,) or None
            Logits, where a learned c_0 starts. Ignored where c_0 is not learned.
        forget : float
            The bias of the forget gates.
        """
        super().initialise(seed, scale)
        p, h_enc, h_dec = self.parameters, self.config.h_enc, self.config.h_dec
        p.encoder.b[h_enc : 2 * h_enc].fill(forget)
        p.decoder.b[h_dec : 2 * h_dec].fill(forget)
        if self.config.attention:
            for bias, aim in ((p.read.b, read), (p.attend.b, write)):
                bias[...] = self.ops.asarray((aim or Aim()).column())
        if self.config.initial == "learned" and canvas is not None:
            p.initial.c[...] = self.ops.asarray(np.reshape(canvas, (-1, 1)))

    def noise_shape(self, b=None):
        """Return (T, z, b), the shape of the noise for b examples (default: a minibatch)."""
        return (self.config.T, self.config.z, self.batch if b is None else b)

    # ---------------------------------------------------------------- the whole minibatch

    def log_weights(self, x, eps):
        """Return log p(x, z) - log q(z | x) for the z that this noise makes.

        Its mean over the noise is the bound, less its sign; the logarithm of the weights' mean
        comes nearer to log p(x) (Burda et al. 2016; `training/likelihood.py`).

        Parameters
        ----------
        x : array (D, b)
        eps : array (T, z, b)

        Returns
        -------
        array (b,)
            In nats.

        Raises
        ------
        MindrawError
            If a shape does not fit the model, or it does not hold all of its steps.
        """
        if len(self.segments) > 1:
            raise MindrawError("importance weights take all steps: build the model to hold all T")
        weights = -self.loss(x, eps).reconstruction
        z = self.tape.by_step(self.tape.inputs)[self.tape.rows.z, : self.config.T]
        b = len(weights)
        for shard in self.shards:
            own = z[shard.latents, :, :b]
            weights += gaussian.log_ratio(self.ops, shard.q[:, :, :b], own, shard.eps[:, :, :b])
        return weights

    def reconstruct(self, x, eps):
        """Return sigmoid(c_t) for every t while x is encoded and drawn again.

        Parameters
        ----------
        x : array (D, b)
        eps : array (T, z, b)

        Returns
        -------
        array (T, D, b)
        """
        b = self._take(x, eps)
        self._lay_out_pictures()
        self._together(self._forward, True)
        return self._drawn(b)

    def generate(self, eps):
        """Draw pictures from the prior: z_t ~ N(0, I), no encoder (equations 13 to 16).

        Parameters
        ----------
        eps : array (T, z, b)
            The latent samples.

        Returns
        -------
        array (T, D, b)
            sigmoid(c_t).
        """
        b = self._take(None, eps)
        self._lay_out_pictures()
        self._together(self._generate)
        return self._drawn(b)

    def windows(self, part, b=None):
        """Return where the last call attended, at every step.

        Parameters
        ----------
        part : {"read", "write"}
            `generate` reads nothing and leaves what was read before.
        b : int or None
            The examples of that call; None for a minibatch.

        Returns
        -------
        array (T, 5, b)
            gx, gy, s2, d, gamma of each example: the grid's centre and stride in pixels, counted
            from 0 at the centre of the first pixel, and the filters' variance in pixels squared
            (see `nn/filterbank.py`). The N filters of each axis span (N-1) d pixels.

        Raises
        ------
        MindrawError
            If the model has no attention.
        """
        if not self.config.attention:
            raise MindrawError("this model has no attention: it reads and writes everywhere")
        windows = self.ops.empty((self.config.T, 5, self.batch))
        for shard in self.shards:
            self.ops.xp.copyto(windows[:, :, shard.examples], getattr(shard, f"{part}_windows"))
        return windows[:, :, :b]

    def _lay_out_pictures(self):
        """Lay out the canvases of all steps, which only pictures need, where all can fill them."""
        if self._pictures is None:
            self._pictures = self.ops.shared((self.config.T, self.config.D, self.batch))
            self.workers.forget()

    def _drawn(self, b):
        pictures = self.ops.empty((self.config.T, self.config.D, b))
        self.ops.xp.copyto(pictures, self._pictures[:, :, :b])
        return pictures

    def _take(self, x, eps):
        """Copy a minibatch into the static buffers and return its size."""
        T, D, z = self.config.T, self.config.D, self.config.z
        b = eps.shape[-1] if len(eps.shape) else 0
        if tuple(eps.shape) != (T, z, b) or not 1 <= b <= self.batch:
            raise MindrawError(
                f"the noise has shape {tuple(eps.shape)}: this model takes (T, z, b) = "
                f"({T}, {z}, 1 to {self.batch})"
            )
        self.ops.xp.copyto(self.tape.eps[:, :, :b], eps)
        if x is not None:
            if tuple(x.shape) != (D, b):
                raise MindrawError(
                    f"the pictures have shape {tuple(x.shape)}: this model and its noise take "
                    f"(D, b) = ({D}, {b})"
                )
            self.ops.xp.copyto(self.tape.x[:, :b], x)
        return b

    def _losses(self, b):
        """Add up what all found for their pixels or examples, and for their latent units."""
        self.ops.xp.sum(self.tape.loss_shares, axis=0, out=self.tape.losses)
        return Losses(self.tape.reconstruction[:b], self.tape.latent[:b])

    # ---------------------------------------------------------------- one shard, over time

    def _forward_backward(self, shard, meet):
        self._forward(shard, meet)
        self._backward(shard, meet)
        meet()  # all that is left to sum
        for function, gradient, arguments in shard.constant_gradients:
            function(self.ops, gradient, *arguments)

    def _forward(self, shard, meet, show=False):
        shard.rows.refresh()
        self.canvas.take(shard)
        shard.latent.fill(0)
        for segment in self.segments:
            self._enter(shard, segment)
            self._steps_forward(shard, meet, segment, shard.latent, show)
            self.canvas.note(shard, segment, "read", "write")
        self.canvas.loss(shard)

    def _backward(self, shard, meet):
        shard.columns.refresh()
        self._loss_backward(shard)
        for segment in reversed(self.segments):
            if segment is not self.segments.last:
                self._enter_again(shard, segment)
                self._steps_forward(shard, meet, segment, shard.latent_again)
                self.canvas.leave_backward(shard)
            self._steps_backward(shard, meet, segment)
            meet()  # all that the weights' gradients take
            self._sum_weight_gradients(shard, segment)
            if segment.number:
                meet()  # nobody takes it any more
        self._begin_backward(shard)

    def _begin(self, shard):
        """Set c_0, h_enc_0, h_dec_0 and the cells before the first step."""
        self.canvas.begin(shard, self.parameters)
        shard.cell_enc_initial.fill(0)
        shard.cell_dec_initial.fill(0)
        if self.config.initial == "learned":
            initial, copy = self.parameters.initial, self.ops.xp.copyto
            copy(shard.h_enc_initial, initial.h_enc[shard.units_enc])
            copy(shard.h_dec_initial, initial.h_dec[shard.units_dec])
            self._begin_gates(shard)
        else:
            shard.h_enc_initial.fill(0)
            shard.h_dec_initial.fill(0)

    def _begin_gates(self, shard):
        """What the gates of the first step make of h_enc_0 and h_dec_0: one column for all."""
        ops, first, initial = self.ops, shard.first, self.parameters.initial
        states = self.parameters.stacked("initial.h_enc", "initial.h_dec")
        linear.forward(ops, shard.enc_from_initial, states, shard.W_u_initial)
        ops.xp.add(shard.constant, shard.enc_from_initial, out=first.constant_enc)
        linear.forward(ops, first.constant_dec, initial.h_dec, shard.W_v_initial)
        first.constant_dec += shard.rows.b_dec

    def _enter(self, shard, segment):
        """Begin a segment where the one before it ended, and keep that state."""
        if not segment.number:
            self._begin(shard)
            return
        for last, first, kept in shard.states:
            # by way of what is kept: first and last lie in one array, where CuPy would make a copy
            self.ops.xp.copyto(kept[segment.number - 1], last)
            self.ops.xp.copyto(first, kept[segment.number - 1])

    def _enter_again(self, shard, segment):
        """Go back to the state in which a segment began."""
        if not segment.number:
            self._begin(shard)
            return
        for _, first, kept in shard.states:
            self.ops.xp.copyto(first, kept[segment.number - 1])

    def _steps_forward(self, shard, meet, segment, latent, show=False):
        ops, p, rows, canvas = self.ops, self.parameters, shard.rows, self.canvas
        meet()  # h_enc and h_dec before the first of these steps
        canvas.aim(shard, shard.steps[segment][0])
        for t, s in enumerate(shard.steps[segment], segment.start):
            canvas.read(shard, s, p)
            meet()  # r_t
            lstm.forward(
                ops, s.h_enc, s.cell_enc, s.gates_enc,
                s.u_all, s.constant_enc, s.cell_enc_prev, s.W_u,
            )  # fmt: skip
            meet()  # h_enc_t
            gaussian.forward(
                ops, s.z, latent, s.q, s.h_enc_all, shard.eps[t], rows.W_latent, rows.b_latent
            )
            meet()  # z_t
            lstm.forward(
                ops, s.h_dec, s.cell_dec, s.gates_dec,
                s.v_all, s.constant_dec, s.cell_dec_prev, s.W_v,
            )  # fmt: skip
            meet()  # h_dec_t
            canvas.write(shard, s, p)
            if show:
                canvas.show(self._pictures[t], shard)

    def _steps_backward(self, shard, meet, segment):
        ops, columns, canvas = self.ops, shard.columns, self.canvas
        for s in reversed(shard.steps[segment]):
            canvas.write_backward(shard, s)
            meet()  # what was written at t, and read at t + 1
            lstm.backward(
                ops, s.dgates_dec, shard.dcell_dec, s.gates_dec, shard.dh_dec,
                shard.dh_dec_next_u, shard.dh_dec_next_v, s.cell_dec, s.cell_dec_prev,
                *canvas.decoder_backward(shard, s),
            )  # fmt: skip
            meet()  # the decoder's gates
            linear.backward(ops, s.dv, s.dgates_dec_all, s.W_v_columns)
            gaussian.backward(ops, s.dq, shard.dz, s.q, s.z, 1 / self.batch)
            meet()  # q_t
            lstm.backward(
                ops, s.dgates_enc, shard.dcell_enc, s.gates_enc, shard.dh_enc,
                shard.dh_enc_next, None, s.cell_enc, s.cell_enc_prev,
                s.dq_all, columns.W_latent,
            )  # fmt: skip
            meet()  # the encoder's gates
            if s is shard.first:
                canvas.first_read_backward(shard, s, meet)
            else:
                linear.backward(ops, shard.du, s.dgates_enc_all, columns.W_u)
                canvas.read_backward(shard, s, meet)

    def _loss_backward(self, shard):
        """dc_T; nothing flows back into the last step from beyond it."""
        self.canvas.loss_backward(shard, 1 / self.batch)
        shard.du.fill(0)
        shard.dv.fill(0)
        shard.dcell_enc.fill(0)
        shard.dcell_dec.fill(0)

    def _begin_backward(self, shard):
        """The gradients at the initial states, from the first step's gates.

        Every example has the same states: what is left to multiply are sums over the minibatch.
        """
        if self.config.initial != "learned":
            return
        ops, g, p, first = self.ops, self.gradients, self.parameters, shard.first
        linear.bias_gradient(ops, shard.sums_enc, first.dgates_enc_all)
        linear.bias_gradient(ops, shard.sums_dec, first.dgates_dec_all)
        R, h_enc, enc, dec = self.canvas.R, self.config.h_enc, shard.units_enc, shard.units_dec
        W_u, dh_dec = p.encoder.W_u, g.initial.h_dec[dec]
        linear.backward(ops, g.initial.h_enc[enc], shard.sums_enc, W_u[:, after(R, enc)])
        linear.backward(ops, dh_dec, shard.sums_enc, W_u[:, after(R + h_enc, dec)])
        linear.backward(ops, shard.dh_dec_part, shard.sums_dec, p.decoder.W_v[:, dec])
        dh_dec += shard.dh_dec_part
        self.canvas.begin_backward(shard, g)

    def _generate(self, shard, meet):
        ops, p, rows, canvas = self.ops, self.parameters, shard.rows, self.canvas
        rows.refresh()
        for segment in self.segments:
            self._enter(shard, segment)
            for t, s in enumerate(shard.steps[segment], segment.start):
                ops.xp.copyto(s.z, shard.eps[t])
                meet()  # z_t, and at first h_dec before it
                lstm.forward(
                    ops, s.h_dec, s.cell_dec, s.gates_dec,
                    s.v_all, s.constant_dec, s.cell_dec_prev, s.W_v,
                )  # fmt: skip
                meet()  # h_dec_t
                canvas.write(shard, s, p)
                canvas.show(self._pictures[t], shard)
            canvas.note(shard, segment, "write")

    # ---------------------------------------------------------------- after the time loop

    def _lay_out_weight_gradients(self):
        """List what is summed over the steps and over the minibatch, and share it out."""
        g, tape = self.gradients, self.tape
        summed = [
            (linear.weight_gradient, g.encoder.W_u, tape.dgates_enc, tape.u),
            (linear.weight_gradient, g.decoder.W_v, tape.dgates_dec, tape.v),
            (linear.weight_gradient, g.latent.W, tape.dq, tape.h_enc),
            (linear.bias_gradient, g.decoder.b, tape.dgates_dec),
            (linear.bias_gradient, g.latent.b, tape.dq),
        ]
        for segment in self.segments:
            columns = tape.columns(segment)
            parts = [
                *(
                    (function, gradient, *(array[:, columns] for array in arrays))
                    for function, gradient, *arrays in summed
                ),
                *self.canvas.weight_gradients(tape, g, segment),
                *self._input_sums(columns),
            ]
            for shard, share in zip(self.shards, self._share_gradients(parts), strict=True):
                shard.weight_gradients[segment] = share
        parts = self.canvas.constant_gradients(tape, g)
        for shard, share in zip(self.shards, self._share_gradients(parts), strict=True):
            shard.constant_gradients = share
            if len(self.segments) > 1:
                largest = max(gradient.size for _, gradient, _ in shard.weight_gradients[segment])
                shard.more = self.ops.empty((largest,))

    def _held_columns(self):
        return [self.tape.columns(segment) for segment in self.segments]

    def _sum_weight_gradients(self, shard, segment):
        """Set this process's share from the last segment; add those of the others."""
        for function, gradient, arguments in shard.weight_gradients[segment]:
            if segment is self.segments.last:
                function(self.ops, gradient, *arguments)
            else:
                more = shard.more[: gradient.size].reshape(gradient.shape)
                function(self.ops, more, *arguments)
                gradient += more
