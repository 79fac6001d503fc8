"""Write the generated parts of the documentation: python -m tests.docs.reference."""

from __future__ import annotations

from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from whyrank.cli import app
from whyrank.features.operations import OPERATIONS, OTHER_OPERATIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"
BEGIN, END = "<!-- operations -->\n", "<!-- /operations -->"
INTRO = """# The command line

What `whyrank --help` and each command's `--help` print. `--spec` and `--warehouse` can be set in
the environment as `WHYRANK_SPEC` and `WHYRANK_WAREHOUSE`; `WHYRANK_MEMORY` (4GiB unless set) says
how much memory DuckDB may take before it spills to disk.

Results go to stdout; progress, notes and errors to stderr. Exit codes: 0 done, 1 something about
data or warehouse that a line explains, 2 a wrong call, 130 interrupted.
"""


def cli_reference() -> str:
    """Return docs/cli.md as the code has it."""
    runner = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    parts = [INTRO]
    commands = get_command(app).commands  # type: ignore[attr-defined]
    shown = [name for name, command in commands.items() if not command.hidden]
    for words in ([], *([name] for name in shown)):
        printed = runner.invoke(app, [*words, "--help"], prog_name="whyrank").stdout
        title = " ".join(["whyrank", *words])
        text = "\n".join(line.rstrip() for line in printed.strip().splitlines())
        parts.append(f"## {title}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def operations_table() -> str:
    """Return the table of operations of docs/features.md as the code has it."""
    rows = [(op.name, op.description, op.needs, op.takes) for op in OPERATIONS.values()]
    rows += [(name, *rest) for name, rest in OTHER_OPERATIONS.items()]
    lines = ["| operation | value | needs | may have |", "| --- | --- | --- | --- |"]
    for name, description, needs, takes in rows:
        keys = [", ".join(f"`{key}`" for key in sorted(keys)) for keys in (needs, takes)]
        lines.append(f"| `{name}` | {description} | {keys[0]} | {keys[1]} |")
    return "\n".join(lines) + "\n"


def with_operations(page: str) -> str:
    """Return docs/features.md with the table of operations put in."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{operations_table()}{END}{after}"


def main() -> None:
    """Write both."""
    (DOCS / "cli.md").write_text(cli_reference(), encoding="utf-8")
    page = DOCS / "features.md"
    page.write_text(with_operations(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
