"""What an export writes: the report, the manifest, the model and the card."""

from __future__ import annotations

import json
import logging
import re
import warnings
from dataclasses import replace
from pathlib import Path

import mistune
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import shoebox
from shoebox.bundle import Manifest, inspect
from shoebox.bundle._card import model_card, plain
from shoebox.bundle._export import export
from shoebox.bundle._export_parity import pick
from shoebox.bundle._intervals import wilson_interval
from shoebox.bundle._records import DatasetRecord, Parity, Preprocessing
from shoebox.errors import BundleError
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import (  # isort: skip
    MixUp, Normalize, Resize, aug_transforms, imagenet_stats)

from tests._exported import HEARD, NAMES, all_asked, loaders
from tests._models import lively_learner

pytest_plugins = ["tests._exported_fixtures"]
pytestmark = pytest.mark.slow


def test_the_report_and_the_manifest_say_what_was_measured(ds, learn, bundle):
    path, report = bundle
    manifest = inspect(path)
    valid = [record for record in ds.images if record.side == "valid"]
    with learn.no_bar(), learn.no_logging():
        probabilities, _ = learn.get_preds(dl=learn.dls.test_dl([ds.file(record.path) for record in valid]))
    right = np.mean([learn.dls.vocab[int(i)] == r.label for i, r in zip(probabilities.argmax(1), valid, strict=True)])
    assert report.accuracy == manifest.metrics["accuracy"] == pytest.approx(right)
    assert report.n == manifest.metrics["n_images"] == manifest.parity.n == len(valid)
    assert (report.max_difference, report.bound) == (manifest.parity.max_difference, manifest.parity.bound)
    assert manifest.parity.side == "valid"
    assert manifest.classes == tuple(learn.dls.vocab) == tuple(sorted(NAMES))
    assert manifest.fingerprint == ds.fingerprint
    assert manifest.dataset.counts == {label: sum(r.label == label for r in ds.images) for label in NAMES}
    assert torch.__version__.startswith(manifest.versions["torch"]) and manifest.versions["shoebox"] != "unknown"
    assert set(manifest.files) == {"model.onnx", "MODEL_CARD.md"}  # too few pictures for novelty.npz
    assert {"novelty", "calibration"} == set(manifest.notes) and "19 held-out" in manifest.notes["novelty"]
    assert manifest.label_sets.n == 19 and 0 <= manifest.label_sets.threshold <= 1
    assert {file.name for file in path.iterdir()} == {*manifest.files, "manifest.json"}
    assert report.size_bytes == sum(p.stat().st_size for p in path.iterdir())
    assert set(report.seconds) == {"convert", "learner", "bundle", "doubts", "extras", "write"}
    assert f"{report.n} validation pictures" in str(report) == repr(report) and "0.001 allowed" in str(report)


def test_the_model_keeps_no_trace_of_this_machine(ds, bundle):
    path, _ = bundle
    data = (path / "model.onnx").read_bytes()
    model = onnx.load_model_from_string(data)
    assert "metadata_props" not in str(model) and "doc_string" not in str(model)
    everything = b"".join(p.read_bytes() for p in path.iterdir())
    for trace in (b".py", b"site-packages", str(Path.home()).encode() + b"/", str(ds.root).encode(), b"File \"",
                  b"/tmp/", str(Path(shoebox.__file__).parents[2]).encode(), b"fastai.", b"lively_learner"):
        assert trace not in everything


