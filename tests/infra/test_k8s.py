"""Manifests for Kubernetes: every file and every rendered overlay, strictly, and what security asks of them."""

from __future__ import annotations

import base64
import configparser
import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lgc.config.paths import TRAIN_STAGES
from tests.infra.strict import problems

ROOT = Path(__file__).parents[2]
K8S = ROOT / "infra" / "k8s"
OVERLAYS = [f"{name}/{part}" for name in ("dev", "gpu", "spot") for part in ("services", "cluster", "stages")]
STAGES = ("prepare", *TRAIN_STAGES, "evaluate")
Manifest = dict[str, Any]


def documents(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


PLAIN = [
    pytest.param(document, id=f"{path.parent.name}/{document['kind']}-{document['metadata']['name']}")
    for path in sorted(K8S.rglob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in documents(path.read_text())
]


@cache
def render(overlay: str) -> str:
    """The overlay as kustomize builds it."""
    tool = shutil.which("kustomize")
    command = [tool, "build"] if tool else ["kubectl", "kustomize"] if shutil.which("kubectl") else None
    if command is None:
        pytest.skip("neither kustomize nor kubectl is here to build overlays")
    done = subprocess.run([*command, str(K8S / "overlays" / overlay)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(overlay: str) -> list[Manifest]:
    return documents(render(overlay))


def pods(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """(name, pod specification) of everything in an object that makes pods."""
    spec = manifest.get("spec", {})
    cluster = spec.get("rayClusterSpec", spec)
    if "headGroupSpec" in cluster:
        yield "head", cluster["headGroupSpec"]["template"]["spec"]
        for group in cluster["workerGroupSpecs"]:
            yield group["groupName"], group["template"]["spec"]
    elif "template" in spec:
        yield manifest["metadata"]["name"], spec["template"]["spec"]


def all_pods() -> list[Any]:
    return [
        pytest.param(pod, id=f"{document['kind']}-{document['metadata']['name']}-{name}")
        for parameter in PLAIN
        for document in parameter.values
        for name, pod in pods(document)
    ]


@pytest.mark.parametrize("manifest", PLAIN)
def test_every_file_is_valid(manifest: Manifest) -> None:
    assert problems(manifest) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_valid(overlay: str) -> None:
    found = built(overlay)
    assert found
    assert [line for manifest in found for line in problems(manifest)] == []
    assert {manifest["metadata"].get("namespace", "lgc") for manifest in found} == {"lgc"}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("", "specs"),
        ("spec", "rayVersions"),
        ("spec.authOptions", "modes"),
        ("spec.headGroupSpec", "replicas"),
        ("spec.headGroupSpec.template.spec", "container"),
        ("spec.headGroupSpec.template.spec.containers.0", "envForm"),
        ("spec.workerGroupSpecs.0", "maxReplica"),
        ("spec.workerGroupSpecs.0.template.spec.containers.0.resources", "limit"),
    ],
)
def test_an_unknown_key_fails(path: str, key: str) -> None:
    manifest = copy.deepcopy(documents((K8S / "cluster/raycluster.yaml").read_text())[0])
    place: Any = manifest
    for part in path.split(".") if path else []:
        place = place[int(part)] if part.isdigit() else place[part]
    place[key] = "x"
    assert any(key in line for line in problems(manifest))


def test_a_wrong_type_fails() -> None:
    manifest = documents((K8S / "cluster/raycluster.yaml").read_text())[0]
    manifest["spec"]["workerGroupSpecs"][0]["maxReplicas"] = "many"
    assert problems(manifest)


def test_the_job_and_the_cluster_are_the_same_specification() -> None:
    cluster = documents((K8S / "cluster/raycluster.yaml").read_text())[0]
    job = documents((K8S / "job/rayjob.yaml").read_text())[0]
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]


@pytest.mark.parametrize("name", ["dev", "gpu", "spot"])
def test_each_stage_has_its_job(name: str) -> None:
    jobs = {job["metadata"]["labels"]["lgc/stage"]: job for job in built(f"{name}/stages")}
    assert set(jobs) == set(STAGES)
    for stage, job in jobs.items():
        script = f"pipelines/{stage}.py" if stage in ("prepare", "evaluate") else f"pipelines/train.py {stage}"
        assert job["spec"]["entrypoint"].endswith(f"python {script}")
        assert (ROOT / script.split()[0]).is_file()
        assert job["metadata"]["name"] == f"lgc-{stage.replace('_', '-')}"
        assert job["spec"]["shutdownAfterJobFinishes"] is True
        assert job["spec"]["submissionMode"] == "SidecarMode"


@pytest.mark.parametrize("name", ["dev", "gpu", "spot"])
def test_every_ray_wants_its_token(name: str) -> None:
    found = [
        m["spec"] for part in ("cluster", "stages") for m in built(f"{name}/{part}") if "ray.io" in m["apiVersion"]
    ]
    assert len(found) == 1 + len(STAGES)
    for spec in found:
        assert spec.get("rayClusterSpec", spec)["authOptions"]["mode"] == "token"


def groups(overlay: str) -> dict[str, Manifest]:
    (cluster,) = built(overlay)
    return {group["groupName"]: group for group in cluster["spec"]["workerGroupSpecs"]}


def test_overlays_differ_in_what_they_promise() -> None:
    dev, gpu, spot = (groups(f"{name}/cluster") for name in ("dev", "gpu", "spot"))
    assert set(dev) == {"cpu"}
    limits = gpu["gpu"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    assert gpu["gpu"]["minReplicas"] == 0
    assert "affinity" not in gpu["gpu"]["template"]["spec"]
    terms = spot["gpu"]["template"]["spec"]["affinity"]["nodeAffinity"]
    assert "spot" in json.dumps(terms)
    assert len(spot["gpu"]["template"]["spec"]["tolerations"]) > len(gpu["gpu"]["template"]["spec"]["tolerations"])
    kinds = {manifest["metadata"]["name"] for manifest in built("dev/services")}
    assert {"lgc-postgres", "lgc-s3", "lgc-bucket"} <= kinds
    assert not {"lgc-postgres", "lgc-s3"} & {manifest["metadata"]["name"] for manifest in built("gpu/services")}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_have_tags_and_never_latest(overlay: str) -> None:
    for manifest in built(overlay):
        for _, pod in pods(manifest):
            for container in pod["containers"]:
                tag = container["image"].rpartition(":")[2]
                assert ":" in container["image"]
                assert tag not in ("", "latest")


@pytest.mark.parametrize("pod", all_pods())
def test_pods_run_with_few_rights_and_limits(pod: Manifest) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.get("hostNetwork")
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][kind])
    assert not [volume for volume in pod.get("volumes", []) if "hostPath" in volume]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_is_in_the_manifests(overlay: str) -> None:
    found = built(overlay)
    assert not [manifest for manifest in found if manifest["kind"] == "Secret"]
    for manifest in found:
        for _, pod in pods(manifest):
            for container in pod["containers"]:
                for variable in container.get("env", []):
                    if "PASSWORD" in variable["name"] or "SECRET" in variable["name"]:
                        assert variable["value"].startswith("/run/secrets/")


@pytest.mark.parametrize("name", ["dev", "gpu", "spot"])
def test_everything_that_is_named_exists(name: str) -> None:
    """Config maps, secrets, claims and accounts that pods name are made by an overlay, by secrets.sh or run.sh."""
    every = [manifest for part in ("services", "cluster", "stages") for manifest in built(f"{name}/{part}")]
    made = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in every} | {("ConfigMap", "lgc-params")}
    inside = ["--dev"] if name == "dev" else []  # the others have a database and a store of yours
    yours = {"LGC_POSTGRES_URI": "postgresql://db", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    printed = subprocess.run(
        [str(K8S / "secrets.sh"), *inside, "--dry-run"],
        env={**os.environ, **yours}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    made |= {("Secret", line.split(":")[0]) for line in printed.splitlines()}
    for manifest in every:
        for _, pod in pods(manifest):
            wanted = {("ServiceAccount", pod["serviceAccountName"])} if "serviceAccountName" in pod else set()
            for volume in pod.get("volumes", []):
                wanted |= {("Secret", volume["secret"]["secretName"])} if "secret" in volume else set()
                wanted |= {("ConfigMap", volume["configMap"]["name"])} if "configMap" in volume else set()
                claim = volume.get("persistentVolumeClaim")
                wanted |= {("PersistentVolumeClaim", claim["claimName"])} if claim else set()
            for container in pod["containers"]:
                for source in container.get("envFrom", []):
                    wanted |= {("ConfigMap", source["configMapRef"]["name"])} if "configMapRef" in source else set()
                    wanted |= {("Secret", source["secretRef"]["name"])} if "secretRef" in source else set()
            assert wanted <= made


@pytest.mark.parametrize("name", ["dev", "gpu", "spot"])
def test_every_pod_that_can_do_without_keys_has_an_account_for_a_role(name: str) -> None:
    """Accounts of ours, made before any pod: KubeRay makes none that a head names."""
    services = built(f"{name}/services")
    accounts = {m["metadata"]["name"]: m for m in services if m["kind"] == "ServiceAccount"}
    found = {}
    for manifest in (*services, *built(f"{name}/cluster"), *built(f"{name}/stages")):
        for where, pod in pods(manifest):
            sources = [source for container in pod["containers"] for source in container.get("envFrom", [])]
            if {"secretRef": {"name": "lgc-s3", "optional": True}} in sources:
                found[where] = pod["serviceAccountName"]
                mounted = [one.get("automountServiceAccountToken") for one in (pod, accounts[found[where]])]
                # the autoscaler in the head's pod asks for pods
                assert mounted == ([None, None] if where == "head" else [False, False])
    gpu = {} if name == "dev" else {"gpu": "lgc-worker"}
    assert found == {"head": "lgc-head", "cpu": "lgc-worker", "lgc-mlflow": "lgc-mlflow", **gpu}


def test_the_network_is_closed_but_for_what_is_listed() -> None:
    policies = {
        manifest["metadata"]["name"]: manifest["spec"]
        for manifest in built("gpu/services")
        if manifest["kind"] == "NetworkPolicy"
    }
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for spec in policies.values():
        assert all(rule.get("from") for rule in spec.get("ingress", []))
    operator = policies["ray"]["ingress"][1]
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]
    services = [m for o in OVERLAYS for m in built(o) if m["kind"] == "Service"]
    assert {m["spec"].get("type", "ClusterIP") for m in services} == {"ClusterIP"}


KUBECTL = r"""#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  *" get secret "*jsonpath*) cd "$SECRETS" || exit 1
    key=${8#*data.}
    [ ! -f "$5" ] || sed -n "s/^  ${key%\}}: //p" "$5" ;;
  *" get secret "*) [ -f "$SECRETS/$5" ] ;;
  *" get rayjob -o "*) for job in ${LIVE:-}; do echo "$job Running"; done ;;
  *" get configmap lgc-params "*) cat "${GIVEN:-params.yaml}" ;;
  *" get rayjob/"*)
    name=${4#rayjob/}
    failed=$(cat "$LOG.failed" 2>/dev/null || echo 0)
    if [ "$failed" -lt "${AWAY:-0}" ]; then
      echo $((failed + 1)) > "$LOG.failed"
      echo "Unable to connect to the server" >&2
      exit 1
    fi
    if [ -f "$LOG.$name" ]; then echo "$name $STATE"; exit; fi  # applied, or watched before
    case " ${LIVE:-} " in *" $name "*) touch "$LOG.$name"; echo "$name Running RUNNING"; exit ;; esac
    case " ${DONE:-} " in *" $name "*) echo "$name Complete SUCCEEDED" ;; esac ;;
  *" delete rayjob/"*) rm -f "$LOG.${4#rayjob/}" ;;
  *"apply -k"*)
    name=lgc-$(echo "${5#*=}" | tr _ -)
    [ -n "${LOST:-}" ] || touch "$LOG.$name" ;;
  *"create -f -"*) text=$(cat)
    name=${text#*name: }
    name=${name%%,*}
    [ "$name" != "${REFUSED:-}" ] || exit 1
    echo "$text" | tee "$SECRETS/$name" >> "$LOG" ;;
  *"apply -f -"*) cat > /dev/null ;;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script with a kubectl that notes what it is given, and keeps secrets but for the one in REFUSED."""
    fake = tmp_path / "bin" / "kubectl"
    fake.parent.mkdir()
    fake.write_text(KUBECTL)
    fake.chmod(0o755)
    (tmp_path / "secrets").mkdir()
    environment = {
        "PATH": f"{fake.parent}:{os.environ['PATH']}",
        "LOG": str(tmp_path / "log"),
        "SECRETS": str(tmp_path / "secrets"),
        "PYTHON": sys.executable,
        "LGC_POLL_SECONDS": "0",
    }

    def run(script: str, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(K8S / script), *words], cwd=tmp_path, env={**environment, **extra},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_secrets_are_random_each_time_and_not_printed(kubectl: Callable, tmp_path: Path) -> None:
    assert kubectl("secrets.sh", "--dev").returncode == 0
    first = [d["data"] for d in documents(_manifests(tmp_path / "log"))]
    (tmp_path / "log").unlink()
    shutil.rmtree(tmp_path / "secrets")
    (tmp_path / "secrets").mkdir()
    done = kubectl("secrets.sh", "--dev")
    second = [d["data"] for d in documents(_manifests(tmp_path / "log"))]
    assert len(first) == len(second) == 6
    assert all(one != other for one, other in zip(first, second, strict=True))
    values = [value for data in second for value in data.values() if len(value) > 20]
    assert not [value for value in values if value in done.stdout + done.stderr]


def _manifests(log: Path) -> str:
    lines = log.read_text().splitlines()
    text = ["---" if line.startswith("create -f") else line for line in lines if not line.startswith("-n lgc get")]
    return "\n".join(text)


def _kept(folder: Path) -> dict[str, dict[str, str]]:
    """Name of each secret that was made -> what it holds."""
    return {
        path.name: {key: base64.b64decode(value).decode() for key, value in manifest["data"].items()}
        for path in folder.iterdir()
        for manifest in documents(path.read_text())
    }


def _auth(text: str) -> configparser.SectionProxy:
    """As MLflow reads auth.ini, with interpolation."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser["mlflow"]


def _belong_together(made: dict[str, dict[str, str]]) -> None:
    postgres, keys = made["lgc-postgres"]["password"], made["lgc-s3"]
    auth, uri = _auth(made["lgc-mlflow-auth"]["auth.ini"]), made["lgc-mlflow-server"]["MLFLOW_BACKEND_STORE_URI"]
    assert auth["admin_password"] == made["lgc-tracking"]["MLFLOW_TRACKING_PASSWORD"]
    assert auth["database_uri"] == uri == f"postgresql+psycopg2://mlflow:{postgres}@lgc-postgres:5432/mlflow"
    (credentials,) = json.loads(made["lgc-s3-server"]["config.json"])["identities"][0]["credentials"]
    assert credentials == {"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]}
    assert len({postgres, auth["admin_password"], *credentials.values()}) == 4


SECRETS = ("lgc-postgres", "lgc-s3-server", "lgc-s3", "lgc-tracking", "lgc-mlflow-server", "lgc-mlflow-auth")


@pytest.mark.parametrize("refused", SECRETS)
def test_a_second_run_completes_what_a_refused_secret_left(kubectl: Callable, tmp_path: Path, refused: str) -> None:
    assert kubectl("secrets.sh", "--dev", REFUSED=refused).returncode == 1
    first = _kept(tmp_path / "secrets")
    assert refused not in first
    done = kubectl("secrets.sh", "--dev")
    assert done.returncode == 0, done.stderr
    second = _kept(tmp_path / "secrets")
    assert set(second) == set(SECRETS)
    assert {name: second[name] for name in first} == first
    _belong_together(second)


@pytest.mark.parametrize("removed", SECRETS)
def test_a_secret_that_was_removed_comes_back_as_the_others_need_it(
    kubectl: Callable, tmp_path: Path, removed: str
) -> None:
    assert kubectl("secrets.sh", "--dev").returncode == 0
    (tmp_path / "secrets" / removed).unlink()
    assert kubectl("secrets.sh", "--dev").returncode == 0
    _belong_together(_kept(tmp_path / "secrets"))


def test_a_cluster_that_does_not_answer_gets_no_secrets(kubectl: Callable, tmp_path: Path) -> None:
    done = kubectl("secrets.sh", "--dev", SECRETS=str(tmp_path / "nowhere"))
    assert done.returncode != 0
    assert "create" not in (tmp_path / "log").read_text()


def test_a_password_with_percent_signs_reaches_mlflow(kubectl: Callable, tmp_path: Path) -> None:
    uri = "postgresql+psycopg2://u:a%40b%25c@db:5432/mlflow"
    assert kubectl("secrets.sh", LGC_POSTGRES_URI=uri).returncode == 0
    made = _kept(tmp_path / "secrets")
    assert made["lgc-mlflow-server"]["MLFLOW_BACKEND_STORE_URI"] == uri
    assert _auth(made["lgc-mlflow-auth"]["auth.ini"])["database_uri"] == uri


def test_secrets_without_a_database_say_what_to_set(kubectl: Callable) -> None:
    done = kubectl("secrets.sh", LGC_POSTGRES_URI="")
    assert (done.returncode, done.stderr) == (
        1,
        "error: set LGC_POSTGRES_URI to the database of MLflow, or pass --dev\n",
    )


def test_run_applies_one_stage_after_another(kubectl: Callable, tmp_path: Path, composed: Callable) -> None:
    (tmp_path / "params.yaml").write_text(composed())
    done = kubectl("run.sh", "gpu", "prepare", "train_codec", STATE="Complete SUCCEEDED")
    assert done.returncode == 0, done.stderr
    applied = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("apply -k")]
    assert [line.split("-l ")[1] for line in applied] == ["lgc/stage=prepare", "lgc/stage=train_codec"]


UNCHECKED = {"PYTHON": "true"}
"""params.yaml is taken as it is: looking into it takes seconds, and has tests of its own."""


def changes(log: Path) -> list[str]:
    """What kubectl was told to make or remove."""
    lines = [line.removeprefix("-n lgc ") for line in log.read_text().splitlines()]
    return [line for line in lines if line.startswith(("apply -k", "apply -f", "delete"))]


def test_run_asks_again_while_the_cluster_does_not_answer(
    kubectl: Callable, tmp_path: Path, composed: Callable
) -> None:
    (tmp_path / "params.yaml").write_text(composed())
    done = kubectl("run.sh", "gpu", "prepare", **UNCHECKED, STATE="Complete SUCCEEDED", AWAY="3")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Unable to connect") == 3


def test_run_gives_up_in_one_line(kubectl: Callable, tmp_path: Path, composed: Callable) -> None:
    (tmp_path / "params.yaml").write_text(composed())
    done = kubectl(
        "run.sh", "gpu", "prepare", **UNCHECKED, STATE="Running RUNNING", AWAY="1000000", LGC_POLL_PATIENCE="1"
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: kubectl has failed for 1 s; what runs goes on, run ")
    assert done.stderr.count("error: ") == 1


def test_run_again_watches_what_is_under_way(kubectl: Callable, tmp_path: Path, composed: Callable) -> None:
    (tmp_path / "params.yaml").write_text(composed())
    done = kubectl(
        "run.sh", "gpu", "prepare", "train_codec", "train_reference",
        **UNCHECKED, STATE="Complete SUCCEEDED", LIVE="lgc-train-codec", DONE="lgc-prepare",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "prepare: left out, train_codec is under way",
        "train_codec: Complete SUCCEEDED",
        "train_reference: Complete SUCCEEDED",
    ]
    made = changes(tmp_path / "log")
    assert [line.split(" -l ")[-1] for line in made if "apply -k" in line] == ["lgc/stage=train_reference"]
    assert not [line for line in made if "train-codec" in line or "prepare" in line or "-f -" in line]


def test_run_again_runs_what_has_ended(kubectl: Callable, tmp_path: Path, composed: Callable) -> None:
    """With what it succeeded is not known here; a training that is the same sees that itself."""
    (tmp_path / "params.yaml").write_text(composed())
    done = kubectl("run.sh", "gpu", "prepare", **UNCHECKED, STATE="Complete SUCCEEDED", DONE="lgc-prepare")
    assert done.returncode == 0, done.stderr
    made = changes(tmp_path / "log")
    assert [line.split()[0] for line in made] == ["apply", "delete", "apply"]


def test_run_does_not_change_the_settings_of_what_is_under_way(
    kubectl: Callable, tmp_path: Path, composed: Callable
) -> None:
    (tmp_path / "params.yaml").write_text(composed())
    (tmp_path / "given.yaml").write_text(composed("train_codec.settings.seed=1"))
    done = kubectl(
        "run.sh", "gpu", **UNCHECKED, STATE="Complete SUCCEEDED", LIVE="lgc-train-codec", GIVEN="given.yaml"
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: under way with another params.yaml: train_codec; wait, or kubectl -n lgc delete rayjob "
        "lgc-train-codec\n",
    )
    assert changes(tmp_path / "log") == []


def test_run_says_when_its_job_was_removed(kubectl: Callable, tmp_path: Path, composed: Callable) -> None:
    (tmp_path / "params.yaml").write_text(composed())
    done = kubectl("run.sh", "gpu", "prepare", **UNCHECKED, STATE="Running RUNNING", LOST="1")
    assert (done.returncode, done.stderr) == (1, "error: prepare: somebody removed rayjob/lgc-prepare\n")


@pytest.mark.parametrize(
    ("words", "state", "says"),
    [
        (("gpu", "prepare"), "ValidationFailed", "error: prepare ended as ValidationFailed"),
        (("gpu", "prepare"), "Failed FAILED", "error: prepare ended as Failed FAILED"),
        (("gpu", "prepare"), "Complete STOPPED", "error: prepare ended as Complete STOPPED"),
        (("gpu", "nonsense"), "", "error: no stage nonsense"),
        (("nonsense",), "", "usage: "),
        ((), "", "usage: "),
    ],
)
def test_run_says_what_went_wrong(
    kubectl: Callable, tmp_path: Path, composed: Callable, words: tuple[str, ...], state: str, says: str
) -> None:
    (tmp_path / "params.yaml").write_text(composed())
    done = kubectl("run.sh", *words, **UNCHECKED, STATE=state)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(says)


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("experiment=paper", "rates and evaluate.leave_out and train_baseline.networks"),
        ("evaluate.leave_out=[parsing]", "evaluate.leave_out"),
    ],
)
def test_run_refuses_variants_before_anything_is_applied(
    kubectl: Callable, tmp_path: Path, composed: Callable, override: str, names: str
) -> None:
    (tmp_path / "params.yaml").write_text(composed(override))
    done = kubectl("run.sh", "gpu", STATE="Complete SUCCEEDED")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: params.yaml: {names} must be empty here, this script trains no variants; "
        "`lgc repro` with runtime.address, or on Slurm, trains them\n"
    )
    assert not (tmp_path / "log").exists()


def test_run_says_in_one_line_what_it_cannot_read(kubectl: Callable, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    done = kubectl("run.sh", "gpu", STATE="Complete SUCCEEDED")
    assert done.stderr.startswith("error: configuration: unknown key a")
    (tmp_path / "bin/bare").write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    (tmp_path / "bin/bare").chmod(0o755)
    bare = kubectl("run.sh", "gpu", STATE="Complete SUCCEEDED", PYTHON="bare")
    assert bare.stderr.endswith("cannot import lgc (No module named 'lgc'); activate its environment or set PYTHON\n")
    for failed in (done, bare):
        assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "log").exists()


FETCH = r"""#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  *"get raycluster lgc"*) printf '%s' "${RUNS:-}" ;;
  *"get pod"*) printf '%s' "${POD-pod/lgc-head-x}" ;;
  *" exec "*) shift 12; cd "$VOLUME" && tar -cf - "$@" | head -c "${CUT:-100000000}"; [ -z "${CUT:-}" ] ;;
