"""Validates Kubernetes objects, KubeRay's included, so that an unknown key fails."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parent / "schemas"
CRDS = os.environ.get("LGC_KUBERAY_CRDS")
"""Folder with KubeRay's own CRD files (``ray.io_rayclusters.yaml``, ...), to check against them too."""
_TEXT, _FLAG, _COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}


@cache
def kubernetes() -> dict[str, Any]:
    """The kinds that we deploy, from Kubernetes' own OpenAPI document."""
    return json.loads((SCHEMAS / "kubernetes.json").read_text())


def _closed(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _part(name: str) -> dict[str, Any]:
    return kubernetes()["kinds"][name]


@cache
def ray_cluster_spec() -> dict[str, Any]:
    """What a RayCluster of KubeRay 1.7 takes, as far as we use it; pods are checked as Kubernetes' own."""
    pod, resources = _part("podtemplatespec"), _part("resourcerequirements")
    pod_security = {"$ref": "#/definitions/io.k8s.api.core.v1.SecurityContext"}
    autoscaler = _closed(
        "",
        idleTimeoutSeconds=_COUNT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        resources=resources,
        securityContext=pod_security,
    )
    head = _closed("rayStartParams template", serviceType=_TEXT, rayStartParams=_TEXTS, template=pod)
    worker = _closed(
        "groupName minReplicas maxReplicas template",
        groupName=_TEXT,
        replicas=_COUNT,
        minReplicas=_COUNT,
        maxReplicas=_COUNT,
        rayStartParams=_TEXTS,
        template=pod,
    )
    return _closed(
        "rayVersion authOptions headGroupSpec workerGroupSpecs",
        rayVersion=_TEXT,
        authOptions=_closed("mode", mode={"enum": ["token"]}, secretName=_TEXT),
        enableInTreeAutoscaling=_FLAG,
        autoscalerOptions=autoscaler,
        headGroupSpec=head,
        workerGroupSpecs={"type": "array", "items": worker},
    )


@cache
def ray_job_spec() -> dict[str, Any]:
    """What a RayJob of KubeRay 1.7 takes, as far as we use it."""
    return _closed(
        "entrypoint rayClusterSpec shutdownAfterJobFinishes activeDeadlineSeconds",
        entrypoint=_TEXT,
        entrypointNumCpus={"type": "number"},
        entrypointNumGpus={"type": "number"},
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        shutdownAfterJobFinishes=_FLAG,
        ttlSecondsAfterFinished=_COUNT,
        backoffLimit=_COUNT,
        activeDeadlineSeconds=_COUNT,
        rayClusterSpec=ray_cluster_spec(),
    )


def schema_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object's kind; KeyError for a kind that we do not know."""
    kind = manifest["kind"]
    if manifest["apiVersion"] == "ray.io/v1":
        spec = {"RayCluster": ray_cluster_spec, "RayJob": ray_job_spec}[kind]()
        metadata = {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
        return _closed("apiVersion kind metadata spec", apiVersion=_TEXT, kind=_TEXT, metadata=metadata, spec=spec)
    return _part(kind.lower())


def problems(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with an object, with the place."""
    schema = {**schema_of(manifest), "definitions": kubernetes()["definitions"]}
    found = Draft202012Validator(schema).iter_errors(manifest)
    lines = [f"{manifest['kind']} {'.'.join(map(str, error.path))}: {error.message[:200]}" for error in found]
    if CRDS and manifest["apiVersion"] == "ray.io/v1":
        lines += _crd_problems(manifest)
    return lines


def _crd_problems(manifest: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator(_crd(manifest["kind"]))
    return [
        f"CRD {'.'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(manifest)
    ]


@cache
def _crd(kind: str) -> dict[str, Any]:
    path = Path(str(CRDS)) / f"ray.io_{kind.lower()}s.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    versions = yaml.load(path.read_text(), loader)["spec"]["versions"]
    (schema,) = [version["schema"]["openAPIV3Schema"] for version in versions if version["name"] == "v1"]
    closed = _close(schema)
    closed["properties"]["metadata"] = {"type": "object"}
    return closed


def _close(schema: Any) -> Any:
    """Objects with named properties take no others; Kubernetes' integer-or-string is spelled out."""
    if isinstance(schema, list):
        return [_close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {
        key: {name: _close(inner) for name, inner in value.items()} if key == "properties" else _close(value)
        for key, value in schema.items()
    }
    if isinstance(closed.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        closed.setdefault("additionalProperties", False)
    return closed
