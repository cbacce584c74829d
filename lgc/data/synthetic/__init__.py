"""Procedural faces with exact masks, attributes and pose, written in the layout of CelebAMask-HQ."""

from __future__ import annotations

from lgc.data.synthetic.draw import Face, draw_face, identity_of
from lgc.data.synthetic.write import write_dataset

__all__ = ["Face", "draw_face", "identity_of", "write_dataset"]
