"""Private words that must not come back: python -m tests.docs.words lists where they have.

The field's word is used instead (see the glossary of docs/architecture.md). What is read: the
Markdown pages but docs/decisions and the CHANGELOG, which keep the words of their time, and in
src docstrings and other strings with a blank in them, which are messages or help. Names, keys,
code spans and doctests are not.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# word, as a regular expression of whole words -> what the field says
WORDS = {
    r"chances?": "probability",
    r"whoever": "users who, the process that",
    r"anew": "again, rebuilt",
    r"by heart": "memorised",
    r"foresaw|foresees?|foreseen": "predicted",
    r"made-up": "synthetic",
    r"worlds?": "synthetic dataset, simulation",
    r"planted": "simulated, ground truth",
    r"nudge[sd]?|nudging": "perturbation",
    r"unsteady|how steady": "unstable, stable",
    r"inert": "escaped",
    r"hindsight": "calibration set",
    r"sentinels?": "leakage check",
    r"twins?": "matched pair; reference implementation",
    r"judged": "evaluated; evaluation fold",
    r"warm-up": "calibration fold",
    r"spenders?": "spend model",
    r"influences": "attributions",
    r"(both|either|two) accounts?": "scorecard vs model, points and attributions",
    r"accounts? of (one|a|every) user": "attributions, explanation",
    r"stands? where|(user's|users'|one's) standing": "rank",
    r"acted upon|acts? upon|acting (from|pays)": "targeted, targeting threshold",
    r"take[sn]? back|took back": "retract",
    r"put aside|puts aside": "staged",
    r"touched (users|people|days)|loads touched": "changed",
    r"(this|that|each|every|a new|the same) rooms?": "package",
    r"verbs?": "command",
    r"house words?": "glossary",
    r"way of the data": "data flow",
}
# phrase -> why it is right
ALLOWED = {
    r"by chance|(more|less) than chance|exceeds chance|have the other sign by chance": "statistics",
    r"0 for chance|of a slope is chance|which chance gives": "statistics: what randomness explains",
    r"what acts upon which visit": "an effect of the simulation, not of targeting",
}
_CODE = (r"```.*?```", r"`[^`\n]*`", r"\]\([^)]*\)", r"<a id=[^>]*>", r"docs/decisions/\S+")
_DOCTEST = r"^ *>>> .*\n(?: *\S.*\n)*"


@dataclass(frozen=True)
class Found:
    """A word where it must not be."""

    file: str
    line: int
    word: str
    better: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.word!r}: write {self.better}"


def words_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the private words of a text: how many lines above it, the word, the field's.

    >>> list(words_in("It says\\nwhoever bought by chance; see `whoever`."))
    [(1, 'whoever', 'users who, the process that')]
    """
    for pattern in (*_CODE, _DOCTEST, *map(_spaced, ALLOWED)):
        text = re.sub(pattern, _blanked, text, flags=re.DOTALL | re.IGNORECASE | re.MULTILINE)
    for pattern, better in WORDS.items():
        for found in re.finditer(_spaced(pattern), text, re.IGNORECASE):
            if found[0].isupper():  # a constant's name
                continue
            yield text.count("\n", 0, found.start()), " ".join(found[0].split()), better


def _spaced(pattern: str) -> str:
    """Return a pattern of whole words, between which a line may end."""
    return rf"(?<![\w-])(?:{pattern})(?![\w-]|\.\w)".replace(" ", r"\s+")


def _blanked(found: re.Match[str]) -> str:
    """Return as many lines as were found, with nothing in them."""
    return "\n" * found[0].count("\n")


def messages(source: str) -> Iterator[tuple[int, str]]:
    """Yield a module's docstrings and its strings with a blank in them, with their lines.

    >>> list(messages('def f():\\n    "Say."\\n    return "key", f"no {file} here"'))
    [(2, 'Say.'), (3, 'no  here')]
    """
    tree = ast.parse(source)
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            yield node.lineno, "".join(map(str, parts))
        elif not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        elif id(node) not in inside and (id(node) in docs or " " in node.value):
            yield node.lineno, node.value


def found_in(root: Path = ROOT) -> Iterator[Found]:
    """Yield every private word in the pages and in src."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "*.md", "src/*.py"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.split():
        if name.startswith("docs/decisions/") or name == "CHANGELOG.md":
            continue
        text = (root / name).read_text(encoding="utf-8")
        parts = messages(text) if name.endswith(".py") else [(1, text)]
        for line, part in parts:
            for above, word, better in words_in(part):
                yield Found(name, line + above, word, better)


def main() -> int:
    """Print what was found; 1 where anything was."""
    found = list(found_in())
    for one in found:
        sys.stderr.write(f"{one}\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
