"""Where every number of a training step lies, and which process works on it.

Two kinds of memory, both laid out once:

- `Tape`, shared: what crosses between processes, and what the weight gradients need, as
  (features, K*B) arrays whose columns run over (time, batch). A weight gradient over all steps is
  then one product of two plain matrices.
- `Shard`, one per process: the process's own units of both LSTMs, for the whole minibatch, as
  contiguous arrays. Its `steps` name, for each t, the views that step t works on; where a name
  exists twice, ``*_all`` has all rows, to be read, and the other one the process's own.

The inputs of both LSTMs share one tape, ``[r; h_enc; h_dec; z]``: column block t holds
r_t, h_enc_{t-1}, h_dec_{t-1} and z_t. So the encoder's input u_t = [r_t; h_enc_{t-1};
h_dec_{t-1}] and the decoder's v_t = [h_dec_{t-1}; z_t] are both plain row ranges of it,
and nothing is copied to stack them.

Of a product y = W x a process computes its own rows of y, from its own rows of W (`Shard.rows`);
of dx = W^T dy its own rows of dx, from its own columns of W (`Shard.columns`). Of what attention
makes of h_dec it computes all rows, for its own examples.

What reading and writing need besides is added by the model's canvas (`whole.py`, `attentive.py`):
its arrays join the same tape, shards and steps.

All of it is for one segment of K steps (`segments.py`), usually all T. Where there are several, t
counts from a segment's first step, and only the noise, where attention looked and the states that
segments begin with are there for all of them.
"""

from types import SimpleNamespace

from ..arena import carve
from ..parallel import split


def tape_shapes(config, R, B, threads, held):
    """Name and size the shared arrays.

    Parameters
    ----------
    config : DrawConfig
    R : int
        Rows of what is read at every step.
    B, threads : int
    held : int
        K, the steps held at a time.

    Returns
    -------
    dict of str to tuple of int
    """
    K, z, h_enc, h_dec = held, config.z, config.h_enc, config.h_dec
    return {
        "x": (config.D, B),
        "eps": (config.T, z, B),
        "losses": (2, B),
        "loss_shares": (threads, 2, B),
        "inputs": (R + h_enc + h_dec + z, (K + 1) * B),  # r; h_enc; h_dec; z
        "dgates_enc": (4 * h_enc, K * B),
        "dgates_dec": (4 * h_dec, K * B),
        "dq": (2 * z, K * B),
    }


class Tape:
    """The arrays all shards share.

    Attributes
    ----------
    u, v, h_enc : array (features, K*B)
        Row and column ranges of ``inputs``: what the encoder and the decoder read at each
        step, and what the encoder gave.
    h_dec_all : array (h_dec, (K+1)*B)
        What the decoder gave, and in front of it h_dec before the first step.
    """

    def __init__(self, config, canvas, ops, B, threads, segments):
        K, R, h_enc, h_dec = segments.held, canvas.R, config.h_enc, config.h_dec
        shapes = tape_shapes(config, R, B, threads, K) | canvas.tape_shapes(B)
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
        now, later = slice(0, K * B), slice(B, (K + 1) * B)
        self.u = self.inputs[self.rows.u, now]
        self.v = self.inputs[self.rows.v, now]
        self.h_enc = self.inputs[self.rows.h_enc, later]
        self.h_dec_all = self.inputs[self.rows.h_dec]

    def columns(self, segment, later=0):
        """Return the columns of a segment's steps, or of those that come `later` steps later."""
        return slice(later * self.B, (later + segment.length) * self.B)

    def by_step(self, array):
        """View a (features, steps*B) array as (features, steps, B)."""
        return array.reshape(array.shape[0], -1, self.B)


def stacked(array, n, own):
    """View the rows `own` of each of the blocks of n rows that an array stacks.

    Parameters
    ----------
    array : array (k*n, ...)
        For instance the four gates of an LSTM of n units.
    n : int
    own : slice
        Of range(n).

    Returns
    -------
    array (k, own, ...), or `array` itself where all n are one's own
    """
    if own == slice(0, n):
        return array
    return array.reshape(-1, n, *array.shape[1:])[:, own]


class Copies:
    """Copies of what a process owns of the weights, as its products read them fastest.

    They are attributes, under the names given to `add`.

    Parameters
    ----------
    ops : Backend
    """

    def __init__(self, ops):
        self._ops, self._copies = ops, []

    def _copy(self, view):
        """Return an array that `refresh` makes equal to the view."""
        copy = self._ops.empty(view.shape)
        self._copies.append((copy, view))
        return copy

    def refresh(self):
        """Copy what has changed since: the weights, by an update."""
        for copy, view in self._copies:
            self._ops.xp.copyto(copy, view)


