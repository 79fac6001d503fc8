"""The keys of the analytics marts: what is wrong is said with key, value, requirement and fix."""

from __future__ import annotations

import pytest

from whyrank.errors import SpecError
from whyrank.features.compiler import compile_features
from whyrank.spec.load import load_spec, parse_spec, spec_text

EXPERIMENTS = """
[experiments]
strata = ["country"]
[[experiments.metrics]]
name = "views"
kind = "count"
events = ["page_view"]
within = "14d"
[[experiments.metrics]]
name = "kept"
kind = "active"
after = "7d"
within = "14d"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("retention_days = 90", "retention_days = 0", ["metrics.retention_days", "0", "greater"]),
        ("retention_days = 90", 'revenue = ["demo_requests"]',
         ["metrics.revenue", "'demo_request'?"]),
        ('"]\nwithin = "7d"', '"]\nwithin = "a week"', ["to_signup.within", "'a week'", "30d"]),
        ("segments = ", "segmens = ", ["to_signup.segmens", "unknown key", "'segments'"]),
        ('"pricing_view", "demo', '"page_view", "demo', ["steps: 'page_view' is there twice"]),
        ('["page_view", "pricing_view", "demo_request", "signup"]', '["signup"]',
         ["to_signup.steps", "at least 2"]),
        ('["acquisition_channel", "device_type"]', '["acquisition_chanel"]',
         ["funnels.to_signup.segments", "did you mean 'acquisition_channel'"]),
        ('["acquisition_channel", "device_type"]', '["account_balance"]',
         ["'account_balance' must be a static attribute of type text", "users.attributes"]),
        ('["acquisition_channel", "device_type"]', '["device_type", "device_type"]',
         ["segments: 'device_type' is there twice"]),
        ('name = "to_signup"', 'name = "To signup"', ["funnels", "'To signup'", "small letters"]),
        ('strata = ["country"]', 'strata = ["contry"]', ["experiments.strata", "'country'?"]),
        ('strata = ["country"]', 'pre_period = "12h"', ["experiments.pre_period", "whole number"]),
        ('events = ["page_view"]\nwithin', 'events = ["page_vew"]\nwithin',
         ["experiments.metrics.views.events", "'page_view'?"]),
        ('kind = "count"\nevents', 'kind = "counts"\nevents', ["views.kind", "'count'"]),
        ('kind = "count"\nevents = ["page_view"]', 'kind = "sum"', ["views", "a sum needs"]),
        ('after = "7d"\n', "", ["kept", "'active' needs it", 'after = "7d"']),
        ('after = "7d"\n', 'after = "20d"\n', ["within = '14d' must be later than after = '20d'"]),
        ('name = "kept"', 'name = "variant"', ["'variant' would name two columns"]),
        ('name = "kept"', 'name = "country"', ["'country' would name two columns"]),
        ('name = "kept"', 'name = "views"', ["'views' would name two columns"]),
        ('name = "kept"', 'name = "pre_kept"', ["'pre_kept'", "begins the names of covariates"]),
    ],
)  # fmt: skip
def test_errors_name_key_value_and_fix(old: str, new: str, words: list[str]) -> None:
    text = spec_text("saas") + EXPERIMENTS
    assert old in text
    with pytest.raises(SpecError) as caught:
        parse_spec(text.replace(old, new, 1), "my.toml")
    message = str(caught.value)
    assert message.startswith("my.toml: ")
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_funnel_that_is_there_twice_is_refused() -> None:
    text = spec_text("saas")
    again = text[text.index("[[funnels]]") :]
    with pytest.raises(SpecError, match="funnels: 'to_signup' is declared twice"):
        parse_spec(text + again)


@pytest.mark.parametrize(
    "keys",
    [
        '[metrics]\nrevenue = ["order_kept"]',
        '[[funnels]]\nname = "f"\nwithin = "7d"\nsteps = ["order_purchased", "order_kept"]',
        '[experiments]\n[[experiments.metrics]]\nname = "m"\nkind = "any"\nwithin = "7d"\n'
        'events = ["order_kept"]',
    ],
)
def test_label_only_events_are_in_no_mart(keys: str) -> None:
    with pytest.raises(SpecError, match="'order_kept' is label_only: it knows the future"):
        parse_spec(spec_text("olist") + "\n" + keys)


def test_without_the_keys_there_is_nothing_to_build_of_them() -> None:
    marts = compile_features(load_spec("olist")).marts
    assert (marts.revenue, marts.funnels, marts.experiments) == (None, (), None)
    assert marts.attributes == ()


def test_what_a_mart_needs_of_a_day_is_shared_with_features() -> None:
    spec = parse_spec(spec_text("saas") + EXPERIMENTS)
    plain = {column.name for column in compile_features(load_spec("saas")).event_states}
    compiled = compile_features(spec)
    assert {column.name for column in compiled.event_states} == plain
    assert compiled.marts.experiments is not None
    states = [outcome.state for outcome in compiled.marts.experiments.outcomes]
    assert states == ["n_page_views", "all_events"]
