# SPDX-License-Identifier: Apache-2.0
"""Learning rate, sizes, weight average, clock and settings."""

import pytest
import torch
import yaml

from armseg_ros.errors import ConfigError
from armseg_ros.train import schedule
from armseg_ros.train.schedule import Clock, WeightAverage, learning_rate_factor, size_at
from armseg_ros.train.settings import (
    SizeStage,
    TrainSettings,
    format_settings,
    from_mapping,
    read_settings,
    to_mapping,
)


def a_run(**changes) -> TrainSettings:
    return TrainSettings(**({"data": ("d",), "steps": 10} | changes))


def test_rate_rises_then_falls_along_a_cosine():
    assert learning_rate_factor(0.0, 0.1, 0.01) == pytest.approx(0.001 / 0.101)
    assert learning_rate_factor(0.1, 0.1, 0.01) == pytest.approx(1.0)
    assert learning_rate_factor(0.55, 0.1, 0.01) == pytest.approx(0.505)
    assert learning_rate_factor(1.0, 0.1, 0.01) == pytest.approx(0.01)
    rates = [learning_rate_factor(k / 100, 0.1, 0.01) for k in range(10, 101)]
    assert rates == sorted(rates, reverse=True)


def test_sizes_change_at_their_shares():
    sizes = (SizeStage.parse("64x96@3"), SizeStage.parse("128x160@1"))
    assert [size_at(p, sizes) for p in (0, 0.7499, 0.75, 1.0)] == [(64, 96)] * 2 + [(128, 160)] * 2


@pytest.mark.parametrize("text", ["640", "640x", "630x640", "640x640@0", "axb", "64x64@x", "32x32"])
def test_sizes_that_cannot_be_are_refused(text):
    with pytest.raises(ConfigError):
        SizeStage.parse(text)


def test_clock_by_steps_and_epochs():
    assert Clock(a_run(steps=8), 100).progress(2) == 0.25
    assert Clock(a_run(steps=0, epochs=2.0, batch_size=4), 10).progress(1) == 0.2


def test_clock_by_minutes_leaves_pauses_out(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now)
    clock = Clock(a_run(steps=0, minutes=1.0), 100, elapsed_s=15)
    assert clock.progress(0) == 0.25
    now += 30
    assert clock.progress(0) == 0.75
    with clock.paused():
        now += 20
        assert clock.elapsed_s == 45
    assert clock.elapsed_s == 45
    now += 100
    assert clock.progress(0) == 1.0


class OneWeight(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("count", torch.tensor(0))


def test_the_average_spans_a_tenth_of_a_short_run():
    model = OneWeight()
    average = WeightAverage(model, decay=0.9985)
    for step in range(200):
        model.weight.data.fill_(float(step))
        model.count.fill_(step)
        average.update(model)
    # An average over the last tenth lags by some 20 steps; a fixed decay of 0.9985 by 150.
    assert 170 < float(average.model.weight) < 190
    assert int(average.model.count) == 199
    restored = WeightAverage(OneWeight(), decay=0.9985)
    restored.load_state(average.state())
    assert restored.updates == 200
    assert torch.equal(restored.model.weight, average.model.weight)


def test_settings_survive_their_file(tmp_path):
    settings = from_mapping(
        {"data": ["a", "b"], "minutes": 3, "sizes": ["64x96@0.5"], "augment": {"mosaic": 0.5}}
    )
    path = tmp_path / "config.yaml"
    path.write_text(format_settings(settings))
    assert from_mapping(read_settings(path)) == settings
    assert to_mapping(settings)["sizes"] == ["64x96@0.5"]


def test_a_number_without_a_point_is_a_number():
    for text in ("weight_decay: 1e-3", "loss: {mask: 2e0}"):
        settings = from_mapping({"data": ["a"], "steps": 1, **yaml.safe_load(text)})
        assert settings.weight_decay == (0.001 if "decay" in text else 0.05)
        assert settings.loss.mask == (2.0 if "mask" in text else 6.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"minutes": 1.0}, "exactly one"),
        ({"steps": 0}, "exactly one"),
        ({"data": ()}, "no training data"),
        ({"device": "tpu"}, "'tpu'"),
        ({"precision": "fp8"}, "'fp8'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"sizes": ()}, "no network size"),
        ({"minutes": -5.0}, r"minutes is -5\.0"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        a_run(**change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 2.5}, r"here: batch_size is 2\.5, but must be a whole number"),
        ({"val": 5}, "here: val is 5, but must be a text"),
        ({"loss": {"top": 1.5}}, r"here: loss\.top is 1\.5"),
        ({"data": 5}, "here: data is 5, but must be a list"),
        ({"data": "totes"}, "here: data is 'totes', but must be a list"),
        ({"sizes": 640}, "here: sizes is 640, but must be a list"),
    ],
)
def test_values_of_another_kind_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        from_mapping({"data": ["d"], "steps": 1} | change, "here")


def test_unknown_keys_and_broken_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"here: .*'augment.mosaik'"):
        from_mapping({"data": ["d"], "steps": 1, "augment": {"mosaik": 1}}, "here")
    for text in ("[1]", "a: ["):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"config\.yaml"):
            read_settings(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        read_settings(tmp_path / "absent.yaml")
