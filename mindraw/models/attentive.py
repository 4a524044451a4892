"""The canvas of DRAW with attention: N x N glimpses are read and N x N strokes written.

The canvas and the images lie as (B, H, C, W), so that the filterbanks apply as stacked
products (see `nn/glimpse.py`). What crosses to the rest of the model, the glimpse r, the
stroke w and the attention parameters, lies features first, like everything there. A process
owns some of the examples, which are the columns of what lies features first.

Three maps take h_dec_t: to the stroke w_t, to where it goes, and to where the next glimpse is
read. Their weights lie one behind the other, so that they are one product, forward, backward
and for their gradient: with [w_t; attend_t; read_{t+1}], the *heads*.
"""

from ..centring import Layer
from ..nn import bernoulli, filterbank, glimpse, linear
from ..parallel import split
from . import attention
from .activations import length


class AttentiveCanvas:
    """What a `Draw` with attention reads and writes.

    Parameters
    ----------
    config : DrawConfig
    ops : Backend
    batch : int
    segments : Segments
    """

    #: Parameters that say where to look.
    aiming = ("read.W", "read.b", "attend.W", "attend.b")
    #: Those of the heads, as they lie.
    weights, biases = ("write.W", "attend.W", "read.W"), ("write.b", "attend.b", "read.b")

    def __init__(self, config, ops, batch, segments):
        self.config, self.ops, self.batch, self.segments = config, ops, batch, segments
        H, W, C = config.H, config.W, config.C
        self.R = 2 * C * config.read_n**2
        stroke = C * config.write_n**2
        self.stroke, self.attend = slice(0, stroke), slice(stroke, stroke + 5)
        self.look, self.heads = slice(stroke + 5, stroke + 10), stroke + 10
        self.read_grid = filterbank.Grid(ops, H, W, config.read_n)
        self.write_grid = filterbank.Grid(ops, H, W, config.write_n)

    def parameter_shapes(self):
        """Return the names and shapes of the parameters of reading and of writing."""
        # where to read lies with the other heads, behind the decoder: nothing is left in front
        h_dec, rows = self.config.h_dec, (self.stroke.stop, 5, 5)
        # attend and read give gx~, gy~, log s2, log d~, log gamma
        weights = {name: (n, h_dec) for name, n in zip(self.weights, rows, strict=True)}
        return {}, weights | {name: (n, 1) for name, n in zip(self.biases, rows, strict=True)}

    def layers(self, tape):
        """Return what `Draw.layers` has besides the LSTMs and the latent: the heads."""
        return [Layer(self.weights, self.biases, tape.h_dec_all[:, self.batch :])]

    def tape_shapes(self, B):
        """Name and size the shared arrays."""
        config, K = self.config, self.segments.held
        # column block t of dheads: of w_{t-1}, of where it went, and of where r_t was read, which
        # are what the heads made of h_dec_{t-1}; the first block has no stroke, and stays 0 there
        return {
            "dheads": (self.heads, (K + 1) * B),
            "du": (self.R + config.h_enc + config.h_dec, B),
            "dcanvas_initial": (config.D, B),
        }

    def shard_shapes(self, shard):
        """Name and size one process's own arrays."""
        config, b = self.config, length(shard.examples)
        H, W, C, D, K = config.H, config.W, config.C, config.D, self.segments.held
        shapes = {
            "x": (D, b),
            "logits": (D, b),
            "work": (D, b),
            "image": (b, H * C, W),
            "canvas": (b, H * C, W),
            "dcanvas": (2, b, H * C, W),  # of c_t and c_{t-1}, in turns
            "update": (b, H * C, W),
            "x_hat": (K, b, H * C, W),
            "heads": (self.heads, b),
        }
        if config.initial == "learned":
            shapes |= {"first_enc": (4 * length(shard.units_enc), 1), "sums_look": (5, 1)}
        N = config.read_n
        shapes |= attention.shapes("read", attention.READING, K, b, H, W, C, N, pictures=2)
        shapes |= attention.shapes("write", attention.WRITING, K, b, H, W, C, config.write_n)
        if len(self.segments) > 1:
            shapes |= {"read_windows": (config.T, 5, b), "write_windows": (config.T, 5, b)}
        return shapes

    def lay_out(self, shard, tape, p):
        """Give a shard and its steps their views."""
        config, own = self.config, shard.examples
        H, W, C, b = config.H, config.W, config.C, length(own)
        shard.W_heads = p.stacked(*self.weights)
        shard.columns.add("W_heads", shard.W_heads, shard.units_dec)
        part = split(tape.du.shape[0], shard.parts)[shard.part]
        shard.columns.add("W_u", p.encoder.W_u, part)
        shard.du = tape.du[part]
        part = split(self.R, shard.parts)[shard.part]
        shard.dr_first, shard.W_r = tape.du[part], p.encoder.W_u[:, part]
        shard.W_look = p.read.W[:, shard.units_dec]
        shard.dh_enc_next = tape.du[tape.rows.h_enc][shard.units_enc]
        shard.dh_dec_next_u = tape.du[tape.rows.h_dec][shard.units_dec]
        shard.read_p, shard.write_p = shard.heads[self.look], shard.heads[self.attend]
        shard.x_shared = tape.x[:, own]
        shard.reconstruction = shard.reconstruction[own]  # the other columns stay 0
        shard.dcanvas_initial = tape.dcanvas_initial[:, own]

        def pixels_first(array):  # (D, b) in the order (C, H, W), seen as (b, H, C, W)
            return array.reshape(C, H, W, b).transpose(3, 1, 0, 2)

        def patches_first(array, rows):  # (rows*C*N, b) seen as (b, rows, C*N)
            return array.reshape(rows, array.shape[0] // rows, b).transpose(2, 0, 1)

        shard.image_from, shard.image_to = pixels_first(shard.x), as_image(shard.image, C)
        shard.logits_from, shard.logits_to = as_image(shard.canvas, C), pixels_first(shard.logits)
        shard.work_from = pixels_first(shard.work)
        K = self.segments.held
        shard.dcanvas_first = shard.dcanvas[0]
        shard.dcanvas_last = shard.dcanvas[1] if K % 2 else shard.dcanvas_first
        shard.dcanvas_initial_image = as_image(shard.dcanvas_first, C)
        shard.dcanvas_final_image = as_image(shard.dcanvas[self.segments.last.length % 2], C)
        shard.w_patch = patches_first(shard.heads[self.stroke], config.write_n)
        shard.dr = patches_first(tape.du[tape.rows.r][:, own], 2 * config.read_n)
        inputs, dheads = tape.by_step(tape.inputs), tape.by_step(tape.dheads)
        r, h_dec = inputs[tape.rows.r][:, :, own], inputs[tape.rows.h_dec][:, :, own]
        dw, dattend, dread = (
            dheads[rows][:, :, own] for rows in (self.stroke, self.attend, self.look)
        )
        shard.dread_first_all = dheads[self.look, 0]
        shard.dread_first, shard.dread_last = dread[:, 0], dread[:, K]
        shard.dread_beyond = dread[:, self.segments.last.length]
        shard.constant = shard.rows.b_enc
        if len(self.segments) == 1:
            shard.read_windows, shard.write_windows = shard.read_a, shard.write_a
        for t, s in enumerate(shard.held):
            s.r = patches_first(r[:, t], 2 * config.read_n)
            s.h_dec_seen_prev, s.h_dec_seen = h_dec[:, t], h_dec[:, t + 1]
            s.x_hat = shard.x_hat[t]
            s.dread, s.dattend, s.dheads_all = dread[:, t], dattend[:, t + 1], dheads[:, t + 1]
            s.dcanvas, s.dcanvas_prev = shard.dcanvas[(t + 1) % 2], shard.dcanvas[t % 2]
            s.dw_patch = patches_first(dw[:, t + 1], config.write_n)
            s.read = attention.bank(shard, "read", attention.READING, t, self.read_grid)
            s.write = attention.bank(shard, "write", attention.WRITING, t, self.write_grid)

    def take(self, shard):
        """Copy x into the shard, in both layouts; the gates' constant part is the bias."""
        self.ops.xp.copyto(shard.x, shard.x_shared)
        self.ops.xp.copyto(shard.image_to, shard.image_from)

    def begin(self, shard, p):
        """canvas = c_0."""
        config = self.config
        if config.initial == "learned":
            c = p.initial.c.reshape(1, config.C, config.H, config.W).transpose(0, 2, 1, 3)
            self.ops.xp.copyto(shard.logits_from, c)
        else:
            shard.canvas.fill(0)

    def first_read_backward(self, shard, s, meet):
        """The same as `read_backward`, from the encoder's gates: of u_1 only r_1 is left."""
        linear.backward(self.ops, shard.dr_first, s.dgates_enc_all, shard.W_r)
        self.read_backward(shard, s, meet)

    def begin_backward(self, shard, g):
        """Hand the gradient at c_0 over, and add to that at h_dec_0 what r_1's place gives."""
        ops = self.ops
        ops.xp.copyto(shard.logits_to, shard.dcanvas_initial_image)
        ops.xp.copyto(shard.dcanvas_initial, shard.logits)
        linear.bias_gradient(ops, shard.sums_look, shard.dread_first_all)
        linear.backward(ops, shard.dh_dec_part, shard.sums_look, shard.W_look)
        dh_dec = g.initial.h_dec[shard.units_dec]
        dh_dec += shard.dh_dec_part

    def note(self, shard, segment, *parts):
        """Keep the windows ("read" or "write") of a segment whose arrays the next one takes."""
        if len(self.segments) > 1:
            steps = slice(segment.start, segment.start + segment.length)
            for part in parts:
                windows, latest = getattr(shard, f"{part}_windows"), getattr(shard, f"{part}_a")
                self.ops.xp.copyto(windows[steps], latest[: segment.length])

    def aim(self, shard, s):
        """Let h_dec before a segment's first step say where that reads."""
        linear.forward(self.ops, shard.heads, s.h_dec_seen_prev, shard.W_heads)

    def read(self, shard, s, p):
        """r_t = gamma [Fy x Fx^T, Fy x_hat Fx^T], attending as h_dec_{t-1} says."""
        glimpse.read_forward(
            self.ops, s.r, s.x_hat, s.read, p.read.b, self.read_grid, shard.image, shard.canvas
        )

    def read_backward(self, shard, s, meet):
        """From dr_t to the attention's gradient, and from dr_t and dc_t to dc_{t-1}."""
        meet()  # r_t
        glimpse.read_backward(
            self.ops, s.dread, s.dcanvas_prev, shard.update,
            shard.dr, s.dcanvas, s.read, self.read_grid, s.r, s.x_hat, shard.image,
        )  # fmt: skip

    def write(self, shard, s, p):
        """c_t = c_{t-1} + 1/gamma Fy^T w_t Fx, attending as h_dec_t says."""
        ops = self.ops
        linear.forward(ops, shard.heads, s.h_dec_seen, shard.W_heads)
        glimpse.write_forward(
            ops, shard.canvas, shard.update, s.write,
            shard.w_patch, p.write.b, p.attend.b, self.write_grid,
        )  # fmt: skip

    def write_backward(self, shard, s):
        """From dc_t to the stroke's gradient and to that of where it went."""
        glimpse.write_backward(self.ops, s.dattend, s.dw_patch, s.dcanvas, s.write, self.write_grid)

    def decoder_backward(self, shard, s):
        """Return what flows to h_dec_t by way of which weights: from the stroke, its place, and the
        place of the next glimpse."""
        return s.dheads_all, shard.columns.W_heads

    def _logits(self, shard):
        """Copy the canvas to the order of the pixels, features first."""
        self.ops.xp.copyto(shard.logits_to, shard.logits_from)
        return shard.logits

    def show(self, pictures, shard):
        """This process's examples of the pictures (D, B) = sigmoid(canvas)."""
        self.ops.kernels.sigmoid(pictures[:, shard.examples], self._logits(shard))

    def loss(self, shard):
        """The reconstruction loss of c_T."""
        bernoulli.forward(self.ops, shard.reconstruction, shard.work, self._logits(shard), shard.x)

    def loss_backward(self, shard, scale):
        """dc_T; and no glimpse follows the last step."""
        shard.dread_beyond.fill(0)
        bernoulli.backward(self.ops, shard.work, shard.logits, shard.x, scale)
        self.ops.xp.copyto(shard.dcanvas_final_image, shard.work_from)

    def leave_backward(self, shard):
        """Hand back what a segment's first step found for the last step of the one before it."""
        if shard.dcanvas_last is not shard.dcanvas_first:
            self.ops.xp.copyto(shard.dcanvas_last, shard.dcanvas_first)
        # by way of `read_p`: first and last lie across each other, where CuPy would make a copy
        self.ops.xp.copyto(shard.read_p, shard.dread_first)
        self.ops.xp.copyto(shard.dread_last, shard.read_p)

    def weight_gradients(self, tape, g, segment):
        """List what is summed over the steps of a segment (see `Model._share_gradients`)."""
        now, later = tape.columns(segment), tape.columns(segment, 1)
        # the first block only once: the segment before has it as its last
        columns = later if segment.number else slice(0, later.stop)
        dheads, h_dec = tape.dheads[:, columns], tape.h_dec_all[:, columns]
        return [
            (linear.weight_gradient, g.stacked(*self.weights), dheads, h_dec),
            (linear.bias_gradient, g.encoder.b, tape.dgates_enc[:, now]),
            (linear.bias_gradient, g.stacked(*self.biases), dheads),
        ]

    def constant_gradients(self, tape, g):
        """Nothing is the same at every step: x, too, is read through the window. c_0 is left."""
        if self.config.initial != "learned":
            return []
        return [(linear.bias_gradient, g.initial.c, tape.dcanvas_initial)]


def as_image(array, C):
    """View (b, H*C, W) as (b, H, C, W)."""
    b, rows, W = array.shape
    return array.reshape(b, rows // C, C, W)
