"""PLB, Improved RoutingConvNet and the older RoutingConvNet: MFCCs (196, 39, 1) to class scores."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from edge_ser.lab.architectures.gates import CBAM, GatedResidual
from edge_ser.lab.architectures.layers import (
    CHANNELS,
    DotAttention,
    Reverse,
    Routing,
    Squash,
    primary_capsules,
    stem,
)

__all__ = ["INPUT_SHAPE", "improved_routing", "plb", "routing"]

INPUT_SHAPE = (196, 39, 1)
DROPOUT = 0.2


def plb(classes: int, batch: int | None = None) -> keras.Model:
    """PLB: 94,833 + 65 `classes` parameters. A fixed `batch` is for export."""
    inputs = keras.Input(INPUT_SHAPE, batch_size=batch, name="features")
    cbam = CBAM(name="cbam")
    capsule_gate = GatedResidual(name="capsule_gate")
    attention = DotAttention(name="attention")

    forward = stem(inputs, CHANNELS, 1, DROPOUT, "forward")
    backward = stem(Reverse(name="reverse")(inputs), CHANNELS, 1, DROPOUT, "backward")
    forward = layers.Add(name="forward_cbam")([forward, cbam(forward)])
    backward = layers.Add(name="backward_cbam")([backward, cbam(backward)])
    x = layers.Add(name="cross_attention")([forward, attention(forward, backward)])
    x = stem(x, CHANNELS, 2, DROPOUT, "dilated")
    x = layers.Add(name="dilated_cbam")([x, cbam(x)])
    y = capsule_gate(primary_capsules(x, dilation=2))
    salience = layers.LayerNormalization(name="attention_norm")(attention(y, y))
    y = capsule_gate(layers.Multiply(name="salient")([y, salience]))
    y = Routing(name="routing")(y)
    return keras.Model(inputs, _head(y, classes), name="plb")


def improved_routing(classes: int, batch: int | None = None) -> keras.Model:
    """Improved RoutingConvNet: 93,417 + 65 `classes` parameters."""
    inputs = keras.Input(INPUT_SHAPE, batch_size=batch, name="features")
    cbam = CBAM(name="cbam")
    capsule_gate = GatedResidual(name="capsule_gate")

    x = stem(inputs, CHANNELS, 1, DROPOUT, "forward")
    x = layers.Add(name="forward_cbam")([x, cbam(x)])
    x = stem(x, CHANNELS, 2, DROPOUT, "dilated")
    x = layers.Add(name="dilated_cbam")([x, cbam(x)])
    y = capsule_gate(primary_capsules(x, dilation=1))
    salience = DotAttention(name="attention")(y, y)
    salience = capsule_gate(layers.LayerNormalization(name="attention_norm")(salience))
    y = capsule_gate(layers.Multiply(name="salient")([y, salience]))
    y = capsule_gate(Routing(name="routing")(y))
    return keras.Model(inputs, _head(y, classes), name="improved_routing")


def routing(classes: int, batch: int | None = None) -> keras.Model:
    """The older RoutingConvNet: 155,929 + 65 `classes` parameters."""
    inputs = keras.Input(INPUT_SHAPE, batch_size=batch, name="features")
    x = layers.Concatenate(name="both_ways")([inputs, Reverse(name="reverse")(inputs)])
    x = stem(x, 32, 1, DROPOUT, "first")
    x = stem(x, CHANNELS, 1, DROPOUT, "second")
    x = stem(x, CHANNELS, 1, 0.5, "third")
    x = layers.Conv2D(2 * CHANNELS, 3, name="capsules_conv")(x)
    y = Squash(name="capsules_squash")(layers.Reshape((-1, CHANNELS), name="capsules")(x))
    salience = layers.LayerNormalization(name="attention_norm")(
        DotAttention(name="attention")(y, y)
    )
    y = Routing(name="routing")(layers.Multiply(name="salient")([y, salience]))
    return keras.Model(inputs, _head(y, classes), name="routing")


def _head(capsules: Any, classes: int) -> Any:
    pooled = layers.GlobalAveragePooling1D(name="pool")(capsules)
    pooled = layers.Dropout(DROPOUT, name="dropout")(pooled)
    return layers.Dense(classes, activation="softmax", name="scores")(pooled)
