"""A run in two trainings, the second from the parameters of the first."""

from dataclasses import dataclass

from ..errors import MindrawError, require_whole
from .options import Options


@dataclass(frozen=True)
class Staged(Options):
    """The numbers of a second training, besides those of `Options`.

    Parameters
    ----------
    then_minibatches : int or None
        Minibatches of a second training, which goes on from the parameters of the first, with the
        minibatches that follow, and with Adam and the schedule begun anew; None for no second.
    then_lr : float or None
        What its learning rate starts at; None for what the first has.
    then_aim_rate : float or None
        What its learning rate is multiplied by for the parameters that say where to look; None for
        what the first has.
    grow_from : int or None
        Where there are more steps, or glimpses, than this, the first training is of so many, and
        the second of all; where there are not, there is no second. None for all of them in both.
    """

    then_minibatches: int | None = None
    then_lr: float | None = None
    then_aim_rate: float | None = None
    grow_from: int | None = None

    #: Options of a second training.
    SECOND = ("then_minibatches", "then_lr", "then_aim_rate", "grow_from")
    #: The option that says how many steps there are, and what they are called.
    GROWS, STEPS = "T", "steps"

    def settle(self, given):
        """Leave out, or refuse, what is of no use: see `Options.settle`."""
        settled = super().settle(given)
        if self.then_minibatches is None:
            return settled.but(**{name: None for name in self.SECOND if name not in given})
        asked = [name for name in self.SECOND if name in given and name != "grow_from"]
        if asked and settled.stages()[0] is None:
            raise MindrawError(
                f"{asked[0]} is for a second training, and there is none of "
                f"{getattr(self, self.GROWS)} {self.STEPS} where grow_from is {self.grow_from}: "
                "give --grow-from None"
            )
        return settled

    def validate(self):
        """Refuse what no run can be made of; see `Options.validate`."""
        super().validate()
        given = [name for name in self.SECOND if getattr(self, name) is not None]
        if given and self.then_minibatches is None:
            spelled = given[0].replace("_", "-")
            raise MindrawError(
                f"{given[0]} is for a second training: give --then-minibatches, or --{spelled} None"
            )
        for name in ("then_minibatches", "grow_from"):
            if name in given:
                require_whole(name, getattr(self, name))
        self.require_positive(*(name for name in ("then_lr", "then_aim_rate") if name in given))
        if "then_lr" in given:
            self.require_decay_within("then_lr")

    def stages(self):
        """Return the first training, where there are two, and the last; see `Options.stages`."""
        grows = self.grow_from is not None
        if self.then_minibatches is None or (grows and getattr(self, self.GROWS) <= self.grow_from):
            return None, self
        alone = self.but(**dict.fromkeys(self.SECOND))
        lr = self.second("lr")
        own = alone.but(
            minibatches=self.then_minibatches, epochs=None, lr=lr, lr_floor=min(self.lr_floor, lr),
            aim_rate=self.second("aim_rate"),
        )  # fmt: skip
        return alone.but(**{self.GROWS: self.grow_from}) if grows else alone, own

    def second(self, name):
        """Return what an option is in the second training: what it has there, or in the first."""
        value = getattr(self, f"then_{name}")
        return getattr(self, name) if value is None else value
