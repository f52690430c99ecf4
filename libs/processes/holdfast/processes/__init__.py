"""Several processes of a service on one machine: started, kept running, told to end and asked together.

The supervisor (`python -m holdfast.processes`) is a process that does nothing else. A service becomes it (`become`)
when it is told to run more than once, and each of its processes holds a line to it (`link`).
"""
