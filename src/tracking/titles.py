"""Names of trainings: no two are the same, and what differs is in them."""

from __future__ import annotations

from typing import Any

from .records import RunRecord

_LOOKED_AT = 200  # trainings


def distinct_title(ml: Any, experiment: str, record: RunRecord) -> str:
    """Return a training's title, followed by what it has of its own where others bear the same.

    That is the data's build, the spec's version or the code, whichever the latest training of that
    title does not share.
    """
    runs = ml.MlflowClient().search_runs(
        [experiment], "tags.kind = 'training'", max_results=_LOOKED_AT,
        order_by=["attributes.start_time DESC"],
    )  # fmt: skip
    names = {run.info.run_name for run in runs}
    if record.title not in names:
        return record.title
    same = [run for run in runs if str(run.info.run_name).startswith(record.title)]
    before = same[0].data.tags
    words = {
        "build": f"build {record.tags['build']}",
        "spec_version": f"spec {record.tags['spec_version']}",
        "code": f"code {(record.commit or record.tags['code'])[:12]}",
    }
    own = [said for tag, said in words.items() if before.get(tag) != record.tags[tag]]
    title = " · ".join([record.title, *own])
    return title if title not in names else f"{title} · {len(same) + 1}"
