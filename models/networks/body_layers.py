"""The nine layers of the IDN's body, whose 18 tensors an identity brings along (docs/method.md
4).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BodyLayer:
    """One depthwise and one pointwise convolution of the body; `name` prefixes its two specialised
    tensors.

    Depthwise comes first, on what a decoder layer has enlarged. In a `light` layer pointwise comes
    first, on the small image, then enlarging, then depthwise.
    """

    name: str
    channels_in: int
    channels_out: int
    kernel: int
    stride: int
    light: bool = False

    @property
    def depthwise_channels(self) -> int:
        return self.channels_out if self.light else self.channels_in

    @property
    def depthwise_numbers(self) -> int:
        return self.depthwise_channels * self.kernel**2

    @property
    def pointwise_numbers(self) -> int:
        return self.channels_in * self.channels_out


def body_layers(inputs: int = 3, *, light: bool | None = None) -> tuple[BodyLayer, ...]:
    """Return the nine layers in running order.

    Args:
        inputs: 3 (target: the paper's network) or 6 (target and placed texture: the open pack's).
        light: whether the decoder's layers are; by default where there are six inputs.
    """
    # Widths as in the released network; 4 px kernels halve the image, 3 px ones keep its size.
    encoder = ((inputs, 32), (32, 64), (64, 128), (128, 256), (256, 512))
    decoder = ((512, 256), (512, 128), (256, 64), (128, 32))
    light = inputs == 6 if light is None else light
    down = [BodyLayer(f"encoder.{i}", a, b, kernel=4, stride=2) for i, (a, b) in enumerate(encoder)]
    up = [
        BodyLayer(f"decoder.{i}", a, b, kernel=3, stride=1, light=light)
        for i, (a, b) in enumerate(decoder)
    ]
    return (*down, *up)


def specialised_shapes(inputs: int = 3, *, light: bool | None = None) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the 18 specialised tensors of one identity, in running order."""
    return shapes_of(body_layers(inputs, light=light))


def shapes_of(layers: tuple[BodyLayer, ...]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the two specialised tensors of each layer, in running order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        shapes[f"{layer.name}.depthwise"] = (
            layer.depthwise_channels,
            1,
            layer.kernel,
            layer.kernel,
        )
        shapes[f"{layer.name}.pointwise"] = (layer.channels_out, layer.channels_in, 1, 1)

    return shapes
