"""FLOPs from the ONNX graph against torch, fvcore, torch-pruning and counts by hand."""

import logging
import warnings

import numpy as np
import onnx
import pytest
import torch
import torch_pruning
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from torch.utils.flop_counter import FlopCounterMode

from profiling import ProfilingError
from profiling.bundle.flops import count, input_shape, read_graph
from profiling.measuring.quantize import quantize
from pruning import load_model, read_manifest
from pruning.export import to_onnx
from pruning.spec import dense_spec
from pruning.vgg import build_vgg


def graph_of(nodes, weights, shape=("batch", 3, 8, 8), output=("batch", None)):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


class TestCount:
    @pytest.mark.parametrize("kind", ["bundle", "masked"])
    def test_every_model_of_a_bundle_has_torchs_flops(self, kind, request):
        folder = request.getfixturevalue(kind)
        manifest = read_manifest(folder)
        for entry in manifest.models:
            with FlopCounterMode(display=False) as counter:
                load_model(folder, entry.rate)(torch.zeros(1, 1, 32, 32))
            found = count(read_graph(folder / entry.onnx), entry.onnx)
            assert found.flops == counter.get_total_flops() == entry.flops
            assert sum(x.flops for x in found.layers) == found.flops

    @pytest.mark.parametrize(("size", "head"), [(64, "small"), (32, "paper")])
    def test_other_sizes_and_heads_have_torchs_flops(self, tmp_path, size, head):
        model = build_vgg(dense_spec(4, size, head, width=0.125)).eval()
        (tmp_path / "m.onnx").write_bytes(to_onnx(model, size))
        graph = read_graph(tmp_path / "m.onnx")
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 1, size, size))
        assert count(graph, "m").flops == counter.get_total_flops()
        assert input_shape(graph) == (1, size, size)

    def test_a_convolution_by_hand(self):
        nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=1)]
        nodes += [helper.make_node("Relu", ["c"], ["y"])]
        model = graph_of(nodes, {"w": np.ones((5, 3, 3, 3)), "b": np.ones(5)}, output=("batch", 5, 8, 8))
        found = count(model, "m")
        assert found.flops == 2 * 5 * 8 * 8 * 3 * 3 * 3
        assert found.elementwise == 5 * 8 * 8 + 5 * 8 * 8  # bias, activation
        assert found.parameters == 5 * 27 + 5
        assert found.activation_bytes == 4 * (3 * 64 + 5 * 64 + 5 * 64 + 5 * 64)

    def test_grouped_convolutions_and_matrix_products_by_hand(self):
        conv = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[1, 1], group=3)
        grouped = graph_of([conv], {"w": np.ones((6, 1, 1, 1))}, output=("batch", 6, 8, 8))
        assert count(grouped, "m").flops == 2 * 6 * 64
        product = helper.make_node("MatMul", ["x", "w"], ["y"])
        assert count(graph_of([product], {"w": np.ones((7, 4))}, ("batch", 7)), "m").flops == 2 * 7 * 4
        gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
        found = count(graph_of([gemm], {"w": np.ones((4, 7)), "b": np.ones(4)}, ("batch", 7)), "m")
        assert (found.flops, found.elementwise) == (2 * 7 * 4, 4)

    def test_quantising_changes_no_multiply_accumulate(self, bundle, tmp_path):
        manifest = read_manifest(bundle)
        entry = manifest.models[1]
        images = load_file(bundle / manifest.calibration)["images"]
        quantize(bundle / entry.onnx, tmp_path / "int8.onnx", images, narrow=False)
        assert count(read_graph(tmp_path / "int8.onnx"), "int8").flops == entry.flops

    def test_fvcore_counts_the_same_multiply_accumulates_once(self, bundle):
        logging.getLogger("fvcore").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from fvcore.nn import FlopCountAnalysis

            entry = read_manifest(bundle).models[-1]
            analysis = FlopCountAnalysis(load_model(bundle, entry.rate), torch.zeros(1, 1, 32, 32))
            by_operator = analysis.unsupported_ops_warnings(False).by_operator()
        found = count(read_graph(bundle / entry.onnx), "m")
        parts = ("conv", "linear", "matmul")  # the last: the straight line inside
        assert found.flops == 2 * sum(by_operator[name] for name in parts)

    def test_torch_pruning_counts_multiply_accumulates_and_some_of_the_rest(self, bundle):
        """Its one number mixes multiply-accumulates with biases and norms: a little above half of ours, never below."""
        entry = read_manifest(bundle).models[0]
        macs, _ = torch_pruning.utils.count_ops_and_params(load_model(bundle, 0.0), torch.zeros(1, 1, 32, 32))
        found = count(read_graph(bundle / entry.onnx), "m")
        assert found.flops / 2 <= macs <= (found.flops + 2 * found.elementwise) / 2 + found.elementwise


class TestDamage:
    @pytest.mark.parametrize("content", [b"", b"no model", b"\x80\x04\x95 a pickle", bytes(100)])
    def test_what_is_not_an_onnx_model_is_refused(self, tmp_path, content):
        (tmp_path / "m.onnx").write_bytes(content)
        with pytest.raises(ProfilingError, match="not a valid ONNX model"):
            read_graph(tmp_path / "m.onnx")

    def test_a_truncated_model_is_refused_or_counted_as_it_is(self, bundle, tmp_path):
        whole = (bundle / read_manifest(bundle).models[0].onnx).read_bytes()
        for cut in np.linspace(1, len(whole) - 1, 25).astype(int):
            (tmp_path / "m.onnx").write_bytes(whole[:cut])
            with pytest.raises(ProfilingError, match=r"m\.onnx"):
                count(read_graph(tmp_path / "m.onnx"), "m.onnx")

    @pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "beside.bin", ""])
    def test_data_outside_the_file_is_refused(self, tmp_path, location):
        """F10: also a file in the folder, unless its hash was verified."""
        product = helper.make_node("MatMul", ["x", "w"], ["y"])
        model = graph_of([product], {"w": np.ones((7, 4))}, ("batch", 7))
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.append(onnx.StringStringEntryProto(key="location", value=location))
        (tmp_path / "beside.bin").write_bytes(bytes(112))
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ProfilingError, match="outside its folder or without a hash"):
            read_graph(tmp_path / "m.onnx")

    def test_a_link_out_of_the_folder_is_refused(self, tmp_path):
        (tmp_path / "inside").mkdir()
        (tmp_path / "secret.bin").write_bytes(bytes(112))
        (tmp_path / "inside" / "w.bin").symlink_to(tmp_path / "secret.bin")
        product = helper.make_node("MatMul", ["x", "w"], ["y"])
        model = graph_of([product], {"w": np.ones((7, 4))}, ("batch", 7))
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.append(onnx.StringStringEntryProto(key="location", value="w.bin"))
        path = tmp_path / "inside" / "m.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ProfilingError, match="outside its folder"):
            read_graph(path, frozenset([tmp_path / "inside" / "w.bin"]))

    def test_an_operator_that_is_not_in_the_table_is_named(self):
        node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="bi,ij->bj")
        with pytest.raises(ProfilingError, match="Einsum"):
            count(graph_of([node], {"w": np.ones((7, 4))}, ("batch", 7)), "m")
