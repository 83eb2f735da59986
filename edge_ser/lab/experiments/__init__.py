"""The experiments that come with edge-ser: TOML files for `edge-ser train NAME`."""
