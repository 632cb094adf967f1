"""What a machine needs: devices, claims, determinism, interruption, readers, jobs."""
