# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON that people hand around: settings, runs, fitted flags."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentences import check_sentence

from armseg_ros.data.plain_yaml import load_plain_yaml
from armseg_ros.errors import DataError
from armseg_ros.quality.model import load_quality_model
from armseg_ros.quality.shipped import default_flags_path

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "has an alias"),
        ("a: &x\n  b: *x", "has an alias"),
        (
            "!!python/object/apply:os.system ['echo broken into']",
            "could not determine a constructor",
        ),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("[" * 5000, "nests too deeply|expected"),
        ("a: " + "x" * 10**6, "has 1000003 letters"),
        ("a: [", "expected"),
        ("\0", "special characters"),
        ("? [a]\n: b", "unhashable"),
    ],
)
def test_yaml_beyond_plain_values_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        load_plain_yaml(text)
    assert len(str(caught.value).splitlines()) == 1


def test_plain_yaml() -> None:
    assert load_plain_yaml("a: [1, 2.5, text]\nb: {c: null}") == {"a": [1, 2.5, "text"],
                                                                  "b": {"c": None}}  # fmt: skip


LINEAR = {"kind": "linear", "columns": ["a"], "mean": [0.0], "scale": [1.0], "weights": [1.0],
          "bias": 0.0, "slope": 1.0, "offset": 0.0}  # fmt: skip
TREES = {"kind": "trees", "columns": ["a"], "column": [[0]], "threshold": [[0.5]],
         "leaf": [[0.0, 1.0]], "bias": 0.0, "slope": 1.0, "offset": 0.0}  # fmt: skip
MODEL = {
    "format": "armseg quality model",
    "version": json.loads(default_flags_path().read_text())["version"],
    "detectors": ["0" * 64],
    "training": {"thresholds": {"score_threshold": 0.25}},
    "unfitted": {},
    "classifiers": {"over": LINEAR, "under": TREES},
    "references": {"over": {"simple": LINEAR}},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=5,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    return [path, *(p for key in keys for p in leaves(value[key], (*path, key)))]


@given(st.data())
@settings(
    max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_change_of_fitted_flags_is_read_or_is_one_sentence(
    tmp_path: Path, data: st.DataObject
) -> None:
    changed: Any = {"root": copy.deepcopy(MODEL)}
    *way, last = data.draw(st.sampled_from(leaves(changed)[1:]))
    parent = changed
    for key in way:
        parent = parent[key]
    parent[last] = data.draw(VALUES)
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(changed["root"]))
    try:
        load_quality_model(path)
    except DataError as error:
        check_sentence(error, str(path))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["classifiers"]["over"].update(slope=float("nan")), "not finite"),
        (lambda d: d["classifiers"]["over"].update(bias=float("inf")), "not finite"),
        (lambda d: d["classifiers"]["over"].update(scale=[0.0]), "scaled by 0"),
        (lambda d: d["training"].update(thresholds={"__class__": 1}), "do not exist"),
        (lambda d: d["training"].update(thresholds=[1]), "damaged"),
    ],
)
def test_flags_that_would_only_fail_on_a_picture(
    tmp_path: Path, change: Any, sentence: str
) -> None:
    document = copy.deepcopy(MODEL)
    change(document)
    (tmp_path / "flags.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=sentence):
        load_quality_model(tmp_path / "flags.json")


def test_flags_that_nest_without_end(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text("[" * 10**5)
    with pytest.raises(DataError, match="cannot read a quality model"):
        load_quality_model(tmp_path / "flags.json")
