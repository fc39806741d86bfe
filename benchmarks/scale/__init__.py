"""What holds beyond one machine: images, devices, stores and hosts."""
