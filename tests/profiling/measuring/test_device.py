"""What the description of a machine says about its arithmetic."""

import pytest

from profiling.measuring import device


@pytest.mark.parametrize(
    ("flags", "saturates"),
    [
        ("sse2 avx2", True),
        ("sse2 avx2 avx_vnni", False),
        ("avx2 avx512f avx512_vnni", False),
        ("avx2 avx512f", True),
        ("", False),  # ARM: its list is called Features
    ],
)
def test_int8_sums_overflow_on_x86_without_dot_product_instructions(monkeypatch, flags, saturates):
    monkeypatch.setattr(device, "_cpuinfo", lambda: {"flags": flags})
    assert device.int8_saturates() is saturates
