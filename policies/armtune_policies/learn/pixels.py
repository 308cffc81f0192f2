"""Learning from pixels: a small network over images, trained by the critics with all the rest.

Images come as uint8 and as rows of pixels, which a convolution reads as ``channels_last``
without a copy. DrQ's random shift is made just before the update, where the networks are: a
batch carries images as they are stored, and how far to shift them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .actor_critic import Projection, Seen, Standardised
from .augment import shifted

if TYPE_CHECKING:
    from .context import Batch

NONE = "none"


class Frame(NamedTuple):
    """Size of what is seen: pixels, and three channels for each camera."""

    height_px: int
    width_px: int
    channels: int

    @classmethod
    def of(cls, images: Mapping[str, tuple[int, int]]) -> Frame | None:
        """Return the frame of cameras' sizes (H, W), one after the other in the channels; None without a camera.

        Raises:
            ValueError: when they differ in size.
        """
        if not images:
            return None
        if len(set(images.values())) > 1:
            raise ValueError(f"images: expected one size, got {dict(images)}; bring all cameras to one size")
        return cls(*next(iter(images.values())), 3 * len(images))


def in_channels(frames: Sequence[npt.NDArray[np.uint8]]) -> Tensor | None:
    """Return cameras' images (B, H, W, 3) as one, one after the other in its channels, (B, H, W, C); or None."""
    if not frames:
        return None
    return torch.from_numpy(frames[0] if len(frames) == 1 else np.concatenate(frames, axis=3))


class Conv(nn.Module):
    """A convolution without padding on images by rows of pixels, (B, H, W, C), LayerNorm over each pixel, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride)
        self.conv.weight.data = self.conv.weight.data.contiguous(memory_format=torch.channels_last)
        self.norm = nn.LayerNorm(out, eps=1e-5) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return torch.relu(x if self.norm is None else self.norm(x))


LAYERS: Mapping[str, tuple[tuple[tuple[int, int, int], ...], bool]] = {
    "small": (((16, 8, 4), (32, 4, 2), (64, 3, 2)), False),
    "drq": (((32, 3, 2), (32, 3, 1), (32, 3, 1), (32, 3, 1)), True),
}
"""By ``agent.pixels``: channels, kernel and stride of each layer, and whether LayerNorm follows it.

``drq`` is RoboFuME's, for 100 px and a GPU; ``small`` is for 64 px and a CPU.
"""


class PixelNet(nn.Sequential):
    """uint8 (B, H, W, C) to numbers (B, ``size``): x / 255 - 0.5, convolutions, flattened.

    Raises:
        ValueError: when the frame is too small for them.
    """

    def __init__(self, kind: str, frame: Frame) -> None:
        layers, norm = LAYERS[kind]
        height, width, channels = frame
        made = []
        for out, kernel, stride in layers:
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
            made.append(Conv(channels, out, kernel, stride, norm))
            channels = out
        if not min(height, width) >= 1:
            got = f"{frame.height_px} x {frame.width_px} px"
            raise ValueError(f"agent.pixels={kind}: expected larger images, got {got}")
        super().__init__(*made)
        self.size = height * width * channels

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image.float() / 255.0 - 0.5).flatten(1)


class PixelProjection(Projection):
    """A projection that sees: the numbers of a network over images, state and sentence to ``z`` (B, width)."""

    def __init__(self, vector_size: int, sentences: Tensor | None, width: int, net_size: int) -> None:
        super().__init__(vector_size, sentences, width)
        self.image = nn.Linear(net_size, width, bias=False)

    def drive(self, seen: Seen) -> Tensor:
        return super().drive(seen) + self.image(seen.image)


def make_net(kind: str, frame: Frame | None) -> PixelNet | None:
    """Return a network over images, None where ``kind`` is ``none``.

    Raises:
        ValueError: for images without a network over them, or the other way about.
    """
    if (kind == NONE) != (frame is None):
        got = "none" if frame is None else f"{frame.height_px} x {frame.width_px} px"
        raise ValueError(f"agent.pixels={kind}: expected images where it is not none, and only there; got {got}")
    return None if frame is None else PixelNet(kind, frame)


def make_projection(net: PixelNet | None, vector_size: int, sentences: Tensor | None, width: int) -> Projection:
    """Return a projection, of images too where a network looks at them.

    Raises:
        ValueError: for width 0 where there are images or sentences.
    """
    if not width:
        if net is not None or sentences is not None:
            raise ValueError("agent.projection: expected at least 1 where there are images or sentences, got 0")
        return Standardised(vector_size)
    if net is None:
        return Projection(vector_size, sentences, width)
    return PixelProjection(vector_size, sentences, width, net.size)


def with_shifts(
    batch: Batch, rng: np.random.Generator, count: int, pad_px: int, place: npt.NDArray[np.intp] | None = None
) -> Batch:
    """Draw how far to shift the images of ``count`` transitions (DrQ), as ``shift`` takes it.

    ``place`` says which of the ``count`` the batch has; None for all. A batch without images stays as it is.
    """
    if batch.seen.image is None:
        return batch
    drawn = rng.integers(0, 2 * pad_px + 1, (2, count, 2))
    here, after = torch.from_numpy(drawn if place is None else drawn[:, place])
    return batch._replace(seen=batch.seen._replace(shift=here), next_seen=batch.next_seen._replace(shift=after))


def shift(image: Tensor, by: Tensor, pad_px: int) -> Tensor:
    """Shift each image (B, H, W, C) by ``by`` (B, 2), 0..2 ``pad_px`` down and right, of which ``pad_px`` stays.

    Edges are repeated. It happens where the images are; on a CPU in numpy.
    """
    if image.device.type == "cpu":
        return torch.from_numpy(shifted(image.numpy(), by.numpy(), pad_px))
    return shift_by_index(image, by, pad_px)


def shift_by_index(image: Tensor, by: Tensor, pad_px: int) -> Tensor:
    """Do what ``shift`` does by one gather, the quick way on a GPU."""
    count, height, width, _ = image.shape
    rows = (torch.arange(height, device=image.device) + by[:, :1] - pad_px).clamp(0, height - 1)
    columns = (torch.arange(width, device=image.device) + by[:, 1:] - pad_px).clamp(0, width - 1)
    return image[torch.arange(count, device=image.device)[:, None, None], rows[:, :, None], columns[:, None, :]]


def ready(batch: Batch, pad_px: int, device: torch.device) -> Batch:
    """Return a batch on a device, its images shifted as it says."""
    if device.type != "cpu":
        batch = type(batch)(*(moved(part, device) for part in batch))
    return batch._replace(seen=_shifted(batch.seen, pad_px), next_seen=_shifted(batch.next_seen, pad_px))


def moved(part: Any, device: torch.device) -> Any:
    """Return a tensor, or what is seen, on a device; anything else as it is."""
    if isinstance(part, Seen):
        return Seen(*(moved(tensor, device) for tensor in part))
    return part.to(device, non_blocking=True) if isinstance(part, Tensor) else part


def _shifted(seen: Seen, pad_px: int) -> Seen:
    if seen.image is None or seen.shift is None:
        return seen
    return seen._replace(image=shift(seen.image, seen.shift, pad_px), shift=None)
