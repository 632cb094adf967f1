from __future__ import annotations

import json
import pickle
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import interpolate

from mammoshift.configuration.model import Backbone, WeightsFile
from mammoshift.errors import ConfigurationError, WeightsError
from mammoshift.files import sha256_of_file
from mammoshift.models.architectures import (
    create_features,
    describe_architecture,
    feature_count,
    reference_state,
)
from mammoshift.weights import pickle_limits
from mammoshift.weights.convert import METADATA_KEY, convert_weights, read_converted
from mammoshift.weights.restricted import CheckpointArchive, StoredTensor


def backbone(architecture: str, **changes: object) -> Backbone:
    values = {"architecture": architecture, "mean": (0.5,) * 3, "std": (0.2,) * 3}
    return Backbone.model_validate({**values, **changes})


def weights_file(file: str, form: str = "timm", **changes: object) -> WeightsFile:
    values = {"file": file, "format": form, "licence": "apache-2.0", "source": "group/model"}
    return WeightsFile.model_validate({**values, **changes})


def random_state(architecture: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.rand(tensor.shape, generator=generator)
        if tensor.is_floating_point()
        else tensor.clone()
        for name, tensor in reference_state(backbone(architecture)).items()
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


class Malicious:
    """Pickles into a call that would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


class ForeignSettings:
    """Stands for the configuration object of another package, under that package's name."""

    def __init__(self) -> None:
        self.values = {"name": "tf_efficientnet_b0"}


@pytest.fixture
def omegaconf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `ForeignSettings` pickled as `omegaconf.dictconfig.ForeignSettings`."""
    for name in ("omegaconf", "omegaconf.dictconfig"):
        module = ModuleType(name)
        vars(module)["ForeignSettings"] = ForeignSettings
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(ForeignSettings, "__module__", "omegaconf.dictconfig")


def test_timm_checkpoint_keeps_every_tensor_but_the_head(tmp_path: Path) -> None:
    state = random_state("test_resnet")
    source = tmp_path / "weights.pth"
    torch.save({"state_dict": {**state, "fc.weight": torch.ones(5, 96)}}, source)
    convert_weights(source, weights_file("weights.pth"), backbone("test_resnet"), tmp_path / "w.st")
    assert same(read_converted(tmp_path / "w.st"), state)


def test_metadata_tells_licence_source_and_digest(tmp_path: Path) -> None:
    source, out = tmp_path / "weights.safetensors", tmp_path / "out.safetensors"
    save_file(random_state("test_resnet"), source)
    convert_weights(source, weights_file(source.name), backbone("test_resnet"), out)
    with safe_open(out, framework="pt") as stream:
        metadata = json.loads(stream.metadata()[METADATA_KEY])
    assert metadata["licence"] == "apache-2.0"
    assert metadata["source"] == "group/model"
    assert metadata["source_sha256"] == sha256_of_file(source)


def test_conversion_gives_equal_bytes_each_time(tmp_path: Path) -> None:
    source = tmp_path / "weights.safetensors"
    save_file(random_state("test_resnet"), source)
    for name in ("one", "two"):
        convert_weights(source, weights_file("w"), backbone("test_resnet"), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_facebook_dinov2_mask_token_is_dropped(tmp_path: Path) -> None:
    state = random_state("test_vit")
    source = tmp_path / "weights.pth"
    torch.save({**state, "mask_token": torch.zeros(1, 64)}, source)
    convert_weights(source, weights_file("w"), backbone("test_vit"), tmp_path / "out")
    assert same(read_converted(tmp_path / "out"), state)


def test_half_precision_becomes_float32_and_old_files_get_batch_counters(tmp_path: Path) -> None:
    state = random_state("test_resnet")
    halved = {n: t.half() for n, t in state.items() if not n.endswith("num_batches_tracked")}
    save_file(halved, tmp_path / "weights.safetensors")
    convert_weights(
        tmp_path / "weights.safetensors", weights_file("w"), backbone("test_resnet"), tmp_path / "o"
    )
    converted = read_converted(tmp_path / "o")
    assert same(converted, {n: t.half().to(t.dtype) for n, t in state.items()})


def huggingface_name(name: str, generation: int) -> str:
    outside = {
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    if name in outside:
        return outside[name]
    dense = "attention.output.dense" if generation == 1 else "attention.o_proj"
    for ours, theirs in (
        ("blocks.", "encoder.layer."),
        ("attn.proj", dense),
        ("ls1.gamma", "layer_scale1.lambda1"),
        ("ls2.gamma", "layer_scale2.lambda1"),
    ):
        name = name.replace(ours, theirs)
    return name


def as_huggingface(state: dict[str, Tensor], generation: int) -> dict[str, Tensor]:
    parts = {
        1: ("attention.attention.query", "attention.attention.key", "attention.attention.value"),
        2: ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    }[generation]
    theirs: dict[str, Tensor] = {"embeddings.mask_token": torch.zeros(1, 64)}
    for name, tensor in state.items():
        if ".attn.qkv." in name:
            for part, piece in zip(parts, tensor.chunk(3), strict=True):
                renamed = name.replace("attn.qkv", part).replace("blocks.", "encoder.layer.")
                theirs[renamed] = piece.clone()
        else:
            theirs[huggingface_name(name, generation)] = tensor
    return theirs


@pytest.mark.parametrize("generation", [1, 2])
def test_huggingface_dinov2_of_both_generations(tmp_path: Path, generation: int) -> None:
    architecture = "vit_small_patch14_dinov2"
    state = random_state(architecture)
    save_file(as_huggingface(state, generation), tmp_path / "model.safetensors")
    convert_weights(
        tmp_path / "model.safetensors",
        weights_file("rad-dino/model.safetensors", "huggingface_dinov2"),
        backbone(architecture, size_multiple=14),
        tmp_path / "out",
    )
    assert same(read_converted(tmp_path / "out"), state)


def as_efficientnet_pytorch(state: dict[str, Tensor]) -> dict[str, Tensor]:
    plain = {
        "conv_dw": "_depthwise_conv",
        "bn1": "_bn1",
        "se.conv_reduce": "_se_reduce",
        "se.conv_expand": "_se_expand",
        "conv_pw": "_project_conv",
        "bn2": "_bn2",
    }
    expanding = {
        "conv_pw": "_expand_conv",
        "bn1": "_bn0",
        "conv_dw": "_depthwise_conv",
        "bn2": "_bn1",
        "se.conv_reduce": "_se_reduce",
        "se.conv_expand": "_se_expand",
        "conv_pwl": "_project_conv",
        "bn3": "_bn2",
    }
    top = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    blocks = sorted({tuple(map(int, n.split(".")[1:3])) for n in state if n.startswith("blocks.")})
    theirs = {}
    for name, tensor in state.items():
        if name.startswith("blocks."):
            _, stage, index, rest = name.split(".", 3)
            layer, _, ending = rest.rpartition(".")
            layers = plain if stage == "0" else expanding
            number = blocks.index((int(stage), int(index)))
            theirs[f"image_encoder._blocks.{number}.{layers[layer]}.{ending}"] = tensor
        else:
            layer, _, ending = name.partition(".")
            theirs[f"image_encoder.{top[layer]}.{ending}"] = tensor
    return theirs


@pytest.mark.usefixtures("omegaconf")
def test_mammo_clip_checkpoint_with_foreign_objects(tmp_path: Path) -> None:
    state = random_state("tf_efficientnet_b0")
    theirs = as_efficientnet_pytorch(state)
    model = {**theirs, "text_encoder.layer.weight": torch.ones(3), "logit_scale": torch.ones(())}
    source = tmp_path / "best.tar"
    torch.save(
        {"config": ForeignSettings(), "model": model, "optimizer": {"lr": 0.1}, "epoch": 7}, source
    )
    convert_weights(
        source,
        weights_file("best.tar", "mammo_clip"),
        backbone("tf_efficientnet_b0", static_padding=True),
        tmp_path / "out",
    )
    assert same(read_converted(tmp_path / "out"), state)


def test_b5_maps_all_852_tensors() -> None:
    from mammoshift.weights.key_maps import from_mammo_clip

    expected = reference_state(backbone("tf_efficientnet_b5"))
    theirs = as_efficientnet_pytorch(expected)
    assert len(theirs) == 852
    assert "image_encoder._blocks.38._project_conv.weight" in theirs
    mapped = from_mammo_clip(theirs, expected)
    assert mapped.keys() == expected.keys()
    assert all(mapped[name] is expected[name] for name in expected)


def test_a_file_with_foreign_names_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    target = tmp_path / "made_by_the_pickle"
    source = tmp_path / "weights.pth"
    torch.save({"state_dict": random_state("test_resnet"), "config": Malicious(target)}, source)
    with pytest.raises(WeightsError, match=r"file names \w+\.getattr, which no"):
        convert_weights(source, weights_file("w"), backbone("test_resnet"), tmp_path / "out")
    assert not target.exists()
    with pytest.raises(AttributeError):
        torch.load(source, weights_only=False)["config"].values  # noqa: B018
    assert target.exists(), "the pickle would have done nothing, so the test proves nothing"


@pytest.mark.parametrize("name", ["posix system", "builtins eval", "builtins exec", "torch load"])
def test_a_name_that_is_never_called_is_refused_too(tmp_path: Path, name: str) -> None:
    module, function = name.split()
    named = f"c{module}\n{function}\n".encode()
    # A dictionary with the name as its only value.
    path = archive_of(tmp_path / "weights.pth", b"\x80\x02}X\x01\x00\x00\x00a" + named + b"s.")
    with pytest.raises(WeightsError, match=f"names {module}.{function}, which"):
        CheckpointArchive(path)


@pytest.mark.parametrize(
    ("module", "name"), [("torch._utils", "os.system"), ("typing", "sys.exit"), ("typing", "sys")]
)
def test_what_a_known_module_has_imported_is_not_known(
    tmp_path: Path, module: str, name: str
) -> None:
    named = b"".join(b"\x8c%c%s" % (len(word), word.encode()) for word in (module, name))
    path = archive_of(tmp_path / "weights.pth", b"\x80\x04}\x8c\x01a" + named + b"\x93s.")
    with pytest.raises(WeightsError, match=f"names {module}.{name}, which"):
        CheckpointArchive(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3])
def test_values_that_no_training_gives_are_named(tmp_path: Path, value: float) -> None:
    state = random_state("test_resnet")
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    state[name] = torch.full_like(state[name], value, dtype=torch.tensor(value).dtype)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=f"{name} holds"):
        convert_weights(
            tmp_path / "weights.pth", weights_file("w"), backbone("test_resnet"), tmp_path / "out"
        )


def archive_of(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return path


def nested(levels: int) -> bytes:
    """A dictionary whose key is a tuple of two tuples, each of two tuples, and so on."""
    level = b"".join(b"h%c" % n + b"h%c\x86q%c" % (n, n + 1) + b"0" for n in range(levels))
    return b"\x80\x02K\x01\x85q\x000" + level + b"}h%cK\x01s." % levels


@pytest.mark.parametrize("form", ["archive", "plain"])
def test_hashes_that_would_take_hours_are_refused_at_once(tmp_path: Path, form: str) -> None:
    hostile = nested(60)
    assert len(hostile) < 600
    path = tmp_path / "weights.pth"
    if form == "archive":
        archive_of(path, hostile)
    else:
        path.write_bytes(hostile)
    began = time.process_time()
    with pytest.raises(WeightsError, match="would take hours"):
        convert_weights(path, weights_file("w"), backbone("test_resnet"), tmp_path / "out")
    assert time.process_time() - began < 5
    assert CheckpointArchive(archive_of(path, nested(3))).content


def test_endless_operations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_limits, "OPERATIONS_LIMIT", 10_000)
    path = archive_of(tmp_path / "weights.pth", b"\x80\x02" + b"N0" * 10_000 + b"N.")
    with pytest.raises(WeightsError, match="more than 10000 operations"):
        CheckpointArchive(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_malicious_plain_pickle_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "made_by_the_pickle"
    source = tmp_path / "weights.pth"
    source.write_bytes(pickle.dumps(Malicious(target)))
    with pytest.raises(WeightsError, match="without running its content"):
        convert_weights(source, weights_file("w"), backbone("test_resnet"), tmp_path / "out")
    assert not target.exists()
    assert not (tmp_path / "out").exists()


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_pickle_content_is_read_or_refused(content: bytes, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("any") / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    try:
        CheckpointArchive(path).__exit__()
    except WeightsError:
        return
    assert content


def test_pickle_cannot_change_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    hostile = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00functionK\x01sb."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", hostile)
    with pytest.raises(WeightsError, match="tries to change"):
        CheckpointArchive(path)


def test_pickle_cannot_have_the_memory_filled(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    number = 2**24
    for memo in (b"r" + number.to_bytes(4, "little"), b"p%d\n" % number):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02N" + memo + b".")
        with pytest.raises(WeightsError, match=f"has an object {number}"):
            CheckpointArchive(path)


def rewritten(source: Path, destination: Path, storage: Callable[[bytes], bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(destination, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, storage(content) if "/data/" in name else content)
    return destination


@pytest.mark.parametrize("length", [0, 12, 15])
def test_storage_that_is_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    torch.save({"t": torch.ones(4)}, tmp_path / "whole.pth")
    cut = rewritten(tmp_path / "whole.pth", tmp_path / "cut.pth", lambda c: c[:length])
    with CheckpointArchive(cut) as archive, pytest.raises(WeightsError, match="is cut off"):
        archive.load(archive.content["t"])


def test_empty_tensor_of_an_impossible_shape_is_refused(tmp_path: Path) -> None:
    torch.save({"t": torch.ones(4)}, tmp_path / "weights.pth")
    with CheckpointArchive(tmp_path / "weights.pth") as archive:
        stored = StoredTensor(archive.content["t"].storage, 0, (0, 2**64), (1, 1))
        with pytest.raises(WeightsError, match="impossible shape"):
            archive.load(stored)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("new", [True, False], ids=["archive", "before PyTorch 1.6"])
def test_damaged_checkpoint_is_refused_in_words(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "weights.pth"
    content = {"a": torch.arange(6.0), "b": torch.ones(3, 2).half()}
    torch.save(content, path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(len(whole), size=3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged if random.random() < 0.7 else damaged[: -random.integers(1, 99)])
        # What is read in spite of the damage is not what the architecture needs.
        with pytest.raises(WeightsError):
            convert_weights(path, weights_file("w"), backbone("test_resnet"), tmp_path / "out")


@pytest.mark.parametrize(
    "view", [torch.arange(24.0).reshape(4, 6).T, torch.arange(24.0)[5:11], torch.ones(2, 0)]
)
def test_views_are_read_as_they_are(tmp_path: Path, view: Tensor) -> None:
    torch.save({"view": view}, tmp_path / "weights.pth")
    with CheckpointArchive(tmp_path / "weights.pth") as archive:
        stored = archive.content["view"]
        assert torch.equal(archive.load(stored), view)


def test_tensor_outside_its_storage_is_refused(tmp_path: Path) -> None:
    torch.save({"t": torch.ones(4)}, tmp_path / "weights.pth")
    with CheckpointArchive(tmp_path / "weights.pth") as archive:
        storage = archive.content["t"].storage
        for stored in (
            StoredTensor(storage, 2, (4,), (1,)),
            StoredTensor(storage, 0, (10**9,), (0,)),
        ):
            with pytest.raises(WeightsError, match="outside its storage"):
                archive.load(stored)


def test_wrong_names_are_listed_with_the_expected_file(tmp_path: Path) -> None:
    state = random_state("test_resnet")
    missing = sorted(state)[0]
    del state[missing]
    save_file({**state, "aux.weight": torch.ones(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError) as caught:
        convert_weights(
            tmp_path / "weights.safetensors",
            weights_file("folder/right.safetensors"),
            backbone("test_resnet"),
            tmp_path / "out",
        )
    message = str(caught.value)
    for part in (missing, "aux.weight", "right.safetensors", "group/model"):
        assert part in message


def test_wrong_shape_is_named(tmp_path: Path) -> None:
    state = {**random_state("test_resnet"), "conv1.0.weight": torch.ones(1, 3, 3, 3)}
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match=r"conv1\.0\.weight is \[1, 3, 3, 3\], expected"):
        convert_weights(
            tmp_path / "weights.safetensors", weights_file("w"), backbone("test_resnet"), tmp_path
        )


def test_absent_and_unpinned_files(tmp_path: Path) -> None:
    absent = tmp_path / "weights.safetensors"
    with pytest.raises(WeightsError, match=r"get right\.tar from group/model"):
        convert_weights(absent, weights_file("right.tar"), backbone("test_resnet"), tmp_path / "o")
    save_file(random_state("test_resnet"), absent)
    pinned = weights_file("w", sha256="0" * 64)
    with pytest.raises(WeightsError, match="is pinned"):
        convert_weights(absent, pinned, backbone("test_resnet"), tmp_path / "o")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("weights.safetensors", b"\x10", "cannot be read as safetensors"),
        ("weights.tar", b"", "without running its content"),
        ("weights.pth", b"PK\x05\x06" + b"\0" * 18, "no PyTorch checkpoint"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        convert_weights(
            tmp_path / name, weights_file(name), backbone("test_resnet"), tmp_path / "out"
        )


def test_checkpoint_without_image_encoder(tmp_path: Path) -> None:
    torch.save({"model": {"text_encoder.weight": torch.ones(2)}}, tmp_path / "w.tar")
    with pytest.raises(WeightsError, match="image_encoder"):
        convert_weights(
            tmp_path / "w.tar",
            weights_file("w.tar", "mammo_clip"),
            backbone("tf_efficientnet_b0"),
            tmp_path / "out",
        )


def test_unknown_architecture_suggests_close_names() -> None:
    with pytest.raises(ConfigurationError, match="did you mean resnet50"):
        describe_architecture("resnet5O")
    with pytest.raises(ConfigurationError, match="not known"):
        describe_architecture("hf-hub:timm/resnet50")


def test_size_that_is_no_multiple_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"nearest that is: \[1008, 616\]"):
        create_features(backbone("vit_small_patch14_dinov2", size_multiple=14), (1013, 620))


def test_size_that_cuts_patches_is_refused_without_a_declared_multiple() -> None:
    with pytest.raises(ConfigurationError, match=r"nearest that is: \[128, 80\]"):
        create_features(backbone("test_vit"), (130, 80))


def test_variable_size_of_a_network_with_position_embeddings_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="variable_size"):
        create_features(backbone("test_vit", variable_size=True), (64, 32))


@pytest.mark.parametrize(
    "architecture",
    ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "mobilenetv3_small_050"],
)
def test_feature_count_is_what_the_network_gives(architecture: str) -> None:
    features = create_features(backbone(architecture), (64, 32)).eval()
    with torch.inference_mode():
        assert features(torch.zeros(1, 3, 64, 32)).shape == (1, feature_count(features))


def test_pretrained_weights_are_resampled_and_summed_over_colours() -> None:
    state = random_state("test_vit")
    grey = backbone("test_vit", channels=1, mean=(0.5,), std=(0.5,))
    features = create_features(grey, (64, 32), state).state_dict()
    summed = state["patch_embed.proj.weight"].sum(dim=1, keepdim=True)
    assert torch.allclose(features["patch_embed.proj.weight"], summed)
    assert features["pos_embed"].shape[1] == 1 + 4 * 2
    assert torch.equal(features["blocks.0.attn.qkv.weight"], state["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize(
    ("before", "after"),
    [((64, 32), (96, 48)), ((128, 32), (64, 64)), ((320, 80), (320, 80))],
    ids=["no square", "as many places as a square", "as many places as the native size"],
)
def test_positions_of_another_size_keep_their_rows_and_columns(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    grey = backbone("test_vit", channels=1, mean=(0.5,), std=(0.5,))
    state = create_features(grey, before).state_dict()
    found = create_features(grey, after, state, before).state_dict()["pos_embed"][0]
    rows, columns = (edge // 16 for edge in before)
    old = state["pos_embed"][0, 1:].T.reshape(1, -1, rows, columns)
    new = (after[0] // 16, after[1] // 16)
    expected = interpolate(old, new, mode="bicubic", antialias=True)
    assert torch.equal(found[0], state["pos_embed"][0, 0])
    assert torch.allclose(found[1:], expected[0].flatten(1).T, atol=1e-6)


def test_state_of_another_architecture_is_refused() -> None:
    with pytest.raises(WeightsError):
        create_features(backbone("test_efficientnet"), (64, 32), random_state("test_resnet"))
