"""What a registered model takes and gives, as MLflow keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..serving import Served

if TYPE_CHECKING:
    import pandas as pd

PARAMS = {"reasons": True, "user_id": False}


def signature_of(served: Served, example: pd.DataFrame) -> Any:
    """Return the signature of a scorer: the features that it reads, of any type, and `user_id`.

    MLflow refuses whole numbers where a signature says double, and nulls where it says long, and
    tells the whole schema for one column that is missing. So types and columns are left to
    `Served.predict`, which takes what can be read as a number and names the column that cannot.
    """
    from mlflow.models import infer_signature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    signature = infer_signature(example, served.predict(example), params=PARAMS)
    names = [*example.columns, "user_id"]
    signature.inputs = Schema([ColSpec(AnyType(), name, required=False) for name in names])
    return signature
