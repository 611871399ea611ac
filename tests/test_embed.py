"""Features of frozen networks: real forward passes of torchvision and timm models with weights from their caches."""

from __future__ import annotations

import urllib.error
import warnings

import numpy as np
import pytest

import shoebox
from shoebox.data import Dataset, open_image
from shoebox.errors import ShoeboxWarning, TrainingError
from shoebox.training import backbone_features, backbone_name
from tests._pictures import folders

pytestmark = pytest.mark.slow


@pytest.fixture
def ds(tmp_path):
    return Dataset(folders(tmp_path / "pictures", {"red": 8, "green": 8}))


@pytest.fixture
def resnet(tmp_path, monkeypatch):
    """A resnet18 whose weights stand in torch's cache, as if downloaded."""
    import torch
    from torchvision.models import ResNet18_Weights, resnet18

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.manual_seed(5)
    network = resnet18().eval()
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(network.state_dict(), checkpoints / ResNet18_Weights.DEFAULT.url.rsplit("/", 1)[1])
    return network


def test_features_are_those_of_the_network_without_its_classifier(ds, resnet):
    import torch

    calls = []
    features = backbone_features(ds, ds.images, "resnet18", progress=lambda *step: calls.append(step))
    assert features.shape == (16, 512) and calls == [(16, 16)]
    seen = []
    resnet.avgpool.register_forward_hook(lambda *parts: seen.append(parts[2].flatten()))
    pixels = np.asarray(open_image(ds.thumbnail(ds.images[3].path, 256)).resize((224, 224), 2), np.float32) / 255
    scaled = (pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.inference_mode():
        resnet(torch.from_numpy(scaled).permute(2, 0, 1)[None].float())
    assert features[3] == pytest.approx(seen[0].numpy(), rel=0.01, abs=0.01)


def test_each_picture_passes_once_and_never_through_augmentation(ds, resnet, monkeypatch):
    import torchvision

    from shoebox.training import _embed

    passed = []
    forward = _embed._forward
    monkeypatch.setattr(_embed, "_forward", lambda model, numbers, images: (
        passed.append(len(images)), forward(model, numbers, images))[1])

    def refuse(*_, **__):
        raise AssertionError("a picture went through fastai's transforms")

    for name in ("RandomResizedCrop", "Resize", "AffineCoordTfm"):
        monkeypatch.setattr(f"fastai.vision.augment.{name}.encodes", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShoeboxWarning)
        first = shoebox.rank(ds, backbone="resnet18")
        assert list(shoebox.rank(Dataset(ds.root), backbone=torchvision.models.resnet18)) == list(first)
    assert passed == [16]
    assert "frozen features of a pretrained resnet18" in repr(first)
    shoebox.rank(ds)
    assert passed == [16], "outlines are kept under another name"


def test_without_weights_a_sentence_and_outlines(ds, tmp_path, monkeypatch):
    import torch.hub

    def no_network(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    with pytest.warns(ShoeboxWarning, match=r"weights of resnet18 could not be had.*outlines and colours"):
        ranking = shoebox.rank(ds, backbone="resnet18")
    assert "outlines and colours" in repr(ranking) and "could not be had" in repr(ranking)
    plain = shoebox.rank(ds)
    assert list(plain) == list(ranking)


def test_a_timm_model_by_name(ds, tmp_path, monkeypatch):
    import huggingface_hub.constants
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    network = timm.create_model("resnet10t", pretrained=False)
    cache = tmp_path / "hub"
    repository = cache / f"models--{network.pretrained_cfg['hf_hub_id'].replace('/', '--')}"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    save_file(network.state_dict(), repository / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    features = backbone_features(ds, ds.images, "resnet10t")
    assert features.shape == (16, 512) and np.ptp(features, axis=0).max() > 0
    assert backbone_name("resnet10t") == "resnet10t-224-1"


def test_models_that_cannot_serve_are_refused_by_name(ds):
    with pytest.raises(TrainingError, match="Neither torchvision nor timm has a model 'resnet1'"):
        shoebox.rank(ds, backbone="resnet1")
    with pytest.raises(TrainingError, match="small_cnn has no pretrained weights"):
        shoebox.rank(ds, backbone=shoebox.small_cnn)
