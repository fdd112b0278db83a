# SPDX-License-Identifier: Apache-2.0
"""The explorer in a browser, opened from disk, used by mouse and by keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import Browser
from runs import write_pictures, write_run

pytest.importorskip("sklearn", reason="the explorer needs scikit-learn (extra 'latent')")
pytest.importorskip("jinja2", reason="the explorer needs jinja2 (extra 'latent')")

from armseg_ros.data.selection import read_selection
from armseg_ros.evaluate.tables import INSTANCES
from armseg_ros.latent.explorer.build import ExplorerConfig, build_explorer

COUNT = 60
HOSTILE = "<script>document.title='taken'</script>.jpg"
HOSTILE_COLOR = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An explorer of a labelled and an unlabelled run, with names that try to be HTML."""
    base = tmp_path_factory.mktemp("explorer")

    def change(columns: dict[str, Any]) -> dict[str, Any]:
        columns["sample_id"][0] = HOSTILE
        columns["attributes"][0] = json.dumps({"tote_color": HOSTILE_COLOR})
        return columns

    names = [f"picture_0_{number:06d}.jpg" for number in range(COUNT)]
    pictures = write_pictures(base / "pictures", names[1:])
    runs = [
        write_run(base / "a <b>", COUNT, source=pictures, change=change),
        write_run(base / "unlabelled", 20, seed=1, labelled=False, split="test"),
    ]
    box = {"x_min": 80.0, "y_min": 67.0, "x_max": 240.0, "y_max": 201.0, "class_id": 0}
    box |= {"sample_id": names[7], "kind": "truth", "outcome": "missed"}
    pq.write_table(pa.Table.from_pylist([box], INSTANCES), runs[0] / "instances.parquet")
    build_explorer(runs, base / "explorer", ExplorerConfig(method="pca"), "2026-11-25")
    return base / "explorer"


@pytest.fixture
def page(browser: Browser, folder: Path) -> Browser:
    browser.open(folder / "index.html")
    browser.run("try { localStorage.clear() } catch {}")
    browser.open(folder / "index.html")
    browser.wait_for("document.body.dataset.ready")
    return browser


def drag(page: Browser, places: list[list[float]], **keys: bool) -> None:
    """Drag over the map through these pixels of it, with the browser's own pointer events."""
    left, top = page.run(
        "const b = document.querySelector('#overlay').getBoundingClientRect(); return [b.x, b.y]"
    )
    modifiers = 8 if keys.get("shift") else 1 if keys.get("alt") else 0
    for number, (x, y) in enumerate([*places, places[-1]]):
        kind = "mouseMoved"
        if number == 0:
            kind = "mousePressed"
        elif number == len(places):
            kind = "mouseReleased"
        page.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": left + x, "y": top + y, "button": "left", "buttons": 1}
            | {"clickCount": 1, "modifiers": modifiers},
        )


def around(page: Browser, rows: list[int]) -> list[list[float]]:
    """A rectangle in pixels of the map that holds these points, counter to the clock."""
    places = [page.run("return explorer.map.toPixels(arguments[0])", row) for row in rows]
    (left, right), (low, high) = ((min(v) - 3, max(v) + 3) for v in zip(*places, strict=True))
    return [[left, low], [left, high], [right, high], [right, low]]


def inside(page: Browser, corners: list[list[float]]) -> set[int]:
    """Rows of the points in a rectangle, counted here and not by the page's own test."""
    count = page.run("return explorer.population.count")
    places = page.run(
        "return [...Array(arguments[0]).keys()].map((row) => explorer.map.toPixels(row))", count
    )
    (left, low), (right, high) = corners[0], corners[2]
    return {k for k, (x, y) in enumerate(places) if left < x < right and low < y < high}


def selected(page: Browser) -> set[int]:
    return set(page.run("return explorer.state.selectedRows"))


def sample_ids(page: Browser, rows: set[int]) -> set[str]:
    ids = page.run("return explorer.population.sampleIds")
    return {ids[row] for row in rows}


def downloaded(page: Browser, name: str) -> str:
    path = page.downloads / name
    page.wait_for(path.exists)
    page.wait_for(lambda: path.read_text())
    return path.read_text()


