"""What decides a class is found, what does not is not, and groups are not torn apart."""

import numpy as np
import pytest

from models.learn.predictability import predictability, threshold


def test_a_setting_that_decides_the_class_predicts_it():
    codes = np.repeat([0, 1, 2], 20)
    x = np.stack([codes * 10.0, np.full(60, np.nan)], axis=1)
    found = predictability(x, codes, np.arange(60))
    assert found.accuracy == 1
    assert found.chance == pytest.approx(1 / 3)
    assert found.alarm


def test_chance_raises_no_alarm():
    alarms = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        codes = np.repeat([0, 1], 20)
        x = random.normal(size=(40, 2))
        alarms += predictability(x, codes, np.arange(40) // 2).alarm
    assert alarms == 0


def test_images_of_one_specimen_do_not_predict_each_other():
    """Brightness is the specimen's own: it tells the class only to who saw the specimen."""
    random = np.random.default_rng(0)
    specimens = np.arange(120) // 10
    codes = np.array([0, 1] * 6)[specimens]
    x = random.permutation(12)[specimens][:, None] * 10.0
    assert not predictability(x, codes, specimens).alarm
    assert predictability(x, codes, np.arange(120)).accuracy == 1


def test_fewer_specimens_need_a_better_prediction():
    assert threshold(np.array([4, 4])) > threshold(np.array([16, 16])) > 0.5
    assert threshold(np.array([100_000, 100_000])) == pytest.approx(0.625)
    assert threshold(np.array([2, 2])) == 1


def test_a_class_of_one_group_is_refused():
    with pytest.raises(ValueError, match="fewer than two groups"):
        predictability(np.zeros((4, 1)), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]))