esac
"""


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs fetch.sh in ``home``, with a kubectl whose pod sees ``volume``."""
    fake, home, volume = tmp_path / "bin" / "kubectl", tmp_path / "home", tmp_path / "volume"
    for folder in (fake.parent, home, volume / "outputs/evaluate", volume / "outputs/finetune_joint"):
        folder.mkdir(parents=True)
    fake.write_text(FETCH)
    fake.chmod(0o755)
    (volume / "outputs/evaluate/metrics.json").write_text("{}")
    (volume / "outputs/finetune_joint/model.safetensors").write_text("m")
    environment = {
        "PATH": f"{fake.parent}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), "VOLUME": str(volume),
        "LGC_POLL_SECONDS": "0", "LGC_POLL_TRIES": "2",
    }  # fmt: skip

    def run(*words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(K8S / "fetch.sh"), *words], cwd=home, env={**environment, **extra},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("runs", ["", "raycluster.ray.io/lgc"])
def test_results_come_from_the_volume_and_leave_the_cluster_as_it_was(
    fetch: Callable, tmp_path: Path, runs: str
) -> None:
    done = fetch("dev", RUNS=runs)
    assert (done.returncode, done.stdout.splitlines()) == (
        0, ["outputs/evaluate written", "outputs/finetune_joint written"],
    ), done.stderr  # fmt: skip
    assert (tmp_path / "home/outputs/evaluate/metrics.json").read_text() == "{}"
    assert (tmp_path / "home/outputs/finetune_joint/model.safetensors").read_text() == "m"
    log = (tmp_path / "log").read_text()
    assert f"apply -k {K8S}/overlays/dev/cluster" in log or runs
    assert ("apply" in log, "delete raycluster lgc" in log) == (not runs, not runs)


