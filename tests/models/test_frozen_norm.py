"""Folding frozen batch norms changes neither results, nor gradients, nor names; only the time it takes."""

import copy

import pytest
import timm
import torch

from dsla.models.frozen_norm import fold_frozen_norms, unfold_frozen_norms

NETWORKS = {"tf_efficientnet_lite0": 30, "resnet18": 15, "mobilenetv3_small_050": 20, "test_resnet": 5}


def network(name: str) -> torch.nn.Module:
    """With statistics, scales and shifts that are not those of a new norm."""
    torch.manual_seed(0)
    net = timm.create_model(name, features_only=True, out_indices=(1, 2, 3)).eval().double()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return net


@pytest.mark.parametrize(("name", "least"), NETWORKS.items())
def test_same_features_and_gradients(name, least):
    plain, folded = network(name), network(name)
    names = list(folded.state_dict())
    assert fold_frozen_norms(folded) >= least
    assert list(folded.state_dict()) == names
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    sums = []
    for net in (plain, folded):
        features = net(image)
        sums.append(sum(f.square().mean() for f in features))
        sums[-1].backward()
    torch.testing.assert_close(sums[1], sums[0], rtol=1e-10, atol=0)
    for (key, one), other in zip(plain.named_parameters(), folded.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-7, atol=1e-12, msg=lambda m, k=key: f"{k}: {m}")


def test_a_copy_folds_its_own_norms():
    net = network("test_resnet")
    fold_frozen_norms(net)
    twin = copy.deepcopy(net)
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    before = [f.clone() for f in net(image)]
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean += 1
    assert all(torch.equal(a, b) for a, b in zip(net(image), before, strict=True))
    assert not torch.equal(twin(image)[-1], before[-1])


def test_unfolding_gives_the_plain_network_back():
    net = network("tf_efficientnet_lite0")
    types = [type(module) for module in net.modules()]
    fold_frozen_norms(net)
    assert [type(module) for module in net.modules()] != types
    unfold_frozen_norms(net)
    assert [type(module) for module in net.modules()] == types


def test_what_cannot_be_traced_is_left_alone():
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)

        def forward(self, x):
            return self.norm(self.conv(x)) if x.sum() > 0 else x

    net = Odd().eval()
    assert fold_frozen_norms(net) == 0
    assert type(net.conv) is torch.nn.Conv2d


def test_a_norm_that_shares_its_convolution_is_left_alone():
    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y) + y

    assert fold_frozen_norms(Shared().eval()) == 0
