"""What a run that computes does to the runs beside it: 200 runs on one worker, one of which burns a CPU."""
