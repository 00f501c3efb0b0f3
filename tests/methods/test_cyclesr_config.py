"""What CycleSR's network may be built from."""

import pytest

from upscale_cli.methods.cyclesr.config import GeneratorSettings


def test_each_network_has_its_own_depth_unless_told_otherwise():
    assert GeneratorSettings().depth == 20
    assert GeneratorSettings(network="srresnet").depth == 16
    assert GeneratorSettings(network="srresnet", blocks=3).depth == 3


@pytest.mark.parametrize("wrong", [{"network": "rcan"}, {"scale": 8}, {"blocks": 0}, {"features": 0}, {"depth": 3}])
def test_what_no_network_has_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GeneratorSettings.model_validate(wrong)
