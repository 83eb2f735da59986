"""The installed model files, with their cards inside; `edge_ser.zoo` finds them."""
