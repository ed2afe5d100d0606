"""Redis: the live state of jobs, its Lua scripts and its subscriptions."""
