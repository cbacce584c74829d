"""The images' locks: a hash for every file, the versions of constraints.txt, and exactly what is needed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("build", "torch-cuda", "train", "mlflow")
TORCH = {"torch", "torchvision"}
CUDA = r"cuda-|nvidia-|triton$"
BUILD = {"setuptools", "wheel"}
MLFLOW_IMAGE = ("mlflow", "psycopg2-binary", "flask-wtf", "boto3")


def locked(name: str) -> dict[str, str]:
    """Name -> version; every line is a comment, a pin or a hash, and every pin has hashes."""
    versions: dict[str, str] = {}
    hashes: dict[str, int] = {}
    last = ""
    for line in (ROOT / f"requirements/{name}.lock").read_text().splitlines():
        if match := re.fullmatch(r"([a-z0-9-]+)==([\w.+]+) \\", line):
            last = match[1]
            versions[last], hashes[last] = match[2], 0
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line):
            hashes[last] += 1
        else:
            assert line.startswith("#"), line
    assert all(hashes.values())
    return versions


def constraints() -> dict[str, str]:
    lines = (ROOT / "requirements/constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    found = {canonicalize_name(name): version for name, version in pairs}
    assert len(found) == len(pairs)
    return found


def needed(requirements: Iterable[str]) -> set[str]:
    """Names of everything that the requirements bring, as installed here."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        one = waiting.pop()
        name, extras = canonicalize_name(one.name), {"", *one.extras}
        new = extras - found.setdefault(name, set())
        found[name] |= new
        for text in requires(name) or [] if new else []:
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in new):
                waiting.append(inner)
    return set(found)


@pytest.mark.parametrize("name", LOCKS)
def test_versions_are_those_that_were_tested(name: str) -> None:
    tested, found = constraints(), locked(name)
    assert found
    assert {n: v for n, v in found.items() if n in tested and tested[n] != v} == {}
    untested = found.keys() - tested.keys()
    assert all(re.match(CUDA, n) or n in BUILD for n in untested), untested


def test_nothing_is_in_two_locks_of_one_image() -> None:
    names = [name for lock in ("build", "torch-cuda", "train") for name in locked(lock)]
    assert len(names) == len(set(names))


def test_the_training_image_gets_what_the_project_needs_and_no_more() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = needed([*project["dependencies"], *extras["s3"], *extras["train"], *extras["eval"]])
    # PyPI's torch brings CUDA's packages, PyTorch's for CPUs does not; the image has them from a lock of their own
    with_torch = locked("torch-cuda").keys()
    assert locked("train").keys() == wanted - BUILD - with_torch
    assert locked("build").keys() == BUILD
    assert with_torch >= TORCH
    assert all(re.match(CUDA, name) for name in with_torch - TORCH), with_torch


def test_the_mlflow_image_gets_what_the_server_needs_and_no_more() -> None:
    pytest.importorskip("psycopg2")
    pytest.importorskip("flask_wtf")
    assert locked("mlflow").keys() == needed(MLFLOW_IMAGE)


def test_a_missing_package_would_be_seen() -> None:
    assert {"jinja2", "markupsafe"} <= needed(["flask"])
