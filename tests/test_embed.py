"""Features of frozen networks: real forward passes of torchvision and timm models with weights from their caches."""

from __future__ import annotations

import sys
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


@pytest.fixture
def random_weights(monkeypatch):
    """Networks keep what they were seeded with: nothing is downloaded."""
    import torch
    from torchvision.models import WeightsEnum

    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: {})
    monkeypatch.setattr("fastai.vision.models.xresnet.load_state_dict_from_url", lambda *_, **__: {"model": {}})
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)


@pytest.mark.parametrize("name", ["vit_b_16", "inception_v3", "googlenet", "shufflenet_v2_x0_5", "mobilenet_v2",
                                  "mobilenet_v3_small"])
def test_any_network_of_torchvision_says_what_its_classifier_hears(ds, random_weights, name):
    """Shipped bug: without a pooling layer a bare StopIteration, with one at the beginning what the first layer saw."""
    import torch
    import torchvision

    from shoebox.training import _embed

    torch.manual_seed(3)
    network = torchvision.models.get_model(name, weights="DEFAULT").eval()
    heard = []
    [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1].register_forward_pre_hook(
        lambda _, parts: heard.append(parts[0].flatten()))
    picture = open_image(ds.thumbnail(ds.images[0].path, 256))
    pixels = np.asarray(picture.resize((224, 224), 2), np.float32) / 255
    scaled = (pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.inference_mode():
        network(torch.from_numpy(scaled).permute(2, 0, 1)[None].float())
    torch.manual_seed(3)
    features = _embed._forward(*_embed._load(name), [picture])
    assert features.shape == (1, len(heard[0])) and np.ptp(features) > 0
    assert features[0] == pytest.approx(heard[0].numpy(), rel=0.01, abs=0.01 * float(heard[0].abs().max()))
    assert backbone_features(ds, ds.images[:1], name).shape == features.shape
    assert backbone_name(name) == backbone_name(getattr(torchvision.models, name)) == f"{name}-224-2"


def test_fastai_s_own_network_serves_as_a_function(ds, random_weights):
    from fastai.vision.all import xresnet50

    assert backbone_features(ds, ds.images[:1], xresnet50).shape == (1, 2048)
    assert (backbone_name(xresnet50), backbone_name("resnet18")) == ("xresnet50-224-1", "resnet18-224-1")


def test_a_network_that_gives_no_features_is_named_in_a_sentence(ds, random_weights):
    from torch import nn

    def lines(pretrained=False):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Linear(1, 2))

    def no_pool(pretrained=False):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def large_only(pretrained=False):
        return nn.Sequential(nn.Conv2d(3, 4, 500), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 2))

    for network, words in ((lines, r"gives \(1, 4, 49284\) for one picture"), (no_pool, "no_pool gives no features"),
                           (large_only, r"large_only gives no features of a picture of 224 x 224 pixels \(.*size")):
        with pytest.raises(TrainingError, match=words):
            shoebox.rank(ds, backbone=network)


def test_without_timm_a_sentence_says_how_to_get_it(ds, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(TrainingError, match=r"torchvision has no model 'resnet10t'.*pip install timm"):
        shoebox.rank(ds, backbone="resnet10t")


def test_models_that_cannot_serve_are_refused_by_name(ds):
    with pytest.raises(TrainingError, match="Neither torchvision nor timm has a model 'resnet1'"):
        shoebox.rank(ds, backbone="resnet1")
    with pytest.raises(TrainingError, match="small_cnn has no pretrained weights"):
        shoebox.rank(ds, backbone=shoebox.small_cnn)
