"""Someone who follows a guide to the letter."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

from tests.support import processes

BLOCK = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Reader:
    """Someone who does what a guide says, block by block.

    `csv NAME`: save as NAME. `sh`: run. `text`: each line was printed by the commands before.
    `diff NAME`: replace the lines with - by the lines with +. `python`: run. `commands` keeps what
    each command printed last.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed = ""
        self.done: list[str] = []
        self.commands: dict[str, str] = {}

    def follow(self, guide: str) -> None:
        for kind, rest, body in BLOCK.findall(guide):
            getattr(self, kind)(rest.strip(), body)
            self.done.append(kind)

    def csv(self, name: str, body: str) -> None:
        (self.folder / name).write_text(body)

    def sh(self, _: str, body: str) -> None:
        self.printed = ""
        for line in body.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line)
            assert program == "whyrank", line
            ran = processes.whyrank(arguments, self.folder, self._environment())
            self._check(line, ran)
            self.commands[arguments[0]] = ran.stdout + ran.stderr

    def python(self, _: str, body: str) -> None:
        self.printed = ""
        self._check(body, processes.python(body, self.folder, self._environment()))

    @staticmethod
    def _environment() -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("WHYRANK_")}

    def _check(self, what: str, ran: subprocess.CompletedProcess[str]) -> None:
        assert ran.returncode == 0, (what, ran.stderr)
        self.printed += ran.stdout + ran.stderr

    def text(self, _: str, body: str) -> None:
        shown = [line.rstrip() for line in self.printed.splitlines()]
        for line in body.splitlines():
            assert line.rstrip() in shown, f"{line!r} is not in:\n{self.printed}"

    def diff(self, name: str, body: str) -> None:
        lines = body.splitlines()
        old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new))
