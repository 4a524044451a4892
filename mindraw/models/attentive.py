"""The canvas of DRAW with attention: N x N glimpses are read and N x N strokes written.

The canvas and the images lie as (B, H, C, W), so that the filterbanks apply as stacked
products (see `nn/glimpse.py`). What crosses to the rest of the model, the glimpse r, the
stroke w and the attention parameters, lies features first, like everything there. A process
owns some of the examples, which are the columns of what lies features first.
"""

from ..nn import bernoulli, filterbank, glimpse, linear, read
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

    def __init__(self, config, ops, batch, segments):
        self.config, self.ops, self.batch, self.segments = config, ops, batch, segments
        H, W, C = config.H, config.W, config.C
        self.R = 2 * C * config.read_n**2
        self.read_grid = filterbank.Grid(ops, H, W, config.read_n)
        self.write_grid = filterbank.Grid(ops, H, W, config.write_n)

    def parameter_shapes(self):
        """Return the names and shapes of the parameters of reading and of writing."""
        h_dec, stroke = self.config.h_dec, self.config.C * self.config.write_n**2
        # each map of h_dec gives gx~, gy~, log s2, log d~, log gamma
        reading = {"read.W": (5, h_dec), "read.b": (5, 1)}
        return reading, {
            "write.W": (stroke, h_dec),
            "write.b": (stroke, 1),
            "attend.W": (5, h_dec),
            "attend.b": (5, 1),
        }

    def tape_shapes(self, B):
        """Name and size the shared arrays."""
        K, stroke = self.segments.held, self.config.C * self.config.write_n**2
        return {"dread": (5, K * B), "dattend": (5, K * B), "dw": (stroke, K * B)}

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
            "w": (C * config.write_n**2, b),
            "work_dec": (length(shard.units_dec), self.batch),
            "dlog_s2": (b,),
            "dlog_gamma": (b,),
        }
        for name, N in (("read", config.read_n), ("write", config.write_n)):
            shapes |= attention.shapes(name, K, b, H, W, C, N)
        N = config.read_n
        shapes |= {
            "read_half_x": (K, b, N, C * W),
            "read_half_x_hat": (K, b, N, C * W),
            "read_patch": (b, N, C * N),
            "read_dF_x_hat": (b * N * (W + H),),
        }
        N = config.write_n
        shapes |= {"write_half": (K, b, N, C * W), "write_patch": (K, b, N, C * N)}
        if len(self.segments) > 1:
            shapes |= {"read_windows": (config.T, 5, b), "write_windows": (config.T, 5, b)}
        return shapes

    def lay_out(self, shard, tape, p):
        """Give a shard and its steps their views."""
        config, own = self.config, shard.examples
        H, W, C, b = config.H, config.W, config.C, length(own)
        for name, group in (("W_read", p.read), ("W_write", p.write), ("W_attend", p.attend)):
            shard.columns.add(name, group.W, shard.units_dec)
        shard.x_shared = tape.x[:, own]
        shard.reconstruction = shard.reconstruction[own]  # the other columns stay 0
        shard.dcanvas_initial = tape.dcanvas_initial[:, own]

        def pixels_first(array):  # (D, b) in the order (C, H, W), seen as (b, H, C, W)
            return array.reshape(C, H, W, b).transpose(3, 1, 0, 2)

        def patches_first(array, N):  # (N*C*N, b) seen as (b, N, C*N)
            return array.reshape(N, C * N, b).transpose(2, 0, 1)

        shard.image_from, shard.image_to = pixels_first(shard.x), as_image(shard.image, C)
        shard.logits_from, shard.logits_to = as_image(shard.canvas, C), pixels_first(shard.logits)
        shard.work_from = pixels_first(shard.work)
        K = self.segments.held
        shard.dcanvas_first, shard.dcanvas_last = shard.dcanvas[0], shard.dcanvas[K % 2]
        shard.dcanvas_initial_image = as_image(shard.dcanvas_first, C)
        shard.dcanvas_final_image = as_image(shard.dcanvas[self.segments.last.length % 2], C)
        N = config.read_n
        shard.read_dFx_x_hat = shard.read_dF_x_hat[: b * N * W].reshape(b, N, W)
        shard.read_dFy_x_hat = shard.read_dF_x_hat[b * N * W :].reshape(b, N, H)
        shard.w_patch = patches_first(shard.w, config.write_n)
        half = self.R // 2
        dr = tape.du[tape.rows.r][:, own]
        shard.dr_x = patches_first(dr[:half], config.read_n)
        shard.dr_x_hat = patches_first(dr[half:], config.read_n)
        inputs, dread, dattend, dw = map(
            tape.by_step, (tape.inputs, tape.dread, tape.dattend, tape.dw)
        )
        r, h_dec = inputs[tape.rows.r][:, :, own], inputs[tape.rows.h_dec][:, :, own]
        shard.dread_first_all = dread[:, 0]
        shard.dread_beyond = dread[:, self.segments.last.length % K, own]
        shard.constant = shard.rows.b_enc
        if len(self.segments) == 1:
            shard.read_windows, shard.write_windows = shard.read_a, shard.write_a
        for t, s in enumerate(shard.steps):
            s.r_x = patches_first(r[:half, t], config.read_n)
            s.r_x_hat = patches_first(r[half:, t], config.read_n)
            s.h_dec_seen_prev, s.h_dec_seen = h_dec[:, t], h_dec[:, t + 1]
            s.x_hat = shard.x_hat[t]
            s.half_x, s.half_x_hat = shard.read_half_x[t], shard.read_half_x_hat[t]
            s.half, s.patch = shard.write_half[t], shard.write_patch[t]
            s.dread, s.dattend = dread[:, t, own], dattend[:, t, own]
            s.dw_all, s.dattend_all = dw[:, t], dattend[:, t]
            s.dread_next_all = dread[:, (t + 1) % K]  # of a later segment: of its first step
            s.dcanvas, s.dcanvas_prev = shard.dcanvas[(t + 1) % 2], shard.dcanvas[t % 2]
            s.dw_patch = patches_first(dw[:, t, own], config.write_n)
            s.read = attention.views(shard, "read", t, self.read_grid)
            s.write = attention.views(shard, "write", t, self.write_grid)

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

    def begin_backward(self, shard):
        """Hand the gradient at c_0 over, in the order of the pixels; the first glimpse's too."""
        self.ops.xp.copyto(shard.logits_to, shard.dcanvas_initial_image)
        self.ops.xp.copyto(shard.dcanvas_initial, shard.logits)
        linear.backward(self.ops, shard.work_dec, shard.dread_first_all, shard.columns.W_read)
        shard.dh_dec_initial += shard.work_dec

    def note(self, shard, segment):
        """Keep the windows of a segment whose arrays the next one takes."""
        if len(self.segments) > 1:
            steps = slice(segment.start, segment.start + segment.length)
            self.ops.xp.copyto(shard.read_windows[steps], shard.read_a[: segment.length])
            self.ops.xp.copyto(shard.write_windows[steps], shard.write_a[: segment.length])

    def read(self, shard, s, p):
        """r_t = gamma [Fy x Fx^T, Fy x_hat Fx^T], attending as h_dec_{t-1} says."""
        ops, bank = self.ops, s.read
        attention.forward(ops, bank, s.h_dec_seen_prev, p.read.W, p.read.b, self.read_grid)
        read.forward(ops, s.x_hat, shard.image, shard.canvas)
        for image, half, r in (
            (shard.image, s.half_x, s.r_x),
            (s.x_hat, s.half_x_hat, s.r_x_hat),
        ):
            glimpse.read_forward(ops, shard.read_patch, half, image, bank.Fy, bank.Fx)
            ops.kernels.intensity_forward(r, shard.read_patch, bank.gamma)

    def read_backward(self, shard, s):
        """From dr_t to the attention's gradient, and from dr_t and dc_t to dc_{t-1}."""
        ops, bank = self.ops, s.read
        shard.dlog_gamma.fill(0)
        ops.kernels.intensity_backward(bank.dpatch, shard.dlog_gamma, shard.dr_x, s.r_x, bank.gamma)
        glimpse.read_backward(
            ops, None, bank.dFy, bank.dFx, bank.dhalf,
            bank.dpatch, s.half_x, shard.image, bank.Fy, bank.Fx,
        )  # fmt: skip
        ops.kernels.intensity_backward(
            bank.dpatch, shard.dlog_gamma, shard.dr_x_hat, s.r_x_hat, bank.gamma
        )
        glimpse.read_backward(
            ops, shard.update, shard.read_dFy_x_hat, shard.read_dFx_x_hat, bank.dhalf,
            bank.dpatch, s.half_x_hat, s.x_hat, bank.Fy, bank.Fx,
        )  # fmt: skip
        bank.dF += shard.read_dF_x_hat
        read.backward(ops, s.dcanvas_prev, shard.update, s.dcanvas, s.x_hat, shard.image)
        attention.place_backward(
            ops, s.dread, bank, shard.dlog_s2, shard.dlog_gamma, self.read_grid
        )

    def write(self, shard, s, p):
        """c_t = c_{t-1} + 1/gamma Fy^T w_t Fx, attending as h_dec_t says."""
        ops, bank = self.ops, s.write
        attention.forward(ops, bank, s.h_dec_seen, p.attend.W, p.attend.b, self.write_grid)
        linear.forward(ops, shard.w, s.h_dec_seen, p.write.W)
        shard.w += p.write.b
        ops.kernels.stroke_forward(s.patch, shard.w_patch, bank.gamma)
        glimpse.write_forward(ops, shard.update, s.half, s.patch, bank.Fy, bank.Fx)
        shard.canvas += shard.update

    def write_backward(self, shard, s):
        """From dc_t to the stroke's gradient and to that of where it went."""
        ops, bank = self.ops, s.write
        shard.dlog_gamma.fill(0)
        glimpse.write_backward(
            ops, bank.dpatch, bank.dFy, bank.dFx, bank.dhalf,
            s.dcanvas, s.half, s.patch, bank.Fy, bank.Fx,
        )  # fmt: skip
        ops.kernels.stroke_backward(s.dw_patch, shard.dlog_gamma, bank.dpatch, s.patch, bank.gamma)
        attention.place_backward(
            ops, s.dattend, bank, shard.dlog_s2, shard.dlog_gamma, self.write_grid
        )

    def decoder_backward(self, shard, s):
        """From the stroke, its place, and the place of the next glimpse, to dh_dec_t."""
        ops, columns = self.ops, shard.columns
        linear.backward(ops, shard.dh_dec, s.dw_all, columns.W_write)
        linear.backward(ops, shard.work_dec, s.dattend_all, columns.W_attend)
        shard.dh_dec += shard.work_dec
        linear.backward(ops, shard.work_dec, s.dread_next_all, columns.W_read)
        shard.dh_dec += shard.work_dec

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

    def weight_gradients(self, tape, g):
        """List the products (dW, dy, x) and sums (db, dy) over the steps of a segment."""
        products = [
            (g.read.W, tape.dread, tape.h_dec_prev),
            (g.write.W, tape.dw, tape.h_dec),
            (g.attend.W, tape.dattend, tape.h_dec),
        ]
        return products, [
            (g.encoder.b, tape.dgates_enc),
            (g.read.b, tape.dread),
            (g.write.b, tape.dw),
            (g.attend.b, tape.dattend),
        ]

    def constant_gradients(self, tape, g):
        """Nothing is the same at every step: x, too, is read through the window."""
        return [], []


def as_image(array, C):
    """View (b, H*C, W) as (b, H, C, W)."""
    b, rows, W = array.shape
    return array.reshape(b, rows // C, C, W)
