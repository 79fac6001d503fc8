"""What is logged of expected spend: the chosen way by test, and deciles as table and plot."""

from __future__ import annotations

from pathlib import Path

from ..escapes import csv_writer
from ..reports.figures import deciles_figure
from .spend import SpendFits

DECILES = "spend_by_decile.csv"


def spend_metrics(spend: SpendFits | None) -> dict[str, list[float]]:
    """Return the chosen way's measures, a value for each test, oldest first; none without spend."""
    if spend is None:
        return {}
    reports = [found[spend.selected.name] for found in spend.reports.values()]
    return {
        "spend/gini": [report.gini for report in reports],
        "spend/top_decile_share": [report.top_decile for report in reports],
        "spend/top_decile_share_lower": [report.top_decile_interval[0] for report in reports],
        "spend/top_decile_share_upper": [report.top_decile_interval[1] for report in reports],
        "spend/total_ratio": [report.total_ratio for report in reports],
    }


def write_spend(spend: SpendFits, artifacts: Path) -> None:
    """Write spend_by_decile.csv and plots/spend_by_decile.png (the last test) to a folder."""
    with (artifacts / DECILES).open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(["test", "way", "chosen", "decile", "expected", "actual"])
        for test, found in spend.reports.items():
            for name, report in found.items():
                chosen = "yes" if name == spend.selected.name else "no"
                for place, (expected, actual) in enumerate(report.deciles, start=1):
                    writer.writerow([test, name, chosen, place, f"{expected:.4f}", f"{actual:.4f}"])
    if spend.reports:
        test, found = list(spend.reports.items())[-1]
        deciles_figure(
            artifacts / "plots" / "spend_by_decile.png",
            f"Expected spend by {spend.selected.name}, fold as of {test}",
            found[spend.selected.name].deciles,
        )
