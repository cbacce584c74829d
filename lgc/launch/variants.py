"""Runs the variants stage: which variants the configuration asks for."""

from __future__ import annotations

import json

from lgc.atomic import replacing_file
from lgc.config.load import load
from lgc.config.paths import Paths
from lgc.config.variants import all_variants


def write_list() -> None:
    """Write ``configured.json`` of the project in the working directory."""
    found, paths = all_variants(load()), Paths.here()
    paths.variants.mkdir(parents=True, exist_ok=True)
    with replacing_file(paths.variants / "configured.json") as partial:
        partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"variants: {', '.join(found) or 'none configured'}")
