"""An identity's network as one file for a phone or a browser (docs/on_device.md)."""
