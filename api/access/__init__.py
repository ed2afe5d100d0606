"""Controls access to the API: keys, sessions, rate limits, the bind guard and security headers."""
