"""A camera's picture to what an image tower wants: resized as PIL would, normalised; inside the graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MEAN_STD_HALF = (0.5, 0.5, 0.5)


class Pixels(nn.Module):
    """uint8 (N, H, W, 3) to float32 (N, 3, size, size).

    Resizing is two matrix products whose matrices hold the antialiased cubic filter: exact in ONNX,
    whatever the runtime's own resize does. A picture that is not square is squeezed into one, so that
    nothing of the table is cut off.
    """

    rows: Tensor
    columns: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        height_px: int,
        width_px: int,
        size_px: int,
        mean: tuple[float, ...] = MEAN_STD_HALF,
        std: tuple[float, ...] = MEAN_STD_HALF,
    ) -> None:
        super().__init__()
        self.register_buffer("rows", _filter(height_px, size_px), persistent=False)
        self.register_buffer("columns", _filter(width_px, size_px), persistent=False)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Raises ValueError for images of another size or type."""
        want = (self.rows.shape[1], self.columns.shape[1], 3)
        if image.dtype != torch.uint8 or tuple(image.shape[1:]) != want:
            raise ValueError(
                f"expected uint8 images (N, {want[0]}, {want[1]}, 3), got {image.dtype} {tuple(image.shape)}"
            )
        planes = image.to(self.mean.device).permute(0, 3, 1, 2).to(torch.float32) / 255.0
        resized = torch.clamp(self.rows @ planes @ self.columns.T, 0.0, 1.0)  # a cubic overshoots at edges
        return (resized - self.mean) / self.std


def _filter(size_from: int, size_to: int) -> Tensor:
    """Return (size_to, size_from): each row says of which pixels a new one is made."""
    each = torch.eye(size_from)[None, None]  # column j is a picture in which only row j is lit
    resized = nn.functional.interpolate(
        each, size=(size_to, size_from), mode="bicubic", antialias=True, align_corners=False
    )
    return resized[0, 0]