def test_the_model_gives_the_features_before_the_last_layer(ds, learn, bundle):
    session = onnxruntime.InferenceSession(str(bundle[0] / "model.onnx"), providers=["CPUExecutionProvider"])
    pixels = np.asarray(shoebox.open_image(ds.file(ds.images[0].path)))[None]
    features, probabilities = session.run(["features", "probabilities"], {"image": pixels})
    last = [module for module in learn.model.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        again = torch.softmax(torch.from_numpy(features) @ last.weight.T + (0 if last.bias is None else last.bias), 1)
    assert features.shape == (1, last.in_features) and np.allclose(again, probabilities, atol=1e-6)


def test_three_pictures_at_once_are_three_pictures_one_by_one(ds, bundle):
    session = onnxruntime.InferenceSession(str(bundle[0] / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert set(names) == {"probabilities", "features", "cam"}
    three = [np.asarray(shoebox.open_image(ds.file(record.path)).resize((200, 150))) for record in ds.images[:3]]
    together = session.run(None, {"image": np.stack(three)})
    alone = [session.run(None, {"image": picture[None]}) for picture in three]
    for place, name in enumerate(names):
        rows = np.concatenate([outputs[place] for outputs in alone])
        assert together[place].shape == rows.shape and len(rows) == 3
        assert np.allclose(together[place], rows, rtol=1e-4, atol=1e-5), name
        assert not np.allclose(rows[0], rows[1], atol=1e-3), "unlike pictures, else an exchange would not be seen"


def test_the_learner_is_left_as_it_was(ds, tmp_path, capfd, caplog):
    learn = lively_learner(loaders(ds, Resize(64), [*aug_transforms(), Normalize.from_stats(*imagenet_stats)]))
    learn.add_cb(MixUp())
    learn.model.train()
    hooked = []
    learn.model[0].register_forward_hook(lambda *_: hooked.append(1))
    state = {name: value.clone() for name, value in learn.model.state_dict().items()}
    normalize = next(step for step in learn.dls.valid.after_batch.fs if isinstance(step, Normalize))
    before = (learn.model, list(learn.cbs), learn.loss_func, learn.dls.valid, list(learn.dls.valid.after_batch.fs),
              normalize.mean, [p.requires_grad for p in learn.model.parameters()], torch.is_grad_enabled(),
              logging.getLogger("torch.onnx").level, list(warnings.filters))
    with caplog.at_level(logging.WARNING):
        export(learn, ds, tmp_path / "model")
    after = (learn.model, list(learn.cbs), learn.loss_func, learn.dls.valid, list(learn.dls.valid.after_batch.fs),
             normalize.mean, [p.requires_grad for p in learn.model.parameters()], torch.is_grad_enabled(),
             logging.getLogger("torch.onnx").level, list(warnings.filters))
    assert before[0] is after[0] and before[2] is after[2] and before[3] is after[3]
    assert before[1] == after[1] and before[4] == after[4] and before[5] is after[5]
    assert before[6:] == after[6:]
    assert all(torch.equal(value, learn.model.state_dict()[name]) for name, value in state.items())
    assert all(module.training for module in learn.model.modules())
    assert capfd.readouterr() == ("", "") and not caplog.records


def test_without_validation_pictures_others_are_used_and_it_is_said(ds, learn, tmp_path):
    report = export(learn, all_asked(ds), tmp_path / "model")
    manifest = inspect(tmp_path / "model")
    assert report.accuracy is None and manifest.metrics == {} and manifest.parity.side == "any"
    assert "On 34 pictures it repeats" in str(report) and "right" not in str(report)
    assert "not measured" in str(manifest)
    assert "Not measured" in (tmp_path / "model" / "MODEL_CARD.md").read_text("utf-8")


def test_sealed_pictures_are_never_asked(ds):
    sides = [replace(record, side="test" if i % 2 else "train") for i, record in enumerate(ds.images)]
    chosen, side = pick(sides, 500)
    assert side == "any" and {record.side for record in chosen} == {"train"}
    with pytest.raises(BundleError, match="no validation or training pictures"):
        pick(sides[1::2], 500)


def test_too_many_pictures_are_thinned_out_evenly(ds):
    many = [replace(ds.images[0], path=f"{i:04}", side="valid" if i % 2 else "train") for i in range(2400)]
    chosen, side = pick(many, 500)
    places = [int(record.path) for record in chosen]
    assert side == "valid" and len(set(places)) == 500 and places[0] == 1 and places[-1] == 2399
    assert max(np.diff(places)) <= 6


def test_progress_rises_to_the_end(bundle):
    done, totals = zip(*HEARD, strict=True)
    assert list(done) == sorted(done) and set(totals) == {done[-1]} and len(set(done)) > 5


# the card

def test_the_card_shows_every_name_as_it_is(ds, bundle):
    text = (bundle[0] / "MODEL_CARD.md").read_text("utf-8")
    page = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough"])(text)
    shown = re.sub(r"<[^>]+>", "\n", page).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    shown = shown.replace("&amp;", "&")
    for name in NAMES:
        assert name in shown
    assert "Bears & <b>others</b>" in shown and "<b>" not in page and page.count("<table>") == 3
    for words in (ds.fingerprint, "95 % interval", "0.001 allowed", "always answers", "right class for 90%",
                  "19 held-out"):
        assert words in shown


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "[a](javascript:x)", "![x](https://e.org/p.png)", "`c`",
                                  "a|b", "**b**", "# h", "1. x", "---", "https://example.org", "&lt;", "\\*", "~~s~~",
                                  "- [x] y"])
def test_no_name_becomes_markup(name):
    manifest = Manifest(2, name, "2026-01-01T00:00:00Z", (name, "x"), Preprocessing("crop", (8, 8), (8, 8)), 1.0,
                        {"accuracy": 0.5, "n_images": 2}, Parity(2, 0, 1e-3, 2), DatasetRecord("0" * 64, {name: 1}),
                        {}, {})
    card = model_card(manifest, confusion=[[1, 0], [1, 0]], thanks=f"- {plain(name)}",
                      robustness=[{"what": name, name: 1}])
    page = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "task_lists"])(card)
    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {"h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "ul", "li"}
    assert page.count("<code>") == 1 and page.count("<h1>") == 1 and page.count("<tr>") == 11
    assert plain("two\nlines | one") == r"two lines \| one"


def test_wilsons_interval():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # R: binom::binom.wilson(8, 10)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10)[1] == 1.0


def test_the_manifest_is_plain_json_for_other_readers(bundle):
    values = json.loads((bundle[0] / "manifest.json").read_bytes())
    assert values["protocol"] == 3 and values["preprocessing"]["size_px"] == [224, 224]
    assert values["classes"] == sorted(NAMES) and len(values["checksum"]) == 64
