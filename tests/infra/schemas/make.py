"""Cuts ``kubernetes.json`` out of the PyPI package kubernetes-validate: the kinds we deploy, without descriptions.

    pip install kubernetes-validate==1.37.0 && python tests/infra/schemas/make.py

The schemas in that package are Kubernetes' own, generated from its OpenAPI document (Apache-2.0).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate

VERSION = "1.34.0"
KINDS = (
    "configmap-v1 deployment-apps-v1 job-batch-v1 limitrange-v1 namespace-v1 networkpolicy-networking-v1 "
    "persistentvolumeclaim-v1 podtemplatespec-v1 resourcequota-v1 secret-v1 service-v1 serviceaccount-v1 "
    "statefulset-apps-v1 resourcerequirements-v1 envvar-v1"
)
DROPPED = {"description", "$schema", "$id", "x-kubernetes-group-version-kind", "x-kubernetes-list-type"}


def strip(value: Any) -> Any:
    """Without what validates nothing; a property that is called ``description`` stays."""
    if isinstance(value, list):
        return [strip(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if not (k in DROPPED and not isinstance(v, dict)) and k[:6] != "x-kube"}
    return {key: strip(inner) for key, inner in kept.items()}


def references(value: Any) -> set[str]:
    """Names of the definitions that a schema refers to."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"].rsplit("/", 1)[-1]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*map(references, value.values()))


def local(value: Any) -> Any:
    """With references into the one file."""
    if isinstance(value, list):
        return [local(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        return {"$ref": "#/definitions/" + value["$ref"].rsplit("/", 1)[-1]}
    return {key: local(inner) for key, inner in value.items()}


def main() -> None:
    """Write the file."""
    root = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{VERSION}-local-strict"
    definitions = json.loads((root / "_definitions.json").read_text())
    definitions = definitions["$defs"]
    kinds = {kind: json.loads((root / f"{kind}.json").read_text()) for kind in KINDS.split()}
    wanted, found = references(list(kinds.values())), {}
    while wanted - found.keys():
        for name in wanted - found.keys():
            found[name] = definitions[name]
        wanted |= references([definitions[name] for name in wanted])
    result = {
        "source": f"Kubernetes {VERSION} OpenAPI, as in kubernetes-validate {kubernetes_validate.__version__} (PyPI)",
        "licence": "Apache-2.0, Copyright The Kubernetes Authors",
        "kinds": {kind.rsplit("-", 1)[0].split("-")[0]: local(strip(schema)) for kind, schema in kinds.items()},
        "definitions": {name: local(strip(found[name])) for name in sorted(found)},
    }
    target = Path(__file__).with_name("kubernetes.json")
    target.write_text(json.dumps(result, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
