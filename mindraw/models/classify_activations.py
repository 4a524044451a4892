"""Where every number of a classifier's training step lies, and which process works on it.

As in `activations.py`: a `Tape` that all share, and a `Shard` for each process. A process owns some
units of the LSTM, which it computes for the whole minibatch, and some examples, whose glimpses it
reads.
"""

from types import SimpleNamespace

from ..arena import carve
from ..parallel import split
from . import attention
from .activations import Columns, Rows, after, length, stacked


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
            "place": (2, B),
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
    aimed : list of types.SimpleNamespace
        Those of them that look where the state says.
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
        shapes = attention.shapes("read", attention.READING, T, b, H, W, C, N) | {
            "read_p": (5, b),
            "image": (b, H * C, W),
            "gates": (T, 4 * n, B),
            "cell": (T + 1, n, B),
            "logits": (config.classes, b),
            "dh": (n, B),
            "dcell": (n, B),
        }
        if config.initial == "learned":
            column = (4 * n, 1)
            shapes |= {"first_constant": column, "sums": (4 * h, 1), "look": (5, 1), "part": (n, 1)}
        self.__dict__.update(vars(carve(ops, shapes)))
        for name in ("target", "place", "p", "dlogits"):
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
                gates=self.gates[t],
                cell=self.cell[t + 1],
                cell_prev=self.cell[t],
                dgates_all=dgates[:, t],
                dgates=stacked(dgates[:, t], h, own),
                dread_all=dread[:, t],
                dread=own_dread.get(t, dread[:, t, seen]),
                bank=attention.bank(self, "read", attention.READING, t, grid),
                aimed=t not in config.overviews,
            )
            for t in range(T)
        ]
        self.aimed = [s for s in self.steps if s.aimed]
        self.first, part = self.steps[0], split(R, threads)[k]
        self.first.u_all, self.first.W_u = inputs[:R, 0], self.rows.W_u[:, :R]
        self.first.du, self.first.W_u_columns = tape.du[part], p.encoder.W_u[:, part]
        if config.initial == "learned":
            self.first.constant, self.W_u_initial = self.first_constant, self.rows.W_u[:, R:]
            self.W_u_initial_columns = p.encoder.W_u[:, after(R, own)]
