"""ONNX Runtime as this project uses it: without telemetry, and on the device that was asked for.

The only module that imports it (ruff's banned imports see to that), because order matters twice:
telemetry is switched off before the library loads, CUDA's libraries load before the first session.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
from functools import cache
from typing import Literal

# Since release 1.32 ONNX Runtime sends a device id and the executable's path to its maker unless
# this is set when it loads. Assigned, so that no environment can switch it on: children start with
# an emptied one, and whoever runs this service promised people that their photos stay with it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    RuntimeException,
)

from models.inference.errors import DeviceUnavailableError
from models.inference.openvino_runtime import OPENVINO, openvino_obstacle

__all__ = [
    "CPU",
    "CUDA",
    "ORT_ERRORS",
    "Device",
    "choose_provider",
    "cuda_obstacle",
    "ort",
    "share_cuda_arena",
]

Device = Literal["auto", "cpu", "openvino", "cuda"]
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
ORT_ERRORS = (Fail, InvalidArgument, InvalidGraph, RuntimeException)
DRIVER = "libcuda.so.1"
SAME_AS_REQUESTED = 1  # an arena grows by what is asked for; the default doubles it each time

log = logging.getLogger(__name__)


@cache
def choose_provider(device: Device) -> str:
    """Return the execution provider that serves `device`, as ONNX Runtime names it, or `OPENVINO`.

    The choice is made once for the process and logged with its reason. "auto" is CUDA where it can
    be used, else OpenVINO where it can, and else the CPU. Raises `DeviceUnavailableError` for
    "cuda" and "openvino" where they cannot.
    """
    if device == "cpu":
        return CPU

    obstacles: list[str] = []
    for wanted, provider, obstacle_to in (
        ("cuda", CUDA, cuda_obstacle),
        ("openvino", OPENVINO, openvino_obstacle),
    ):
        if device not in ("auto", wanted):
            continue

        obstacle = obstacle_to()
        if obstacle:
            obstacles.append(obstacle)
        else:
            log.info("device chosen", extra={"device": device, "provider": provider})
            return provider

    because = "; ".join(obstacles)
    if device != "auto":
        raise DeviceUnavailableError(
            f"{device} was asked for and cannot be used: {because}. Fix that, or set"
            " LIKENESS_DEVICE to cpu or auto."
        )

    # Who installed the GPU wheel wanted the GPU; who did not is told, not warned.
    level = logging.WARNING if CUDA in ort.get_available_providers() else logging.INFO
    log.log(level, "device chosen", extra={"device": device, "provider": CPU, "because": because})
    return CPU


@cache
def cuda_obstacle() -> str:
    """Return why this process cannot use CUDA, as half a sentence; empty when it can.

    Loads CUDA's and cuDNN's libraries, once: they come as wheels, where the loader does not look.
    """
    if CUDA not in ort.get_available_providers():
        return "the installed ONNX Runtime is built without it (the extra gpu brings one with it)"

    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # it reports failures by printing them
        ort.preload_dlls(directory="")

    failures = [line for line in said.getvalue().splitlines() if line.startswith("Failed")]
    return "; ".join(failures) or _driver_obstacle()


@cache
def share_cuda_arena() -> bool:
    """Give all CUDA sessions of this process one arena; False, and a warning, where that fails.

    Each registered identity is a session of its own, and an arena each would multiply the memory.
    """
    memory = ort.OrtMemoryInfo(
        "Cuda", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    arena = ort.OrtArenaCfg({"arena_extend_strategy": SAME_AS_REQUESTED})

    try:
        ort.create_and_register_allocator_v2(CUDA, memory, {}, arena)
    except Exception as error:  # noqa: BLE001  the binding raises its own and bare RuntimeErrors
        log.warning("each CUDA session has an arena of its own", extra={"because": str(error)})
        return False

    return True


def _driver_obstacle() -> str:
    """Return what NVIDIA's driver says against its use; empty when it shows a device."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        return f"NVIDIA's driver is not here ({error})"

    devices = ctypes.c_int()
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(devices))

    if status:
        return f"NVIDIA's driver answers with error {status}"

    return "" if devices.value else "NVIDIA's driver shows no device"
