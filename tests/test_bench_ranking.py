"""The benches of the ranking on small made data: they must be able to tell a good order from a bad one."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shoebox.errors import PredictionsError

BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture
def noise(tmp_path, monkeypatch):
    """Probabilities that know the truth, labels with 10 of 200 wrong; as files."""
    monkeypatch.syspath_prepend(str(BENCH))
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 200)
    pred_probs = rng.dirichlet(np.ones(4), 200) * 0.4
    pred_probs[np.arange(200), truth] += 0.6
    labels = truth.copy()
    labels[:10] = (labels[:10] + 1) % 4
    for name, array in (("labels", labels), ("pred_probs", pred_probs), ("errors", labels != truth), ("truth", truth)):
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


@pytest.mark.parametrize("errors", ["errors", "truth"])
def test_real_noise_reads_files_and_scores_them(noise, errors):
    files = [str(noise / f"{name}.npy") for name in ("labels", "pred_probs", errors)]
    done = subprocess.run([sys.executable, str(BENCH / "real_noise.py"), *files], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert "200 pictures, 4 classes, 10 known errors" in done.stdout
    assert "log_odds_margin" in done.stdout and "ap: 1.000" in done.stdout


def test_real_noise_tells_good_from_bad(noise):
    from real_noise import score

    labels, pred_probs, errors = (np.load(noise / f"{name}.npy") for name in ("labels", "pred_probs", "errors"))
    assert score(labels, pred_probs, errors)["log_odds_margin"]["ap"] == pytest.approx(1)
    blind = score(labels, np.full((200, 4), 0.25), errors)
    assert blind["log_odds_margin"]["ap"] < 0.2
    with pytest.raises(PredictionsError, match="do not add up"):
        score(labels, pred_probs * 2, errors)
    with pytest.raises(PredictionsError, match="0 of 200"):
        score(labels, pred_probs, np.zeros(200, bool))
    with pytest.raises(PredictionsError, match=r"shape \(3,\)"):
        score(labels, pred_probs, errors[:3])
    with pytest.raises(PredictionsError, match="integers"):
        score(labels.astype(float), pred_probs, errors)


def test_what_the_benches_import_from_the_package_is_there():
    for path in BENCH.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shoebox"):
                module = importlib.import_module(node.module)
                gone = [name.name for name in node.names if not hasattr(module, name.name)
                        and importlib.util.find_spec(f"{node.module}.{name.name}") is None]
                assert not gone, f"{path.name} imports {gone} from {node.module}"


def test_a_run_is_trained_kept_and_measured(tmp_path):
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(BENCH)!r})
        import ranking, ranking_runs
        from pathlib import Path
        ranking_runs.EPOCHS = 2
        run = ranking_runs.Run("digits", "uniform", 0.1, 60, 0)
        for _ in range(2):
            print(ranking.tables(ranking.measure([run], Path({str(tmp_path)!r}))))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| digits | 60 | uniform 10% |") == 4
    row = done.stdout.partition("Seconds")[2].splitlines()[4]
    assert "cleanlab's three scores | cleanlab's set | runs |" in done.stdout and row.startswith("| digits | 60 |")
    assert row.count("(") == 7, "a mean and its range in every column"
    assert [path.name for path in tmp_path.iterdir()] == ["digits-uniform-0.10-60-0.npz"]


@pytest.mark.parametrize(("pictures", "fault"), [("digits", "uniform"), ("photos", "look-alike"),
                                                 ("digits", "outliers")])
def test_faults_are_planted_as_said(monkeypatch, pictures, fault):
    monkeypatch.syspath_prepend(str(BENCH))
    import ranking_runs

    run = ranking_runs.Run(pictures, fault, 0.1, 80, 3)
    rng = np.random.default_rng(1)
    images, truth, n_classes = ranking_runs.draw(pictures, 80, rng)
    labels, planted = ranking_runs.plant(run, images, truth, n_classes, rng)
    assert planted.sum() == 8 and set(labels) <= set(range(n_classes)) and images[0].size == (32, 32)
    assert ((np.asarray(labels) != np.asarray(truth)) == (planted & (fault != "outliers"))).all()


def test_a_section_of_the_results_is_rewritten_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import results

    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    (tmp_path / "RESULTS.md").write_text("# Measured\n\n## One (2020-01-01)\n\nold\n\n## Two (2020-01-01)\n\nstays\n")
    results.write_section("One", "new")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "old" not in text and "new" in text and "stays" in text and text.count("## ") == 2
