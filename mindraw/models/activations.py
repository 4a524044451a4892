"""Where every number of a training step lies.

Two kinds of memory, both laid out once:

- `Tape`, shared: what the weight gradients need, as (features, T*B) arrays whose columns
  run over (time, batch). A weight gradient over all steps is then one product of two
  plain matrices.
- `Shard`, one per thread: everything else, for that thread's columns of the minibatch,
  as contiguous arrays. Its `steps` name, for each t, the views that step t works on.

The inputs of both LSTMs share one tape, ``[r; h_enc; h_dec; z]``: column block t holds
r_t, h_enc_{t-1}, h_dec_{t-1} and z_t. So the encoder's input u_t = [r_t; h_enc_{t-1};
h_dec_{t-1}] and the decoder's v_t = [h_dec_{t-1}; z_t] are both plain row ranges of it,
and nothing is copied to stack them.

What reading and writing need besides is added by the model's `Canvas` (see `canvas.py`):
its arrays join the same tape, shards and steps.
"""

from types import SimpleNamespace

from ..arena import carve


def tape_shapes(config, R, B):
    """Name and size the shared arrays.

    Parameters
    ----------
    config : DrawConfig
    R : int
        Rows of what is read at every step.
    B : int

    Returns
    -------
    dict of str to tuple of int
    """
    T, z, h_enc, h_dec = config.T, config.z, config.h_enc, config.h_dec
    return {
        "x": (config.D, B),
        "eps": (T, z, B),
        "losses": (2, B),
        "inputs": (R + h_enc + h_dec + z, (T + 1) * B),  # r; h_enc; h_dec; z
        "dgates_enc": (4 * h_enc, T * B),
        "dgates_dec": (4 * h_dec, T * B),
        "dq": (2 * z, T * B),
        "dcanvas_initial": (config.D, B),
        "dh_enc_initial": (h_enc, B),
        "dh_dec_initial": (h_dec, B),
    }


def shard_shapes(config, R, b):
    """Name and size one thread's own arrays for its b columns.

    Returns
    -------
    dict of str to tuple of int
    """
    T, z, h_enc, h_dec = config.T, config.z, config.h_enc, config.h_dec
    return {
        "gates_enc": (T, 4 * h_enc, b),
        "cell_enc": (T + 1, h_enc, b),
        "tanh_enc": (T, h_enc, b),
        "gates_dec": (T, 4 * h_dec, b),
        "cell_dec": (T + 1, h_dec, b),
        "tanh_dec": (T, h_dec, b),
        "q": (T, 2 * z, b),
        "du": (R + h_enc + h_dec, b),
        "dv": (h_dec + z, b),
        "dh_enc": (h_enc, b),
        "dh_dec": (h_dec, b),
        "dcell_enc": (h_enc, b),
        "dcell_dec": (h_dec, b),
    }


class Tape:
    """The arrays all shards share.

    Attributes
    ----------
    u, v, h_enc, h_dec : array (features, T*B)
        Row and column ranges of ``inputs``: what the encoder and the decoder read at each
        step, and what they gave.
    """

    def __init__(self, config, canvas, ops, B):
        T, R, h_enc, h_dec = config.T, canvas.R, config.h_enc, config.h_dec
        shapes = tape_shapes(config, R, B) | canvas.tape_shapes(B)
        self.__dict__.update(vars(carve(ops, shapes)))
        self.config, self.B = config, B
        self.reconstruction, self.latent = self.losses[0], self.losses[1]
        self.rows = SimpleNamespace(
            r=slice(0, R),
            h_enc=slice(R, R + h_enc),
            h_dec=slice(R + h_enc, R + h_enc + h_dec),
            u=slice(0, R + h_enc + h_dec),
            v=slice(R + h_enc, None),
            z=slice(R + h_enc + h_dec, None),
        )
        now, after = slice(0, T * B), slice(B, (T + 1) * B)
        self.u = self.inputs[self.rows.u, now]
        self.v = self.inputs[self.rows.v, now]
        self.h_enc = self.inputs[self.rows.h_enc, after]
        self.h_dec = self.inputs[self.rows.h_dec, after]
        self.h_dec_prev = self.inputs[self.rows.h_dec, now]

    def by_step(self, array, columns):
        """View a (features, steps*B) array as (features, steps, b) for a range of columns."""
        return array.reshape(array.shape[0], -1, self.B)[:, :, columns]


class Shard:
    """One thread's columns of the minibatch.

    Attributes
    ----------
    columns : slice
        Which columns of the minibatch these are.
    b : int
        How many they are.
    steps : list of types.SimpleNamespace
        For each t the views that step t works on; ``*_prev`` belong to t - 1.
    """

    def __init__(self, config, canvas, ops, tape, columns):
        T, rows = config.T, tape.rows
        self.columns, self.b = columns, columns.stop - columns.start
        shapes = shard_shapes(config, canvas.R, self.b) | canvas.shard_shapes(self.b)
        self.__dict__.update(vars(carve(ops, shapes)))
        self.x_shared = tape.x[:, columns]
        self.reconstruction = tape.reconstruction[columns]
        self.latent = tape.latent[columns]
        self.dcanvas_initial = tape.dcanvas_initial[:, columns]
        self.dh_enc_initial = tape.dh_enc_initial[:, columns]
        self.dh_dec_initial = tape.dh_dec_initial[:, columns]
        # what flows back into step t from step t + 1
        self.dr = self.du[rows.r]
        self.dh_enc_next = self.du[rows.h_enc]
        self.dh_dec_next_u = self.du[rows.h_dec]
        self.dh_dec_next_v = self.dv[: config.h_dec]
        self.dz = self.dv[config.h_dec :]

        inputs, dgates_enc, dgates_dec, dq = (
            tape.by_step(array, columns)
            for array in (tape.inputs, tape.dgates_enc, tape.dgates_dec, tape.dq)
        )
        self.h_enc_initial = inputs[rows.h_enc, 0]
        self.h_dec_initial = inputs[rows.h_dec, 0]
        self.steps = [
            SimpleNamespace(
                u=inputs[rows.u, t],
                r=inputs[rows.r, t],
                v=inputs[rows.v, t],
                z=inputs[rows.z, t],
                eps=tape.eps[t, :, columns],
                h_enc=inputs[rows.h_enc, t + 1],
                h_dec=inputs[rows.h_dec, t + 1],
                h_dec_prev=inputs[rows.h_dec, t],
                gates_enc=self.gates_enc[t],
                cell_enc=self.cell_enc[t + 1],
                cell_enc_prev=self.cell_enc[t],
                tanh_enc=self.tanh_enc[t],
                gates_dec=self.gates_dec[t],
                cell_dec=self.cell_dec[t + 1],
                cell_dec_prev=self.cell_dec[t],
                tanh_dec=self.tanh_dec[t],
                q=self.q[t],
                dgates_enc=dgates_enc[:, t],
                dgates_dec=dgates_dec[:, t],
                dq=dq[:, t],
            )
            for t in range(T)
        ]
        canvas.lay_out(self, tape)
