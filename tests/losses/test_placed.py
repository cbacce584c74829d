from __future__ import annotations

import torch

from lgc.losses.placed import Placed


def test_values_change_and_their_place_does_not() -> None:
    placed, first = Placed(), torch.tensor([1.0, 2.0])
    placed.put(first, torch.device("cpu"))
    held = placed.get()
    placed.put(torch.tensor([3.0, 4.0]), torch.device("cpu"))
    assert placed.get() is held
    assert held.tolist() == [3.0, 4.0]
    assert first.tolist() == [1.0, 2.0]
