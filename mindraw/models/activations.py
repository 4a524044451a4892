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
"""

from dataclasses import dataclass
from types import SimpleNamespace

from ..arena import carve


def tape_shapes(config, B):
    """Name and size the shared arrays.

    Returns
    -------
    dict of str to tuple of int
    """
    T, D, z, h_enc, h_dec = config.T, config.D, config.z, config.h_enc, config.h_dec
    return {
        "x": (D, B),
        "eps": (T, z, B),
        "losses": (2, B),
        "constant": (4 * h_enc, B),  # W_x x + b
        "inputs": (D + h_enc + h_dec + z, (T + 1) * B),  # r; h_enc; h_dec; z
        "dgates_enc": (4 * h_enc, T * B),
        "dgates_dec": (4 * h_dec, T * B),
        "dq": (2 * z, T * B),
        "dcanvas": (D, (T + 1) * B),
        "dconstant": (4 * h_enc, B),
        "dh_enc": (h_enc, B),  # at the initial states
        "dh_dec": (h_dec, B),
    }


def shard_shapes(config, b):
    """Name and size one thread's own arrays for its b columns.

    Returns
    -------
    dict of str to tuple of int
    """
    T, D, z, h_enc, h_dec = config.T, config.D, config.z, config.h_enc, config.h_dec
    return {
        "x": (D, b),
        "canvas": (D, b),
        "work": (D, b),
        "constant": (4 * h_enc, b),
        "gates_enc": (T, 4 * h_enc, b),
        "cell_enc": (T + 1, h_enc, b),
        "tanh_enc": (T, h_enc, b),
        "gates_dec": (T, 4 * h_dec, b),
        "cell_dec": (T + 1, h_dec, b),
        "tanh_dec": (T, h_dec, b),
        "q": (T, 2 * z, b),
        "du": (D + h_enc + h_dec, b),
        "dv": (h_dec + z, b),
        "dh_enc": (h_enc, b),
        "dh_dec": (h_dec, b),
        "dcell_enc": (h_enc, b),
        "dcell_dec": (h_dec, b),
    }


class Tape:
    """The arrays all shards share, and the row ranges of ``inputs``."""

    def __init__(self, config, ops, B):
        T, D, h_enc, h_dec = config.T, config.D, config.h_enc, config.h_dec
        self.__dict__.update(vars(carve(ops, tape_shapes(config, B))))
        self.config, self.B = config, B
        self.reconstruction, self.latent = self.losses[0], self.losses[1]
        rows = SimpleNamespace(
            r=slice(0, D),
            h_enc=slice(D, D + h_enc),
            h_dec=slice(D + h_enc, D + h_enc + h_dec),
            u=slice(0, D + h_enc + h_dec),
            v=slice(D + h_enc, None),
            z=slice(D + h_enc + h_dec, None),
        )
        self.rows = rows
        now, after = slice(0, T * B), slice(B, (T + 1) * B)
        self.u = self.inputs[rows.u, now]
        self.v = self.inputs[rows.v, now]
        self.h_enc = self.inputs[rows.h_enc, after]
        self.h_dec = self.inputs[rows.h_dec, after]
        self.dwritten = self.dcanvas[:, after]
        self.dcanvas_initial = self.dcanvas[:, :B]


@dataclass(slots=True)
class Step:
    """The views that step t works on, for one shard; ``*_prev`` belong to t - 1."""

    u: object
    r: object
    v: object
    z: object
    eps: object
    h_enc: object
    h_dec: object
    gates_enc: object
    cell_enc: object
    cell_enc_prev: object
    tanh_enc: object
    gates_dec: object
    cell_dec: object
    cell_dec_prev: object
    tanh_dec: object
    q: object
    dgates_enc: object
    dgates_dec: object
    dq: object
    dcanvas: object
    dcanvas_prev: object


class Shard:
    """One thread's columns of the minibatch.

    Attributes
    ----------
    columns : slice
        Which columns of the minibatch these are.
    steps : list of Step
    """

    def __init__(self, ops, tape, columns):
        config = tape.config
        T, B, rows = config.T, tape.B, tape.rows
        self.columns = columns
        self.__dict__.update(vars(carve(ops, shard_shapes(config, columns.stop - columns.start))))
        self.x_shared = tape.x[:, columns]
        self.constant_shared = tape.constant[:, columns]
        self.reconstruction = tape.reconstruction[columns]
        self.latent = tape.latent[columns]
        self.dconstant = tape.dconstant[:, columns]
        self.dh_enc_initial = tape.dh_enc[:, columns]
        self.dh_dec_initial = tape.dh_dec[:, columns]
        # what flows back into step t from step t + 1
        self.dr = self.du[rows.r]
        self.dh_enc_next = self.du[rows.h_enc]
        self.dh_dec_next_u = self.du[rows.h_dec]
        self.dh_dec_next_v = self.dv[: config.h_dec]
        self.dz = self.dv[config.h_dec :]

        inputs, dcanvas, dgates_enc, dgates_dec, dq = (
            array.reshape(array.shape[0], -1, B)[:, :, columns]
            for array in (tape.inputs, tape.dcanvas, tape.dgates_enc, tape.dgates_dec, tape.dq)
        )
        self.h_enc_initial = inputs[rows.h_enc, 0]
        self.h_dec_initial = inputs[rows.h_dec, 0]
        self.dcanvas_final = dcanvas[:, T]
        self.steps = [
            Step(
                u=inputs[rows.u, t],
                r=inputs[rows.r, t],
                v=inputs[rows.v, t],
                z=inputs[rows.z, t],
                eps=tape.eps[t, :, columns],
                h_enc=inputs[rows.h_enc, t + 1],
                h_dec=inputs[rows.h_dec, t + 1],
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
                dcanvas=dcanvas[:, t + 1],
                dcanvas_prev=dcanvas[:, t],
            )
            for t in range(T)
        ]
