"""What is trained: the open pack's IIM and IDN as one module, and the settings of a run that shape
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.networks.appearance_encoder import CODE, AppearanceEncoder
from models.networks.idn import IDN
from models.networks.iim import OpenIIM, Weights, one_identity
from models.training import losses
from models.training.batch import Batch
from models.training.pairs import PairMix

EMBEDDING = 128
# "encoder" are the identity and perceptual terms and the reweighting, which need its features.
PARTS = ("texture", "iim", "same", "adversarial", "reweighting", "expression", "relit", "encoder")


@dataclass(frozen=True)
class TrainConfig:
    """One run of `images` images, or of `minutes` where that is not 0.

    `without` leaves parts out, `appearance` adds its encoder to the IIM.
    """

    run: str = "main"
    images: int = 90_000
    minutes: float = 0.0
    seed: int = 1
    threads: int = 2
    workers: int = 0  # processes that make batches; 0: a thread of this one
    rate: float = 2e-3
    base_factor: float = 1.5  # unit-norm rows need large steps,
    linear_factor: float = 0.1  # and the linears small ones, or the IIM collapses
    head_factor: float = (
        0.5  # the image head starts at the teacher and has only to leave it where that helps
    )
    mask_factor: float = (
        3.0  # the mask head starts from nothing, on features that are not shaped for it
    )
    # Half of the truths are the placed texture itself: the corner of a plain L1 would hold the
    # student there, whatever photographs, expression and the judge have to say.
    tolerance: float = 0.05
    warm_up_steps: int = 60
    adversarial_from: float = 0.2  # share of the schedule
    ema: float = 0.998
    save_every_s: float = 300.0
    log_every: int = 50
    without: tuple[str, ...] = ()
    appearance: bool = False
    start: bool = False  # with the committed weights
    weights: losses.Weights = field(default_factory=losses.Weights)
    mix: PairMix = field(default_factory=PairMix)

    def uses(self, part: str) -> bool:
        return part not in self.without


class Student(nn.Module):
    """The open pack's IIM and IDN as one module."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        guided = config.uses("texture")
        self.guided = guided
        self.specialised = config.uses("iim")
        self.appearance = AppearanceEncoder() if config.appearance else None
        self.iim = OpenIIM(6 if guided else 3, EMBEDDING + (CODE if config.appearance else 0))
        self.idn = IDN(6, "blend") if guided else IDN(3, "paper")

    def specialise(self, embeddings: Tensor, canonical: Tensor) -> Weights:
        """Return the tensors of identities: embeddings [n, 128], canonical textures [n, 3, 224,
        224].
        """
        codes = embeddings if self.specialised else torch.zeros_like(embeddings)
        if self.appearance is not None:
            codes = torch.cat([codes, self.appearance(canonical)], 1)

        weights: Weights = self.iim(codes)
        return weights

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return face and mask (None without a mask head) of a batch: each identity's images go
        through ordinary convolutions together.
        """
        weights = self.specialise(batch.embeddings, batch.canonical)
        count = len(batch.embeddings)
        outputs = [
            self.idn(target, one_identity(weights, i), texture if self.guided else None)
            for i, (target, texture) in enumerate(
                zip(batch.target.chunk(count), batch.texture.chunk(count), strict=True)
            )
        ]

        masks = [mask for _, mask in outputs if mask is not None]
        return torch.cat([face for face, _ in outputs]), torch.cat(masks) if masks else None


def parameter_groups(student: Student, config: TrainConfig) -> list[dict[str, object]]:
    """Return Adam's groups: bases fast, linears of the IIM slow, the two heads each at their own
    rate.
    """
    bases: list[nn.Parameter] = []
    linears: list[nn.Parameter] = []

    for name, parameter in student.iim.named_parameters():
        (bases if name.startswith(("pointwise", "kernel_base")) else linears).append(parameter)

    if student.appearance is not None:
        bases += student.appearance.parameters()

    groups: list[dict[str, object]] = [
        {"params": bases, "factor": config.base_factor},
        {"params": linears, "factor": config.linear_factor},
        {"params": list(student.idn.final.parameters()), "factor": config.head_factor},
    ]

    if student.idn.mask is not None:
        mask = list(student.idn.mask.parameters())
        groups.append({"params": mask, "factor": config.mask_factor})

    return groups
