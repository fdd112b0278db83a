# SPDX-License-Identifier: Apache-2.0
"""Figures in a page, and pictures in which a flag is right."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import totes
from networks import write_network
from quality.made_up import always, table

from armseg_ros.backends.model_info import file_sha256
from armseg_ros.cli.main import main
from armseg_ros.errors import DataError
from armseg_ros.quality.check import check
from armseg_ros.quality.classifier import Trees
from armseg_ros.quality.model import load_quality_model
from armseg_ros.quality.page import END, START, chosen_models, page_tables, refresh_page
from armseg_ros.quality.shipped import default_flags_path


def test_figures_go_between_the_marks() -> None:
    sheet = check(always("d" * 64), table(40))
    page = f"before\n{START}\nold\n{END}\nafter"
    fresh = refresh_page(page, sheet)
    assert fresh.startswith(f"before\n{START}\n\nDetector dddddddddddd.")
    assert fresh.endswith(f"{END}\nafter")
    assert "old" not in fresh
    assert refresh_page(fresh, sheet) == fresh
    rows = [line for line in fresh.splitlines() if line.startswith("| over, instance")]
    assert [row.count("|") for row in rows] == [12]
    assert f"| {sheet['over']['instance']['prevalence']:.3f} | 0.500 (0.500 to 0.500) |" in rows[0]
    assert "| low score | " in fresh


def test_the_page_says_what_kind_the_shipped_models_are() -> None:
    shipped = load_quality_model(default_flags_path())
    page = (Path(__file__).parents[2] / "docs" / "quality.md").read_text(encoding="utf-8")
    lines = chosen_models(shipped.training)
    assert "\n".join(lines) in page
    for target in ("pair", "over", "under"):
        trees = isinstance(shipped.classifiers[target].model, Trees)
        taken = "boosted trees" if trees else "logistic"
        assert any(line.startswith(f"| {target} | {taken} |") for line in lines)
    assert chosen_models({}) == []


def test_what_was_not_fitted_is_left_out() -> None:
    model = always("d" * 64)
    del model.classifiers["under"]
    assert "under" not in page_tables(check(model, table(40)))


def test_a_page_without_marks() -> None:
    with pytest.raises(DataError, match="lacks the marks"):
        refresh_page(f"{END} {START}", {})


def test_examples_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tiny network finds one object in every picture, over two of the ground truth."""
    network = write_network(tmp_path / "tiny.onnx")
    always(file_sha256(network), under=0.75).save(tmp_path / "flags.json")
    folder = totes.write_coco(tmp_path / "coco", count=3)

    def inside(document: dict) -> None:
        for record in document["annotations"]:
            if record["category_id"] == 2:
                x = 25 + 5 * (record["id"] % 2)
                record["segmentation"] = [[x, 12, x + 3, 12, x + 3, 15, x, 15]]

    totes.edit_json(folder / "test.json", inside)
    run, drawn = tmp_path / "run", tmp_path / "out/examples.png"
    assert main(["evaluate", str(folder), "--model", str(network), "-o", str(run),
                 "--flags", str(tmp_path / "flags.json")]) == 0  # fmt: skip
    assert main(["quality", "examples", str(run), "-o", str(drawn)]) == 0
    picture = cv2.imread(str(drawn))
    assert picture.shape == (420, 1120, 3)  # one picture of 48x64, twice beside itself
    totes.write_coco(folder, count=1)
    capsys.readouterr()
    assert main(["quality", "examples", str(run), "-o", str(drawn)]) == 2
    assert "coco does not hold cell_0/002.jpg any more" in capsys.readouterr().err
    totes.write_coco(tmp_path / "right", count=2)
    clean, flags = str(tmp_path / "clean"), str(tmp_path / "flags.json")
    arguments = ["evaluate", str(tmp_path / "right"), "--model", str(network), "-o", clean]
    assert main([*arguments, "--flags", flags]) == 0
    assert main(["quality", "examples", str(run), "-o", "examples.weird"]) == 2
    assert "name such a file" in capsys.readouterr().err
    assert main(["quality", "examples", clean, "-o", str(drawn)]) == 2
    assert "no flag is right" in capsys.readouterr().err
