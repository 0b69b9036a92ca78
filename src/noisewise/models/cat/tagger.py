"""Labels from CAT: a linear head on the pooled encoder, and how it is fine-tuned or probed.

Legend as in `encoder.py`: B clips, S samples; K classes.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.audio.augment import Mixup, SpecAugment
from noisewise.config import config
from noisewise.models.cat.encoder import CAT, CATConfig, CATOutput
from noisewise.models.model import Model


@config
class CATTaggerConfig:
    """CAT with a head for labels; the defaults are the paper's code for AudioSet-20k, drop path in `encoder` apart."""

    kind: Literal["cat_tagger"] = "cat_tagger"
    encoder: CATConfig = CATConfig(drop_path=0.1)
    """The encoder; the code fine-tunes with `drop_path` 0.1."""
    classes: int = 527
    """Labels (K)."""
    pooling: Literal["cls", "mean"] = "cls"
    """"cls": the CLS token; "mean": the mean of the tokens."""
    labels: Literal["many", "one"] = "many"
    """"many": any number of labels a clip, binary cross-entropy; "one": exactly one, cross-entropy."""
    label_smoothing: float = 0.0
    """Label smoothing of the cross-entropy (the code: 0.1 for ESC-50)."""
    mixup: float = 0.8
    """Alpha of mixup on log-mel features; 0 for none (the code: 0 for ESC-50)."""
    mixup_chance: float = 0.9
    """Chance that a batch is mixed."""
    mask_fraction: float = 0.2
    """Greatest width of one time and one frequency mask, as a fraction of frames and bins (ESC-50: 0.4)."""
    frozen: bool = False
    """Whether the encoder is frozen, and then in evaluation: a linear probe."""

    def build(self) -> "CATTagger":
        """The model, randomly initialised."""
        return CATTagger(self)


class CATTagger(Model):
    """Encoder, pooling, LayerNorm, linear map."""

    encoder: CAT
    has_static_shapes = False

    def __init__(self, config: CATTaggerConfig):
        super().__init__()
        self.config = config
        self.encoder = CAT(config.encoder).requires_grad_(not config.frozen)
        width = int(config.mask_fraction * config.encoder.bins)
        self.spec_augment = SpecAugment(1, width, 1, 1_000_000, config.mask_fraction)
        self.mixup = Mixup(config.mixup, config.mixup_chance)
        self.norm = nn.LayerNorm(config.encoder.dim)
        self.head = nn.Linear(config.encoder.dim, config.classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Logits of clips. (B, S) float32 at 16 kHz, (B,) -> (B, K)"""
        features, frames = self.encoder.log_mel(waveform, lengths)
        return self.logits(features, frames)

    def logits(self, features: Tensor, frames: Tensor) -> Tensor:
        """Logits of normalised log-mel features, masked in training. (B, F, bins), (B,) -> (B, K)"""
        patches = self.encoder.patches(self.spec_augment(features, frames), frames)
        return self.head(self.vector(self.encoder.encode(patches, patches.every().cpu())))

    def vector(self, output: CATOutput) -> Tensor:
        """One vector a clip, of which the head is a linear map. -> (B, D)"""
        return self.norm(output.clip if self.config.pooling == "cls" else output.pooled())

    def probabilities(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Probabilities of the labels; with one label a clip they sum to 1. (B, S), (B,) -> (B, K)"""
        logits = self(waveform, lengths).float()
        return logits.sigmoid() if self.config.labels == "many" else logits.softmax(dim=1)

    def loss(self, waveform: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Loss of each clip, mixed and masked in training.

        Args:
            waveform: (B, S) float32 at 16 kHz.
            lengths: valid samples. (B,)
            labels: 1 where a label holds. (B, K) float.

        Returns:
            (B,): binary cross-entropy, averaged over classes, or cross-entropy.
        """
        features, frames = self.encoder.log_mel(waveform, lengths)
        features, frames, labels = self.mixup(features, frames, labels)
        logits = self.logits(features, frames).float()
        if self.config.labels == "many":
            return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(dim=1)
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.config.label_smoothing)

    def normalise_by(self, mean: float, deviation: float) -> None:
        """Take the statistics of a corpus."""
        self.encoder.normalise_by(mean, deviation)

    def start_from(self, encoder: dict[str, Tensor]) -> None:
        """Take the weights of a pre-trained `CAT`; every one must be there."""
        self.encoder.load_state_dict(encoder, strict=True)

    def train(self, mode: bool = True) -> "CATTagger":
        """Train; a frozen encoder stays in evaluation, so that its features are the same each time."""
        super().train(mode)
        if self.config.frozen:
            self.encoder.eval()
        return self


def layer_scale(name: str, layers: int, decay: float, *, stem: bool = False) -> float:
    """Factor on the learning rate of a parameter of a `CATTagger`, smaller the further from the head.

    Layer i of d, from 0, has decay^(d - i). The paper's code (0.65) leaves everything else at 1, the stem too;
    with `stem`, what comes before the layers has decay^(d + 1).

    Args:
        name: of the parameter.
        layers: Transformer layers of the encoder (d).
        decay: from layer to layer.
        stem: whether the stem, CLS and input norm are slowed too.
    """
    parts = name.split(".")
    if parts[0] != "encoder":
        return 1.0
    if parts[1] == "layers":
        return float(decay ** (layers - int(parts[2])))
    return float(decay ** (layers + 1)) if stem else 1.0
