"""The doctor's look at what a project names: its folder, Git, workers, other models, an embedding network."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lgc.backbones import Absent
from lgc.bitstream.model_file import read_info
from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.errors import LgcError, first_line
from lgc.launch.finding import Finding
from lgc.launch.room import joins_cluster, lacking
from lgc.launch.stage import storage_folder
from lgc.metrics.identity import make_identity


def project(config: Config, paths: Paths) -> Iterator[Finding]:
    """Everything that only the configuration knows of."""
    yield writable(paths.root, paths.root / "outputs", storage_folder(config, paths))
    if (paths.root / ".dvc").is_dir():
        yield repository(paths.root)
    if config.runtime.engine == "ray" and not joins_cluster(config.runtime):
        yield workers(config)
    yield from models(config, paths)
    if config.evaluate.identity.model is not None and "identity" in config.evaluate.metrics:
        yield identity(config)


def writable(root: Path, *others: Path) -> Finding:
    """That files can be made in the project's folder, and in ``others`` where they exist."""
    for folder in (root, *(path for path in others if path.is_dir())):
        try:
            with tempfile.TemporaryFile(dir=folder, prefix=".lgc-doctor-"):
                pass
        except OSError as error:
            remedy = "give yourself the right to write there, or work in a copy of the project"
            return Finding("project", "failed", f"{folder}: {error.strerror or error}", remedy)
    return Finding("project", "ok", f"{root} can be written")


def repository(root: Path) -> Finding:
    """That DVC finds the Git repository without which it does nothing; an archive that was unpacked has none."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with contextlib.closing(Repo(str(root))):
            pass
    except DvcException as error:
        remedy = "correct .dvc/config"
        if isinstance(error, SCMError):
            remedy = "run `git init` there, or work in a clone: DVC runs no stage outside a Git repository"
        return Finding("DVC", "failed", first_line(error), remedy)
    return Finding("DVC", "ok", f"{root} is in a Git repository")


def workers(config: Config) -> Finding:
    """That the workers of a training stage find room on this machine."""
    if (found := lacking(config.runtime)) is not None:
        remedy = "set runtime.workers and runtime.device to what is there, or name a cluster in runtime.address"
        return Finding("workers", "failed", found, remedy)
    return Finding("workers", "ok", f"{config.runtime.workers} on this machine")


def models(config: Config, paths: Paths) -> Iterator[Finding]:
    """Model files that the evaluation measures beside ours."""
    for name, path in config.evaluate.models.items():
        file = paths.root / Path(path).expanduser()
        try:
            read_info(file)
        except LgcError as error:
            said = str(error) if file.is_file() else f"{file}: no such file"
            yield Finding(f"model {name}", "failed", said, f"correct evaluate.models.{name}, or leave it out")
        else:
            yield Finding(f"model {name}", "ok", str(file))


def identity(config: Config) -> Finding:
    """The network that tells whether people stay the same."""
    found = make_identity(config.evaluate.identity)
    if isinstance(found, Absent):
        remedy = "correct evaluate.identity.model; without it the metric is absent"
        return Finding("identity", "warning", found.reason, remedy)
    return Finding("identity", "ok", str(config.evaluate.identity.model))
