"""A discounted decision process whose kernel nature chooses, in a rectangular set, to the agent's loss."""

from dataclasses import dataclass
from html import escape

from mdplab.models.mdp import MDP
from mdplab.models.uncertainty import UncertaintySet


@dataclass(frozen=True, eq=False, slots=True)
class RobustMDP:
    """`max over pi of min over kernels in the set of E sum_t gamma^t r_t`, at every start at once.

    Nature may choose anew at each visit or once and for all: over rectangular sets, and stationary policies, the value
    is the same (Iyengar 2005; Nilim and El Ghaoui 2005; Wiesemann, Kuhn, Rustem 2013).

    Parameters
    ----------
    nominal : MDP
        With `gamma < 1` and no horizon. Rewards that depend on the next state are paid by nature's kernel. A terminal
        state is one like any other: a set with `support="all"` and a budget there lets nature lead out of it.
    uncertainty : UncertaintySet
        One of `mdplab.models.uncertainty`, such as `L1Ball(0.1)`.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> from mdplab.models import L1Ball
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> RobustMDP(mdp, L1Ball(0.2, support="nominal"))
    RobustMDP(S=2, A=1, uncertainty='l1', rectangularity='sa', support='nominal', gamma=0.9)
    """

    nominal: MDP
    uncertainty: UncertaintySet

    def __post_init__(self) -> None:
        if not isinstance(self.nominal, MDP):
            raise ValueError(f"nominal is a {type(self.nominal).__name__}, expected an MDP")
        if not isinstance(self.uncertainty, UncertaintySet):
            kind = type(self.uncertainty).__name__
            raise ValueError(f"uncertainty is a {kind}, expected an UncertaintySet such as L1Ball(0.1)")
        if self.nominal.gamma >= 1 or self.nominal.horizon is not None:
            raise ValueError(
                f"nominal has gamma {self.nominal.gamma:g} and horizon {self.nominal.horizon}; a robust value needs "
                "gamma < 1 and no horizon"
            )
        self.uncertainty.check(self.nominal)

    @property
    def S(self) -> int:
        """Number of states."""
        return self.nominal.S

    @property
    def A(self) -> int:
        """Number of actions, available or not."""
        return self.nominal.A

    @property
    def gamma(self) -> float:
        """Discount factor."""
        return self.nominal.gamma

    def __repr__(self) -> str:
        one = self.uncertainty
        return (
            f"RobustMDP(S={self.S}, A={self.A}, uncertainty={one.name!r}, rectangularity={one.rectangularity!r}, "
            f"support={one.support!r}, gamma={self.gamma:g})"
        )

    def _repr_html_(self) -> str:
        one = self.uncertainty
        text = f"{one.name}, {one.rectangularity}-rectangular, support: {one.support}"
        return f"<p><b>RobustMDP</b>: {escape(text)}, around</p>{self.nominal._repr_html_()}"
