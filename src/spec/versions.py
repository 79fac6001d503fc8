"""Digests of a spec, and of the parts of it that scorers, builds and lists rest on."""

from __future__ import annotations

import hashlib
import json

from .load import spec_digest
from .model import Spec


def spec_version(spec: Spec) -> str:
    """Return the spec's own version and a hash of its content, such as "1+11a62fdb4133".

    >>> from whyrank.spec.load import load_spec
    >>> spec_version(load_spec("saas")).startswith("1+")
    True
    """
    return f"{spec.version}+{spec_digest(spec)}"


def features_version(spec: Spec) -> str:
    """Return twelve hex digits of what a learned scorer rests on: all but weights and bands.

    Changing the scorecard's points leaves trained scorers valid; changing a feature does not.

    >>> from whyrank.spec.load import load_spec
    >>> len(features_version(load_spec("saas")))
    12
    """
    parts = {"source", "events", "users", "sessions", "target", "population", "features"}
    return _digest(spec.model_dump(mode="json", include=parts))


def data_version(spec: Spec) -> str:
    """Return twelve hex digits of what a build's numbers rest on: what a score cannot do without.

    A change of it means that features, population or outcomes of an earlier build are not this
    spec's. Words (descriptions, units), weights and the settings of trainings are no part of it.

    >>> from whyrank.spec.load import load_spec
    >>> len(data_version(load_spec("saas")))
    12
    """
    parts = {"source", "events", "users", "sessions", "target", "population", "features"}
    return _digest(_without_words(spec.model_dump(mode="json", include=parts)))


def _without_words(raw: object) -> object:
    if isinstance(raw, dict):
        return {
            key: _without_words(value)
            for key, value in raw.items()
            if not (key in {"description", "unit"} and isinstance(value, str))
        }
    return [_without_words(item) for item in raw] if isinstance(raw, list) else raw


def points_version(spec: Spec) -> str:
    """Return twelve hex digits of what the scorecard's points and bands rest on, beside features.

    Saying a reason in other words leaves them as they are; changing a weight does not.

    >>> from whyrank.spec.load import load_spec
    >>> len(points_version(load_spec("saas")))
    12
    """
    raw = spec.model_dump(mode="json", include={"scorecard", "bands"})
    for said in (*raw["scorecard"]["terms"], *raw["scorecard"]["groups"].values()):
        del said["reason"]
    return _digest(raw)


def _digest(raw: object) -> str:
    text = json.dumps(raw, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
