"""The current build of a spec, refused where the spec or the log has changed since."""

from __future__ import annotations

from ..errors import WarehouseError
from ..published.build import Published
from ..published.sample import sample_bound
from ..spec.expressions import quote_name
from ..spec.model import Spec
from ..spec.versions import data_version, spec_version
from ..types import Log
from .base import Warehouse
from .landing.load import landing_tables
from .publish import loads_since, read_published


def read_built(spec: Spec, warehouse: Warehouse, *, warn: Log = lambda _: None) -> Published:
    """Return the current build of a spec as it is now.

    warn: called when something was loaded that the build does not know.

    Raises WarehouseError when nothing is built, or what a build rests on changed in the spec since:
    its features would be taken for those that the spec has now.
    """
    published = read_published(warehouse, spec.name)
    info = published.info
    if info.made_from != data_version(spec):
        raise WarehouseError(
            f"build {info.build_id} was made from spec {info.spec} {info.spec_version}, and its "
            f"features, events or population have changed since (now {spec_version(spec)}): run "
            "`whyrank build`"
        )
    if since := loads_since(warehouse, spec.name, info):
        what = "a file was" if since == 1 else f"{since:,} files were"
        warn(
            f"{what} loaded after build {info.build_id}, which does not know what is in it: run "
            "`whyrank build`"
        )
    return published


def is_built(spec: Spec, warehouse: Warehouse, published: Published) -> bool:
    """Return whether a build was made of all that is loaded, with this sample; only reads."""
    schema = quote_name(spec.landing_schema)
    info = published.info
    sampled = sample_bound(info.users, warehouse.sample) == info.sampled_below
    if not sampled or not warehouse.exists():
        return False
    with warehouse.reading() as con:
        if not landing_tables(con, spec) >= {"builds", "loads"}:
            return False
        found = con.execute(
            f"select count(*) from {schema}.builds where build_id = ? "
            f"and last_load = (select coalesce(max(load_id), 0) from {schema}.loads)",
            [info.build_id],
        ).fetchone()
    return bool(found and found[0])
