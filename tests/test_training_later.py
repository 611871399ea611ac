"""Asking a copy of a learner in another thread: the same answer, and the learner stays free."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch

import shoebox
from shoebox import studio
from shoebox.data import Dataset, Predictions
from shoebox.errors import ShoeboxWarning, TrainingError
from tests._pictures import folders


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    return Dataset(folders(tmp_path_factory.mktemp("bears") / "d", {"black": 14, "grizzly": 14, "teddy": 12}))


@pytest.fixture
def books(ds):
    """As the book makes it: fastai's own learner, with random crops, without a recorder."""
    assert callable(shoebox.vision_learner)  # loads fastai quietly
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        RandomResizedCrop,
        RandomSplitter,
        aug_transforms,
        get_image_files,
        parent_label,
        vision_learner,
    )

    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=RandomSplitter(valid_pct=.3, seed=1), item_tfms=RandomResizedCrop(32, min_scale=.5),
                      batch_tfms=aug_transforms(size=32))
    return vision_learner(block.dataloaders(ds.root, bs=4, num_workers=0), shoebox.small_cnn, pretrained=False)


def in_a_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def test_another_thread_gives_what_the_learner_says_itself(books, ds):
    from shoebox.training import predictions_later, predictions_of

    expected, told = predictions_of(books, ds, in_sample=False), []
    later = predictions_later(books, ds)
    thread, found = in_a_thread(lambda: later.compute(lambda done, total: told.append((done, total))))
    thread.join()
    assert not later.at_hand and later.about == expected.about == found[0].about
    assert found[0].paths == expected.paths and found[0].origins == ("held_out",) * 12
    assert np.array_equal(found[0].pred_probs, expected.pred_probs)
    assert told == [(0, 12), (4, 12), (8, 12), (12, 12)]


def test_pictures_that_were_trained_on_are_counted_and_not_asked_about(books, ds):
    from shoebox.training import predictions_of

    whole, honest = predictions_of(books, ds), predictions_of(books, ds, in_sample=False)
    assert len(whole) == 40 and whole.origins.count("in_sample") == 28 == honest.about["left_out"]
    kept = [row for row, origin in enumerate(whole.origins) if origin == "held_out"]
    assert np.allclose(whole.pred_probs[kept], honest.pred_probs, atol=1e-6)
    with pytest.warns(ShoeboxWarning, match=r"shoebox\.Recorder"):
        ranking = shoebox.rank(ds, books)
    with pytest.warns(ShoeboxWarning, match=r"shoebox\.Recorder"):
        again = shoebox.rank(ds)
    assert list(ranking) == list(again) and "for 12 of 40 pictures" in str(ranking.lanes[1])


def test_the_learner_may_be_trained_meanwhile_and_the_answer_is_that_of_before(books, ds):
    from shoebox.training import predictions_later, predictions_of

    expected = predictions_of(books, ds, in_sample=False)
    later = predictions_later(books, ds)
    callbacks = list(books.cbs)
    go, trained = threading.Event(), threading.Event()

    def pausing(done, total):
        if done == 4:
            go.set()
            assert trained.wait(60)

    thread, found = in_a_thread(lambda: later.compute(pausing))
    assert go.wait(60)
    with books.no_bar(), books.no_logging():
        books.fit(1, lr=.5)
    trained.set()
    thread.join()
    assert np.array_equal(found[0].pred_probs, expected.pred_probs)
    assert not np.allclose(predictions_of(books, ds, in_sample=False).pred_probs, expected.pred_probs, atol=1e-3)
    assert [type(cb) for cb in books.cbs] == [type(cb) for cb in callbacks] and books.model.training is False


def test_a_person_s_seed_is_not_touched(books, ds):
    from shoebox.training import predictions_later

    later = predictions_later(books, ds)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    later.compute(lambda done, total: None)
    assert torch.equal(torch.rand(3), expected)


def test_a_callback_that_may_have_a_say_is_honoured_by_asking_at_once(books, ds):
    from fastai.callback.core import Callback

    from shoebox.training import predictions_later, predictions_of

    class Upside(Callback):
        def before_batch(self):
            if not self.training:
                self.learn.xb = (self.xb[0].flip(2),)

    plain = predictions_of(books, ds, in_sample=False)
    books.add_cb(Upside())
    later = predictions_later(books, ds)
    flipped = later.compute(lambda done, total: None)
    assert later.at_hand and not np.array_equal(flipped.pred_probs, plain.pred_probs)
    assert np.array_equal(flipped.pred_probs, predictions_of(books, ds, in_sample=False).pred_probs)


def test_a_recorder_s_means_are_at_hand(ds):
    from shoebox.training import predictions_later, predictions_of

    learn = shoebox.vision_learner(shoebox.dataloaders(ds, size_px=32, batch_size=8), shoebox.small_cnn)
    with learn.no_bar(), learn.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learn.fit(1)
    later, expected = predictions_later(learn, ds), predictions_of(learn, ds)
    assert later.at_hand and "recorder" in expected.origins
    assert np.array_equal(later.compute(lambda done, total: None).pred_probs, expected.pred_probs)


def test_other_classes_are_refused_in_the_cell(books, tmp_path):
    other = Dataset(folders(tmp_path / "d", {"cat": 3, "dog": 3}))
    with pytest.raises(TrainingError, match=r"'cat', 'dog'"):
        shoebox.clean(other, learn=books)


def test_the_cleaner_asks_the_learner_in_the_background_and_ends_as_rank_does(books, ds):
    with pytest.warns(ShoeboxWarning, match=r"shoebox\.Recorder"):
        expected = [issue.path for issue in shoebox.rank(ds, books).pictures()]
    orders = []
    for _ in range(2):
        for file in (ds.root / ".shoebox").glob("predictions-*.npz"):
            file.unlink()
        with pytest.warns(ShoeboxWarning, match=r"shoebox\.Recorder"):
            cleaner = shoebox.clean(ds, learn=books)
        assert cleaner.ordering["state"] == "working"
        assert [item["path"] for item in cleaner.snapshot["items"]] == [r.path for r in ds.images][:24]
        assert cleaner.wait(60)
        orders.append([file.relative_to(ds.root).as_posix() for file in cleaner.fns])
    assert orders == [expected, expected]
    assert ds.predictions().about["left_out"] == "28", "kept for the next time"


def test_what_was_saved_while_an_older_learner_was_asked_stays(tmp_path):
    ds = Dataset(folders(tmp_path / "d", {"black": 3, "grizzly": 3}))
    names, ids = zip(*((record.path, record.image_id) for record in ds.images), strict=True)

    def says(share):
        return Predictions(names, ids, np.zeros(6, np.int64), np.full((6, 2), [share, 1 - share], np.float32),
                           ds.classes, ("held_out",) * 6)

    studio._asked(ds, says(.6), None)
    assert ds.predictions() == says(.6) != says(.7), "nothing was saved before, and nothing since"
    studio._asked(ds, says(.7), says(.6))
    assert ds.predictions() == says(.7), "still what was found"
    studio._asked(ds, says(.8), None)
    studio._asked(ds, says(.8), says(.6))
    assert ds.predictions() == says(.7), "a newer one came meanwhile"
    studio._asked(ds, says(.9))
    assert ds.predictions() == says(.9), "asked in the cell: the person wants this one"
