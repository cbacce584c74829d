"""What all pages share: head, navigation, light and dark; everything in one file, to work from disk and offline."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any


def make_frame(
    *,
    title: str,
    subtitle: str,
    sections: Mapping[str, str],
    cards: Sequence[str],
    main: str,
    data: Any,
    scripts: Sequence[str],
    library: str = "",
) -> str:
    """A whole page as HTML.

    Args:
        title: text.
        subtitle: text.
        sections: names of the sections to jump to, by their ids.
        cards: of :func:`card`.
        main: HTML of the sections.
        data: what the scripts read, plain values without NaN.
        scripts: names of assets, run in this order.
        library: JavaScript that they need.
    """
    parts = {
        "title": escape(title),
        "subtitle": escape(subtitle),
        "style": asset("style.css"),
        "sections": " ".join(f'<a href="#{name}">{escape(label)}</a>' for name, label in sections.items()),
        "cards": "".join(cards),
        "main": main,
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
        "library": f"<script>{library}</script>\n" if library else "",
        "script": "\n".join(asset(name) for name in ("frame.js", *scripts)),
    }
    return fill("frame.html", parts)


def fill(name: str, parts: Mapping[str, str]) -> str:
    """An asset with its ``{{places}}`` taken, in one pass: what is put in may itself look like a place."""
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], asset(name))


def asset(name: str) -> str:
    """Text of a file in ``assets``."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def card(figure: str, what: str, detail: str) -> str:
    """One headline figure."""
    return f"<div class=card><b>{escape(figure)}</b><span>{escape(what)}</span><small>{escape(detail)}</small></div>"
