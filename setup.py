"""Map the folder src/ to the package `whyrank`; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGES = ["whyrank", *(f"whyrank.{name}" for name in find_packages("src"))]
CODE = {".py", ".pyc"}


def data_files() -> dict[str, list[str]]:
    """List every file that is no code, by package (a folder of templates has no package)."""
    root = Path("src")
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix not in CODE)
    return {"whyrank": sorted(path.relative_to(root).as_posix() for path in files)}


setup(packages=PACKAGES, package_dir={"whyrank": "src"}, package_data=data_files())
