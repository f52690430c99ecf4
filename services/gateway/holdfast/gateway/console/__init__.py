"""The console: a page for people, served by the gateway itself. `files` holds what was built of it.

Its source is TypeScript beside this package; `assets/` is what `npm run build` made of that, committed and shipped in
the wheel, so that nobody who installs Holdfast needs Node.
"""
