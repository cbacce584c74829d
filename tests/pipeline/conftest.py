"""One run of the whole pipeline, shared by the tests that look at what it left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Run, copy_project, runner


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """The project after one whole `lgc repro` of the smoke profile.

    Two stages are trained under Ray, the others in the process itself, which takes half as long; all of them
    under Ray are in `make test-services`. Where a stage runs is no reason to run it again.
    """
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    run(["lgc", "compose", "profile=smoke"])
    run(["lgc", "repro", "train_codec", "train_reference"])
    run(["lgc", "compose", "profile=smoke", "runtime.engine=local"])
    run(["lgc", "repro"])
    return root, run
