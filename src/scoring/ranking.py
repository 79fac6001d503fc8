"""Order users by score; write the top as CSV with reasons, and all users as Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ..escapes import HARMLESS, INERT, KEY, Ids, csv_writer, escape_formula
from ..files import atomic_write
from ..scorer import Attribution, LogOddsTotal, ModelReason, Reason, grouped
from ..spec.scorecard import HUNDREDTHS, BandsSpec
from ..types import Floats, Integers, RawScores

LABELS = ("low", "medium", "high")
LEADING = (
    "rank",
    "user_id",
    "score",
    "label",
    "scorecard_score",
    "probability",
    "base_log_odds",
    "log_odds",
    "scorecard_reasons",
    "model_reasons",
    "agreement",
    "as_of",
    "run_id",
    "scorer",
    "spec_version",
)


@dataclass(frozen=True)
class RankedUser:
    """One exported row: a user's rank, score and explanation.

    Attributes:
        rank: The rank, from 1.
        user_id: The user.
        score: The score by the scorer that ranks, 0 to 100.
        label: The score's band.
        reasons: The scorecard's reasons, in points.
        scorecard_score: The scorecard's points.
        probability: The probability by the scorer that ranks, if it was trained.
        model_reasons: The learned scorer's reasons.
        agreement: The rank correlation of the scorecard's points and the learned scorer's log-odds.
        attributions: Points and log-odds, part by part, if there is a learned scorer.
        model: The base and sum of the learned scorer's log-odds.
        card: The same of the scorecard, if it ranks and is calibrated.
        point_log_odds: The log-odds of one point of that scorecard.
    """

    rank: int
    user_id: str
    score: float
    label: str
    reasons: tuple[Reason, ...]
    scorecard_score: float
    probability: float | None = None
    model_reasons: tuple[ModelReason, ...] = ()
    agreement: float | None = None
    attributions: tuple[Attribution, ...] = ()
    model: LogOddsTotal | None = None
    card: LogOddsTotal | None = None
    point_log_odds: float | None = None

    @property
    def log_odds_total(self) -> LogOddsTotal | None:
        """The log-odds of the scorer that ranks: base and sum; None if they are not known."""
        return self.card or self.model


def order_by_score(raw: RawScores) -> Integers:
    """Return positions from the highest raw score to the lowest; equal ones keep their order.

    With users in order of user_id, as snapshots are, ties are broken by user_id.

    >>> order_by_score(np.array([500, 900, 500])).tolist()
    [1, 0, 2]
    """
    # Hundredths fit 16 bits, for which a stable sort is a radix sort: linear in the users.
    keys = raw.astype(np.int16) if raw.dtype == np.int64 else raw
    return np.argsort(-keys, kind="stable")


def band_codes(hundredths: Integers, bands: BandsSpec) -> Integers:
    """Return each score's band as a position in LABELS.

    >>> band_codes(np.array([0, 2999, 3000, 6000]), BandsSpec(medium=30, high=60)).tolist()
    [0, 0, 1, 2]
    """
    edges = [round(bands.medium * HUNDREDTHS), round(bands.high * HUNDREDTHS)]
    return np.searchsorted(edges, hundredths, side="right")


def write_all_scores(
    path: Path,
    user_ids: pa.ChunkedArray,
    order: Integers,
    *,
    score: Floats,
    codes: Integers,
    extra_columns: Mapping[str, Floats],
) -> None:
    """Write rank, user_id, score and label of every user, best first, as Parquet.

    Arrays are in the order of user_ids.

    Args:
        path: The file to write.
        user_ids: The users.
        order: Positions of the users, best first.
        score: The scores.
        codes: The bands, as positions in LABELS.
        extra_columns: Further columns, by name.
    """
    labels = pa.DictionaryArray.from_arrays(pa.array(codes[order].astype(np.int8)), LABELS)
    table = pa.table(
        {
            "rank": np.arange(1, len(order) + 1, dtype=np.int32),
            "user_id": user_ids.take(pa.array(order)),
            "score": score[order],
            "label": labels,
            **{name: values[order] for name, values in extra_columns.items()},
        }
    )
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=["label", "score"])


def write_propensities(
    path: Path,
    user_ids: pa.ChunkedArray,
    order: Integers,
    *,
    probability: Floats,
    expected_spend: Floats | None,
    codes: Integers,
    stamps: Mapping[str, str],
) -> None:
    """Write every user's probability, expected spend, decile (1 the best tenth) and band as CSV.

    Best first by `order`; the other arrays are in the order of user_ids. Without expected spend
    its column is empty. An id that a spreadsheet would run as a formula gets an apostrophe; then
    user_key has ids as they are (`escapes.key_of`).
    """
    n = len(order)
    ids = true_ids = user_ids.take(pa.array(order))
    for pattern, replacement in INERT:
        ids = pc.replace_substring_regex(ids, pattern, replacement)
    spend = pa.nulls(n, pa.float64())
    if expected_spend is not None:
        spend = pa.array(np.round(expected_spend[order], 2))
    table = pa.table(
        {
            "user_id": ids,
            **_keys(ids, true_ids),
            "probability": np.round(probability[order], 6),
            "expected_spend": spend,
            "decile": (np.arange(n) * 10 // max(n, 1) + 1).astype(np.int8),
            "band": pa.DictionaryArray.from_arrays(
                pa.array(codes[order].astype(np.int8)), LABELS
            ).dictionary_decode(),
            **{name: pa.repeat(escape_formula(value), n) for name, value in stamps.items()},
        }
    )
    with atomic_write(path) as temporary:
        pacsv.write_csv(table, temporary, pacsv.WriteOptions(quoting_style="needed"))


def _keys(ids: pa.ChunkedArray, true_ids: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Return the column of ids to join by, where some are not written as they are."""
    same = pc.equal(ids, true_ids)
    if pc.all(same).as_py() in {True, None}:  # None: of nobody
        return {}
    plain = pc.or_(same, pc.match_substring_regex(true_ids, f"^{HARMLESS}$"))
    return {KEY: pc.if_else(plain, true_ids, "")}


