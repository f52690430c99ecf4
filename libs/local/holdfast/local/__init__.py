"""Real Redis and real Postgres as child processes, and the supervisor behind `holdfast dev`.

Nothing here imitates a server. What runs on a laptop or under a test is the program that runs in
production.
"""
