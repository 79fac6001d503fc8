"""Searches for parameters: the best of what was judged, and the same after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from whyrank.models.tuning import Params, tune


def judge(params: Params) -> float:
    return -abs(params["C"] - 0.01)


def test_a_search_that_was_cut_off_ends_where_a_whole_one_does(tmp_path: Path) -> None:
    calls: list[float] = []

    def dying(params: Params) -> float:
        calls.append(params["C"])
        if len(calls) == 6:
            raise KeyboardInterrupt
        return judge(params)

    more = {"trials": 12, "seed": 3, "study": "s"}
    whole = tune("logistic", [judge], store=tmp_path / "whole.db", **more)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        tune("logistic", [dying], store=tmp_path / "cut.db", **more)  # type: ignore[arg-type]
    assert tune("logistic", [judge], store=tmp_path / "cut.db", **more) == whole  # type: ignore[arg-type]
    assert abs(whole["C"] - 0.01) < 0.02
    other = tune("logistic", [judge], store=tmp_path / "other.db", **{**more, "seed": 4})  # type: ignore[arg-type]
    assert other != whole


def test_a_trial_that_falls_behind_is_given_up(tmp_path: Path) -> None:
    second: list[float] = []

    def last(params: Params) -> float:
        second.append(params["C"])
        return judge(params)

    tune("logistic", [judge, last], trials=15, seed=0, store=tmp_path / "t.db", study="s")
    assert len(second) < 15
