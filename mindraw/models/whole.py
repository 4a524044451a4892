"""The canvas of DRAW without attention: all of it is read and written at every step.

The canvas and the images lie features first, (D, B), like everything else in the model, and a
process owns some of the pixels. x is the same at every step, so its product with the encoder's
weights is computed once per minibatch, and joins the gates as their constant part.
"""

from ..centring import Layer
from ..nn import bernoulli, linear, read, write
from .activations import after, length


class WholeCanvas:
    """What a `Draw` without attention reads and writes.

    Parameters
    ----------
    config : DrawConfig
    ops : Backend
    batch : int
    segments : Segments
    """

    #: Nothing says where to look.
    aiming = ()

    def __init__(self, config, ops, batch, segments):
        self.config, self.ops, self.batch, self.segments = config, ops, batch, segments
        self.R = config.D

    def parameter_shapes(self):
        """Return the names and shapes of the parameters of reading and of writing."""
        D, h_enc, h_dec = self.config.D, self.config.h_enc, self.config.h_dec
        reading = {"encoder.W_x": (4 * h_enc, D)}  # times the constant input x
        return reading, {"write.W": (D, h_dec), "write.b": (D, 1)}

    def layers(self, tape):
        """Return what `Draw.layers` has besides the LSTMs and the latent."""
        return [
            Layer(("encoder.W_x",), ("encoder.b",), tape.x),
            Layer(("write.W",), ("write.b",), tape.h_dec_all[:, self.batch :]),
        ]

    def tape_shapes(self, B):
        """Name and size the shared arrays."""
        K, D, h_enc = self.segments.held, self.config.D, self.config.h_enc
        return {"dconstant": (4 * h_enc, B), "dcanvas": (D, (K + 1) * B)}

    def shard_shapes(self, shard):
        """Name and size one process's own arrays."""
        own, B = length(shard.pixels), self.batch
        shapes = {
            "canvas": (own, B),
            "work": (own, B),
            "du": (own + length(shard.units_enc) + length(shard.units_dec), B),
            "constant": (4 * length(shard.units_enc), B),
        }
        if self.config.initial == "learned":
            shapes |= {
                "first_enc": shapes["constant"],
                "sums_canvas": (own, 1),
                "dr_sums": (own, 1),
            }
        return shapes

    def lay_out(self, shard, tape, p):
        """Give a shard and its steps their views."""
        h_enc, own = self.config.h_enc, shard.pixels
        shard.rows.add("W_x", p.encoder.W_x, h_enc, shard.units_enc)
        shard.rows.W_write, shard.rows.b_write = p.write.W[own], p.write.b[own]
        shard.columns.add("W_write", p.write.W, shard.units_dec)
        D, enc, dec = self.config.D, shard.units_enc, shard.units_dec
        shard.columns.add("W_u", p.encoder.W_u, own, after(D, enc), after(D + h_enc, dec))
        pixels, units = length(own), length(own) + length(enc)
        shard.dr, shard.dh_enc_next = shard.du[:pixels], shard.du[pixels:units]
        shard.dh_dec_next_u = shard.du[units:]
        shard.x, shard.x_all = tape.x[own], tape.x
        r, dcanvas = tape.by_step(tape.inputs)[tape.rows.r], tape.by_step(tape.dcanvas)
        shard.W_r = p.encoder.W_u[:, own]
        shard.dcanvas_first, shard.dcanvas_last = dcanvas[own, 0], dcanvas[own, self.segments.held]
        shard.dcanvas_final = dcanvas[own, self.segments.last.length]
        for t, s in enumerate(shard.held):
            s.r = r[own, t]
            s.dcanvas_all, s.dcanvas = dcanvas[:, t + 1], dcanvas[own, t + 1]
            s.dcanvas_prev = dcanvas[own, t]

    def take(self, shard):
        """Compute what is constant over the steps in the gates: W_x x + b."""
        linear.forward(self.ops, shard.constant, shard.x_all, shard.rows.W_x)
        shard.constant += shard.rows.b_enc

    def begin(self, shard, p):
        """canvas = c_0."""
        if self.config.initial == "learned":
            self.ops.xp.copyto(shard.canvas, p.initial.c[shard.pixels])
        else:
            shard.canvas.fill(0)

    def first_read_backward(self, shard, s, meet):
        """What flows into c_0 is a sum over the minibatch: see `begin_backward`."""

    def begin_backward(self, shard, g):
        """The gradient at c_0, of which every example has the same: from that at c_1 and at r_1."""
        ops, first, pixels = self.ops, shard.first, shard.pixels
        linear.bias_gradient(ops, shard.sums_canvas, first.dcanvas)
        linear.backward(ops, shard.dr_sums, shard.sums_enc, shard.W_r)
        x_hat, x = first.r[:, :1], shard.x[:, :1]  # x - x_hat is the same for all
        read.backward(ops, g.initial.c[pixels], shard.dr_sums, shard.sums_canvas, x_hat, x)

    def note(self, shard, segment, *parts):
        """Nothing is to be known of a segment later: there are no windows."""

    def read(self, shard, s, p):
        """r_t = x - sigmoid(c_{t-1})."""
        read.forward(self.ops, s.r, shard.x, shard.canvas)

    def aim(self, shard, s):
        """Nothing says where to look."""

    def read_backward(self, shard, s, meet):
        """From dr_t, at one's own pixels, and dc_t to dc_{t-1}."""
        read.backward(self.ops, s.dcanvas_prev, shard.dr, s.dcanvas, s.r, shard.x)

    def write(self, shard, s, p):
        """c_t = c_{t-1} + W h_dec_t + b."""
        rows = shard.rows
        write.forward(self.ops, shard.canvas, shard.work, s.h_dec_all, rows.W_write, rows.b_write)

    def write_backward(self, shard, s):
        """Every pixel is its own stroke: dc_t is all that `decoder_backward` takes."""

    def decoder_backward(self, shard, s):
        """Return what flows to h_dec_t by way of which weights: dc_t."""
        return s.dcanvas_all, shard.columns.W_write

    def show(self, pictures, shard):
        """This process's pixels of the pictures (D, B) = sigmoid(canvas)."""
        self.ops.kernels.sigmoid(pictures[shard.pixels], shard.canvas)

    def loss(self, shard):
        """The reconstruction loss of c_T, summed over this process's pixels."""
        bernoulli.forward(self.ops, shard.reconstruction, shard.work, shard.canvas, shard.x)

    def loss_backward(self, shard, scale):
        """dc_T."""
        bernoulli.backward(self.ops, shard.dcanvas_final, shard.canvas, shard.x, scale)

    def leave_backward(self, shard):
        """Hand dc back from a segment's first step to the last step of the segment before it."""
        # by way of `work`: first and last lie across each other, where CuPy would make a copy
        self.ops.xp.copyto(shard.work, shard.dcanvas_first)
        self.ops.xp.copyto(shard.dcanvas_last, shard.work)

    def weight_gradients(self, tape, g, segment):
        """List what is summed over the steps of a segment (see `Model._share_gradients`)."""
        now, later = tape.columns(segment), tape.columns(segment, 1)
        dwritten = tape.dcanvas[:, later]
        return [
            (linear.weight_gradient, g.write.W, dwritten, tape.h_dec_all[:, later]),
            (linear.bias_gradient, g.write.b, dwritten),
            (linear.constant_gradient, tape.dconstant, tape.dgates_enc[:, now]),
        ]

    def constant_gradients(self, tape, g):
        """List those of what is the same at every step; they follow once, after the time loop."""
        return [
            (linear.weight_gradient, g.encoder.W_x, tape.dconstant, tape.x),
            (linear.bias_gradient, g.encoder.b, tape.dconstant),
        ]
