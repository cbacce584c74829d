"""Released models in MLflow's registry: files only, no pickles; one of them is the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lgc.tracking.mlflow import client

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION: Final = "champion"
MODEL_TAG: Final = "lgc.model"
"""The model's id, which stands in every file that it writes; models with the same decoder share it."""
SHA256_TAG: Final = "lgc.model.sha256"
"""Of all tensors: what makes two models the same."""
_OWN: Final = "lgc."
_FOLDER: Final = "release"


@dataclass(frozen=True)
class Released:
    """One version of the registered model."""

    version: str
    tags: Mapping[str, str]


class Registry:
    """The versions of one registered model."""

    def __init__(self, uri: str, name: str) -> None:
        """Of the tracking server or store at ``uri``."""
        self._client, self._name = client(uri), name

    def champion(self) -> Released | None:
        """The version that carries the alias."""
        for model in self._client.search_registered_models(f"name = '{self._name}'"):
            if version := model.aliases.get(CHAMPION):
                return _released(self._client.get_model_version(self._name, version))
        return None

    def add(
        self, model_id: str, sha256: str, run_id: str, files: Sequence[Path], tags: Mapping[str, str]
    ) -> Released:
        """The version of the model with tensors of this ``sha256``: the one there is, or a new one of ``run_id``.

        Either way it then has these ``files`` and ``tags``; one that is there may have had other measurements.
        """
        every = {MODEL_TAG: model_id, SHA256_TAG: sha256, **tags}
        for version in self._client.search_model_versions(f"name = '{self._name}'"):
            if version.tags.get(SHA256_TAG) == sha256:
                return self._renewed(version, files, every)
        if not self._client.search_registered_models(f"name = '{self._name}'"):
            self._client.create_registered_model(self._name)
        self._keep(run_id, files)
        source = f"{self._client.get_run(run_id).info.artifact_uri}/{_FOLDER}"
        return _released(self._client.create_model_version(self._name, source, run_id, tags=every))

    def _renewed(self, version: ModelVersion, files: Sequence[Path], tags: Mapping[str, str]) -> Released:
        assert version.run_id is not None  # every version is made from a run, see add
        self._keep(version.run_id, files)
        number = str(version.version)
        for name, value in tags.items():
            self._client.set_model_version_tag(self._name, number, name, value)
        for name in version.tags:
            if name.startswith(_OWN) and name not in tags:  # e.g. a measure that is not taken any more
                self._client.delete_model_version_tag(self._name, number, name)
        return _released(self._client.get_model_version(self._name, number))

    def _keep(self, run_id: str, files: Sequence[Path]) -> None:
        for file in files:
            self._client.log_artifact(run_id, str(file), _FOLDER)

    def fetch(self, which: str, file: str, folder: Path) -> Path:
        """A local copy in ``folder`` of one file of a version (``3``) or of the one with an alias (``@champion``)."""
        if which.startswith("@"):
            version = self._client.get_model_version_by_alias(self._name, which[1:])
        else:
            version = self._client.get_model_version(self._name, which)
        assert version.run_id is not None  # every version is made from a run, see add
        return Path(self._client.download_artifacts(version.run_id, f"{_FOLDER}/{file}", str(folder)))

    def crown(self, version: str) -> None:
        """Make a version the champion."""
        self._client.set_registered_model_alias(self._name, CHAMPION, version)


def _released(version: ModelVersion) -> Released:
    return Released(str(version.version), dict(version.tags))
