"""The `holdfast` command: one file per group of commands, `render` and `text` for what is shown."""
