"""MLflow: what was trained is logged here, registered here and found again here.

`stores` says where runs are kept, `records` what is logged, `log` writes it, `registry` reads it
and moves the champion, `active_scorer` finds the scorer that ranks, `scoring_runs` keeps lists;
`client` is where they meet MLflow, which no other package imports. Runs are
logged after they are done, from results kept on disk; so a server that cannot be reached costs
a training nothing but its own copy. A command that reads a scorer from it stops.
"""

from .log import log_result, log_run
from .records import DataRecord, RunRecord, ScorerRecord, SearchRecord, TrialRecord
from .registry import (
    CHAMPION,
    COMPARISON,
    fetch_scorer,
    promote,
    ranking_model,
    read_champion,
    read_comparison,
    registered,
)
from .stores import (
    HOME,
    Store,
    TrackingError,
    UnreachableError,
    local_store,
    open_store,
    open_store_or_local,
)
from .views import views

__all__ = [
    "CHAMPION",
    "COMPARISON",
    "HOME",
    "DataRecord",
    "RunRecord",
    "ScorerRecord",
    "SearchRecord",
    "Store",
    "TrackingError",
    "TrialRecord",
    "UnreachableError",
    "fetch_scorer",
    "local_store",
    "log_result",
    "log_run",
    "open_store",
    "open_store_or_local",
    "promote",
    "ranking_model",
    "read_champion",
    "read_comparison",
    "registered",
    "views",
]
