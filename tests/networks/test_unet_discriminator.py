"""Real-ESRGAN's discriminator: a logit for each pixel, and layers that cannot amplify."""

import pytest
import torch

from upscale_cli.networks.unet_discriminator import UNetDiscriminator


def test_a_logit_for_each_pixel_and_the_official_parameters():
    network = UNetDiscriminator(features=64)
    assert sum(weight.numel() for weight in network.parameters()) == 4_376_897  # Real-ESRGAN's
    assert network(torch.rand(1, 3, 24, 40)).shape == (1, 1, 24, 40)


def test_stages_are_what_each_convolution_sees_the_logits_last():
    torch.manual_seed(0)
    network, picture = UNetDiscriminator(features=4).eval(), torch.rand(2, 3, 16, 16)
    *features, logits = network.stages(picture)
    assert [tuple(stage.shape[1:]) for stage in features] == [
        (4, 16, 16),
        (8, 8, 8),
        (16, 4, 4),
        (32, 2, 2),
        (16, 4, 4),
        (8, 8, 8),
        (4, 16, 16),
        (4, 16, 16),
        (4, 16, 16),
    ]
    assert torch.equal(logits, network(picture))


def test_a_pictures_logits_do_not_depend_on_the_rest_of_the_batch():
    torch.manual_seed(0)
    network, pictures = UNetDiscriminator(features=4).eval(), torch.rand(2, 3, 16, 16)
    assert torch.allclose(network(pictures)[:1], network(pictures[:1]), atol=1e-6)


def test_normed_weights_amplify_nothing_by_more_than_one():
    torch.manual_seed(0)
    network = UNetDiscriminator(features=8)
    with torch.no_grad():
        network.conv3.parametrizations.weight.original.mul_(100)
        for _ in range(50):  # each call in training refines the estimate of the norm
            network(torch.rand(1, 3, 8, 8))
    assert torch.linalg.matrix_norm(network.conv3.weight.flatten(1), ord=2).item() == pytest.approx(1, abs=1e-2)
