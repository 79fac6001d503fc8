"""Map the folder src/ to the package `whyrank`; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGES = ["whyrank", *(f"whyrank.{name}" for name in find_packages("src"))]
DATA = ("*.toml", "*.sql", "*.yml", "*.jinja", "py.typed")


def data_files() -> dict[str, list[str]]:
    """List the files that are no modules, by package (a folder of templates has no package)."""
    root = Path("src")
    found = [path.relative_to(root).as_posix() for kind in DATA for path in root.rglob(kind)]
    return {"whyrank": sorted(found)}


setup(packages=PACKAGES, package_dir={"whyrank": "src"}, package_data=data_files())
