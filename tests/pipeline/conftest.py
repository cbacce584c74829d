"""One run of the whole pipeline, shared by the tests that look at what it left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import SMOKE, Run, copy_project, runner


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """The project after one whole `lgc repro` of the smoke profile.

    One stage is trained under Ray, the others in the process itself, which takes a third of the time; all of them
    under Ray are in `make test-services`. Where a stage runs is no reason to run it again.
    """
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    run(["lgc", "compose", *SMOKE])
    run(["lgc", "repro", "train_codec"])
    run(["lgc", "compose", *SMOKE, "runtime.engine=local"])
    run(["lgc", "repro"])
    return root, run
