"""The console and the JavaScript client in a real Chromium, against the real stack."""
