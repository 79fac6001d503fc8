"""Optional libraries: which extra installs them, and the one line for a command without them.

`pip install whyrank` ranks data frames, loads events and reads published builds. The extras add
the rest. Libraries of an extra are imported inside the functions that use them, or by modules that
such functions import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from .errors import InstallError


@dataclass(frozen=True)
class Extra:
    """An extra of pyproject.toml: what it adds, and its modules with the packages they are of."""

    adds: str
    modules: Mapping[str, str]

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [package for module, package in self.modules.items() if not _is_there(module)]


EXTRAS: Final[Mapping[str, Extra]] = MappingProxyType(
    {
        "warehouse": Extra(
            "build and demo",
            {"dbt": "dbt-core", "dbt.adapters.duckdb": "dbt-duckdb"},
        ),
        "models": Extra(
            "train, compare, calibrate, mlflow, learned scorers and plots",
            {
                "imblearn": "imbalanced-learn",
                "joblib": "joblib",
                "lightgbm": "lightgbm",
                "matplotlib": "matplotlib",
                "mlflow": "mlflow",
                "optuna": "optuna",
                "scipy": "scipy",
                "skops": "skops",
                "sklearn": "scikit-learn",
                "threadpoolctl": "threadpoolctl",
                "xgboost": "xgboost",
            },
        ),
        "postgres": Extra(
            "postgresql:// warehouses",
            {
                "adbc_driver_postgresql": "adbc-driver-postgresql",
                "dbt": "dbt-core",
                "dbt.adapters.postgres": "dbt-postgres",
                "psycopg": "psycopg",
            },
        ),
        "spark": Extra(
            "spark:// warehouses",
            {"dbt": "dbt-core", "dbt.adapters.spark": "dbt-spark", "pyspark": "pyspark"},
        ),
    }
)


def require(extra: str, what: str) -> None:
    """Check that an extra is installed, without importing it.

    what: what needs it, such as "`whyrank build`".

    Raises InstallError naming the packages that are missing and the command that installs them.
    """
    if missing := EXTRAS[extra].missing():
        raise _error(extra, missing, what)


def missing_extra(error: ModuleNotFoundError, what: str) -> InstallError | None:
    """Return the error of an import that an extra would satisfy, None for any other module.

    what: what needs it, such as "`whyrank train`".

    >>> print(missing_extra(ModuleNotFoundError(name="scipy.stats"), "`whyrank train`"))
    `whyrank train` needs scipy, which is not installed: run `pip install 'whyrank[models]'`
    >>> missing_extra(ModuleNotFoundError(name="my_plugin"), "`whyrank train`") is None
    True
    """
    words = (error.name or "").split(".")
    for length in range(len(words), 0, -1):
        module = ".".join(words[:length])
        for name, extra in EXTRAS.items():
            if module in extra.modules:
                return _error(name, extra.missing() or [extra.modules[module]], what)
    return None


def _error(extra: str, missing: list[str], what: str) -> InstallError:
    *most, last = missing
    packages = f"{', '.join(most)} and {last}" if most else last
    verb = "are" if most else "is"
    return InstallError(
        f"{what} needs {packages}, which {verb} not installed: run `pip install 'whyrank[{extra}]'`"
    )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a parent package
        return False
    except (OSError, ValueError):  # one that cannot be loaded, or was put in place without a spec
        return True
