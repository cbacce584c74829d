"""Dockerfiles: hadolint's rules that matter here, in Python, and hadolint itself where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.project import program

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "infra" / "docker"
FILES = [DOCKER / "Dockerfile", DOCKER / "mlflow.Dockerfile"]
IDS = [path.name for path in FILES]
LOCKS = ("build", "torch-cuda", "train", "mlflow")
Instruction = tuple[str, str]


def instructions(path: Path) -> list[Instruction]:
    """(name, rest) of every instruction, continuation lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [
        (n.upper(), " ".join(rest.split()))
        for n, _, rest in (line.partition(" ") for line in joined.splitlines())
        if n
    ]


def pinned(constraint: str) -> str:
    text = (ROOT / "requirements/constraints.txt").read_text()
    return next(line for line in text.splitlines() if line.split("==")[0].lower() == constraint.lower())


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_the_base_is_pinned_and_overridable(path: Path) -> None:
    found = instructions(path)
    assert found[0][0] == "ARG"
    name, _, image = found[0][1].partition("=")
    tag = image.rpartition(":")[2]
    assert re.fullmatch(r"\d+\.\d+\.\d+-slim-\w+", tag)
    assert {rest.split()[0] for key, rest in found if key == "FROM"} == {f"${{{name}}}"}
    assert "sha256" not in path.read_text()  # digests are resolved, never written down


