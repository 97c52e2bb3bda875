"""What a figure was measured on, and where it is written down."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from data.common.device import has_fast_bfloat16, library_version

RESULTS = Path(__file__).parent / "results"


def describe() -> dict[str, Any]:
    """Processor, cores, accelerator and versions."""
    info = Path("/proc/cpuinfo")
    names = (
        [x.split(":", 1)[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")]
        if info.exists()
        else []
    )
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "bfloat16_instructions": has_fast_bfloat16(torch.device("cpu")),
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{n: v for n in ("onnxruntime", "openvino") if (v := library_version(n))},
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def write(name: str, command: str, results: Any) -> Path:
    """Keep results with the command and machine behind them."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"command": command, "machine": describe(), "results": results}, indent=1) + "\n")
    return path
