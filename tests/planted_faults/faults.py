"""The faults: what is planted where, and the tests that have to notice it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Target = Literal["test", "test-training", "test and test-training", "test-engines", "test-spark"]


@dataclass(frozen=True)
class Fault:
    """A mistake to plant, and where it has to be noticed.

    kind: what is wrong with it, in short; the word before the colon is what --only names. old, new:
    the snippet of the file at `path`, there exactly once, and what takes its place. target: of the
    Makefile, whose tests have to catch it; of two targets, one of them. tests: what to
    run, as node ids.
    """

    kind: str
    path: str
    old: str
    new: str
    target: Target
    tests: tuple[str, ...]


MODELS: Final = "src/warehouse/dbt/models"
REBUILT: Final = (
    "    if built_load is None or (not warehouse.resumes and built_load != last_load):\n"
)
FEATURES: Final = "tests/features/test_operations.py"
KILLS: Final = "tests/e2e/test_kills.py"
KILLED_STORES: Final = "tests/e2e/test_kills_of_stores.py"
KILLED_MODELS: Final = "tests/e2e/test_kills_of_models.py"
BAD_INPUT: Final = "tests/e2e/test_bad_input.py"
LANDING: Final = "tests/warehouse/test_landing.py"
CHAMPION: Final = "tests/ranking/test_champion.py"
COMPARE: Final = "tests/pipeline/test_compare.py"
SHAPED: Final = "tests/training/test_shaped_candidate.py"
POSTGRES: Final = "tests/engines/test_postgres.py"

FAULTS: Final[tuple[Fault, ...]] = (
    # What knows the future.
    Fault(
        "leak: features see as_of's own day",
        f"{MODELS}/marts/features/user_features.sql",
        "from {{ ref('user_days') }} as d\n    inner join as_of_dates as a on d.day < a.as_of",
        "from {{ ref('user_days') }} as d\n    inner join as_of_dates as a on d.day <= a.as_of",
        "test",
        (f"{FEATURES}::test_events_at_or_after_as_of_change_nothing",),
    ),
    Fault(
        "leak: values of texts see as_of's own day",
        f"{MODELS}/marts/features/user_features.sql",
        "from {{ ref('user_day_values') }} as d\n"
        "    inner join as_of_dates as a on d.day < a.as_of",
        "from {{ ref('user_day_values') }} as d\n"
        "    inner join as_of_dates as a on d.day <= a.as_of",
        "test",
        (f"{FEATURES}::test_events_at_or_after_as_of_change_nothing",),
    ),
    Fault(
        "leak: a rate counts trials whose window is still open",
        f"{MODELS}/marts/features/user_features.sql",
        "inner join as_of_dates as a on e.close_day < a.as_of",
        "inner join as_of_dates as a on e.close_day <= a.as_of",
        "test",
        (f"{FEATURES}::test_features_equal_brute_force",),
    ),
    Fault(
        "leak: an attribute given at as_of is known",
        f"{MODELS}/marts/features/user_features.sql",
        "filter (where u.valid_from < a.as_of)",
        "filter (where u.valid_from <= a.as_of)",
        "test",
        (f"{FEATURES}::test_attributes_are_taken_as_of_their_time",),
    ),
    Fault(
        "leak: label-only events reach features",
        f"{MODELS}/intermediate/users/user_events.sql",
        "    where e.event_name not in (<< label_only >>)\n",
        "    where e.event_name is not null\n",
        "test",
        ("tests/marts/test_golden.py::test_a_log_of_label_only_events_has_empty_marts",),
    ),
    Fault(
        "leak: a link made at as_of is used",
        f"{MODELS}/marts/features/user_features.sql",
        "where k.user_id is null or (k.known_from < a.as_of and k.known_until >= a.as_of)\n"
        "    group by d.user_id, a.as_of\n",
        "where k.user_id is null or (k.known_from <= a.as_of and k.known_until > a.as_of)\n"
        "    group by d.user_id, a.as_of\n",
        "test",
        ("tests/warehouse/test_identities.py",),
    ),
    Fault(
        "leak: training outcomes reach into the test",
        "src/evaluation/folds.py",
        "days = [cutoff - horizon - step * every for step",
        "days = [cutoff - every - step * every for step",
        "test",
        ("tests/evaluation/test_folds.py::test_no_training_outcome_reaches_past_its_test",),
    ),
    Fault(
        "leak: a category's worth has seen its own label",
        "src/models/encoding.py",
        "for rest, held in GroupKFold(parts).split(words, labels, users):",
        "for rest, held in GroupKFold(parts).split(words, labels, np.arange(len(users))):",
        "test",
        ("tests/models/test_learned.py::test_a_category_is_worth_what_other_users_did",),
    ),
    Fault(
        "leakage check: shuffled labels always pass",
        "src/evaluation/leakage_checks.py",
        "within = standard_errors(times) * error",
        "within = standard_errors(times)",
        "test",
        (
            "tests/evaluation/test_leakage_checks.py::"
            "test_shuffled_labels_pass_honest_fits_and_catch_one_that_knows_the_truth",
        ),
    ),
    Fault(
        "leakage check: pure noise always passes",
        "src/evaluation/leakage_checks.py",
        "within = float(norm.isf(FALSE_ALARMS / 2)) * _chance_error(test[0])",
        "within = float(norm.isf(FALSE_ALARMS / 2))",
        "test",
        (
            "tests/evaluation/test_leakage_checks.py::"
            "test_noise_passes_apart_and_catches_a_test_that_was_learnt_from",
        ),
    ),
    Fault(
        "leakage check: future events compares a build with itself",
        "src/training/leakage.py",
        'before = f"{until} < timestamp {quote_text(str(as_of))}"',
        'before = f"{until} < timestamp {quote_text(str(date.max))}"',
        "test-training",
        (
            "tests/training/test_leakage.py::"
            "test_events_and_links_from_as_of_on_are_caught_where_models_read_them",
        ),
    ),
    Fault(
        "leakage check: future events keeps the links of after as_of",
        "src/training/leakage.py",
        '("aliases", "linked_at"))',
        '("aliases", None))',
        "test-training",
        (
            "tests/training/test_leakage.py::"
            "test_events_and_links_from_as_of_on_are_caught_where_models_read_them",
        ),
    ),
    # What is chosen and promoted.
    Fault(
        "choice: it sees the last test",
        "src/evaluation/comparison.py",
        "[f.name for f in folds[:-1] or folds]",
        "[f.name for f in folds]",
        "test",
        ("tests/evaluation/test_comparison.py::test_the_choice_never_sees_the_last_test",),
    ),
    Fault(
        "choice: the oldest version of a scorer is taken",
        "src/tracking/registry.py",
        "sorted(fitting, key=lambda v: int(v.version), reverse=True)",
        "sorted(fitting, key=lambda v: int(v.version))",
        "test-training",
        (
            f"{CHAMPION}::test_a_scorer_by_its_name_is_the_latest_and_a_champion_is_of_its_own_training",
        ),
    ),
    Fault(
        "choice: versions are ordered as texts",
        "src/tracking/registry.py",
        "sorted(fitting, key=lambda v: int(v.version), reverse=True)",
        "sorted(fitting, key=lambda v: str(v.version), reverse=True)",
        "test-training",
        (
            f"{CHAMPION}::test_a_scorer_by_its_name_is_the_latest_and_a_champion_is_of_its_own_training",
        ),
    ),
    Fault(
        "choice: a champion may be of any training",
        "src/tracking/registry.py",
        'if tags.get("scorer") == scorer and tags.get("training") == run:',
        'if tags.get("scorer") == scorer:',
        "test-training",
        (f"{COMPARE}::test_what_is_promoted_is_the_trainings_own_version",),
    ),
    Fault(
        "choice: a run that was cut off is shown",
        "src/tracking/registry.py",
        " and tags.key != ''",
        "",
        "test-training",
        (f"{COMPARE}::test_the_latest_training_that_is_whole_is_shown",),
    ),
    # Processes that die, and processes at once.
    Fault(
        "kill: a load is two transactions",
        "src/warehouse/landing/load.py",
        "        result = _settle(con, schema, kind, str(source), load_id, read,",
        '        con.execute("commit")\n'
        '        con.execute("begin")\n'
        "        result = _settle(con, schema, kind, str(source), load_id, read,",
        "test-engines",
        (f"{KILLS}::test_a_kill_during_ingest_leaves_all_or_nothing",),
    ),
    Fault(
        "kill: a failed load is not rolled back",
        "src/warehouse/landing/load.py",
        'con.execute("rollback")',
        'con.execute("commit")',
        "test",
        (f"{LANDING}::test_a_load_that_fails_after_its_rows_were_stored_leaves_nothing",),
    ),
    Fault(
        "kill: a build is current before its models are made",
        "src/pipeline/build.py",
        "            warehouse.prepare(spec, project, plan.files, since, only=only)\n",
        "            warehouse.prepare(spec, project, plan.files, since, only=only)\n"
        "            current = project.parent / 'published' / 'current'\n"
        "            current.write_text('next') if current.exists() else None\n",
        "test-engines",
        (f"{KILLS}::test_a_kill_during_build_leaves_the_published_copy",),
    ),
    Fault(
        "kill: what touched a user is forgotten when the build begins",
        "src/pipeline/build.py",
        REBUILT,
        "    if built_load is not None:\n"
        '        con.execute(f"update {schema}.builds set last_load = ?", [last_load])\n'
        f"{REBUILT}",
        "test-engines",
        (f"{KILLED_MODELS}::test_a_kill_at_a_model",),
    ),
    Fault(
        "kill: a full build that was cut off counts as built",
        "src/pipeline/build.py",
        REBUILT,
        "    if not warehouse.resumes and built_load != last_load:\n",
        "test-engines",
        (f"{KILLED_MODELS}::test_a_kill_of_a_build_of_a_spec_that_is_then_taken_back",),
    ),
    Fault(
        "kill: dbt goes on when its parent is killed",
        "src/warehouse/dbt_project/child.py",
        "ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)",
        "ctypes.CDLL(None).prctl(pr_set_pdeathsig, 0)",
        "test-engines",
        ("tests/engines/test_writers.py::test_dbt_ends_when_its_parent_alone_is_killed",),
    ),
    Fault(
        "kill: a load into Postgres is not one transaction",
        "src/warehouse/engines/postgres/load.py",
        "with adbc.connect(self.uri) as con, con.cursor() as cursor:",
        "with adbc.connect(self.uri, autocommit=True) as con, con.cursor() as cursor:",
        "test-engines",
        ("tests/engines/test_writers.py::test_a_load_whose_lock_is_lost_keeps_nothing",),
    ),
    Fault(
        "kill: a build on Postgres whose lock is lost is published",
        "src/warehouse/engines/postgres/warehouse.py",
        "yield Lock(check=lambda: self._check(con))",
        "yield Lock()",
        "test-engines",
        ("tests/engines/test_writers.py::test_a_build_whose_lock_is_lost_publishes_nothing",),
    ),
    Fault(
        "kill: a killed build on Postgres counts as built",
        "src/pipeline/build.py",
        REBUILT,
        "    if built_load is not None:\n"
        '        con.execute(f"update {schema}.builds set last_load = ?", [last_load])\n'
        f"{REBUILT}",
        "test-engines",
        (f"{POSTGRES}::test_a_build_that_is_killed_is_taken_up",),
    ),
    Fault(
        "writers: two builds at once in a DuckDB file",
        "src/warehouse/engines/duckdb/warehouse.py",
        "with self._locked(fcntl.LOCK_EX) as folder:",
        "with self._locked(fcntl.LOCK_SH) as folder:",
        "test-engines",
        (f"{KILLED_MODELS}::test_two_builds_at_once",),
    ),
    Fault(
        "writers: two builds at once on Postgres",
        "src/warehouse/engines/postgres/warehouse.py",
        "select pg_try_advisory_lock(%s)",
        "select pg_try_advisory_lock_shared(%s)",
        "test-engines",
        (f"{POSTGRES}::test_two_builds_at_once_and_a_reader_between",),
    ),
    Fault(
        "resume: a killed training fits everything again",
        "src/training/fitting.py",
        "            if not kept.exists():\n",
        "            if not (kept / name).exists():\n"
        "                shutil.rmtree(kept, ignore_errors=True)\n",
        "test-training",
        ("tests/e2e/test_learned.py::test_a_killed_training_resumes_and_ends_the_same",),
    ),
    Fault(
        "resume: a search that was cut off draws other parameters",
        "src/models/tuning.py",
        "optuna.samplers.TPESampler(seed=1000 * seed + done)",
        "optuna.samplers.TPESampler()",
        "test",
        (
            "tests/models/test_tuning.py::test_a_search_that_was_cut_off_ends_where_a_whole_one_does",
        ),
    ),
    # Engines that must agree.
    Fault(
        "parity: Postgres gives the earliest value for the latest",
        "src/warehouse/engines/postgres/dialect.py",
        "exp.Ordered(this=key, desc=True, nulls_first=True)",
        "exp.Ordered(this=key, desc=False, nulls_first=True)",
        "test-engines",
        ("tests/engines/test_parity.py::test_the_models_agree",),
    ),
    Fault(
        "parity: a division by zero stops Postgres",
        "src/warehouse/engines/postgres/dialect.py",
        "(latest(_first), _tried, _json, _rounded, _days, divided)",
        "(latest(_first), _tried, _json, _rounded, _days)",
        "test-engines",
        ("tests/engines/test_texts.py::test_a_division_is_the_same_wherever_it_stands",),
    ),
    Fault(
        "parity: Spark counts days backwards",
        "src/warehouse/engines/spark/dialect.py",
        'expressions=[exp.cast(later, "date"), exp.cast(earlier, "date")]',
        'expressions=[exp.cast(earlier, "date"), exp.cast(later, "date")]',
        "test-spark",
        ("tests/spark/test_parity.py::test_the_models_agree",),
    ),
    Fault(
        "spark: the first changed day is not put aside",
        "src/warehouse/engines/spark/days.py",
        'if day.name >= f"{column}={since.isoformat()}":',
        'if day.name > f"{column}={since.isoformat()}":',
        "test-spark",
        ("tests/spark/test_days.py::test_days_that_changed_are_replaced",),
    ),
    Fault(
        "spark: a driver killed while days are put aside is not noticed",
        "src/pipeline/build.py",
        REBUILT,
        "    if built_load is None:\n",
        "test-spark",
        ("tests/spark/test_days.py::test_a_driver_is_killed_while_days_are_put_aside",),
    ),
    Fault(
        "spark: a key that several parts share has a rank in each",
        "src/ranking/distributed_rank.py",
        "begins[edge], ends[edge] = shared or (begins[edge], ends[edge])",
        "begins[edge], ends[edge] = (begins[edge], ends[edge])",
        "test-spark",
        ("tests/spark/test_places.py::test_places_are_those_of_one_sort",),
    ),
    Fault(
        "spark: all users of one key are dealt to one part",
        "src/ranking/distributed_rank.py",
        'kept.repartitionByRange(number, col(key).desc(), col("user_id"))',
        "kept.repartitionByRange(number, col(key).desc())",
        "test-spark",
        ("tests/spark/test_places.py::test_places_are_those_of_one_sort",),
    ),
    # Loads and builds of what came later.
    Fault(
        "incremental: a changed day loses what came before the change",
        f"{MODELS}/intermediate/features/user_days.sql",
        "where event_time >= date_trunc('day', earliest) and",
        "where event_time >= earliest and",
        "test",
        ("tests/warehouse/test_incremental.py::test_incremental_builds_equal_a_full_one",),
    ),
    Fault(
        "incremental: withdrawn events change nobody",
        f"{MODELS}/intermediate/users/changed_users.sql",
        "    from {{ source('landing', 'withdrawn') }}\n    where load_id >",
        "    from {{ source('landing', 'withdrawn') }}\n    where false and load_id >",
        "test",
        ("tests/warehouse/test_incremental.py::test_incremental_builds_equal_a_full_one",),
    ),
    Fault(
        "bad rows: a row like one refused before is kept nowhere",
        "src/warehouse/landing/load.py",
        "where q.kind = ? and q.file = ? and q.line = t.line and q.raw = t.reject_raw\n",
        "where q.kind = ? and q.file = ? and q.raw = t.reject_raw\n",
        "test",
        ("tests/warehouse/test_landing_files.py::test_a_grown_file_adds_its_new_rows_only",),
    ),
    Fault(
        "bad rows: a row with too few fields is filled up with nulls",
        "src/events/records/parse.py",
        "    if len(rows[0]) != width:\n",
        "    rows[0] += [''] * (width - len(rows[0]))\n    if len(rows[0]) != width:\n",
        "test",
        (f"{BAD_INPUT}::test_every_bad_row_is_kept_with_its_reason_and_good_ones_are_loaded",),
    ),
    Fault(
        "errors: a damaged gzip file is a bug of ours",
        "src/events/records/source.py",
        "except (gzip.BadGzipFile, zlib.error):",
        "except gzip.BadGzipFile:",
        "test",
        (f"{BAD_INPUT}::test_a_file_that_cannot_be_read",),
    ),
    Fault(
        "errors: a wrong call ends with code 1",
        "src/cli/output.py",
        "raise typer.Exit(error.exit_code) from None",
        "raise typer.Exit(1) from None",
        "test",
        ("tests/test_cli.py::test_a_wrong_call_exits_2_and_a_wrong_state_1",),
    ),
    Fault(
        "duplicates: a file loaded twice counts twice",
        "src/warehouse/landing/identity.py",
        'f"inner join {table} as b on {same} where b.load_id < {load_id}"',
        'f"inner join {table} as b on {same} where b.load_id < {load_id} - 1"',
        "test",
        (f"{LANDING}::test_ingest_never_loses_a_row_and_loading_twice_changes_nothing",),
    ),
    Fault(
        "duplicates: equal rows without an id are one event",
        "src/warehouse/landing/load.py",
        "            number_equal_rows(con, table, load_id)\n",
        "            pass\n",
        "test",
        (f"{LANDING}::test_equal_rows_without_an_id_are_as_many_events_as_the_file_says",),
    ),
    Fault(
        "duplicates: rows without an id that differ in their variant are one event",
        "src/warehouse/landing/identity.py",
        '    "variant",\n',
        "",
        "test",
        (f"{LANDING}::test_rows_without_an_id_that_differ_in_one_column_are_different_events",),
    ),
    Fault(
        "identity: a link makes a chain with one of an earlier load",
        "src/warehouse/landing/identity.py",
        "select user_id from {table} where load_id < {load_id} and reject_reason is null",
        "select user_id from {table} where load_id > {load_id} and reject_reason is null",
        "test",
        (f"{LANDING}::test_a_link_that_makes_a_chain_with_one_of_an_earlier_load_is_refused",),
    ),
    Fault(
        "time zones: local times are read as UTC",
        "src/events/contract.py",
        "return sql if zone == \"'UTC'\" else f\"(timezone({zone}, {sql}) at time zone 'UTC')\"",
        "return sql",
        "test",
        (LANDING,),
    ),
    Fault(
        "time zones: an offset of its own is not heeded",
        "src/events/contract.py",
        "return f\"(try_cast({sql} as timestamptz) at time zone 'UTC')\"",
        'return f"try_cast({sql} as timestamp)"',
        "test",
        (f"{LANDING}::test_times_become_utc",),
    ),
    # Data that is code elsewhere, and secrets.
    Fault(
        "code: a quote in a column's name ends it",
        "src/spec/expressions.py",
        "return '\"' + name.replace('\"', '\"\"') + '\"'",
        "return '\"' + name + '\"'",
        "test",
        ("tests/spec/test_expressions.py::test_quoting_survives_the_database",),
    ),
    Fault(
        "code: a quote in a file's name ends a text",
        "src/spec/expressions.py",
        """return "'" + text.replace("'", "''") + "'\"""",
        """return "'" + text + "'\"""",
        "test",
        (f"{BAD_INPUT}::test_names_that_try_to_be_sql_are_text",),
    ),
    Fault(
        "code: a formula in a passed-through cell runs",
        "src/scoring/ranking.py",
        'extra = [escape_formula(passed.get(name) or "") for name in pass_through]',
        'extra = [passed.get(name) or "" for name in pass_through]',
        "test",
        ("tests/scoring/test_ranking.py::test_the_csv_keeps_the_contract_and_formulas_are_inert",),
    ),
    Fault(
        "code: a formula behind blanks runs in the list of chances",
        "src/scoring/ranking.py",
        "        ids = pc.replace_substring_regex(ids, pattern, replacement)",
        "        ids = pc.replace_substring_regex(ids, '^([=+@-])', replacement[-4:])",
        "test",
        ("tests/scoring/test_ranking.py",),
    ),
    Fault(
        "secrets: the password stands in dbt's profile",
        "src/warehouse/engines/postgres/warehouse.py",
        "\"password\": f\"{{{{ env_var('{SECRET}', '') }}}}\",",
        '"password": password,',
        "test-engines",
        (f"{POSTGRES}::test_the_password_is_nowhere",),
    ),
    Fault(
        "secrets: a note names the password of the tracking server",
        "src/tracking/stores.py",
        'return _SECRET.sub(r"\\1:***@", uri)',
        "return uri",
        "test",
        ("tests/tracking/test_stores.py",),
    ),
    # Scores and reasons.
    Fault(
        "scorecard: reasons leave out what a cap takes away",
        "src/scoring/scorecard.py",
        "np.broadcast_to(np.minimum(self._cap(group) - together, 0), (len(table),))",
        "np.broadcast_to(np.minimum(self._cap(group) - together, 0) * 0, (len(table),))",
        "test",
        (
            "tests/scoring/test_scorecard.py::test_contributions_sum_exactly_and_scores_stay_in_range",
        ),
    ),
    Fault(
        "scorecard: halves are cut off and not rounded",
        "src/scoring/transforms.py",
        "size = (abs(worth) * share + MILLION // 2) // MILLION",
        "size = abs(worth) * share // MILLION",
        "test",
        ("tests/scoring/test_scorecard.py",),
    ),
    Fault(
        "explanations: contributions are of a chance, margins in log-odds",
        "src/models/kinds/lightgbm.py",
        "return np.asarray(self.booster.predict(matrix, raw_score=True), dtype=np.float64)",
        "return np.asarray(self.booster.predict(matrix), dtype=np.float64)",
        "test",
        ("tests/models/test_classifier.py::test_contributions_and_base_sum_to_the_log_odds",),
    ),
    Fault(
        "explanations: the base counts what nulls are worth twice",
        "src/models/kinds/logistic.py",
        "base = float(fitted.intercept_[0] - (null * logs.share).sum())",
        "base = float(fitted.intercept_[0])",
        "test",
        ("tests/models/test_classifier.py",),
    ),
    Fault(
        "determinism: the seed does not reach XGBoost",
        "src/models/kinds/xgboost.py",
        'XGBClassifier(random_state=seed, tree_method="hist"',
        'XGBClassifier(tree_method="hist"',
        "test",
        (
            "tests/models/test_classifier.py::"
            "test_the_same_seed_gives_the_same_model_and_another_seed_another",
        ),
    ),
    Fault(
        "determinism: the seed does not reach the generator",
        "src/events/synthetic/saas.py",
        "rng = np.random.default_rng([world.seed, block])",
        "rng = np.random.default_rng()",
        "test",
        ("tests/events/test_synthetic.py::test_same_arguments_same_bytes_in_any_process",),
    ),
    # Figures.
    Fault(
        "evaluation: a tie counts as won",
        "src/evaluation/ranking_metrics.py",
        "(above + groups.positives / 2)",
        "(above + groups.positives)",
        "test",
        (
            "tests/evaluation/test_ranking_metrics.py::test_auc_and_average_precision_equal_scikit_learns",
        ),
    ),
    Fault(
        "evaluation: intervals are of twice the error asked for",
        "src/stats/bootstrap.py",
        "tail = (1 - level) / 2",
        "tail = 1 - level",
        "test",
        ("tests/evaluation/test_ranking_metrics.py::test_intervals_cover_as_often_as_they_say",),
    ),
    Fault(
        "evaluation: calibration errors are as they come from replicates",
        "src/evaluation/paired_bootstrap.py",
        "        found._recentre()\n",
        "",
        "test",
        (
            "tests/evaluation/test_comparison.py::"
            "test_intervals_of_calibration_errors_lie_around_what_was_measured",
        ),
    ),
    Fault(
        "evaluation: a learned scorer's bands are not as large as the scorecard's",
        "src/training/fitting.py",
        "read_labelled(spec, backtest, backtest.folds[-1].train[-1]))",
        "read_labelled(spec, backtest, backtest.folds[-1].cutoff))",
        "test-training",
        ("tests/training/test_train.py::test_scores_and_reasons_of_a_champion",),
    ),
    Fault(
        "shape: a shaped scorecard learns from the outcomes of its test",
        "src/training/fitting.py",
        "        scorers = self._fitted(fold, lambda: self._read(fold))\n",
        "        scorers = self._fitted(fold, lambda: [*self._read(fold), part])\n",
        "test-training",
        (f"{SHAPED}::test_outcomes_of_a_test_do_not_reach_its_own_fit",),
    ),
    Fault(
        "shape: what the cap of a group takes away is dealt to no feature",
        "src/models/points.py",
        "        points = points + _dealt(points, rest[:, place], inside)\n",
        "",
        "test",
        (
            "tests/models/test_points.py::test_margins_are_the_points_and_contributions_add_up",
            "tests/models/test_points.py::test_what_a_cap_and_clipping_move_is_dealt_in_proportion",
        ),
    ),
    Fault(
        "evaluation: replicates of two scorers are not paired",
        "src/evaluation/differences.py",
        "low, high = percentiles(drawn[:, [i]] - drawn, self.level)",
        "low, high = percentiles(drawn[::-1, [i]] - drawn, self.level)",
        "test",
        ("tests/evaluation/test_comparison.py", "tests/evaluation/test_paired_bootstrap.py"),
    ),
    Fault(
        "marts: the last retention day that is over is left out",
        f"{MODELS}/marts/analytics/retention_cohorts.sql",
        "<= l.day as is_over",
        "< l.day as is_over",
        "test",
        ("tests/marts/test_golden.py::test_retention_cohorts",),
    ),
    Fault(
        "marts: weekly users are those of eight days",
        f"{MODELS}/marts/analytics/daily_user_metrics.sql",
        "[(1, 0, 7), (0, 1, 30)]",
        "[(1, 0, 8), (0, 1, 30)]",
        "test",
        ("tests/marts/test_marts.py::test_marts_equal_brute_force",),
    ),
    Fault(
        "marts: a funnel's window is open one day longer",
        f"{MODELS}/intermediate/funnels/funnel_days.sql",
        '<%- set within = "interval \'" ~ funnel.seconds ~ "\' second" %>',
        '<%- set within = "interval \'" ~ (funnel.seconds + 86400) ~ "\' second" %>',
        "test",
        ("tests/marts/test_golden.py::test_funnel_days",),
    ),
    Fault(
        "truth: the experiment does not change who buys",
        "src/events/synthetic/media/outcomes.py",
        "treated_chance=chance * np.where(reacts, p.TREATED_BUYS, 1.0),",
        "treated_chance=chance,",
        "test",
        (
            "tests/events/test_media_truth.py::test_what_was_planted_is_found",
            "tests/events/test_media_effects.py",
        ),
    ),
    # Who is who, and what is known of them.
    Fault(
        "identity: a later link takes a device's past along",
        f"{MODELS}/intermediate/users/user_events.sql",
        "        and e.event_time >= i.owned_from\n        and e.event_time < i.owned_until\n",
        "",
        "test",
        ("tests/warehouse/test_identities.py::test_a_device_with_two_people_is_split_by_time",),
    ),
    Fault(
        "identity: attributes stay with the id that was linked",
        f"{MODELS}/intermediate/users/owned_attributes.sql",
        "    coalesce(i.user_id, u.user_id) as user_id,",
        "    u.user_id,",
        "test",
        ("tests/warehouse/test_identities.py",),
    ),
    Fault(
        "identity: an attribute that goes back is a duplicate",
        "src/warehouse/landing/identity.py",
        "                and list_slice(k.said, -len(a.said), -1) = a.said",
        "                and list_has_all(k.said, a.said)",
        "test",
        ("tests/warehouse/test_attributes.py",),
    ),
    Fault(
        "old list: features of another spec are ranked",
        "src/warehouse/builds.py",
        "    if info.made_from != data_version(spec):",
        "    if info.spec != spec.name:",
        "test",
        ("tests/pipeline/test_old_builds.py::test_features_of_another_spec_are_refused",),
    ),
    Fault(
        "old list: what the champion left stands beside bare points",
        "src/files.py",
        "            for path in others:\n                path.unlink(missing_ok=True)\n",
        "",
        "test",
        ("tests/test_files.py",),
    ),
    Fault(
        "outage: another scorer ranks when the store is gone",
        "src/tracking/stores.py",
        "    raise UnreachableError(",
        "    return local_store(home)\n    raise UnreachableError(",
        "test",
        ("tests/tracking/test_stores.py",),
    ),
    Fault(
        "calibration: shares reach the fit in millionths",
        "src/scoring/calibration.py",
        "for term in spec.terms]) / MILLION",
        "for term in spec.terms]).astype(float)",
        "test",
        ("tests/scoring/test_term_fit.py",),
    ),
    Fault(
        "calibration: rows of one user count one by one",
        "src/scoring/term_fit.py",
        "    _, who = np.unique(users, return_inverse=True)",
        "    who = np.arange(len(users))",
        "test",
        ("tests/scoring/test_term_fit.py", "tests/scoring/test_calibration.py"),
    ),
    Fault(
        "calibration: the last step of a fit that has not converged is taken for its end",
        "src/scoring/term_fit.py",
        "        weights, loss = tried, now\n    raise DataError(",
        "        weights, loss = tried, now\n    return weights\n    raise DataError(",
        "test",
        ("tests/scoring/test_term_fit.py",),
    ),
    Fault(
        "bad input: a value without an end stops everybody's list",
        "src/spec/defined.py",
        "    if never_zero(node.expression):\n        return None\n    safe = node.copy()",
        "    return None\n    safe = node.copy()",
        "test",
        ("tests/spec/test_expressions.py",),
    ),
    # What stands written, here and elsewhere.
    Fault(
        "files: the ranking is written in place",
        "src/scoring/ranking.py",
        "    through, by user_id. Columns that only a learned model or an experiment fills are"
        ' empty.\n    """\n    with atomic_write(path) as temporary, temporary.open(',
        "    through, by user_id. Columns that only a learned model or an experiment fills are"
        ' empty.\n    """\n    with path.open(',
        "test",
        (
            "tests/scoring/test_ranking.py::"
            "test_a_ranking_that_cannot_be_written_to_its_end_leaves_the_one_before",
        ),
    ),
    Fault(
        "files: a failed write leaves the unfinished file",
        "src/files.py",
        "        yield folder\n    finally:\n        shutil.rmtree(folder, ignore_errors=True)\n",
        "        yield folder\n    finally:\n",
        "test",
        ("tests/scoring/test_ranking.py::test_a_failed_write_leaves_what_was_there",),
    ),
    Fault(
        "files: what another process is writing is taken for a killed one's",
        "src/files.py",
        "            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "",
        "test",
        ("tests/test_files.py",),
    ),
    Fault(
        "files: what a killed process left stays where nothing is written under its name again",
        "src/files.py",
        "        if _LEFT.fullmatch(left.name) and",
        "        if left.name.startswith(f'.{place.name}.') and",
        "test",
        ("tests/test_files.py",),
    ),
    Fault(
        "progress: the time left forgets which models are done",
        "src/warehouse/dbt_project/run.py",
        "for name, seconds in usual.items() if name not in ended)",
        "for name, seconds in usual.items())",
        "test",
        ("tests/pipeline/test_build.py",),
    ),
    Fault(
        "store: a copy goes on with the original's files",
        "src/tracking/local.py",
        "    _bring_home(store, store.file)\n",
        "",
        "test-training",
        ("tests/tracking/test_moved_stores.py",),
    ),
    Fault(
        "store: what a cut-off creation left stays for good",
        "src/tracking/local.py",
        "        return not any(con",
        "        return False and not any(con",
        "test-training",
        ("tests/tracking/test_moved_stores.py",),
    ),
    Fault(
        "store: it is created in its place",
        "src/tracking/local.py",
        "    with atomic_write(file) as temporary:\n",
        "    for temporary in (file,):\n",
        "test-training",
        (KILLED_STORES,),
    ),
    Fault(
        "store: a scorer of a training that was cut off ranks",
        "src/tracking/registry.py",
        'return str(client.get_run(training).info.status) == "FINISHED"',
        "return bool(client.get_run(training))",
        "test-training",
        (KILLED_STORES,),
    ),
    Fault(
        "served: a count below zero is taken as it is",
        "src/features/limits.py",
        "below, above = values < 0, ",
        "below, above = values < -1e9, ",
        "test-training",
        ("tests/test_serving.py",),
    ),
    Fault(
        "disk: a full one leaves what a load began",
        "src/warehouse/landing/load.py",
        'con.execute("rollback")',
        'con.execute("select 1")',
        "test-engines",
        (f"{BAD_INPUT}::test_a_full_disk_keeps_what_was_there",),
    ),
    Fault(
        "disk: that it is full is a bug of ours",
        "src/files.py",
        "    except OSError as error:\n"
        '        raise WarehouseError(f"{path}: cannot be written: {error.strerror or error}")',
        "    except PermissionError as error:\n"
        '        raise WarehouseError(f"{path}: cannot be written: {error.strerror or error}")',
        "test-engines",
        (f"{BAD_INPUT}::test_a_full_disk_keeps_what_was_there",),
    ),
    Fault(
        "tracking: a run is lost when the server is out of reach",
        "src/tracking/log.py",
        "        if store.local:\n            raise\n",
        "        if store.uri:\n            raise\n",
        "test-training",
        ("tests/training/test_outages.py::test_a_store_lost_halfway_leaves_the_run_here_whole",),
    ),
    Fault(
        "spec: an unknown key is passed over",
        "src/spec/parts.py",
        'extra="forbid"',
        'extra="ignore"',
        "test",
        ("tests/spec/test_spec.py::test_errors_name_key_value_and_fix",),
    ),
    Fault(
        "custom: a metric that gives no number on a draw takes the draw from all others",
        "src/evaluation/paired_bootstrap.py",
        "enumerate(columns) if name not in own.failed]",
        "enumerate(columns) if name]",
        "test",
        (
            "tests/evaluation/test_custom_metrics.py"
            "::test_a_metric_that_gives_no_number_is_left_out_and_changes_nothing",
        ),
    ),
    Fault(
        "custom: a fit that is kept is taken for a candidate with other parameters",
        "src/models/custom.py",
        "joblib.hash(self.estimator), *(",
        "joblib.hash(type(self.estimator)), *(",
        "test-training",
        ("tests/training/test_custom.py::test_fits_are_kept_for_the_same_candidate_only",),
    ),
    Fault(
        "progress: a model that has begun counts as done",
        "src/warehouse/dbt_project/child.py",
        "self._done += name in _ENDED",
        "self._done += 1",
        "test",
        (
            "tests/pipeline/test_build.py"
            "::test_what_the_caller_tells_their_own_dbt_is_not_told_to_ours",
        ),
    ),
    Fault(
        "docs: the reference is not what the command says",
        "src/cli/data.py",
        'help="Also run the data tests."',
        'help="Also run the tests of the data."',
        "test",
        ("tests/docs/test_docs.py::test_the_command_line_reference_is_what_help_prints",),
    ),
)
