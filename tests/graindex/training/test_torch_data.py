"""Training sets in PyTorch: the same items from any number of spawned workers, and none forked."""

import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from graindex.errors import InputError, OriginalError
from graindex.features.definition import FeatureSet
from graindex.features.fitting import fit
from graindex.features.registry import RegisteredFeatureSet
from graindex.store import open_store
from graindex.training.torch_data import TrainingData, loader
from tests.graindex.training.catalogued import TEXTURE, make_collection


@pytest.fixture(scope="module")
def life(empty_home, tmp_path_factory):
    """A catalogued collection; not to be changed."""
    folder = tmp_path_factory.mktemp("torch") / "life"
    shutil.copytree(empty_home, folder / "home")
    return make_collection(open_store(folder / "home"), folder)


@pytest.fixture(scope="module")
def training_set(life):
    return life.store.training_set("texture", "texture_class", split={"folds": 2})


@pytest.fixture
def images(life, training_set):
    return TrainingData(life.store, training_set)


def noise(content: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A transform that draws; workers unpickle it by its name."""
    return content + torch.rand(content.shape, generator=generator)


def epochs(batches, count=2):
    return [list(batches) for _ in range(count)]


def same(one, other):
    assert len(one) == len(other)
    for (a, b, c), (x, y, z) in zip(one, other, strict=True):
        assert torch.equal(a, x)
        assert torch.equal(b, y)
        assert c == z


def test_an_item_is_the_content_of_the_image_its_class_and_its_id(life, training_set, images):
    rows = training_set.rows.to_pylist()
    assert images.classes == ("coarse", "fine")
    assert len(images) == len(rows) == 8
    for place, row in enumerate(rows):
        content, label, identity = images[place]
        pixels = np.asarray(Image.open(life.folder / row["path"]), np.float32) / 255
        assert content.shape == (1, *pixels.shape)
        assert torch.equal(content[0], torch.from_numpy(pixels))
        assert images.classes[int(label)] == row["label_text"]
        assert identity == row["entity_id"]
    with pytest.raises(IndexError):
        images[len(rows)]


def test_features_and_numbers_as_labels(life):
    numbers = life.store.training_set("texture", "temperature_c", split="none")
    everything = np.ones(len(numbers), bool)
    fitted = fit(numbers.feature_set.definition, numbers.features, None, everything)
    chosen = np.arange(len(numbers)) % 2 == 0
    data = TrainingData(life.store, numbers, "features", rows=chosen, fitted=fitted)
    assert data.ids == numbers.rows["entity_id"].to_pylist()[::2]
    matrix = numbers.matrix(fitted)[chosen].astype(np.float32)
    for place, target in enumerate(numbers.target[chosen]):
        content, label, _ = data[place]
        assert torch.equal(content, torch.from_numpy(matrix[place]))
        assert label.dtype == torch.float32
        assert float(label) == np.float32(target)


def test_images_come_in_one_shape_where_asked(life, training_set):
    data = TrainingData(life.store, training_set, shape_px=(32, 48))
    (contents, labels, ids) = next(iter(loader(data, batch_size=8, workers=0)))
    assert contents.shape == (8, 1, 32, 48)
    assert labels.dtype == torch.int64
    assert list(ids) == data.ids


def test_the_order_depends_on_seed_and_epoch_alone(images):
    def orders(seed):
        batches = loader(images, batch_size=3, workers=0, shuffle=True, seed=seed)
        return [[key for _, _, ids in epoch for key in ids] for epoch in epochs(batches)]

    first, second = orders(1)
    assert orders(1) == [first, second]
    assert first != second
    assert orders(2) != [first, second]
    assert sorted(first) == sorted(second) == sorted(images.ids)


def test_spawned_workers_give_the_same_items_as_none(life, training_set):
    data = TrainingData(life.store, training_set, transform=noise, seed=3)
    options = {"batch_size": 3, "shuffle": True, "seed": 7}
    alone = epochs(loader(data, workers=0, **options))
    batches = loader(data, workers=2, **options)
    together = epochs(batches)
    for one, other in zip(alone, together, strict=True):
        same(one, other)
    assert not torch.equal(alone[0][0][0], alone[1][0][0])


def test_a_forked_worker_says_what_to_do(life, images):
    forked = DataLoader(images, num_workers=1, multiprocessing_context="fork", timeout=60)
    with pytest.raises(InputError, match="spawn"):
        next(iter(forked))


def test_a_dataset_carries_no_open_store(images):
    life = pickle.loads(pickle.dumps(images))
    assert torch.equal(life[0][0], images[0][0])
    assert len(pickle.dumps(images)) < 20_000


def test_a_changed_image_and_rows_that_are_no_images_are_refused(life, training_set, images):
    definition = FeatureSet.model_validate(TEXTURE | {"entity": "sample"})
    of_steel = replace(training_set, feature_set=RegisteredFeatureSet(definition, 1))
    with pytest.raises(InputError, match="of a sample, not of an image"):
        TrainingData(life.store, of_steel)
    assert TrainingData(life.store, of_steel, "features")[0][0].shape == (2,)
    hashes = images._images.column_names.index("content_hash")
    images._images = images._images.set_column(hashes, "content_hash", [["ab" * 32] * 8])
    with pytest.raises(OriginalError, match=images._images["path"][0].as_py()):
        images[0]