def test_opens_from_disk_without_errors(page: Browser) -> None:
    assert page.errors() == []
    assert page.find("#counts").text == "80 of 80 shown"
    assert page.find("#no-map").get_attribute("hidden")
    assert "is not latent distance" in page.find(".caution").text
    assert "No thumbnails of unlabelled" in page.find(".notes").text
    assert len(page.find_all("#grid .card")) == 80


def test_names_stay_text(page: Browser) -> None:
    assert page.run("return document.title").startswith("a <b>, unlabelled")
    page.run("explorer.state.setFocus(0)")
    assert page.find("#details h2").text == HOSTILE
    assert HOSTILE_COLOR in page.find("#details").text
    page.run("explorer.state.setStyle({colourBy: 'tote_color'}); explorer.setView('table')")
    assert HOSTILE_COLOR in page.find("#legend").text
    assert page.find_all("main img, main script") == []
    assert page.errors() == []


def test_lasso_selects_and_the_files_hold_what_was_selected(page: Browser) -> None:
    corners = around(page, [1, 2])
    expected = inside(page, corners)
    assert 2 <= len(expected) < 80
    drag(page, corners)
    assert selected(page) == expected
    assert page.find("#selected-count").text == f"{len(expected)} selected"
    assert len(page.find_all("#grid .card")) == len(expected)
    page.find("#download-ids").click()
    lines = downloaded(page, "ids.txt").splitlines()
    assert len(lines) == len(expected)
    assert set(lines) == sample_ids(page, expected)
    page.find("#download-selection").click()
    assert downloaded(page, "selection.json").endswith("}\n")
    selection = read_selection(page.downloads / "selection.json")
    assert [pick.sample_id for pick in selection.picks] == lines  # in the order of the grid
    runs = [pick.sample_id.startswith("picture_1") for pick in selection.picks]
    assert [pick.run for pick in selection.picks] == runs
    assert Path(selection.inputs[1]["run"]).name == "unlabelled"
    assert page.errors() == []


def test_shift_adds_alt_removes_and_undo_takes_back(page: Browser) -> None:
    first, second = around(page, [3, 3]), around(page, [4, 4])
    drag(page, first)
    one = selected(page)
    assert one == inside(page, first)
    drag(page, second, shift=True)
    assert selected(page) == one | inside(page, second)
    drag(page, first, alt=True)
    assert selected(page) == inside(page, second) - one
    page.press("zz")
    assert selected(page) == one


def test_a_box_selects_too(page: Browser) -> None:
    page.press("b")
    corners = around(page, [5, 6])
    drag(page, [corners[0], corners[2]])
    assert selected(page) == inside(page, corners)


def test_filters_hide_and_count(page: Browser) -> None:
    page.run("explorer.state.selectAllShown()")
    page.find("input[aria-label='error from']").send_keys("0.3\t")
    errors = page.run("return [...explorer.population.column('error').values]")
    expected = {k for k, error in enumerate(errors) if error is not None and error >= 0.3}
    assert 0 < len(expected) < 60
    assert selected(page) == expected
    assert page.find("#counts").text == f"{len(expected)} of 80 shown"
    page.find("#clear-filters").click()
    for line in page.find_all("#filters .level-line"):
        if line.text.startswith("test"):
            line.click()
    assert page.find("#counts").text == "60 of 80 shown"
    page.find("#clear-filters").click()
    page.press("/")
    page.find("#search").send_keys("PICTURE_1_")
    assert page.find("#counts").text == "20 of 80 shown"


def test_details_show_neighbours_of_the_latent_space(page: Browser, folder: Path) -> None:
    x, y = page.run("return explorer.map.toPixels(7)")
    drag(page, [[x, y]])
    focus = page.run("return explorer.state.focus")
    assert page.find("#details h2").text in sample_ids(page, {focus})
    near = page.run("return explorer.population.neighboursOf(explorer.state.focus)")
    assert [distance for _, distance in near] == sorted(distance for _, distance in near)
    assert len(page.find_all("#details .strip .card")) == len(near) == 12
    page.press("n")
    assert selected(page) == {focus, *(row for row, _ in near)}


