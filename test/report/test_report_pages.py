# SPDX-License-Identifier: Apache-2.0
"""Reports as files and in a browser: what they say, and that no name in them runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import totes
from browser import Browser
from networks import write_network
from oracle import Oracle
from planter import DOUBLED, MERGED, MISSED, NOISE, SPLIT, Planter

pytest.importorskip("plotly", reason="plotly is not installed, which the charts are made with")
pytest.importorskip("jinja2", reason="jinja2 is not installed, which the pages are made with")

from plotly import graph_objects

from armseg_ros.cli.main import main
from armseg_ros.data.bag import write_bag_from_coco
from armseg_ros.data.source import open_source
from armseg_ros.errors import DataError
from armseg_ros.evaluate.read_run import read_run
from armseg_ros.evaluate.run import evaluate
from armseg_ros.evaluate.settings import EvaluateConfig
from armseg_ros.report.build import build_report
from armseg_ros.types import Detections

HOSTILE_NAME = "cell_0/<img src=x onerror=document.title='taken'>.jpg"
HOSTILE_VALUE = "</script><script>document.title='taken'</script>"


def make_hostile(folder: Path) -> Path:
    """Give a picture a name, and two an attribute, that would run if a page did not escape them."""

    def rename(document: dict[str, Any]) -> None:
        image = document["images"][4]
        (folder / "images" / image["file_name"]).rename(folder / "images" / HOSTILE_NAME)
        image["file_name"] = HOSTILE_NAME
        for image in document["images"][:2]:
            image["tote_color"] = HOSTILE_VALUE

    totes.edit_json(folder / "test.json", rename)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one failure of each kind, on pictures of hostile names."""
    folder = tmp_path_factory.mktemp("run")
    source = open_source(make_hostile(totes.write_coco(folder / "coco", count=7)))
    names = [item.sample_id for item in source]
    mistakes = dict(zip(names[2:], (SPLIT, MERGED, MISSED, DOUBLED, NOISE), strict=True))
    evaluate(source, Planter(source, mistakes), EvaluateConfig(), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "report"
    build_report(read_run(run), folder)
    return folder


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def charts_of(page: Path) -> list[dict[str, Any]]:
    found = re.findall(r'class="plot-data">(.*?)</script>', text_of(page), re.DOTALL)
    return [json.loads(chart) for chart in found]


def test_a_report_is_a_folder_without_ties(report: Path) -> None:
    names = {path.name for path in report.iterdir()}
    assert names == {"index.html", "gallery.html", "crops", "plotly.min.js", "report.css",
                     "report.js", "gallery.js"}  # fmt: skip
    for page in ("index.html", "gallery.html", "report.css", "report.js", "gallery.js"):
        assert not re.search(r"https?://", text_of(report / page)), page


def test_plotly_knows_every_property_of_the_charts(report: Path) -> None:
    charts = charts_of(report / "index.html")
    assert len(charts) >= 8
    for chart in charts:
        graph_objects.Figure(chart)  # raises where it does not


def test_the_figures_are_those_of_the_run(run: Path, report: Path) -> None:
    page = text_of(report / "index.html")
    accuracy = read_run(run).summary["accuracy"]
    assert f">{accuracy['mask']['Object']['ap']:.3f}<" in page
    assert f">{accuracy['box']['Object']['ap50']:.3f}<" in page
    assert "oracle@0" in page


def test_the_same_run_gives_the_same_pages_but_for_the_date(
    run: Path, report: Path, tmp_path: Path
) -> None:
    build_report(read_run(run), tmp_path / "again")
    for path in sorted(report.rglob("*")):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(report)
            if path.suffix == ".html":
                ours, theirs = (text_of(p).splitlines() for p in (path, again))
                unlike = [a for a, b in zip(ours, theirs, strict=True) if a != b]
                assert all(line.startswith("<p>Report made 20") for line in unlike)
            else:
                assert path.read_bytes() == again.read_bytes()


def test_the_overview_draws_without_an_error(browser: Browser, report: Path) -> None:
    browser.open(report / "index.html")
    charts = len(charts_of(report / "index.html"))
    browser.wait_for(f"document.querySelectorAll('.plot .main-svg').length >= {charts}")
    assert browser.errors() == []
    assert browser.run("return document.title") == "Overview – run"  # noqa: RUF001
    assert HOSTILE_VALUE in browser.find("#slices").text
    assert browser.run("return document.querySelectorAll('#slices script').length") == 0


def test_the_threshold_moves_the_counts(browser: Browser, report: Path) -> None:
    browser.open(report / "index.html")
    browser.wait_for("document.getElementById('threshold-found').textContent !== ''")
    before = int(browser.find("#threshold-found").text)
    browser.run(
        "const slider = document.getElementById('threshold'); slider.value = 200;"
        "slider.dispatchEvent(new Event('input'));"
    )
    assert before > int(browser.find("#threshold-found").text) == 0
    assert browser.find("#threshold-missed").text == "21"
    assert browser.find("#threshold-precision").text == "–"  # noqa: RUF001


def shown(browser: Browser) -> list[str]:
    cards = browser.find_all(".failure")
    return [card.get_attribute("data-kind") for card in cards if card.is_displayed()]


def test_the_gallery_filters(browser: Browser, report: Path) -> None:
    browser.open(report / "gallery.html")
    assert sorted(shown(browser)) == ["duplicate", "missed", "noise", "over", "under"]
    browser.find(".chip.missed").click()
    assert shown(browser) == ["missed"]
    assert browser.find("#shown").text == "1"
    browser.find('.chip[data-kind=""]').click()
    browser.find("#search").send_keys("ONERROR")
    assert shown(browser) == ["missed"]  # the picture of the hostile name
    browser.find("#search").send_keys("nothing like it")
    assert shown(browser) == []
    assert browser.find("#nothing").is_displayed()
    assert browser.errors() == []


def test_keys_go_through_the_gallery(browser: Browser, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(report / "gallery.html")
    viewer = browser.find("#viewer")
    assert not viewer.is_displayed()
    browser.press(Keys.ARROW_RIGHT)
    assert browser.find("#position").text == "1 of 5"
    browser.press("j" + Keys.ARROW_RIGHT)
    assert browser.find("#position").text == "3 of 5"
    browser.press("k" + Keys.ARROW_LEFT + Keys.ARROW_LEFT)
    assert browser.find("#position").text == "5 of 5"  # round the corner
    truth = browser.find("#viewer .panel-truth path.truth")
    assert truth.is_displayed()
    browser.press("g")
    assert not truth.is_displayed()
    browser.press(Keys.ESCAPE)
    assert not viewer.is_displayed()
    assert browser.errors() == []


def test_names_stay_text(browser: Browser, report: Path) -> None:
    browser.open(report / "gallery.html")
    assert browser.run("return document.title") == "Failures – run"  # noqa: RUF001
    samples = [element.text for element in browser.find_all(".sample")]
    assert HOSTILE_NAME in samples
    assert browser.run("return document.querySelectorAll('img, .failure script').length") == 0
    assert browser.errors() == []
    loaded = browser.run("return [...document.querySelectorAll('image')].map(i => i.href.baseVal)")
    assert len(loaded) == 5
    assert all((report / name).is_file() for name in loaded)


def evaluate_on(folder: Path, make: Callable[[Any], Any], count: int, labelled: bool) -> Path:
    source = open_source(totes.write_coco(folder / "coco", count=count, labelled=labelled))
    evaluate(source, make(source), EvaluateConfig(), folder / "run")
    return folder / "run"


class Blind(Oracle):
    """Finds nothing in any picture."""

    def answer(self, *arguments: Any) -> Any:
        nothing: Detections = totes.detections([], [], [])
        return replace(super().answer(*arguments), detections=nothing)


def test_without_ground_truth_nothing_is_called_accuracy(browser: Browser, tmp_path: Path) -> None:
    run = evaluate_on(tmp_path, Oracle, count=3, labelled=False)
    build_report(read_run(run), tmp_path / "report")
    browser.open(tmp_path / "report/index.html")
    browser.wait_for("document.querySelectorAll('.plot .main-svg').length > 0")
    page = browser.find("main").text
    assert "Accuracy is not measured: the source holds no ground truth" in page
    for word in ("Precision", "Recall", "Confusion", "Slices"):
        assert word not in page
    assert browser.errors() == []
    browser.open(tmp_path / "report/gallery.html")
    assert "There is no ground truth, and no flag was raised." in browser.find("main").text
    assert browser.errors() == []


@pytest.mark.parametrize("count", [1, 2])
def test_one_picture_or_two(browser: Browser, tmp_path: Path, count: int) -> None:
    run = evaluate_on(tmp_path, Oracle, count=count, labelled=True)
    build_report(read_run(run), tmp_path / "report")
    browser.open(tmp_path / "report/index.html")
    page = browser.find("main").text
    assert "Mask AP" in page
    if count == 1:  # a tote without objects
        assert "the labelled pictures hold no objects" in page
    assert browser.errors() == []


def test_no_detection_anywhere_is_zero_and_said(browser: Browser, tmp_path: Path) -> None:
    run = evaluate_on(tmp_path, Blind, count=4, labelled=True)
    build_report(read_run(run), tmp_path / "report")
    browser.open(tmp_path / "report/index.html")
    page = browser.find("main").text
    assert "There are no curves: no object was predicted in any labelled picture" in page
    assert browser.errors() == []
    browser.open(tmp_path / "report/gallery.html")
    assert shown(browser) == ["missed"] * 6
    assert browser.errors() == []


def test_an_interrupted_run_says_so_on_every_page(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")

    def interrupt(summary: dict[str, Any]) -> None:
        summary["complete"] = False
        summary["frames"]["total"] = 30

    totes.edit_json(tmp_path / "run/summary.json", interrupt)
    build_report(read_run(tmp_path / "run"), tmp_path / "report")
    for page in ("index.html", "gallery.html"):
        assert "This run was interrupted: 7 of 30 pictures are in it." in text_of(
            tmp_path / "report" / page
        )


def test_the_command_and_a_source_that_moved(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(re.sub("source: .*", "source: /gone/away", config))
    assert main(["report", str(copy), "-o", str(tmp_path / "figures")]) == 0
    assert "/gone/away: no such bag" in capsys.readouterr().out
    gallery = text_of(tmp_path / "figures/gallery.html")
    assert "Pictures could not all be shown: /gone/away: no such bag" in gallery
    assert gallery.count('class="no-crop"') == 5
    write_bag_from_coco(run.parent / "coco", "test", tmp_path / "bag")
    there = ["--source", str(tmp_path / "bag"), "--failures", "2"]
    assert main(["report", str(copy), "-o", str(tmp_path / "moved"), *there]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/moved/index.html: 7 pictures, 2 failures in the gallery\n"
    )
    assert len(list((tmp_path / "moved/crops").iterdir())) == 2


def test_lost_predictions_are_named_and_a_failed_report_leaves_nothing(
    run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/predictions.json").unlink()
    written = build_report(read_run(tmp_path / "run"), tmp_path / "report")
    assert "0 predictions in predictions.json" in written["problems"][0]
    (tmp_path / "run/instances.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="missing or not closed"):
        build_report(read_run(tmp_path / "run"), tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_run_of_several_sources_shows_the_pictures_of_all(tmp_path: Path) -> None:
    for name in ("first", "second"):
        totes.write_coco(tmp_path / "data" / name, count=3)
    network = str(write_network(tmp_path / "tiny.onnx"))
    run = str(tmp_path / "run")
    assert main(["evaluate", str(tmp_path / "data"), "--model", network, "-o", run]) == 0
    (tmp_path / "data").rename(tmp_path / "moved")
    written = build_report(read_run(tmp_path / "run"), tmp_path / "report", tmp_path / "moved")
    assert written["problems"] == []
    page = text_of(tmp_path / "report/gallery.html")
    for name in ("first", "second"):
        assert f'<p class="sample">{name}/cell_0/002.jpg</p>' in page
    assert 'class="no-crop"' not in page


def test_mistakes_end_with_a_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    for arguments, sentence in (
        (["report", str(tmp_path / "absent"), "-o", "x"], "no such run folder"),
        (["report", str(run), "-o", str(tmp_path / "full")], "exists already and is not empty"),
        (["report", str(run), "-o", "x", "--failures", "-1"], "--failures is -1"),
        (["report", str(run), "-o", str(tmp_path / "x"), "--source", "y"], "y: no such bag"),
    ):
        assert main(arguments) == 2
        assert sentence in capsys.readouterr().err
