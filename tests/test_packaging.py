"""The package as others get it: a wheel, an editable install, a clone without symlinks.

Environments are fresh but borrow the dependencies of the running one, so nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.support import processes
from whyrank.extras import EXTRAS

pytestmark = pytest.mark.commands
TEXT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEAVY = ["dbt", "duckdb", "mlflow", "numpy", "pandas", "rich", "shap", "streamlit", "xgboost"]

# Runs doctests and prints, as JSON, pytest's exit code and every file loaded under two names.
DOCTESTS = """
import json, os, sys
import pytest
code = pytest.main(["--pyargs", "whyrank", "--doctest-modules", "-q", "-p", "no:cacheprovider"])
import whyrank
home = os.path.realpath(os.path.dirname(whyrank.__file__))
names = {}
for name, module in list(sys.modules.items()):
    file = os.path.realpath(getattr(module, "__file__", None) or "")
    if file.startswith(home + os.sep):
        names.setdefault(file, []).append(name)
twice = [found for found in names.values() if len(found) > 1]
strange = [n for found in names.values() for n in found if n.split(".")[0] != "whyrank"]
print(json.dumps({"code": int(code), "modules": len(names), "wrong": twice + strange}))
"""


def run(*command: object, cwd: Path, path: Path | None = None) -> str:
    """Run a command with nothing of the checkout on its path; return what it printed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "COV"))}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def doctests(python: Path, folder: Path) -> dict[str, Any]:
    """Run the package's doctests, which must pass; return what was loaded."""
    said = run(python, "-c", DOCTESTS, cwd=folder)
    seen: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert seen["code"] == 0, said
    return seen


