"""The canvas of DRAW without attention: all of it is read and written at every step.

The canvas and the images lie features first, (D, B), like everything else in the model.
x is the same at every step, so its product with the encoder's weights is computed once
per minibatch, for all shards, and joins the gates as their constant part.
"""

from ..nn import bernoulli, linear, read, write


class WholeCanvas:
    """What a `Draw` without attention reads and writes.

    Parameters
    ----------
    config : DrawConfig
    ops : Backend
    """

    #: Nothing says where to look.
    aiming = ()

    def __init__(self, config, ops):
        self.config, self.ops = config, ops
        self.R = config.D

    def parameter_shapes(self):
        """Return the names and shapes of the parameters of reading and of writing."""
        D, h_enc, h_dec = self.config.D, self.config.h_enc, self.config.h_dec
        reading = {"encoder.W_x": (4 * h_enc, D)}  # times the constant input x
        return reading, {"write.W": (D, h_dec), "write.b": (D, 1)}

    def tape_shapes(self, B):
        """Name and size the shared arrays."""
        T, D, h_enc = self.config.T, self.config.D, self.config.h_enc
        return {
            "constant": (4 * h_enc, B),  # W_x x + b
            "dconstant": (4 * h_enc, B),
            "dcanvas": (D, (T + 1) * B),
        }

    def shard_shapes(self, b):
        """Name and size one thread's own arrays."""
        D = self.config.D
        return {
            "x": (D, b),
            "canvas": (D, b),
            "work": (D, b),
            "constant": (4 * self.config.h_enc, b),
        }

    def lay_out(self, shard, tape):
        """Give a shard and its steps their views."""
        shard.constant_shared = tape.constant[:, shard.columns]
        shard.dconstant = tape.dconstant[:, shard.columns]
        dcanvas = tape.by_step(tape.dcanvas, shard.columns)
        shard.dcanvas_final = dcanvas[:, self.config.T]
        for t, s in enumerate(shard.steps):
            s.dcanvas, s.dcanvas_prev = dcanvas[:, t + 1], dcanvas[:, t]

    def project(self, tape, p):
        """constant = W_x x + b, once for all T steps."""
        linear.forward(self.ops, tape.constant, tape.x, p.encoder.W_x)
        tape.constant += p.encoder.b

    def take(self, shard, p):
        """Copy what is constant over the steps into the shard; return the gates' constant part."""
        self.ops.xp.copyto(shard.x, shard.x_shared)
        self.ops.xp.copyto(shard.constant, shard.constant_shared)
        return shard.constant

    def begin(self, shard, p):
        """canvas = c_0."""
        if self.config.initial == "learned":
            self.ops.xp.copyto(shard.canvas, p.initial.c)
        else:
            shard.canvas.fill(0)

    def begin_backward(self, shard, p):
        """Hand the gradient at c_0 over."""
        self.ops.xp.copyto(shard.dcanvas_initial, shard.steps[0].dcanvas_prev)

    def read(self, shard, s, p):
        """r_t = x - sigmoid(c_{t-1})."""
        read.forward(self.ops, s.r, shard.x, shard.canvas)

    def read_backward(self, shard, s, p):
        """From dr_t and dc_t to dc_{t-1}; the gates' gradient also counts for W_x x + b."""
        shard.dconstant += s.dgates_enc
        read.backward(self.ops, s.dcanvas_prev, shard.dr, s.dcanvas, s.r, shard.x)

    def write(self, shard, s, p):
        """c_t = c_{t-1} + W h_dec_t + b."""
        write.forward(self.ops, shard.canvas, shard.work, s.h_dec, p.write.W, p.write.b)

    def write_backward(self, shard, s, p):
        """From dc_t to dh_dec_t."""
        write.backward(self.ops, shard.dh_dec, s.dcanvas, p.write.W)

    def show(self, picture, shard):
        """picture (D, b) = sigmoid(canvas)."""
        self.ops.kernels.sigmoid(picture, shard.canvas)

    def loss(self, shard):
        """The reconstruction loss of c_T."""
        bernoulli.forward(self.ops, shard.reconstruction, shard.work, shard.canvas, shard.x)

    def loss_backward(self, shard, scale):
        """dc_T; and the sum over the steps that `read_backward` adds to starts at 0."""
        shard.dconstant.fill(0)
        bernoulli.backward(self.ops, shard.dcanvas_final, shard.canvas, shard.x, scale)

    def weight_gradients(self, tape, g):
        """List the products (dW, dy, x) and sums (db, dy) that follow the time loop."""
        dwritten = tape.dcanvas[:, tape.B :]
        products = [
            (g.encoder.W_x, tape.dconstant, tape.x),
            (g.write.W, dwritten, tape.h_dec),
        ]
        return products, [(g.encoder.b, tape.dconstant), (g.write.b, dwritten)]
