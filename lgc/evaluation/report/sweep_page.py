"""The page of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from lgc.evaluation.report.frame import card, fill, make_frame


def make_sweep_page(content: Mapping[str, Any]) -> str:
    """``front.json`` of a sweep -> HTML with a plot to explore and a table of all trials."""
    return make_frame(
        title=f"lgc sweep {content['sweep']}",
        subtitle=f"{len(content['trials'])} short trainings, {content['mode']}, {content['sampler']}",
        sections={"trade-off": "Trade-off", "trials": "Trials"},
        cards=_cards(content),
        main=fill("sweep.html", {"name": escape(content["sweep"])}),
        data=content,
        scripts=["sweep.js"],
    )


def _cards(content: Mapping[str, Any]) -> list[str]:
    states = [trial["state"] for trial in content["trials"]]
    others = ", ".join(f"{states.count(state)} {state}" for state in ("stopped", "failed") if state in states)
    cards = [
        card(str(states.count("finished")), "trials finished", others or "none failed"),
        card(str(len(content["front"])), "on the Pareto front", ", ".join(content["front"])),
        card(
            f"{content['hypervolume']:.4f}",
            "hypervolume",
            "share of the box between the best and the worst corner that the front dominates",
        ),
    ]
    if content["present"] is not None:
        better = content["better_than_present"]
        detail = ", ".join(better) or "none gains in two objectives and loses less than 2 % in the third"
        cards.append(card(str(len(better)), "better than params.yaml as it was", detail))
    if content["mode"] == "target_rate" and content["best_score"] is not None:
        cards.append(card(content["best_score"], "trial of the best score", "distance, rate above the target, tasks"))
    return cards
