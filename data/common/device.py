"""What this machine offers: installed libraries, cores, a GPU, fast bfloat16."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.common.errors import UserError

if TYPE_CHECKING:
    import torch


def is_installed(module: str) -> bool:
    """Whether a module can be imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def library_version(name: str) -> str | None:
    """Installed version of a distribution; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def core_numbers() -> list[int]:
    """Numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """Number of cores that this process may use, also where a container allows fewer than the machine has."""
    return max(1, min(len(core_numbers()), _quota() or 10**6))


def _quota() -> int | None:
    """Whole cores that a container's CPU quota allows (cgroup v2)."""
    try:
        quota, _, period = Path("/sys/fs/cgroup/cpu.max").read_text().strip().partition(" ")
    except OSError:
        return None
    return max(1, round(int(quota) / int(period))) if quota.isdigit() and period.isdigit() else None


def has_gpu() -> bool:
    """Whether torch is installed and sees a CUDA device."""
    if not is_installed("torch"):
        return False
    import torch

    return bool(torch.cuda.is_available())


def choose_device(name: str, error: type[UserError]) -> "torch.device":
    """The device to train on.

    Args:
        name: "auto" (a GPU where there is one), "cpu" or "cuda".
        error: Exception of the calling package.

    Raises:
        UserError: As `error`: a GPU is required and there is none.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise error("--device cuda: no usable GPU here.", "Use --device auto or cpu, or install its driver.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def has_fast_bfloat16(device: "torch.device") -> bool:
    """Whether this device has instructions for bfloat16; without them it is emulated and slower than float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public name for these yet.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def gpu_count() -> int:
    """Number of CUDA devices, as far as torch is loaded: where it is not, nobody computes on them."""
    torch: Any = sys.modules.get("torch")
    return int(torch.cuda.device_count()) if torch is not None else 0
