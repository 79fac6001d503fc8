"""Kinds of model and the catalogue of candidates name each other."""

from __future__ import annotations

from whyrank.models.catalogue import CANDIDATES, MEMBERS, kind_of
from whyrank.models.kinds import CLASSIFIERS, KINDS


def test_every_candidate_has_its_kind_and_every_kind_its_plain_candidate() -> None:
    assert {kind_of(name) for name in CANDIDATES} == set(KINDS)
    for name, kind in KINDS.items():
        assert kind.name == name
        assert (CANDIDATES[name].kind, CANDIDATES[name].imbalance) == (name, "none")
    for name, candidate in CANDIDATES.items():
        if candidate.imbalance != "none":
            assert name == f"{candidate.kind}_{candidate.imbalance}"
            assert candidate.kind in CLASSIFIERS
    assert set(MEMBERS) < set(CLASSIFIERS)
