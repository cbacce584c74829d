"""Runs cases one after the other on one real cluster and accounts for each."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lgc.config.paths import METRICS
from lgc.errors import LgcError
from lgc.faults.cases import BATCH, INTERVAL, SAMPLES, STRIKE, Case
from lgc.faults.cluster import Cluster, real_cluster
from lgc.faults.inject import Fault, job_config
from lgc.faults.project import STAGE, Account, Project
from lgc.faults.proxy import FaultyProxy
from lgc.faults.scene import BUCKET, Scene, make_bucket, mlflow_server, s3_server
from lgc.training.evidence import BATCH as EVIDENCE_BATCH
from lgc.training.evidence import REPORT

_SETTINGS: Final = (
    "profile=smoke", "runtime.threads=1", "train_codec.settings.precision=float32",
    f"train_codec.settings.batch_size={BATCH}", f"train_codec.settings.samples={SAMPLES}",
    f"train_codec.settings.checkpoint_every={INTERVAL}", "train_codec.settings.validate_every=100000",
    "train_codec.settings.log_every=1",
)  # fmt: skip
_DISK_BYTES: Final = 96 << 20
EVIDENCE: Final = {EVIDENCE_BATCH, REPORT, "x_hat.png"}
TOLERANCE_DB: Final = 0.5
"""On the validation PSNR, where another number of workers makes other noise."""


@dataclass(frozen=True)
class Row:
    """What one case cost."""

    case: str
    lost: int
    """Samples trained twice."""
    standstill: float
    """Seconds without a new sample, restarts and detection included."""
    recorded: str
    """Steps in the tracking store, of all."""
    result: str
    problems: tuple[str, ...]
    """What was not as promised."""


class Bench:
    """A cluster, a data set and undisturbed runs to compare with, for as many cases as are asked for."""

    def __init__(self, checkout: Path, folder: Path, cluster: Cluster) -> None:
        """``folder`` keeps a project per case."""
        self._checkout, self._folder, self._cluster = checkout, folder, cluster
        self._undisturbed: dict[int, Project] = {}
        self._data = self._project("data", ())
        self._data.prepare()

    def undisturbed(self, workers: int) -> Project:
        """A finished run without faults; made when first asked for."""
        if workers not in self._undisturbed:
            project = self._project(f"undisturbed-{workers}", (f"runtime.workers={workers}",))
            project.use_data_of(self._data)
            if project.start().wait():
                raise LgcError(f"the undisturbed run failed: {project.last_line()} (see {project.log})")
            self._undisturbed[workers] = project
        return self._undisturbed[workers]

    def run(self, case: Case) -> Row:
        """Break what the case breaks, and look at what is left."""
        name = re.sub(r"\W+", "-", case.name.lower()).strip("-")
        with ExitStack() as stack:
            scene = self._scene(case, name, stack)
            project = scene.project
            problems: list[str] = []
            try:
                code = self._disturbed(case, scene)
                if case.again:
                    if not code:
                        problems.append("the stage did not fail")
                    if case.heal is not None:
                        case.heal(scene)
                    code = project.start().wait()
                elif case.heal is not None:
                    case.heal(scene)
            finally:
                if scene.stage is not None and scene.stage.poll() is None:
                    scene.stage.kill()
                    scene.stage.wait()
            if scene.s3 is not None and not scene.s3.strikes:  # a run that nothing hit would end as promised, too
                problems.append("the fault hit no request")
            if (code != 0) != (case.end == "refused"):
                problems.append(f"exit code {code}: {project.last_line()}")
            return self._account(case, project, problems)

    def _disturbed(self, case: Case, scene: Scene) -> int:
        """The stage's exit code after the fault."""
        variables = {}
        if case.inside is not None:
            marker = scene.project.paths.root / "marks"
            marker.mkdir()
            variables = job_config(Fault(case.inside, STRIKE, str(marker), rank=case.workers - 1))
        scene.stage = scene.project.start(variables)
        if case.strike is not None:
            scene.wait_for(f"sample {STRIKE}", lambda: any(step.sample >= STRIKE for step in scene.project.steps()))
            case.strike(scene)
        return scene.stage.wait()

    def _account(self, case: Case, project: Project, problems: list[str]) -> Row:
        account = Account.of(project.steps(), BATCH)
        if account.lost > INTERVAL and case.end != "refused":
            problems.append(f"more than {INTERVAL} samples lost")
        words = project.log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
        if case.says and not re.search(case.says, words, re.MULTILINE):
            problems.append(f"nothing said like {case.says!r}")
        if case.end in ("refused", "slower") and not project.artifacts() >= EVIDENCE:
            problems.append("no evidence with the run")
        recorded, result = str(len(project.recorded())), project.last_line()
        if (project.paths.stage(STAGE) / METRICS).exists():
            undisturbed = self.undisturbed(case.workers)
            recorded = self._recorded(case, account, project, undisturbed, problems)
            result = self._result(case, project, undisturbed, problems)
        return Row(case.name, account.lost, account.standstill, recorded, result, tuple(problems))

    def _recorded(
        self, case: Case, account: Account, project: Project, undisturbed: Project, problems: list[str]
    ) -> str:
        expected, points = undisturbed.recorded(), project.recorded()
        steps = [step for step, _ in points]
        if not case.recorded:
            kept = {step.sample for step in project.steps()}
            if kept != {step for step, _ in expected}:
                problems.append("steps are missing in the journal")
            return f"{len(steps)} (journal {len(kept)}) of {len(expected)}"
        once = [step for step, _ in expected]
        twice = account.lost // BATCH if case.end == "slower" else 0  # a rollback keeps the values of both attempts
        if sorted(set(steps)) != once or len(steps) != len(once) + twice:
            problems.append("steps are missing or twice in the store")
        if case.end == "bitwise" and points != expected:
            problems.append("recorded values differ from the undisturbed run's")
        return f"{len(steps)} of {len(expected)}"

    def _result(self, case: Case, project: Project, undisturbed: Project, problems: list[str]) -> str:
        distance = project.distance(undisturbed)
        apart = abs(project.measured()["val/psnr"] - undisturbed.measured()["val/psnr"])
        if case.end == "bitwise":
            if distance:
                problems.append("weights differ from the undisturbed run's")
            return "equal to the last bit" if not distance else f"weights up to {distance:.2g} apart"
        if case.end == "close":
            if apart > TOLERANCE_DB:
                problems.append(f"further than {TOLERANCE_DB} dB apart")
            return f"{apart:.2f} dB apart (tolerance {TOLERANCE_DB})"
        return f"finished at a lower learning rate, {apart:.2f} dB apart"

    def _scene(self, case: Case, name: str, stack: ExitStack) -> Scene:
        folder = self._folder / name
        folder.mkdir(parents=True)
        overrides = [f"runtime.workers={case.workers}", *case.overrides]
        s3 = mlflow = disk = None
        if "s3" in case.needs:
            server = s3_server(folder)
            server.start()
            stack.callback(server.kill)
            make_bucket(server.service.port)
            s3 = FaultyProxy(server.service.port)
            stack.callback(s3.close)
            overrides += ["storage=s3", f"storage.endpoint={s3.url}", f"runtime.storage=s3://{BUCKET}/runs"]
        if "mlflow" in case.needs:
            mlflow = mlflow_server(folder)
            mlflow.start()
            stack.callback(mlflow.kill)
            overrides += ["tracking=server", f"tracking.uri=http://127.0.0.1:{mlflow.service.port}"]
        if "disk" in case.needs:
            disk = stack.enter_context(small_disk(folder / "disk"))
            overrides.append(f"runtime.storage={disk}")
        project = self._project(name, overrides)
        project.use_data_of(self._data)
        return Scene(project, self._cluster, s3=s3, mlflow=mlflow, disk=disk)

    def _project(self, name: str, overrides: Sequence[str]) -> Project:
        return Project(self._checkout, self._folder / name, [*_SETTINGS, *overrides], self._cluster.variables)


@contextmanager
def open_bench(checkout: Path, keep: Path | None = None) -> Iterator[Bench]:
    """Start everything that cases share, and end it afterwards.

    Args:
        checkout: the project's root.
        keep: a new folder for what the cases leave; without one it is thrown away.
    """
    if not (checkout / "infra/local/cluster.sh").is_file():
        raise LgcError(f"{checkout}: not the root of a checkout of lgc; the cases run its stages")
    with tempfile.TemporaryDirectory(prefix="lgc-f-") as name, real_cluster(checkout, Path(name, "c")) as cluster:
        yield Bench(checkout, keep.resolve() if keep else Path(name), cluster)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, which needs root; :class:`LgcError` without."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise LgcError(f"a small disk needs the right to mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        for _ in range(50):  # Ray may still be closing files
            if not subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
                break
            time.sleep(0.2)


def run_cases(bench: Bench, cases: Sequence[Case]) -> Iterator[Row]:
    """Each case's row; one that cannot be run is a row with the reason."""
    for case in cases:
        try:
            yield bench.run(case)
        except LgcError as error:
            yield Row(case.name, 0, 0.0, "", "", (str(error),))
