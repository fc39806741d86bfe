"""The worker's processes: the parent, its warm child, leases, housekeeping and status."""
