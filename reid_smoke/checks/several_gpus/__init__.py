"""RS6: several GPUs, or several processes of any kind."""
