"""Validates Kubernetes objects, KubeRay's included, so that an unknown key fails."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parent / "schemas"
_TEXT = {"type": "string"}


@cache
def kubernetes() -> dict[str, Any]:
    """The kinds that we deploy, from Kubernetes' own OpenAPI document."""
    return json.loads((SCHEMAS / "kubernetes.json").read_text())


@cache
def kuberay() -> dict[str, Any]:
    """Specifications of RayCluster and RayJob, from KubeRay's own CRDs; pods are checked as Kubernetes' own."""
    return json.loads((SCHEMAS / "kuberay.json").read_text())["kinds"]


def schema_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object's kind; KeyError for a kind that we do not know."""
    kind = manifest["kind"]
    if manifest["apiVersion"] != "ray.io/v1":
        return kubernetes()["kinds"][kind.lower()]
    metadata = {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    properties = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata, "spec": kuberay()[kind]}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def problems(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with an object, with the place."""
    schema = {**schema_of(manifest), "definitions": kubernetes()["definitions"]}
    found = Draft202012Validator(schema).iter_errors(manifest)
    return [f"{manifest['kind']} {'.'.join(map(str, error.path))}: {error.message[:200]}" for error in found]
