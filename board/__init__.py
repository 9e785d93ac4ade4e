"""What browsers see of runs; a view, which no sampling depends on."""
