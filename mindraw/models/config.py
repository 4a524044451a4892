"""The shapes of the models: what they are made for, checked before anything is laid out."""

from dataclasses import dataclass

from ..errors import MindrawError, require_whole


@dataclass(frozen=True)
class DrawConfig:
    """The shape of a `Draw`, in the letters of the paper.

    Parameters
    ----------
    H, W, C : int
        Rows, columns and channels of an image, in pixels.
    T : int
        Steps.
    h_enc, h_dec : int
        Units of the encoder's and the decoder's LSTM.
    z : int
        Latent units per step.
    read_n, write_n : int or None
        Sides of the read and the write glimpse, in filters; both None reads and writes
        without attention.
    initial : {"learned", "zeros"}
        Whether c_0, h_enc_0 and h_dec_0 are learned (the paper) or stay 0 (the replication).
        The cells of both LSTMs start at 0.

    Raises
    ------
    MindrawError
        If a size is not a whole number of at least 1, `initial` is unknown, or only one of
        `read_n` and `write_n` is given.
    """

    H: int = 28
    W: int = 28
    C: int = 1
    T: int = 20
    h_enc: int = 256
    h_dec: int = 256
    z: int = 10
    read_n: int | None = None
    write_n: int | None = None
    initial: str = "learned"

    def __post_init__(self):
        if (self.read_n is None) != (self.write_n is None):
            raise MindrawError(
                f"read_n is {self.read_n} and write_n is {self.write_n}: give both for "
                "attention, or neither"
            )
        attention = ("read_n", "write_n") if self.attention else ()
        for name in ("H", "W", "C", "T", "h_enc", "h_dec", "z", *attention):
            require_whole(name, getattr(self, name))
        _require_choice(self, "initial", "learned", "zeros")

    @property
    def D(self):
        """Numbers in an image: C*H*W."""
        return self.C * self.H * self.W

    @property
    def attention(self):
        """Whether the model reads and writes by attention."""
        return self.read_n is not None


@dataclass(frozen=True)
class ClassifierConfig:
    """The shape of a `Classifier`, in the letters of the paper.

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
            require_whole(name, getattr(self, name))
        _require_choice(self, "initial", "learned", "zeros")
        _require_choice(self, "first", "state", "learned")
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


def _require_choice(config, name, *choices):
    """Refuse what there is not to choose."""
    value = getattr(config, name)
    if value not in choices:
        raise MindrawError(f"{name} is {value!r}: it must be {' or '.join(choices)}")