def test_by_keys_alone(page: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    page.press(Keys.ARROW_RIGHT)
    first = page.run("return explorer.state.focus")
    assert first == page.run("return explorer.pictures.rows[0]")
    page.press(Keys.ARROW_RIGHT)
    assert page.run("return explorer.state.focus") != first
    page.press("x")
    assert len(selected(page)) == 1
    page.press("i")
    assert len(selected(page)) == 79
    page.press(Keys.ESCAPE + Keys.ESCAPE)
    assert selected(page) == set()
    page.press("2")
    assert len(page.find_all("#table tbody tr")) == 80
    page.press("?")
    assert page.run("return document.querySelector('#help').open")
    page.press(Keys.ESCAPE)
    page.run("document.querySelector('#overlay').focus()")
    for _ in range(6):
        page.driver.switch_to.active_element.send_keys("+")
    page.driver.switch_to.active_element.send_keys("v")
    assert 0 < len(selected(page)) < 80
    page.driver.switch_to.active_element.send_keys("3d")
    assert len(downloaded(page, "ids.txt").splitlines()) == len(selected(page))
    assert page.errors() == []


def test_tags_are_kept_and_saved(page: Browser, folder: Path) -> None:
    page.run("explorer.state.select([2, 3])")
    page.press("t")
    page.find("#tag-name").send_keys("<b>dark\n")
    page.find("#download-tags").click()
    tags = json.loads(downloaded(page, "tags.json"))
    assert [pick["sample_id"] for pick in tags["<b>dark"]] == [
        "picture_0_000002.jpg",
        "picture_0_000003.jpg",
    ]
    page.open(folder / "index.html")
    page.wait_for("document.body.dataset.ready")
    page.find("#tags .chip button").click()
    assert selected(page) == {2, 3}
    assert page.find("#tags .chip button").text == "<b>dark 2"


def test_what_stands_out_is_named(page: Browser) -> None:
    page.run("explorer.state.select([...Array(20).keys()].map((k) => 60 + k))")
    page.press("3")
    assert "labelled = no" in page.find("#figures-frame").text
    assert "100 %" in page.find("#figures-frame").text


def test_the_picture_under_the_pointer_is_shown(page: Browser) -> None:
    x, y = page.run("return explorer.map.toPixels(8)")
    left, top = page.run(
        "const b = document.querySelector('#overlay').getBoundingClientRect(); return [b.x, b.y]"
    )
    move = {"type": "mouseMoved", "x": left + x, "y": top + y}
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", move)
    row = page.run("return explorer.map.hovered")
    assert page.find("#tip b").text in sample_ids(page, {row})
    assert page.find("#tip .thumbnail").is_displayed()


def test_thumbnails_show_the_right_pictures(page: Browser) -> None:
    """Each made-up picture has one colour; the page must show that of the row."""
    colors = page.run(
        """
        const out = [];
        for (const row of arguments[0]) {
          const box = explorer.population.thumbnail(row, 80);
          document.body.append(box);
          const style = getComputedStyle(box);
          out.push([style.backgroundImage, style.backgroundPosition, style.backgroundSize]);
          box.remove();
        }
        return out;
        """,
        [1, 9, 59],
    )
    assert all("thumbnails/0000.jpg" in image for image, _, _ in colors)
    # 59 pictures on 8 lines: the first, the first of the second line, the third of the last one.
    assert [place for _, place, _ in colors] == ["0% 0%", "0% 14.2857%", "28.5714% 100%"]
    assert {size for _, _, size in colors} == {"800% 800%"}


def test_without_webgl_the_rest_works(browser: Browser, folder: Path) -> None:
    script = browser.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {
            "source": "const real = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind) {"
            " return kind === 'webgl2' ? null : real.call(this, kind); };"
        },
    )
    try:
        browser.open(folder / "index.html")
        browser.wait_for("document.body.dataset.ready")
        assert "needs WebGL 2" in browser.find("#no-map").text
        browser.press("a")
        assert len(selected(browser)) == 80
        assert browser.errors() == []
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_boxes_are_drawn_over_the_picture(page: Browser) -> None:
    page.run("explorer.state.setFocus(7)")
    assert page.find("#details .box-legend").text == "1 missed"
    pixel = """
        const canvas = document.querySelector("#details .picture canvas");
        const pen = canvas.getContext("2d");
        const at = (x, y) => [...pen.getImageData(x * canvas.width, y * canvas.height, 3, 3).data];
        return [at(0.25, 0.25), at(0.5, 0.5)];
    """
    corner, middle = page.run(pixel)
    assert max(corner[3::4]) > 100
    assert not any(middle)
    page.press("o")
    assert page.find_all("#details .picture canvas") == []
    page.press("o")
    assert len(page.find_all("#details .picture canvas")) == 1