def test_both_images_stand_on_one_base() -> None:
    assert len({instructions(path)[0] for path in FILES}) == 1


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_it_runs_as_a_number_that_is_not_root(path: Path) -> None:
    found = instructions(path)
    users = [rest for key, rest in found if key == "USER"]
    assert users == ["1000:1000"]
    last = max(index for index, (key, _) in enumerate(found) if key in ("RUN", "COPY"))
    assert last < found.index(("USER", "1000:1000"))


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_layers_are_clean(path: Path) -> None:
    for key, rest in instructions(path):
        assert key not in ("ADD", "MAINTAINER", "VOLUME")
        assert "sudo" not in rest
        if "apt-get install" in rest:
            assert {"--no-install-recommends", "rm -rf /var/lib/apt/lists/*"} <= {
                part for part in ("--no-install-recommends", "rm -rf /var/lib/apt/lists/*") if part in rest
            }
            assert rest.startswith("apt-get update &&")
        if key in ("CMD", "ENTRYPOINT"):
            assert rest.startswith("[")
        if key == "WORKDIR":
            assert rest.startswith("/")
        if key in ("ENV", "ARG"):
            assert not re.search(r"PASSWORD|SECRET|TOKEN=|_KEY", rest)
    text = path.read_text()
    assert "PIP_NO_CACHE_DIR=1" in text


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_copies_exist_and_are_let_in(path: Path) -> None:
    ignored = path.with_name(f"{path.name}.dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    for key, rest in instructions(path):
        if key != "COPY" or "--from=" in rest:
            continue
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source
    assert not [entry for entry in allowed if entry.startswith((".git", "outputs", "runs", "infra/compose"))]


def test_everything_is_installed_by_hash_but_torch_for_cpus() -> None:
    arguments = dict(rest.split("=", 1) for key, rest in instructions(FILES[0]) if key == "ARG")
    assert f"torch=={arguments['TORCH']}" == pinned("torch")
    assert f"torchvision=={arguments['TORCHVISION']}" == pinned("torchvision")
    installs = [
        install
        for path in FILES
        for key, rest in instructions(path)
        if key == "RUN"
        for install in re.findall(r"pip install[^;&]*", rest)
    ]
    assert len(installs) == 6
    assert all("--no-deps" in install for install in installs)
    by_hash = [install for install in installs if "--require-hashes" in install]
    assert {name for install in by_hash for name in re.findall(r"([\w-]+)\.lock", install)} == set(LOCKS)
    others = [install for install in installs if install not in by_hash]
    assert [("$TORCH" in install, "-e ." in install) for install in others] == [(True, False), (False, True)]


def test_ray_is_the_same_everywhere() -> None:
    version = pinned("ray").split("==")[1]
    for path in (ROOT / "infra/k8s/cluster/raycluster.yaml", ROOT / "infra/k8s/job/rayjob.yaml"):
        (document,) = yaml.safe_load_all(path.read_text())
        assert document["spec"].get("rayClusterSpec", document["spec"])["rayVersion"] == version


def test_programs_that_rays_launcher_calls_in_the_container_are_there() -> None:
    """`ray exec --tmux` of infra/aws/submit.sh and `ray rsync-up` run inside, and the autoscaler's ssh."""
    assert {"openssh-client", "rsync", "tmux"} <= set(installing().split())


def installing() -> str:
    """The step that installs Debian's packages into the training image."""
    (found,) = [rest for key, rest in instructions(FILES[0]) if key == "RUN" and "apt-get install" in rest]
    return found


def test_a_login_shell_finds_what_is_installed(tmp_path: Path) -> None:
    """Ray's launcher has one for each command (`bash --login`), and Debian's /etc/profile sets PATH anew in it."""
    (command,) = [part for part in installing().split(" && ") if "/etc/profile.d/" in part]
    name = "/etc/profile.d/lgc.sh"
    assert command.endswith(f"> {name}")
    subprocess.run(["sh", "-c", command.replace(name, str(tmp_path / "lgc.sh"))], check=True)
    debian = 'PATH="/usr/local/bin:/usr/bin:/bin"; export PATH; . ./lgc.sh; sh -c \'echo "$PATH"\''
    done = subprocess.run(["sh", "-c", debian], cwd=tmp_path, capture_output=True, text=True, check=True)
    (image,) = [rest for key, rest in instructions(FILES[0]) if key == "ENV" and "NVIDIA" in rest]
    assert image.split()[0] == "PATH=/opt/venv/bin:$PATH"
    assert done.stdout == "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin\n"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_hadolint(path: Path) -> None:
    tool = program("hadolint")
    if tool is None:
        pytest.skip("hadolint is not installed")
    # DL3008: Debian removes old versions of packages, so that a pin breaks the build within weeks
    done = subprocess.run([tool, "--ignore", "DL3008", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def docker(tmp_path: Path) -> dict[str, str]:
    """An environment with a docker that notes what it is given."""
    fake = tmp_path / "bin" / "docker"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$*" >> "$LOG"\ncase "$*" in *imagetools*) printf "%s\\n" "$DIGEST";; esac\n')
    fake.chmod(0o755)
    digest = "sha256:" + "0123456789abcdef" * 4
    return {"PATH": f"{fake.parent}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), "DIGEST": digest}


def test_the_build_uses_the_digest_of_its_base(docker: dict[str, str]) -> None:
    done = subprocess.run([str(DOCKER / "build.sh"), "cpu", "mlflow"], env=docker, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    look, *builds = Path(docker["LOG"]).read_text().splitlines()
    assert "python:3.11" in look
    assert len(builds) == 2
    assert all(f"PYTHON_IMAGE=python@{docker['DIGEST']}" in line for line in builds)
    assert "VARIANT=cpu" in builds[0]
    assert "lgc:0.1.0-cpu" in builds[0].split()
    assert "lgc-mlflow:0.1.0" in builds[1].split()


@pytest.mark.parametrize("push", [True, False])
def test_an_image_is_pushed_with_its_provenance_or_kept_here(docker: dict[str, str], push: bool) -> None:
    """Docker's own store takes no attestations, and a builder in a container keeps nothing unless it is told."""
    words = ["--push", "cpu"] if push else ["cpu"]
    done = subprocess.run([str(DOCKER / "build.sh"), *words], env=docker, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    build = Path(docker["LOG"]).read_text().splitlines()[-1].split()
    assert ("--push" in build, "--load" in build) == (push, not push)
    assert ("--provenance=true" in build, "--sbom=true" in build) == (push, push)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What build.sh looks at, committed."""
    root = tmp_path / "project"
    shutil.copytree(DOCKER, root / "infra" / "docker")
    (root / "lgc").mkdir()
    (root / "lgc" / "a.py").write_text("1\n")
    (root / "pyproject.toml").write_text('version = "0.1.0"\n')
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "start")
    return root


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", *who, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tags(root: Path, docker: dict[str, str], *words: str) -> list[str]:
    """Of the last image that build.sh asks for; the first is the one that it names for Kubernetes."""
    done = subprocess.run(
        [str(root / "infra/docker/build.sh"), *words], env={**docker, "LGC_REGISTRY": "r.example.org/t"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.findall(r"--tag r\.example\.org/t/(\S+)", Path(docker["LOG"]).read_text().splitlines()[-1])
    name, command = done.stdout.splitlines()[-2:]
    assert name == f"image: r.example.org/t/{found[0]}"
    assert command.strip() == f"kustomize edit set image {found[0].split(':')[0]}=r.example.org/t/{found[0]}"
    return found


def test_a_tag_names_the_commit(docker: dict[str, str], project: Path) -> None:
    commit = git(project, "rev-parse", "--short", "HEAD")
    assert tags(project, docker, "--push", "cuda") == [f"lgc:0.1.0-cuda-{commit}"]
    assert tags(project, docker, "--push", "mlflow") == [f"lgc-mlflow:0.1.0-{commit}"]
    # kept here, it has the tag that compose.yaml and the overlay dev name too
    assert tags(project, docker, "cpu") == [f"lgc:0.1.0-cpu-{commit}", "lgc:0.1.0-cpu"]
    (project / "notes.md").write_text("in no image\n")
    assert tags(project, docker, "--push", "cuda") == [f"lgc:0.1.0-cuda-{commit}"]


def test_no_tag_is_used_again_for_something_else(docker: dict[str, str], project: Path) -> None:
    commit = git(project, "rev-parse", "--short", "HEAD")
    found = []
    for path, text in (("lgc/a.py", "2\n"), ("lgc/a.py", "3\n"), ("lgc/new.py", "4\n"), ("lgc/new.py", "5\n")):
        (project / path).write_text(text)
        found += tags(project, docker, "--push", "cpu")
        assert re.fullmatch(rf"lgc:0\.1\.0-cpu-{commit}-dirty-[0-9a-f]{{8}}", found[-1])
    assert tags(project, docker, "--push", "cpu") == found[-1:]
    assert len(set(found)) == 4
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "more")
    assert tags(project, docker, "--push", "cpu") == [f"lgc:0.1.0-cpu-{git(project, 'rev-parse', '--short', 'HEAD')}"]


def test_without_git_the_time_tells_images_apart(docker: dict[str, str], project: Path) -> None:
    shutil.rmtree(project / ".git")
    (tag,) = tags(project, {**docker, "GIT_CEILING_DIRECTORIES": str(project.parent)}, "--push", "cpu")
    assert re.fullmatch(r"lgc:0\.1\.0-cpu-\d{8}T\d{6}", tag)


@pytest.mark.parametrize("digest", ["", "latest", "sha256:12"])
def test_what_is_no_digest_is_refused(docker: dict[str, str], digest: str) -> None:
    done = subprocess.run(
        [str(DOCKER / "build.sh"), "cpu"], env={**docker, "DIGEST": digest}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: python:3.11")
    assert len(Path(docker["LOG"]).read_text().splitlines()) == 1
