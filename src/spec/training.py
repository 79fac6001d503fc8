"""The training part of a spec: which snapshots train and test, and what learned scorers read."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from .durations import parse_days
from .parts import Part

# Strict: true and "2" are no amounts of money.
_Money = Annotated[float, Field(strict=True, allow_inf_nan=False)]
EARLIER_KEYS: Final = {
    "every": "snapshot_every",
    "leave_out": "exclude",
    "rising": "monotone_increasing",
    "falling": "monotone_decreasing",
}
_GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class PurchasesSpec(Part):
    """Features that say how often and when somebody bought, for BG/NBD and Gamma-Gamma.

    repeats: purchases after the first. first, last: days since the first and the last purchase.
    value: what a purchase was worth, on average; without it nothing is said of spend.
    """

    repeats: str
    first: str
    last: str
    value: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return the features named."""
        return tuple(n for n in (self.repeats, self.first, self.last, self.value) if n is not None)


class TrainingSpec(Part):
    """How learned scorers are trained and tested.

    snapshot_every: days from one training snapshot to the next. snapshots: training snapshots per
    fold, the latest one horizon before the fold's cutoff. folds: backtest folds, one horizon apart.
    capacity: the share of the population that can be targeted, at which precision and recall are
    reported. cost_of_action, value_of_conversion: what one action costs, and what the conversion of
    one targeted user is worth, in one currency, both or neither; with them, precision, recall and
    profit are also reported at the break-even probability, cost over value. exclude: features that
    learned scorers do not read. monotone_increasing, monotone_decreasing: features with which the
    probability of the target can only grow, or only shrink. recency: the feature that ranks by
    itself as the baseline, smaller is better. suspect_auc: an ROC AUC that is too good to be true
    for this target, of a single feature or of a scorer on any fold. suspect_lift: the same for the
    lift at that capacity; None looks at no lift. groups: correlated features, which share one
    attribution and are explained together.
    """

    snapshot_every: str = "30d"
    snapshots: Annotated[int, Field(ge=1, le=60)] = 6
    folds: Annotated[int, Field(ge=1, le=24)] = 3
    capacity: Annotated[float, Field(gt=0, lt=1)] = 0.10
    cost_of_action: _Money | None = None
    value_of_conversion: _Money | None = None
    exclude: tuple[str, ...] = ()
    monotone_increasing: tuple[str, ...] = ()
    monotone_decreasing: tuple[str, ...] = ()
    recency: str | None = None
    suspect_auc: Annotated[float, Field(gt=0.5, le=1)] = 0.98
    suspect_lift: Annotated[float, Field(gt=1)] | None = None
    purchases: PurchasesSpec | None = None
    groups: dict[_GroupName, Annotated[tuple[str, ...], Field(min_length=2)]] = Field(
        default_factory=dict
    )

    @model_validator(mode="before")
    @classmethod
    def _earlier_keys(cls, raw: object) -> object:
        """Read the keys of earlier versions; both of a pair are one too many."""
        if not isinstance(raw, dict):
            return raw
        for key in EARLIER_KEYS.keys() & raw.keys():
            if EARLIER_KEYS[key] in raw:
                raise ValueError(
                    f"{key} is an earlier name of {EARLIER_KEYS[key]}, which is there too: remove "
                    f"{key}"
                )
        return {EARLIER_KEYS.get(key, key): value for key, value in raw.items()}

    @field_validator("snapshot_every")
    @classmethod
    def _whole_days(cls, text: str) -> str:
        parse_days(text)
        return text

    @field_validator("cost_of_action", "value_of_conversion")
    @classmethod
    def _above_zero(cls, amount: float | None) -> float | None:
        if amount is not None and amount <= 0:
            raise ValueError(
                f"{amount!r} must be above 0, an amount of money; leave both cost_of_action and "
                "value_of_conversion out to go by capacity alone"
            )
        return amount

    @model_validator(mode="after")
    def _targeting_can_pay(self) -> Self:
        amounts = {
            "cost_of_action": self.cost_of_action,
            "value_of_conversion": self.value_of_conversion,
        }
        known = {key: amount for key, amount in amounts.items() if amount is not None}
        if len(known) == 1:
            ((key, amount),) = known.items()
            (missing,) = amounts.keys() - known
            raise ValueError(
                f"{key} = {amount:g} stands without {missing}: write both, in one currency, or "
                "leave both out"
            )
        if known and known["cost_of_action"] >= known["value_of_conversion"]:
            cost, value = known.values()
            raise ValueError(
                f"cost_of_action = {cost:g} must be below value_of_conversion = {value:g}, or "
                "targeting pays for nobody: write both per user, in one currency"
            )
        return self

    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the features that each key names."""
        return {
            "exclude": self.exclude,
            "monotone_increasing": self.monotone_increasing,
            "monotone_decreasing": self.monotone_decreasing,
            "recency": (self.recency,) if self.recency else (),
            "purchases": self.purchases.names() if self.purchases else (),
            **{f"groups.{name}": members for name, members in self.groups.items()},
        }
