"""The published networks, rebuilt: named rows of data, and what builds them. Needs no framework.

`build` imports the module of the network's family, and with it Keras or Torch.
"""

from __future__ import annotations

from edge_ser.lab.architectures.networks import FAMILIES, Network, build, network, networks

__all__ = ["FAMILIES", "Network", "build", "network", "networks"]