class Rows(Copies):
    """The rows that a process owns of weights that stack several blocks, for y = W x.

    Views where it owns all; else copies, since one product with all of them is faster than one
    for each block.
    """

    def add(self, name, array, n, own):
        """Name the rows `own` of each block of n rows of an array (k*n, columns)."""
        view = stacked(array, n, own)
        own_rows = array if view is array else self._copy(view).reshape(-1, array.shape[1])
        setattr(self, name, own_rows)


class Columns(Copies):
    """The columns that a process owns of weights, for dx = W^T dy: transposed, in one piece.

    Views where products read weights as fast in either order.
    """

    def add(self, name, array, *parts):
        """Name the columns of an array that some slices choose, one slice's behind another's."""
        if not self._ops.turns_weights:  # one process owns all, side by side
            setattr(self, name, array[:, parts[0].start : parts[-1].stop])
            return
        copy = self._ops.empty((sum(map(length, parts)), array.shape[0]))
        start = 0
        for part in parts:
            stop = start + length(part)
            self._copies.append((copy[start:stop], array[:, part].T))
            start = stop
        setattr(self, name, copy.T)


def after(start, part):
    """Move a slice from `split` behind what `start` others there are."""
    return slice(start + part.start, start + part.stop)


def length(part):
    """Count what a slice from `split` has."""
    return part.stop - part.start


