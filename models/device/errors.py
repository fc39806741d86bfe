"""What can go wrong when an identity is written for a device."""

from __future__ import annotations

from models.inference.errors import InferenceError


class DeviceTemplateError(InferenceError):
    """The pack has no graphs for devices, or the identity's weights are not of this pack."""

    code = "export_unavailable"
