from __future__ import annotations

import math

import pytest
import torch

from lgc.losses.adversarial import discriminator_loss, generator_loss
from lgc.losses.distortion import mse255
from lgc.losses.objective import WeightedTerms


class TestWeightedTerms:
    def test_weighted_sum_and_unweighted_values(self) -> None:
        terms = WeightedTerms()
        terms.add("rate", torch.tensor(2.0), 8.0)
        terms.add("distortion", torch.tensor(100.0), 0.01)
        terms.add("watched", torch.tensor(7.0), 0.0)
        assert terms.total.item() == pytest.approx(17)
        assert {name: value.item() for name, value in terms.values.items()} == {
            "rate": 2, "distortion": 100, "watched": 7,
        }  # fmt: skip

    def test_gradients_by_weight(self) -> None:
        parameters = {name: torch.tensor(1.0, requires_grad=True) for name in ("a", "b", "unweighted")}
        terms = WeightedTerms()
        for (name, parameter), weight in zip(parameters.items(), (3.0, 0.5, 0.0), strict=True):
            terms.add(name, parameter, weight)
        terms.total.backward()
        assert [None if p.grad is None else p.grad.item() for p in parameters.values()] == [3, 0.5, None]
        assert not any(value.requires_grad for value in terms.values.values())

    def test_a_weight_of_zero_hides_no_nan_in_the_total(self) -> None:
        terms = WeightedTerms()
        terms.add("broken", torch.tensor(math.nan), 0.0)
        terms.add("fine", torch.tensor(1.0), 1.0)
        assert terms.total.item() == 1
        assert terms.values["broken"].isnan()

    def test_several_under_a_prefix(self) -> None:
        terms = WeightedTerms()
        values = {"pose": torch.tensor(2.0), "parsing": torch.tensor(3.0)}
        terms.add_all("tasks.semantic", values, {"pose": 1.0, "parsing": 10.0, "attributes": 5.0})
        assert terms.total.item() == 32
        assert sorted(terms.values) == ["tasks.semantic.parsing", "tasks.semantic.pose"]
        with pytest.raises(KeyError):
            terms.add_all("tasks.both", values, {"pose": 1.0})

    def test_twice_the_same_name(self) -> None:
        terms = WeightedTerms()
        terms.add("rate", torch.tensor(2.0), 8.0)
        with pytest.raises(ValueError, match="term 'rate' added twice"):
            terms.add("rate", torch.tensor(2.0), 8.0)

    def test_nothing_to_minimise(self) -> None:
        terms = WeightedTerms()
        terms.add("watched", torch.tensor(1.0), 0.0)
        with pytest.raises(ValueError, match="no term has a weight"):
            _ = terms.total


class TestDistortion:
    def test_one_level_off_everywhere_is_one(self) -> None:
        x = torch.rand(2, 3, 4, 4)
        assert mse255(x + 1 / 255, x).item() == pytest.approx(1, rel=1e-3)
        assert mse255(x, x).item() == 0

    def test_float32_under_bfloat16(self) -> None:
        x = torch.rand(1, 3, 4, 4)
        assert mse255(x.bfloat16(), x).dtype == torch.float32


class TestAdversarial:
    @pytest.mark.parametrize(
        ("kind", "real", "fake", "critic", "painter"),
        [
            ("hinge", 2.0, -2.0, 0.0, 2.0),
            ("hinge", 0.0, 0.0, 2.0, 0.0),
            ("hinge", -1.0, 3.0, 6.0, -3.0),
            ("non_saturating", 0.0, 0.0, 2 * math.log(2), math.log(2)),
            ("non_saturating", 50.0, -50.0, 0.0, 50.0),
        ],
    )
    def test_known_values(self, kind: str, real: float, fake: float, critic: float, painter: float) -> None:
        real_logits, fake_logits = torch.full((2, 1, 3, 3), real), torch.full((2, 1, 3, 3), fake)
        assert discriminator_loss(real_logits, fake_logits, kind).item() == pytest.approx(critic, abs=1e-6)  # type: ignore[arg-type]
        assert generator_loss(fake_logits, kind).item() == pytest.approx(painter, abs=1e-6)  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", ["hinge", "non_saturating"])
    def test_they_pull_in_opposite_directions(self, kind: str) -> None:
        fake = torch.zeros(1, 1, 2, 2, requires_grad=True)
        (down,) = torch.autograd.grad(generator_loss(fake, kind), fake)  # type: ignore[arg-type]
        (up,) = torch.autograd.grad(discriminator_loss(torch.zeros(1), fake, kind), fake)  # type: ignore[arg-type]
        assert (down < 0).all()
        assert (up > 0).all()
