"""Cuts ``kuberay.json`` out of KubeRay's CRDs: what a RayCluster and a RayJob take, without descriptions.

    python tests/infra/schemas/make_kuberay.py VERSION .../kuberay/helm-chart/kuberay-operator/crds

Pod templates become references into ``kubernetes.json``, and objects with named properties take no others.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

KINDS = ("RayCluster", "RayJob")
POD = {"$ref": "#/definitions/io.k8s.api.core.v1.PodTemplateSpec"}


def strict(schema: Any) -> Any:
    """A CRD's schema as JSON schema that refuses unknown keys."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    named = schema.get("properties")
    if isinstance(named, dict) and "containers" in named.get("spec", {}).get("properties", {}):
        return POD
    kept = {
        key: {name: strict(inner) for name, inner in value.items()} if key == "properties" else strict(value)
        for key, value in schema.items()
        if key != "description" and not key.startswith("x-kubernetes-")
    }
    if isinstance(named, dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        kept.setdefault("additionalProperties", False)
    return kept


def main() -> None:
    """Write the file."""
    version, folder = sys.argv[1], Path(sys.argv[2])
    kinds = {}
    for kind in KINDS:
        path = folder / f"ray.io_{kind.lower()}s.yaml"
        versions = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]["versions"]
        (schema,) = [one["schema"]["openAPIV3Schema"] for one in versions if one["name"] == "v1"]
        kinds[kind] = strict(schema["properties"]["spec"])
    result = {
        "source": f"KubeRay {version}, helm-chart/kuberay-operator/crds",
        "licence": "Apache-2.0, Copyright The KubeRay Authors",
        "kinds": kinds,
    }
    target = Path(__file__).with_name("kuberay.json")
    target.write_text(json.dumps(result, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