def write_top_users(
    path: Path,
    users: Sequence[RankedUser],
    *,
    stamps: Mapping[str, str],
    details: Mapping[str, Mapping[str, str | None]],
    pass_through: Sequence[str],
    more: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Write the ranking contract's CSV: UTF-8, one row per user, formulas escaped.

    Where an id is not written as it is, the column user_key has ids to join by.

    stamps: as_of, run_id, scorer and spec_version, the same in every row. more: columns at the end,
    a text for each user. base_log_odds and log_odds: of the probability. details: what is passed
    through, by user_id. Columns that only a learned model or an experiment fills are empty.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        ids = Ids(user.user_id for user in users)
        leading = ids.columns(LEADING)
        writer.writerow([*leading, *pass_through, "assignment", *more])
        for place, user in enumerate(users):
            passed = details.get(user.user_id, {})
            extra = [escape_formula(passed.get(name) or "") for name in pass_through]
            last = [escape_formula(texts[place]) for texts in more.values()]
            row = _leading(user, ids, stamps)
            writer.writerow([*(row.get(name, "") for name in leading), *extra, "", *last])


def _leading(user: RankedUser, ids: Ids, stamps: Mapping[str, str]) -> dict[str, str]:
    total = user.log_odds_total
    return {
        "rank": str(user.rank),
        **dict(zip(("user_id", KEY), ids.cells(user.user_id), strict=False)),
        "score": f"{user.score:.2f}",
        "label": user.label,
        "scorecard_score": f"{user.scorecard_score:.2f}",
        "probability": "" if user.probability is None else f"{user.probability:.6f}",
        "base_log_odds": "" if total is None else f"{total.base:.9f}",
        "log_odds": "" if total is None else f"{total.log_odds:.9f}",
        "scorecard_reasons": escape_formula("; ".join(str(reason) for reason in user.reasons)),
        "model_reasons": escape_formula(grouped(user.model_reasons)),
        "agreement": "" if user.agreement is None else f"{user.agreement:.3f}",
        **{name: escape_formula(value) for name, value in stamps.items()},
    }
