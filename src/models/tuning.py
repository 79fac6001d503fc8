"""Search for better parameters of a candidate, on the folds before the last one only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .kinds import TUNABLE

if TYPE_CHECKING:
    import optuna

Params = dict[str, Any]
TUNED = tuple(TUNABLE)


def tune(
    kind: str,
    objectives: Sequence[Callable[[Params], float]],
    *,
    trials: int,
    seed: int,
    store: Path,
    study: str,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Params:
    """Return the parameters with the highest mean score over folds.

    A trial that falls below the median of the others on the first folds is pruned. Every trial is
    saved in `store`, and draws from a seed of its own. So a killed search resumes, and ends with
    the same result.

    Args:
        kind: The kind of model.
        objectives: One function per fold, oldest fold first, from parameters to a score (higher is
            better).
        trials: Trials of the search.
        seed: The random seed.
        store: The SQLite file of the trials.
        study: The name of the search in it.
        progress: Called with the number of trials done and their total.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    store.parent.mkdir(parents=True, exist_ok=True)
    found = optuna.create_study(
        study_name=study,
        storage=f"sqlite:///{store}",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0),
    )

    def objective(trial: optuna.Trial) -> float:
        params = TUNABLE[kind].suggest(trial)
        scores: list[float] = []
        for step, objective_of_fold in enumerate(objectives):
            scores.append(objective_of_fold(params))
            trial.report(sum(scores) / len(scores), step)
            if step + 1 < len(objectives) and trial.should_prune():
                raise optuna.TrialPruned
        return sum(scores) / len(scores)

    over = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    while (done := len(found.get_trials(deepcopy=False, states=over))) < trials:
        progress(done, trials)
        found.sampler = optuna.samplers.TPESampler(seed=1000 * seed + done)
        found.optimize(objective, n_trials=1)
    best: Mapping[str, Any] = found.best_trial.params
    return dict(best)


def read_trials(store: Path, study: str) -> tuple[list[dict[str, Any]], int]:
    """Return the finished trials of a search in `store`, and the number of the best.

    Of each: number, params, value (None when it was pruned), steps (the running mean by fold),
    state (complete or pruned), started and ended.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = optuna.load_study(study_name=study, storage=f"sqlite:///{store}")
    complete, pruned = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED
    trials = [
        {
            "number": trial.number,
            "params": dict(trial.params),
            "value": trial.value if trial.state == complete else None,
            "steps": dict(trial.intermediate_values),
            "state": trial.state.name.lower(),
            "started": trial.datetime_start,
            "ended": trial.datetime_complete,
        }
        for trial in found.get_trials(deepcopy=False, states=(complete, pruned))
    ]
    return trials, int(found.best_trial.number)
