"""What a study will cost: jobs, GPU-hours and storage."""
