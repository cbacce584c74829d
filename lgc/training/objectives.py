"""What each stage minimises: networks in, weighted named terms out.

An objective is a module, so that data-parallel training wraps it whole and all gradients pass through one
``forward``. What a later player of the same step needs (the discriminator sees the decoder's pictures) comes
back as ``Outcome.shared``.

All that a step decides on the CPU is decided before ``forward``, in ``plan``: steps of equal plans do the same
operations on tensors of the same shapes at the same places, so that a GPU can record one and play it back.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from torch import nn

from lgc.data.loader import Batch
from lgc.losses.adversarial import AdversarialKind, discriminator_loss, generator_loss
from lgc.losses.distortion import mse255
from lgc.losses.objective import WeightedTerms
from lgc.losses.perceptual import PerceptualLoss
from lgc.losses.placed import Placed
from lgc.losses.rate import RateController, bits_per_pixel
from lgc.losses.tasks import MaskTarget, Told, task_losses
from lgc.models.analysis import AnalyzerConfig
from lgc.models.discriminator import PatchDiscriminator
from lgc.models.latents import LayerOutput
from lgc.models.layered import LAYERS, LayeredOutput
from lgc.models.readers import Layers, make_analyzer, start_from_decoder
from lgc.models.reference import RGBAnalyzer
from lgc.training.codec import TrainableCodec


@dataclass(frozen=True)
class Outcome:
    """What an objective says of one batch."""

    total: torch.Tensor
    """What to minimise; a scalar."""
    terms: Mapping[str, torch.Tensor]
    """Every term unweighted, without gradient; scalars."""
    shared: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """For the players that come after in the same step, without gradient."""
    pictures: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """What the decoder made of the batch or its first pictures, for a person to look at; (b, 3, H, W) near [0, 1],
    without gradient."""


class Objective(nn.Module):
    """What a player minimises."""

    skips_parameters = False
    """Whether some batch can leave a parameter without gradient; data-parallel training must know."""
    watched: tuple[str, ...] = ()
    """Terms that guards and controllers go by; the loop averages them over all workers."""

    def drifting(self) -> list[torch.Tensor]:
        """Buffers that ``forward`` moves by itself, as spectral norm's power iteration does."""
        return list(self.buffers())

    def plan(self, batch: Batch, progress: float) -> Hashable:
        """Decide what ``forward`` will do with ``batch``, at ``progress`` of the stage's way (0 to 1)."""
        raise NotImplementedError

    def forward(self, batch: Batch, plan: Any, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Terms of one batch, as planned."""
        raise NotImplementedError


@dataclass(frozen=True)
class TaskWeights:
    """Weights of the task terms."""

    parsing: float = 1.0
    attributes: float = 1.0
    pose: float = 1.0
    taught: float = 0.0
    """Masks as the RGB reference sees them, for pictures that have none; 0 trains on annotations alone."""


@dataclass(frozen=True)
class CodecWeights:
    """Weights of ``L = rate R + distortion D + perceptual LPIPS + adversarial G + tasks T``.

    Rates are in bits per pixel and D is mean squared error on the 0-255 scale, so that ``distortion`` stands
    where CompressAI has its lambda.
    """

    rate_semantic: float = 8.0
    rate_reconstruction: float = 8.0
    distortion: float = 0.002
    perceptual: float = 0.0
    adversarial: float = 0.0
    base_distortion: float = 0.0
    """Distortion of base-only pictures."""
    base_perceptual: float = 0.0
    """LPIPS of base-only pictures."""
    tasks: float = 0.0
    """Factor on all task terms; joint fine-tuning only."""


@dataclass(frozen=True)
class CodecSchedule:
    """When the parts of codec training begin, as shares of the stage, 0 to 1; 1 means never."""

    perceptual_from: float = 0.0
    adversarial_from: float = 1.0
    quantise_from: float = 0.7
    """From here on the networks of entropy parameters run on their fixed-point grid."""
    base_share: float = 0.25
    """Share of each worker's batch that is also decoded base-only, at least one picture; 0 decodes none."""


class Teacher:
    """The trained RGB reference, looking at the pixels of pictures that nobody has annotated.

    No module: it is not an objective's to train, save or average.
    """

    def __init__(self, reference: RGBAnalyzer) -> None:
        self._reference = reference.eval().requires_grad_(False)

    @torch.no_grad()
    def see(self, batch: Batch) -> torch.Tensor | None:
        """Class logits of the batch's pictures."""
        return self._reference(batch.x).parsing


def _mask_target(batch: Batch, told: Told, teacher: Teacher | None) -> MaskTarget | None:
    """What parsing heads learn of a batch; None where there is nothing to learn."""
    taught = teacher.see(batch) if teacher and told.untold else None
    return MaskTarget.of(batch.masks, taught) if told.masks or taught is not None else None


@dataclass
class Controllers:
    """Holds each layer's rate at its target; see :class:`RateController`."""

    semantic: RateController = field(default_factory=lambda: RateController(None))
    reconstruction: RateController = field(default_factory=lambda: RateController(None))

    def state_dict(self) -> dict:
        """For a checkpoint."""
        return {name: controller.state_dict() for name, controller in vars(self).items()}

    def load_state_dict(self, state: Mapping) -> None:
        """Undo :meth:`state_dict`."""
        for name, controller in vars(self).items():
            controller.load_state_dict(state[name])

    def observe(self, values: Mapping[str, float]) -> None:
        """Take the coded rates of one more step, means over all workers."""
        for name, controller in vars(self).items():
            controller.update(values[f"coded_bpp.{name}"])


@dataclass(frozen=True)
class CodecPlan:
    """What a step of codec training does."""

    quantised: bool
    enlarged: bool | None
    """Whether LPIPS looks at enlarged parts; None when it does not look."""
    adversarial: bool
    told: Told | None
    """None without tasks."""


class CodecObjective(Objective):
    """Rate, distortion, perception; with ``analyzers`` also the tasks (joint fine-tuning).

    With ``coupled=False`` the analyzers see latents without gradient: the control in which codec and analysis
    train on separately for the same steps.
    """

    skips_parameters = True  # a batch without an annotation leaves its head without gradient
    watched = ("coded_bpp.semantic", "coded_bpp.reconstruction")

    def __init__(
        self,
        codec: TrainableCodec,
        weights: CodecWeights,
        schedule: CodecSchedule,
        controllers: Controllers,
        perceptual: PerceptualLoss | None = None,
        discriminator: PatchDiscriminator | None = None,
        adversarial: AdversarialKind = "hinge",
        analyzers: nn.ModuleDict | None = None,
        task_weights: TaskWeights | None = None,
        coupled: bool = True,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.codec = codec
        self.analyzers = analyzers
        self.weights, self.schedule, self.controllers = weights, schedule, controllers
        self._adversarial: AdversarialKind = adversarial
        self._task_weights = task_weights or TaskWeights()
        self._coupled = coupled
        self._teacher = teacher
        # in lists: these are not this objective's to train, save or average
        self._perceptual = [perceptual]
        self._discriminator = [discriminator]
        self._multipliers = Placed()

    def drifting(self) -> list[torch.Tensor]:
        """See :class:`Objective`; the critic's too."""
        critic = self._discriminator[0]
        return super().drifting() + ([] if critic is None else list(critic.buffers()))

    def plan(self, batch: Batch, progress: float) -> CodecPlan:
        """By the schedule; also draws how LPIPS looks, and asks the controllers what rates cost now."""
        schedule, weights, perceptual = self.schedule, self.weights, self._perceptual[0]
        multipliers = torch.tensor([getattr(self.controllers, layer).multiplier for layer in LAYERS])
        self._multipliers.put(multipliers, batch.x.device)
        looks = bool(weights.perceptual or weights.base_perceptual) and progress >= schedule.perceptual_from
        judged = self._discriminator[0] is not None and bool(weights.adversarial)
        told = None if self.analyzers is None else Told.by(batch.masks, batch.attributes, batch.pose)
        return CodecPlan(
            quantised=progress >= schedule.quantise_from,
            enlarged=perceptual.draw(batch.x) if perceptual is not None and looks else None,
            adversarial=judged and progress >= schedule.adversarial_from,
            told=told,
        )

    def forward(self, batch: Batch, plan: CodecPlan, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Terms of one batch, as planned."""
        self.codec.quantise(plan.quantised)  # off as well: a run may go back to before
        x, weights, terms = batch.x, self.weights, WeightedTerms()
        left: Mapping[str, torch.Tensor] = {}
        base_count = self._base_count(len(x))
        out: LayeredOutput = self.codec(x, base_count)
        self._add_rates(terms, out, x.shape[-2] * x.shape[-1])
        terms.add("distortion", mse255(out.x_hat, x), weights.distortion)
        if out.x_base is not None:
            terms.add("base.distortion", mse255(out.x_base, x[:base_count]), weights.base_distortion)
        if plan.enlarged is not None:
            self._add_perceptual(terms, out, x, plan.enlarged)
        if plan.adversarial:
            left = self._add_adversarial(terms, out, x)
        if plan.told is not None:
            self._add_tasks(terms, out, batch, plan.told)
        terms.add("aux", self.codec.aux_loss(), 1.0)
        decoded = {"x_hat": out.x_hat, "x_base": out.x_base}
        pictures = {name: picture.detach() for name, picture in decoded.items() if picture is not None}
        return Outcome(terms.total, terms.values, left, pictures)

    def _base_count(self, batch_size: int) -> int:
        share, weights = self.schedule.base_share, self.weights
        if not share or not (weights.base_distortion or weights.base_perceptual):
            return 0
        return max(1, round(share * batch_size))

    def _add_rates(self, terms: WeightedTerms, out: LayeredOutput, pixels: int) -> None:
        for layer, multiplier in zip(LAYERS, self._multipliers.get().unbind(), strict=True):
            output = getattr(out, layer)
            rate = bits_per_pixel(output.likelihoods, pixels)
            terms.add(f"rate.{layer}", rate, getattr(self.weights, f"rate_{layer}"), multiplier)
            terms.add(f"coded_bpp.{layer}", output.coded_bits.mean() / pixels, 0.0)

    def _add_perceptual(self, terms: WeightedTerms, out: LayeredOutput, x: torch.Tensor, enlarged: bool) -> None:
        perceptual = self._perceptual[0]
        assert perceptual is not None
        if self.weights.perceptual:
            terms.add("perceptual", perceptual(out.x_hat, x, enlarged), self.weights.perceptual)
        if out.x_base is not None and self.weights.base_perceptual:
            terms.add(
                "base.perceptual",
                perceptual(out.x_base, x[: len(out.x_base)], enlarged),
                self.weights.base_perceptual,
            )

    def _add_adversarial(
        self, terms: WeightedTerms, out: LayeredOutput, x: torch.Tensor
    ) -> Mapping[str, torch.Tensor]:
        discriminator = self._discriminator[0]
        assert discriminator is not None
        latents = torch.cat([out.semantic.y_hat, out.reconstruction.y_hat], dim=1).detach()
        discriminator.requires_grad_(False)
        fake = discriminator(out.x_hat, latents)
        discriminator.requires_grad_(True)
        terms.add("adversarial", generator_loss(fake, self._adversarial), self.weights.adversarial)
        return {"x": x, "x_hat": out.x_hat.detach(), "latents": latents}

    def _add_tasks(self, terms: WeightedTerms, out: LayeredOutput, batch: Batch, told: Told) -> None:
        assert self.analyzers is not None
        target = _mask_target(batch, told, self._teacher)
        for name, analyzer in self.analyzers.items():
            latents = analyzer_input(name, out.semantic, out.reconstruction)
            values = task_losses(
                analyzer(latents if self._coupled else latents.detach()),
                target,
                batch.attributes,
                batch.pose,
                told,
            )
            factor = self.weights.tasks if self._coupled else 1.0
            weights = {task: factor * weight for task, weight in vars(self._task_weights).items()}
            terms.add_all(f"tasks.{name}", values, weights)


class DiscriminatorObjective(Objective):
    """The critic's side; plays only in steps where the decoder left its pictures in ``shared``."""

    watched = ("discriminator",)

    def __init__(self, discriminator: PatchDiscriminator, kind: AdversarialKind) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._kind: AdversarialKind = kind

    def plan(self, batch: Batch, progress: float) -> None:
        """There is nothing to decide."""

    def forward(self, batch: Batch, plan: None, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Terms of one batch."""
        # one call for both halves keeps the power iteration of spectral norm the same for both
        both = self.discriminator(
            torch.cat([shared["x"], shared["x_hat"].to(shared["x"].dtype)]),
            shared["latents"].repeat(2, 1, 1, 1),
        )
        real, fake = both.chunk(2)
        terms = WeightedTerms()
        terms.add("discriminator", discriminator_loss(real, fake, self._kind), 1.0)
        terms.add("discriminator.real", real.float().mean(), 0.0)
        terms.add("discriminator.fake", fake.float().mean(), 0.0)
        return Outcome(terms.total, terms.values)


class _TaskObjective(Objective):
    """Tasks alone."""

    skips_parameters = True

    def _outcome(self, terms: WeightedTerms) -> Outcome:
        """Of the terms there are. A worker whose part of a batch says nothing has none, and gives gradients of 0."""
        if terms.counted:
            return Outcome(terms.total, terms.values)
        idle = torch.stack([p.sum() for p in self.parameters()]).sum() * 0.0
        return Outcome(idle, terms.values)

    def plan(self, batch: Batch, progress: float) -> Told:
        """Which terms there are."""
        return Told.by(batch.masks, batch.attributes, batch.pose)


class AnalysisObjective(_TaskObjective):
    """Analyzers on the latents of a frozen codec."""

    def __init__(
        self,
        codec: TrainableCodec,
        analyzers: nn.ModuleDict,
        task_weights: TaskWeights,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.analyzers = analyzers
        self._task_weights = task_weights
        self._teacher = teacher
        self._codec = [codec.eval().requires_grad_(False)]

    def forward(self, batch: Batch, plan: Told, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Terms of one batch."""
        with torch.no_grad():
            layers = self._codec[0].latents(batch.x)
        terms = WeightedTerms()
        target = _mask_target(batch, plan, self._teacher)
        for name, analyzer in self.analyzers.items():
            predictions = analyzer(analyzer_input(name, *layers))
            values = task_losses(predictions, target, batch.attributes, batch.pose, plan)
            terms.add_all(f"tasks.{name}", values, vars(self._task_weights))
        return self._outcome(terms)


class ReferenceObjective(_TaskObjective):
    """The RGB reference on original pixels."""

    def __init__(self, reference: RGBAnalyzer, task_weights: TaskWeights, name: str = "rgb") -> None:
        super().__init__()
        self._name = name
        self.reference = reference
        self._task_weights = task_weights

    def forward(self, batch: Batch, plan: Told, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Terms of one batch."""
        terms = WeightedTerms()
        target = _mask_target(batch, plan, None)
        values = task_losses(self.reference(batch.x), target, batch.attributes, batch.pose, plan)
        terms.add_all(f"tasks.{self._name}", values, vars(self._task_weights))
        return self._outcome(terms)


def analyzer_input(layers: str, semantic: LayerOutput, reconstruction: LayerOutput) -> torch.Tensor:
    """Decoded latents that an analyzer of ``layers`` ("semantic" or "both") reads."""
    return semantic.y_hat if layers == "semantic" else torch.cat([semantic.y_hat, reconstruction.y_hat], dim=1)


def make_analyzers(codec: TrainableCodec, config: AnalyzerConfig) -> nn.ModuleDict:
    """An analyzer for the semantic layer and one for both layers; those that can begin with the codec's weights."""
    analyzers = {layers: make_analyzer(codec.architecture, config, layers) for layers in get_args(Layers)}
    for analyzer in analyzers.values():
        start_from_decoder(analyzer, codec.compressor.g_s)
    return nn.ModuleDict(analyzers)
