"""Who is measured: Holdfast as it ships, nchan, and the gateway that one writes from a tutorial.

Each serves sessions over SSE, tells its server's pids (for their CPU clocks) and says how events get in.
"""
