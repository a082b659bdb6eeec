"""The three terms of the loss as pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import PHAError


def lm_loss(
    logits: Tensor, labels: Tensor, smoothing: float = 0.1, reduction: str = "mean"
) -> Tensor:
    """Label-smoothed cross-entropy over real target tokens.

    For one token with log-probabilities log p and the right token y, over a vocabulary of V::

        loss = -(1 - s) log p_y - s / V * sum_v log p_v

    summed or averaged over the tokens whose label is not -100. This is the release's formula in
    both of its forms (mean with full data, sum with little data).

    Args:
        logits: (B, N, V).
        labels: (B, N) token ids, -100 where there is no token.
        smoothing: s in [0, 1).
        reduction: ``"mean"`` or ``"sum"``.
    """
    return F.cross_entropy(
        logits.float().flatten(0, 1),
        labels.flatten(),
        ignore_index=-100,
        reduction=reduction,
        label_smoothing=smoothing,
    )


def instance_loss(z: Tensor, tasks: Tensor, temperature: float = 0.1) -> Tensor:
    """L_IR: pulls instances of one task together, and away from those of other tasks.

    Mean over the anchors i that have another item of their task in the batch, P(i) not empty, of::

        -1/|P(i)| sum_{p in P(i)} [ z_i.z_p / tau - log sum_{a != i} exp(z_i.z_a / tau) ]

    (supervised contrastive loss of Khosla et al. 2020, classes being tasks). Zero when no anchor
    has a partner.

    Args:
        z: (B, e) instance embeddings, normalised here.
        tasks: (B,) task ids.
        temperature: tau.
    """
    z = F.normalize(z.float(), dim=-1)
    itself = torch.eye(z.shape[0], dtype=torch.bool, device=z.device)
    # A finite stand-in for minus infinity: a batch of one row must give 0, not NaN.
    scores = (z @ z.t() / temperature).masked_fill(itself, -1e9)
    log_share = scores - scores.logsumexp(dim=1, keepdim=True)
    partners = ((tasks.unsqueeze(0) == tasks.unsqueeze(1)) & ~itself).float()
    count = partners.sum(dim=1)
    per_anchor = (log_share * partners).sum(dim=1) / count.clamp(min=1)
    return -per_anchor.sum() / (count > 0).sum().clamp(min=1)


def prototype_loss(
    z: Tensor, prototypes: Tensor, tasks: Tensor, temperature: float = 0.1, form: str = "released"
) -> Tensor:
    """L_Pro: pulls every instance to its task's prototype, and away from the others.

    It is::

        mean_i of -[ z_i.k_{t(i)} / tau - log sum_t exp(z_i.k_t / tau) ]

    The sum leaves t(i) out in the released form, so the loss can be negative, and keeps it in the
    standard form. With a single prototype there is nothing to be told apart from: zero.

    Args:
        z: (B, e) instance embeddings, normalised here.
        prototypes: (T, e), all of them, normalised here.
        tasks: (B,) task ids.
        temperature: tau.
        form: ``"released"`` or ``"standard"``.
    """
    if form not in ("released", "standard"):
        raise PHAError(f"form={form!r}: choose 'released' or 'standard'.")
    if prototypes.shape[0] == 1:
        return (z.sum() + prototypes.sum()) * 0.0
    scores = F.normalize(z.float(), dim=-1) @ F.normalize(prototypes.float(), dim=-1).t()
    scores = scores / temperature
    right = tasks.unsqueeze(1)
    positive = scores.gather(1, right)
    if form == "released":
        scores = scores.scatter(1, right, -torch.inf)
    return (scores.logsumexp(dim=1, keepdim=True) - positive).mean()