class Shard:
    """What one process works on.

    Attributes
    ----------
    part, parts : int
        Which process, and of how many.
    units_enc, units_dec, latents, pixels, examples : slice
        Its own of each: units of the LSTMs, latent units, and, where reading and writing take
        them one by one, pixels or columns of the minibatch.
    dv : array (own units of h_dec and own latent units, B)
        The gradient at its own rows of v_t, which no other process takes.
    rows : Rows
        Of the parameters, for the products forward.
    columns : Columns
        Of the parameters, for the products backward.
    eps : array (T, z, B)
        The noise of its own latent units.
    held : list of types.SimpleNamespace
        For each of the K steps that are held the views that it works on; ``*_prev`` belong to the
        step before.
    steps : dict of Segment to list of types.SimpleNamespace
        Those of a segment's steps, with `first` in front in the first segment.
    first : types.SimpleNamespace
        The first step of all, which comes from the same state with every example. What the LSTMs
        make of that state is one column, the same for all examples, and joins the constant part of
        their gates: of their inputs and weights this step has the others only, r_t and z_t.
    states : list of (last, first, kept)
        Of each array that a segment hands on to the next: where the last step leaves it, where the
        first one takes it, and where it is kept for the backward pass, for all segments but the
        first.
    weight_gradients : dict of Segment to list of (function, gradient, arguments)
        Its share of what follows the steps of a segment.
    constant_gradients : list of (function, gradient, arguments)
        Its share of what follows the time loop, once.
    """

    def __init__(self, config, canvas, ops, tape, p, k, threads, segments):
        K, B, z, h_enc, h_dec = segments.held, tape.B, config.z, config.h_enc, config.h_dec
        R = canvas.R
        enc, dec, lat, pixels = (split(n, threads)[k] for n in (h_enc, h_dec, z, config.D))
        self.units_enc, self.units_dec, self.latents, self.pixels = enc, dec, lat, pixels
        self.examples = split(B, threads, multiple=1)[k]
        self.part, self.parts = k, threads
        own_enc, own_dec, own_z = length(enc), length(dec), length(lat)
        shapes = {
            "gates_enc": (K, 4 * own_enc, B),
            "cell_enc": (K + 1, own_enc, B),
            "gates_dec": (K, 4 * own_dec, B),
            "cell_dec": (K + 1, own_dec, B),
            "q": (K, 2 * own_z, B),
            "dh_enc": (own_enc, B),
            "dh_dec": (own_dec, B),
            "dcell_enc": (own_enc, B),
            "dcell_dec": (own_dec, B),
            "dv": (own_dec + own_z, B),
        }
        if config.initial == "learned":
            shapes |= {
                "first_dec": (4 * own_dec, 1),
                "enc_from_initial": (4 * own_enc, 1),
                "sums_enc": (4 * h_enc, 1),
                "sums_dec": (4 * h_dec, 1),
                "dh_dec_part": (own_dec, 1),
            }
        shapes |= canvas.shard_shapes(self)
        later = len(segments) - 1
        shapes |= {
            "kept_h_enc": (later, own_enc, B),
            "kept_cell_enc": (later, own_enc, B),
            "kept_h_dec": (later, own_dec, B),
            "kept_cell_dec": (later, own_dec, B),
            "kept_canvas": (later, *shapes["canvas"]),
            "latent_again": (B,),
        }
        self.__dict__.update(vars(carve(ops, shapes)))
        self.rows = Rows(ops)
        for name, array, n, own in (
            ("W_u", p.encoder.W_u, h_enc, enc),
            ("b_enc", p.encoder.b, h_enc, enc),
            ("W_latent", p.latent.W, z, lat),
            ("b_latent", p.latent.b, z, lat),
            ("W_v", p.decoder.W_v, h_dec, dec),
            ("b_dec", p.decoder.b, h_dec, dec),
        ):
            self.rows.add(name, array, n, own)
        self.columns = Columns(ops)
        self.columns.add("W_latent", p.latent.W, enc)
        self.columns.add("W_v", p.decoder.W_v, dec, after(h_dec, lat))
        self.reconstruction, self.latent = tape.loss_shares[k, 0], tape.loss_shares[k, 1]
        self.dh_dec_next_v, self.dz = self.dv[:own_dec], self.dv[own_dec:]

        inputs, dgates_enc, dgates_dec, dq = map(
            tape.by_step, (tape.inputs, tape.dgates_enc, tape.dgates_dec, tape.dq)
        )
        h_enc_all, h_dec_all = inputs[tape.rows.h_enc], inputs[tape.rows.h_dec]
        self.h_enc_initial, self.h_dec_initial = h_enc_all[enc, 0], h_dec_all[dec, 0]
        self.cell_enc_initial, self.cell_dec_initial = self.cell_enc[0], self.cell_dec[0]
        self.states = [
            (h_enc_all[enc, K], self.h_enc_initial, self.kept_h_enc),
            (self.cell_enc[K], self.cell_enc_initial, self.kept_cell_enc),
            (h_dec_all[dec, K], self.h_dec_initial, self.kept_h_dec),
            (self.cell_dec[K], self.cell_dec_initial, self.kept_cell_dec),
            (self.canvas, self.canvas, self.kept_canvas),
        ]
        self.eps = tape.eps[:, lat]
        held = [
            SimpleNamespace(
                u_all=inputs[tape.rows.u, t],
                v_all=inputs[tape.rows.v, t],
                W_u=self.rows.W_u,
                W_v=self.rows.W_v,
                W_v_columns=self.columns.W_v,
                constant_dec=self.rows.b_dec,
                dv=self.dv,
                h_enc_all=h_enc_all[:, t + 1],
                h_enc=h_enc_all[enc, t + 1],
                z=inputs[tape.rows.z, t][lat],
                h_dec_all=h_dec_all[:, t + 1],
                h_dec=h_dec_all[dec, t + 1],
                gates_enc=self.gates_enc[t],
                cell_enc=self.cell_enc[t + 1],
                cell_enc_prev=self.cell_enc[t],
                gates_dec=self.gates_dec[t],
                cell_dec=self.cell_dec[t + 1],
                cell_dec_prev=self.cell_dec[t],
                q=self.q[t],
                dgates_enc_all=dgates_enc[:, t],
                dgates_enc=stacked(dgates_enc[:, t], h_enc, enc),
                dgates_dec_all=dgates_dec[:, t],
                dgates_dec=stacked(dgates_dec[:, t], h_dec, dec),
                dq_all=dq[:, t],
                dq=stacked(dq[:, t], z, lat),
            )
            for t in range(K)
        ]
        self.weight_gradients = {}
        self.held = held
        canvas.lay_out(self, tape, p)
        self.W_u_initial, self.W_v_initial = self.rows.W_u[:, R:], self.rows.W_v[:, :h_dec]
        for s in held:
            s.constant_enc = self.constant
        self.first = first = SimpleNamespace(**vars(held[0]))
        first.u_all, first.v_all = inputs[tape.rows.r, 0], inputs[tape.rows.z, 0]
        first.W_u, first.W_v = self.rows.W_u[:, :R], self.rows.W_v[:, h_dec:]
        first.dv, first.W_v_columns = self.dz, self.columns.W_v[:, own_dec:]
        if config.initial == "learned":
            first.constant_enc, first.constant_dec = self.first_enc, self.first_dec
        self.steps = {
            segment: [held[0] if segment.number else first, *held[1 : segment.length]]
            for segment in segments
        }
