"""PyTorch as a runtime, on the CPU and, where there is one, on a GPU."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from profiling.runtimes.registry import runtime_of
from profiling.runtimes.session import Request
from profiling.runtimes.torch_session import open_session

HERE = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]


@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_with_a_line_inside_answers_in_every_precision(bundle, device, precision):
    """The line's numbers are float32 whatever the network computes in."""
    images = load_file(bundle / "test.safetensors")["images.clean"][:8]
    request = Request("torch", device, precision, 1, 8, images.shape[1:], None, (bundle, 0.5))
    exact = open_session(Request("torch", "cpu", "fp32", 1, 8, images.shape[1:], None, (bundle, 0.5))).logits(images)
    session = open_session(request)
    found = session.logits(images)
    assert found == pytest.approx(exact, abs=0.5 if precision == "bf16" else 0.01)
    assert np.array_equal(found.argmax(1), exact.argmax(1))
    one, whole = session.sample()
    assert one > 0
    assert (whole is None) == (device == "cpu")


def test_every_precision_that_the_registry_promises_is_tried_above():
    assert runtime_of("torch").precisions == {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16")}
