"""The network: what it says of what, where its weights come from."""

import numpy as np
import pytest
import torch

from models.encode.config import EncoderUnavailableError
from models.segment.mask_rcnn.config import PUBLISHED, MaskRcnnError, NetworkConfig
from models.segment.mask_rcnn.fitting import batch_losses
from models.segment.mask_rcnn.network import build_network
from models.segment.star_convex.patches import View


@pytest.fixture(scope="module")
def network(tiny_config):
    torch.manual_seed(0)
    return build_network(tiny_config)


def blank(side_px: int) -> View:
    return View(
        np.zeros((side_px, side_px), np.float32),
        np.zeros((side_px, side_px), np.int32),
        np.ones((side_px, side_px), np.bool_),
    )


def test_boxes_scores_and_masks_go_together(network, tiny_config):
    with torch.no_grad():
        found = network.eval()(torch.rand(2, 1, 64, 96))
    assert len(found) == 2
    for one in found:
        count = len(one["scores"])
        assert one["boxes"].shape == (count, 4)
        assert one["masks"].shape == (count, 1, tiny_config.mask_px, tiny_config.mask_px)
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"] <= torch.tensor([96, 64, 96, 64])).all()
        assert (one["scores"].diff() <= 0).all()


def test_patches_without_particles_teach_that_there_are_none(network):
    losses = batch_losses(network.train(), [blank(64), blank(64)])
    assert losses["loss_mask"] == 0
    assert losses["loss_box_reg"] == 0
    assert losses["loss_objectness"] > 0
    sum(losses.values()).backward()


def test_pretrained_statistics_stay_as_they_are(network):
    backbone = network.parts.backbone.backbone
    before = {name: tensor.clone() for name, tensor in backbone.named_buffers()}
    batch_losses(network.train(), [blank(64), blank(64)])
    for name, tensor in backbone.named_buffers():
        assert torch.equal(tensor, before[name])


def test_frozen_is_what_comes_before_stride_4(tiny_config):
    network = build_network(tiny_config, pretrained=False)
    network.freeze()
    fitted = {name for name, p in network.named_parameters() if p.requires_grad}
    start = "parts.backbone.backbone."
    assert not [name for name in fitted if name.startswith((f"{start}conv_stem", f"{start}bn1"))]
    assert not [
        name for name in fitted if name.startswith((f"{start}blocks.0", f"{start}blocks.1"))
    ]
    assert [name for name in fitted if name.startswith(f"{start}blocks.2")]


def test_the_published_network_takes_its_weights_from_a_file(tmp_path):
    import timm

    with pytest.raises(EncoderUnavailableError, match="give a local file"):
        build_network(PUBLISHED)
    with pytest.raises(EncoderUnavailableError, match="no weights at"):
        build_network(PUBLISHED, weights=tmp_path / "nothing.pth")
    torch.manual_seed(0)
    whole = timm.create_model("resnet50").state_dict()
    torch.save(whole, tmp_path / "resnet50.pth")
    network = build_network(PUBLISHED, weights=tmp_path / "resnet50.pth")
    taken = network.parts.backbone.backbone.state_dict()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in taken.items())
    assert torch.allclose(
        network.parts.transform.mean.flatten(), torch.tensor([0.485, 0.456, 0.406])
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pyramid_filters": 0}, "at least 1"),
        ({"mask_px": 15}, "even"),
        ({"anchors_px": (16, 32)}, "take 5"),
        ({"diameter_px": 0}, "more than 0"),
    ],
)
def test_what_cannot_be_built_is_refused(changed, message):
    with pytest.raises(MaskRcnnError, match=message):
        NetworkConfig(**changed)


def test_a_backbone_of_other_strides_is_refused():
    with pytest.raises(MaskRcnnError, match="4, 8, 16 and 32"):
        build_network(NetworkConfig(backbone="vgg11"), pretrained=False)
    with pytest.raises(EncoderUnavailableError, match="does not give its stages"):
        build_network(NetworkConfig(backbone="convnext_atto"), pretrained=False)