def copy_sources(root: Path, to: Path) -> Path:
    """Copy what a clone without symlinks holds: there git writes the link as a small file."""
    to.mkdir()
    for path in root.iterdir():
        if path.is_file():
            shutil.copy(path, to)
    shutil.copytree(root / "src", to / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (to / "whyrank").write_text("src")
    return to


def new_environment(folder: Path, package: Path, *options: str) -> Path:
    """Install the package, and it alone, into a new environment; return its bin folder."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    site = run(python, "-c", "import sysconfig as s; print(s.get_path('purelib'))", cwd=folder)
    # A folder named in a .pth is searched, but its own .pth files (our editable install) are not.
    Path(site.strip(), "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    own = ["--ignore-installed", "--no-deps", "--no-build-isolation"]
    run(*pip, *own, *options, package, cwd=folder)
    return python.parent


def source_files(root: Path) -> set[str]:
    """Name every file under src as it must stand in the package."""
    files = (path.relative_to(root / "src") for path in (root / "src").rglob("*") if path.is_file())
    return {f"whyrank/{path.as_posix()}" for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built by way of the source distribution, from a clone without symlinks."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = copy_sources(root, folder / "clone")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, sources, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that holds the wheel."""
    return new_environment(tmp_path_factory.mktemp("env") / "env", wheel)


@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_src_and_nothing_else(root: Path, wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == source_files(root)
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


@pytest.mark.xdist_group("wheel")
def test_the_installed_wheel_runs_from_anywhere(installed: Path, tmp_path: Path) -> None:
    home = run(installed / "python", "-c", "import whyrank; print(whyrank.__file__)", cwd=Path("/"))
    assert Path(home).is_relative_to(installed.parent)
    assert "whyrank" in run(installed / "whyrank", "--help", cwd=Path("/"))
    run(installed / "whyrank", "generate", "--users", "3", "--out", "events.csv", cwd=tmp_path)
    assert (tmp_path / "events.csv").is_file()


@pytest.mark.slow
@pytest.mark.xdist_group("wheel")
def test_doctests_of_the_wheel_load_each_module_once(installed: Path, tmp_path: Path) -> None:
    seen = doctests(installed / "python", tmp_path)
    assert seen["modules"] > 1
    assert seen["wrong"] == []


def test_doctests_of_the_checkout_load_each_module_once(root: Path) -> None:
    if not (root / "whyrank").is_symlink():
        pytest.skip("this clone has no symlink whyrank -> src")
    assert doctests(Path(sys.executable), root)["wrong"] == []


def test_the_excerpts_of_the_readme_are_printed(root: Path, tmp_path: Path) -> None:
    """The demo, and one user explained; the demo's files are those that data/README.md names."""

    def printed(*words: str) -> str:
        done = processes.whyrank(words, tmp_path, os.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    check_excerpts(root, tmp_path, printed("demo") + printed("explain", "u0000099"))


@pytest.mark.slow
@pytest.mark.xdist_group("wheel")
def test_the_installed_wheel_prints_the_excerpts_of_the_readme(
    root: Path, installed: Path, tmp_path: Path
) -> None:
    printed = "".join(
        run(installed / "whyrank", *words, cwd=tmp_path)
        for words in (["demo"], ["explain", "u0000099"])
    )
    check_excerpts(root, tmp_path, printed)


def check_excerpts(root: Path, folder: Path, printed: str) -> None:
    shown = [line.rstrip() for line in printed.splitlines()]
    blocks = TEXT.findall((root / "README.md").read_text())
    assert len(blocks) == 2
    for line in "".join(blocks).splitlines():
        assert line.rstrip() in shown, line
    readme = (root / "data" / "README.md").read_text()
    made = {path.name for path in (folder / "data").iterdir()}
    assert "top_users.csv" in made
    assert [name for name in made if f"`{name}" not in readme] == []


@pytest.mark.slow
def test_an_editable_install_needs_no_symlink(root: Path, tmp_path: Path) -> None:
    sources = copy_sources(root, tmp_path / "clone")
    installed = new_environment(tmp_path / "env", sources, "--editable")
    (sources / "src" / "added.py").write_text("HERE = __file__\n")
    where = run(installed / "python", "-c", "import whyrank.added as a; print(a.HERE)", cwd=sources)
    assert Path(where.strip()) == sources / "src" / "added.py"
    assert "whyrank" in run(installed / "whyrank", "--help", cwd=Path("/"))


def test_importing_upwards_breaks_the_layers(root: Path, tmp_path: Path) -> None:
    sources = copy_sources(root, tmp_path / "clone")
    (sources / "whyrank").unlink()
    (sources / "whyrank").symlink_to("src")
    lint = "from importlinter.cli import lint_imports_command as main; main()"
    command = [sys.executable, "-c", lint, "--no-cache"]
    run(*command, cwd=sources, path=sources)
    with (sources / "src" / "errors.py").open("a") as file:
        file.write("\nfrom . import pipeline\n")
    with pytest.raises(AssertionError, match=r"whyrank\.errors -> whyrank\.pipeline"):
        run(*command, cwd=sources, path=sources)


def test_a_new_room_must_be_given_a_layer(root: Path, tmp_path: Path) -> None:
    sources = copy_sources(root, tmp_path / "clone")
    (sources / "whyrank").unlink()
    (sources / "whyrank").symlink_to("src")
    (sources / "src" / "attic.py").write_text("")
    lint = "from importlinter.cli import lint_imports_command as main; main()"
    with pytest.raises(AssertionError, match="attic"):
        run(sys.executable, "-c", lint, "--no-cache", cwd=sources, path=sources)


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
import sys
sys.argv = ["whyrank", "--help"]
from whyrank.cli import main
try:
    main()
finally:
    print("loaded:", sorted({{m.split(".")[0] for m in sys.modules}} & set({HEAVY})))
"""
    assert run(sys.executable, "-c", code, cwd=tmp_path).splitlines()[-1] == "loaded: []"


def test_the_lock_pins_what_the_project_asks_for(root: Path) -> None:
    lines = (root / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines]
    for line, pin in zip(lines, pins, strict=True):
        assert re.match(r"^[a-z0-9-]+==[^ *]+( ; .+)?$", line), "exact versions, no index, no host"
        assert pin.url is None
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = ("dev", *(name for name in EXTRAS if name != "spark"))  # requirements-spark.lock
    of_extras = [text for name in extras for text in project["optional-dependencies"][name]]
    for text in [*project["dependencies"], *of_extras]:
        asked = Requirement(text)
        if asked.name == "whyrank":  # dev asks for the extras
            assert {*asked.extras, "dev"} == set(extras)
            continue
        found = [pin for pin in pins if pin.name == asked.name]
        assert found, f"{asked.name} is not in requirements.lock"
        for pin in found:
            (version,) = (clause.version for clause in pin.specifier)
            assert asked.specifier.contains(version), f"{asked} against {pin}"


@pytest.mark.parametrize(
    ("tag", "more", "version"),
    [(None, 0, None), ("v3.1.0", 0, "3.1.0"), ("v3.1.0", 2, "3.1.1.dev2")],
)
def test_the_version_is_the_tags(
    root: Path, tmp_path: Path, tag: str | None, more: int, version: str | None
) -> None:
    """Before the first tag, it is the fallback version after so many commits."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools_scm"]
    expected = version or settings["fallback_version"].removesuffix("dev0") + "dev1"
    git = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "init.defaultBranch=m",
    ]
    shutil.copy(root / "pyproject.toml", tmp_path)
    run(*git, "init", "--quiet", cwd=tmp_path)
    run(*git, "add", ".", cwd=tmp_path)
    run(*git, "commit", "--quiet", "--message", "first", cwd=tmp_path)
    if tag:
        run(*git, "tag", tag, cwd=tmp_path)
    for _ in range(more):
        run(*git, "commit", "--quiet", "--allow-empty", "--message", "more", cwd=tmp_path)
    assert run(sys.executable, "-m", "setuptools_scm", cwd=tmp_path).strip() == expected


@pytest.mark.xdist_group("wheel")
def test_a_copy_without_git_has_the_fallback_version(
    root: Path, wheel: Path, installed: Path
) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools_scm"]
    said = f"whyrank {settings['fallback_version']}\n"
    assert run(installed / "whyrank", "--version", cwd=Path("/")) == said
    assert f"-{settings['fallback_version']}-" in wheel.name


def test_the_folder_mlflow_does_not_shadow_the_library(root: Path) -> None:
    assert not (root / "mlflow" / "__init__.py").exists()
