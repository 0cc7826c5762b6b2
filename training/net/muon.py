"""Muon for the hidden convolutions, AdamW for everything else.

Muon replaces a weight matrix's momentum by the nearest (semi-)orthogonal matrix, found with five Newton-Schulz steps,
for which bfloat16 is precise enough (Jordan et al., 2024). On this task it reached in minutes what AdamW alone needed
several times longer for.
torch.optim.Muon takes matrices only; here a convolution (O, I, h, w) is the matrix (O, I*h*w).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from training.net.precision import fast_dtype

# Coefficients of the quintic iteration: steepest at zero while all singular values stay within about 0.7 to 1.2.
QUINTIC = (3.4445, -4.7750, 2.0315)
STEPS = 5


def orthogonalise(matrix: Tensor) -> Tensor:
    """(..., m, n) -> nearly orthogonal matrices with the same row and column spaces, in the type fast on the device."""
    a, b, c = QUINTIC
    x = matrix.to(fast_dtype(matrix.device.type))
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled by 0.2 sqrt(longest side) so that AdamW's learning rates fit."""

    def __init__(
        self, params: Iterable[Tensor], lr: float = 2.5e-3, momentum: float = 0.95, weight_decay: float = 0.05
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None if closure is None else closure()
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}  # as matrices: those of a shape are multiplied at once
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.flatten(1).shape, []).append(weight)
            for shape, weights in alike.items():
                updates = [self._moved(weight, group["momentum"]).flatten(1) for weight in weights]
                step = group["lr"] * 0.2 * math.sqrt(max(shape))
                for weight, matrix in zip(weights, orthogonalise(torch.stack(updates)), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(matrix.view(weight.shape).to(weight.dtype), alpha=-step)
        return loss

    def _moved(self, weight: Tensor, momentum: float) -> Tensor:
        """The gradient with Nesterov momentum; moves the momentum kept."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        velocity: Tensor = state["momentum"]
        velocity.lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(velocity, momentum)


def build_optimizers(model: nn.Module, lr: float, weight_decay: float = 0.05) -> list[torch.optim.Optimizer]:
    """[Muon on the hidden convolutions, AdamW on stem, outputs, norms and biases]."""
    hidden, plain, bare = [], [], []
    for name, weight in model.named_parameters():
        if weight.ndim < 4:
            bare.append(weight)
        elif name.startswith("stem.0.") or name.endswith((".labels.weight", ".distances.weight")):
            plain.append(weight)
        else:
            hidden.append(weight)
    groups = [{"params": plain, "weight_decay": weight_decay}, {"params": bare, "weight_decay": 0.0}]
    return [Muon(hidden, lr, weight_decay=weight_decay), torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))]