def test_what_came_only_in_part_is_no_result(fetch: Callable, tmp_path: Path) -> None:
    (tmp_path / "volume/outputs/evaluate/big").write_bytes(os.urandom(100_000))
    assert fetch("dev", CUT="50000").returncode != 0
    assert list((tmp_path / "home/outputs").iterdir()) == []
    assert (tmp_path / "log").read_text().splitlines()[-1] == "-n lgc delete raycluster lgc --wait=false"
    done = fetch("dev")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "home/outputs").iterdir()) == ["evaluate", "finetune_joint"]


def test_results_are_not_written_over_others(fetch: Callable, tmp_path: Path) -> None:
    (tmp_path / "home/outputs/finetune_joint").mkdir(parents=True)
    done = fetch("dev")
    assert (done.returncode, done.stderr) == (
        1, "error: outputs/finetune_joint is here already; go to another folder, or move it away\n",
    )  # fmt: skip
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("words", "extra", "says"),
    [
        ((), {}, "usage: "),
        (("nonsense",), {}, "usage: "),
        (("dev", "nonsense"), {}, "error: no stage nonsense"),
        (("dev",), {"POD": ""}, "error: no head came"),
    ],
)
def test_fetch_says_what_went_wrong(
    fetch: Callable, words: tuple[str, ...], extra: dict[str, str], says: str
) -> None:
    done = fetch(*words, **extra)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(says)
