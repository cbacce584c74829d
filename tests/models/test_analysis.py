from __future__ import annotations

import pytest
import torch

from lgc.models.analysis import AnalyzerConfig, MultiTaskAnalyzer, ParsingKind, Predictions, at_mask_size
from lgc.models.discriminator import PatchDiscriminator


@pytest.mark.parametrize("kind", ["gradual", "direct"])
@pytest.mark.parametrize("size", [(1, 1), (2, 5)])
def test_shapes_of_all_heads(size: tuple[int, int], kind: ParsingKind) -> None:
    out = MultiTaskAnalyzer(4, AnalyzerConfig(8, 1, parsing=kind))(torch.randn(3, 4, *size))
    assert out.parsing is not None
    assert out.attributes is not None
    assert out.pose is not None
    assert out.parsing.shape == (3, 19, 8 * size[0], 8 * size[1])
    assert (out.attributes.shape, out.pose.shape) == ((3, 40), (3, 3))


@pytest.mark.parametrize("heads", [(), ("pose",), ("attributes", "parsing")])
def test_heads_are_optional(heads: tuple[str, ...]) -> None:
    analyzer = MultiTaskAnalyzer(4, AnalyzerConfig(8, 1, heads))
    out = analyzer(torch.randn(1, 4, 2, 2))
    assert {name for name, value in vars(out).items() if value is not None} == set(heads)
    assert set(analyzer.tasks) == set(heads)
    analyzer.drop(["pose", "attributes"])
    assert set(analyzer.tasks) == set(heads) - {"pose", "attributes"}


def test_unknown_head() -> None:
    with pytest.raises(ValueError, match=r"unknown heads \['age'\]; there are parsing, attributes, pose"):
        AnalyzerConfig(8, 1, ("pose", "age"))
    with pytest.raises(ValueError, match="unknown parsing head 'quick'; there are gradual, direct, pyramid"):
        AnalyzerConfig(8, 1, parsing="quick")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown norm 'batch'; there are none, group"):
        AnalyzerConfig(8, 1, norm="batch")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["gradual", "direct"])
def test_normalised_heads_read_a_picture_alike_in_any_batch(kind: ParsingKind) -> None:
    torch.manual_seed(0)
    analyzer = MultiTaskAnalyzer(4, AnalyzerConfig(8, 2, parsing=kind, norm="group")).eval()
    assert sum(isinstance(m, torch.nn.GroupNorm) for m in analyzer.modules()) == (6 if kind == "direct" else 8)
    latents = torch.randn(3, 4, 2, 5)
    together = analyzer(latents).parsing
    assert together is not None
    assert together.std() > 0
    for i in range(3):
        alone = analyzer(latents[i : i + 1]).parsing
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-4, atol=1e-5)


def test_predictions_detach_to_float32() -> None:
    value = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    plain = Predictions(pose=value * 2).detach().cpu()
    assert plain.pose is not None
    assert (plain.pose.dtype, plain.pose.requires_grad, plain.parsing) == (torch.float32, False, None)


def test_at_mask_size() -> None:
    logits = torch.randn(2, 19, 4, 4).bfloat16()
    assert torch.equal(at_mask_size(logits, torch.zeros(2, 4, 4)), logits.float())
    larger = at_mask_size(logits, torch.zeros(2, 8, 12))
    assert (larger.shape, larger.dtype) == ((2, 19, 8, 12), torch.float32)


@pytest.mark.parametrize("side", [32, 64])
def test_discriminator_sees_picture_and_latents(side: int) -> None:
    torch.manual_seed(0)
    judge = PatchDiscriminator(10, width=8).eval()
    x, latents = torch.rand(2, 3, side, side), torch.randn(2, 10, side // 16, side // 16)
    verdict = judge(x, latents)
    assert verdict.shape[:2] == (2, 1)
    assert abs(verdict.shape[2] - side // 8) <= 1
    assert not torch.allclose(judge(x, -latents), verdict)
    assert not torch.allclose(judge(1 - x, latents), verdict)


def test_discriminator_is_spectrally_normalised() -> None:
    torch.manual_seed(0)
    judge = PatchDiscriminator(10, width=8).train()
    for _ in range(30):
        judge(torch.rand(1, 3, 32, 32), torch.randn(1, 10, 2, 2))
    for layer in (judge.first, judge.verdict, *judge.rest):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.1)
