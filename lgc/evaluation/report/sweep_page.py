"""The page of a sweep: everything in one file, like the report's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any

from lgc.evaluation.report.page import _asset, _card


def make_sweep_page(content: Mapping[str, Any]) -> str:
    """``front.json`` of a sweep -> HTML with a plot to explore and a table of all trials."""
    trials = content["trials"]
    parts = {
        "style": _asset("style.css"),
        "script": _own("page.js"),
        "data": json.dumps(content, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
        "title": escape(f"lgc sweep {content['sweep']}"),
        "name": escape(content["sweep"]),
        "subtitle": escape(f"{len(trials)} short trainings, {content['mode']}, {content['sampler']}"),
        "cards": "".join(_cards(content)),
    }
    # in one pass: what is put in may itself look like a place
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _own("page.html"))


def _own(name: str) -> str:
    return resources.files(__package__).joinpath("sweep", name).read_text(encoding="utf-8")


def _cards(content: Mapping[str, Any]) -> list[str]:
    states = [trial["state"] for trial in content["trials"]]
    others = ", ".join(f"{states.count(state)} {state}" for state in ("stopped", "failed") if state in states)
    cards = [
        _card(str(states.count("finished")), "trials finished", others or "none failed"),
        _card(str(len(content["front"])), "on the Pareto front", ", ".join(content["front"])),
        _card(
            f"{content['hypervolume']:.4f}",
            "hypervolume",
            "share of the box between the best and the worst corner that the front dominates",
        ),
    ]
    if content["present"] is not None:
        better = content["better_than_present"]
        detail = ", ".join(better) or "none gains in two objectives and loses less than 2 % in the third"
        cards.append(_card(str(len(better)), "better than params.yaml as it was", detail))
    if content["mode"] == "target_rate" and content["best_score"] is not None:
        cards.append(
            _card(content["best_score"], "trial of the best score", "distance, rate above the target, tasks")
        )
    return cards
