"""The machine that a profile is measured on, as the operating system describes it (None or empty if it does not)."""

import contextlib
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from data.common.device import core_numbers, library_version, usable_cores
from profiling.profile.entries import Accelerator, Environment, Processor
from profiling.runtimes.registry import RUNTIMES

LIBRARIES = ("jopa", "onnx", "numpy")  # in addition to the runtimes
VECTOR_FLAGS = frozenset({"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_bf16", "amx_int8"})
DOT_PRODUCT_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})  # int8 products are summed in 32 bits
TELLING_FLAGS = VECTOR_FLAGS | {"asimd", "bf16", "i8mm"}
CPU = Path("/sys/devices/system/cpu")


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _cpuinfo() -> dict[str, str]:
    """Fields of the first processor in /proc/cpuinfo."""
    lines = (_text(Path("/proc/cpuinfo")) or "").split("\n\n")[0].splitlines()
    return {k.strip(): v.strip() for k, _, v in (x.partition(":") for x in lines)}


def _bytes(text: str) -> int:
    units = {"K": 1024, "M": 1024**2, "G": 1024**3}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)


def _caches() -> dict[str, int]:
    """Bytes of each cache that the first core sees: L1d, L1i, L2, L3."""
    found = {}
    for index in sorted(CPU.glob("cpu0/cache/index*")):
        level, kind, size = (_text(index / n) for n in ("level", "type", "size"))
        if level and size:
            with contextlib.suppress(ValueError):
                found[f"L{level}{ {'Data': 'd', 'Instruction': 'i'}.get(kind or '', '') }".replace(" ", "")] = _bytes(
                    size
                )
    return found


def frequency_hz() -> float | None:
    """Mean present clock frequency of the usable cores in Hz."""
    found = [t for c in core_numbers() if (t := _text(CPU / f"cpu{c}/cpufreq/scaling_cur_freq"))]
    if found:
        return 1e3 * sum(map(float, found)) / len(found)
    megahertz = _cpuinfo().get("cpu MHz")
    return 1e6 * float(megahertz) if megahertz else None


def memory_bytes(field: str = "MemTotal") -> int:
    """A line of /proc/meminfo in bytes, e.g. MemAvailable; 0 where there is none."""
    for line in (_text(Path("/proc/meminfo")) or "").splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    return 0


def int8_saturates() -> bool:
    """Whether products of 8-bit weights and activations are summed in 16 bits here and may overflow.

    x86 processors without the instructions for int8 dot products (VNNI) do so, in onnxruntime among others; weights of
    7 bits then keep the sums in range.
    """
    flags = set(_cpuinfo().get("flags", "").split())
    return "avx2" in flags and not flags & DOT_PRODUCT_FLAGS


def _processor() -> Processor:
    info = _cpuinfo()
    name = info.get("model name") or _text(Path("/proc/device-tree/model")) or platform.processor() or "unknown"
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return Processor(
        name=name.strip("\x00"),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        cores_usable=usable_cores(),
        caches=_caches(),
        governor=_text(CPU / "cpu0/cpufreq/scaling_governor"),
        frequency_hz=frequency_hz(),
        flags=sorted(TELLING_FLAGS & flags),
    )


def accelerator() -> Accelerator | None:
    """The first GPU that nvidia-smi names."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = "name,memory.total,driver_version,compute_cap"
    done = subprocess.run(
        [tool, f"--query-gpu={query}", "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False
    )
    fields = [x.strip() for x in done.stdout.splitlines()[0].split(",")] if done.stdout.strip() else []
    if done.returncode or len(fields) != 4 or not fields[1].isdigit():
        return None
    return Accelerator(
        name=fields[0], memory_bytes=int(fields[1]) * 2**20, driver=fields[2], compute_capability=fields[3]
    )


def _system() -> str:
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return f"{release.get('PRETTY_NAME', platform.system())}, kernel {platform.release()}"


def _hypervisor() -> str | None:
    vendor = _text(Path("/sys/class/dmi/id/sys_vendor"))
    return (vendor or "yes") if "hypervisor" in _cpuinfo().get("flags", "").split() else None


def describe(started: datetime, duration_s: float, load_before: tuple[float, ...], gpu: bool) -> Environment:
    """The environment of a finished measurement.

    Args:
        started: Time of the beginning.
        duration_s: Duration in seconds, on the monotonic clock.
        load_before: `load()` at the beginning.
        gpu: Whether to describe the GPU.
    """
    versions = {name: library_version(name) for name in LIBRARIES}
    versions |= {runtime.name: runtime.version() for runtime in RUNTIMES.values()}
    return Environment(
        processor=_processor(),
        accelerator=accelerator() if gpu else None,
        memory_bytes=memory_bytes(),
        virtual_machine=_hypervisor(),
        system=_system(),
        python=platform.python_version(),
        libraries={name: version for name, version in versions.items() if version},
        load_before=list(load_before),
        load_after=list(load()),
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        duration_s=duration_s,
    )


def load() -> tuple[float, ...]:
    """Load averages over 1, 5 and 15 minutes."""
    return os.getloadavg() if hasattr(os, "getloadavg") else ()
