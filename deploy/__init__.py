"""What installs edge-ser as a service: units and examples, as package data."""
